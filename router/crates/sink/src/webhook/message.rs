//! Ids and bodies. The same event has the same id for ever; a batch's id says exactly which events it holds, so that a
//! batch that was cut differently after a restart is another message.

use bytes::Bytes;
use forebay_model::Offset;
use sha2::{Digest as _, Sha256};

/// One event of a delivery.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) offset: Offset,
    pub(super) part: u32,
    pub(super) body: Bytes,
}

/// A message, ready to be signed.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) body: Bytes,
}

/// How the events of one route become messages.
#[derive(Clone, Debug)]
pub(super) struct Messages {
    route: String,
    lineage: u64,
    /// Whether the body is a list, whatever it holds.
    pub(super) list: bool,
}

impl Messages {
    /// Ids begin with the route's name, or with what an id may hold of it (letters, digits, `-` and `_`) and a piece of the
    /// name's hash, so that two routes stay apart.
    pub(super) fn new(route: &str, lineage: u64, list: bool) -> Self {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let route = if route.chars().all(allowed) {
            route.to_owned()
        } else {
            let kept: String = route.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
            format!("{kept}-{}", short_hash([route]))
        };
        Messages { route, lineage, list }
    }

    /// `{route}_{lineage}_{offset}`, with `_1` for the second of two events that share an offset. The same over retries, restarts
    /// and replays; never another event's, though the route or the changelog be made anew.
    pub(super) fn event_id(&self, event: &Event) -> String {
        let (route, lineage) = (&self.route, self.lineage);
        match event.part {
            0 => format!("{route}_{lineage}_{}", event.offset),
            part => format!("{route}_{lineage}_{}_{part}", event.offset),
        }
    }

    /// One message of these events.
    pub(super) fn of(&self, events: &[Event]) -> Message {
        if let [only] = events
            && !self.list
        {
            return Message { id: self.event_id(only), body: only.body.clone() };
        }
        let ids: Vec<String> = events.iter().map(|event| self.event_id(event)).collect();
        let room = events.iter().map(|event| event.body.len() + 48 + self.route.len()).sum::<usize>() + 16;
        let mut body = Vec::with_capacity(room);
        body.extend_from_slice(b"{\"data\":[");
        for (i, (id, event)) in ids.iter().zip(events).enumerate() {
            body.extend_from_slice(if i == 0 { b"{\"id\":\"" } else { b",{\"id\":\"" });
            body.extend_from_slice(id.as_bytes());
            body.extend_from_slice(b"\",\"event\":");
            body.extend_from_slice(&event.body);
            body.push(b'}');
        }
        body.extend_from_slice(b"]}");
        let first = ids.first().map_or("", String::as_str);
        let id = format!("{first}_n{}_{}", ids.len(), short_hash(ids.iter().map(String::as_str)));
        Message { id, body: body.into() }
    }
}

/// 64 bits of SHA-256 over the texts, in hexadecimal.
fn short_hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text);
        hash.update([0]);
    }
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn event(offset: Offset, part: u32) -> Event {
        Event { offset, part, body: Bytes::from_static(b"{\"op\":\"c\"}") }
    }

    #[test]
    fn single_events() {
        let messages = Messages::new("tenants-to-crm", 7, false);
        let message = messages.of(&[event(7, 0)]);
        assert_eq!((message.id.as_str(), &message.body[..]), ("tenants-to-crm_7_7", &b"{\"op\":\"c\"}"[..]));
        assert_eq!(messages.of(&[event(7, 1)]).id, "tenants-to-crm_7_7_1");
        let dotted =
            [Messages::new("a.b", 7, false), Messages::new("a_b", 7, false), Messages::new("a b", 7, false)];
        let ids: HashSet<String> = dotted.iter().map(|m| m.of(&[event(1, 0)]).id).collect();
        assert_eq!(ids.len(), 3);
        assert!(ids.iter().all(|id| !id.contains('.')), "{ids:?}");
    }

    #[test]
    fn a_batchs_id_is_a_function_of_its_events() {
        let messages = Messages::new("r", 7, true);
        let message = messages.of(&[event(1, 0), event(2, 0)]);
        assert_eq!(
            &message.body[..],
            br#"{"data":[{"id":"r_7_1","event":{"op":"c"}},{"id":"r_7_2","event":{"op":"c"}}]}"#
        );
        assert!(message.id.starts_with("r_7_1_n2_") && message.id.len() == 25, "{}", message.id);
        let cuts: [&[Event]; 6] = [
            &[event(1, 0)],
            &[event(1, 0), event(2, 0)],
            &[event(1, 0), event(3, 0)],
            &[event(1, 0), event(2, 1)],
            &[event(1, 0), event(2, 0), event(3, 0)],
            &[event(1, 1), event(2, 0)],
        ];
        let ids: HashSet<String> = cuts.iter().map(|cut| messages.of(cut).id).collect();
        assert_eq!(ids.len(), cuts.len());
        assert_eq!(messages.of(cuts[1]).id, message.id, "and of nothing else");
    }
}
