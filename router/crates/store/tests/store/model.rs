//! Any sequence of writes and reopenings does to the store what it does to a few maps.

use std::collections::BTreeMap;

use forebay_store::{Change, Checkpoint, DocKind, LetterId, NewDeadLetter, Store};
use proptest::prelude::*;
use serde_json::json;

use crate::{letter, open, place};

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(Option<u8>, DocKind, u8, Option<u64>)>),
    Save(Vec<(u8, u64, u64)>),
    Letters(u8, Vec<u64>),
    DeleteLetters(u8, Vec<u64>),
    Audit(u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![Just(DocKind::Sources), Just(DocKind::Routes)];
    let change = (proptest::option::of(0..3u8), kind, 0..3u8, proptest::option::of(0..4u64));
    prop_oneof![
        4 => proptest::collection::vec(change, 1..4).prop_map(Step::Write),
        3 => proptest::collection::vec((0..3u8, 0..3u64, 0..6u64), 1..3).prop_map(Step::Save),
        3 => (0..3u8, proptest::collection::vec(0..9u64, 1..4)).prop_map(|(r, ids)| Step::Letters(r, ids)),
        1 => (0..3u8, proptest::collection::vec(0..9u64, 1..4)).prop_map(|(r, ids)| Step::DeleteLetters(r, ids)),
        1 => (0..9u8).prop_map(Step::Audit),
        1 => Just(Step::Reopen),
    ]
}

/// What should be there. A document is (revision, value, `None` once deleted).
#[derive(Clone, Debug, Default)]
struct Model {
    documents: BTreeMap<(DocKind, String), (u64, Option<u8>)>,
    checkpoints: BTreeMap<String, (u64, u64)>,
    letters: BTreeMap<(String, u64), NewDeadLetter>,
    audit: Vec<String>,
}

impl Model {
    /// `false`, and nothing changed, if the store must refuse.
    fn write(&mut self, changes: &[Change]) -> bool {
        let mut next = self.clone();
        for change in changes {
            let (kind, name, value, wanted) = match change {
                Change::Put { kind, name, value, if_revision } => {
                    (kind, name, value["v"].as_u64().map(|v| v as u8), if_revision)
                }
                Change::Delete { kind, name, if_revision } => (kind, name, None, if_revision),
            };
            let entry = next.documents.entry((*kind, name.clone())).or_default();
            let current = if entry.1.is_some() { entry.0 } else { 0 };
            if wanted.is_some_and(|w| w != current) {
                return false;
            }
            if entry.1 != value {
                *entry = (entry.0 + 1, value);
                if *kind == DocKind::Routes && value.is_none() {
                    next.checkpoints.remove(name);
                    next.letters.retain(|(route, _), _| route != name);
                }
            }
        }
        *self = next;
        true
    }

    /// Whether all of them may be saved; the others are.
    fn save(&mut self, checkpoints: &[(String, Checkpoint)]) -> bool {
        let mut all_saved = true;
        for (route, new) in checkpoints {
            let mark = (new.epoch, new.offset);
            if self.checkpoints.get(route).is_some_and(|old| mark < *old) {
                all_saved = false;
            } else {
                self.checkpoints.insert(route.clone(), mark);
            }
        }
        all_saved
    }

    fn add(&mut self, route: &str, letters: &[NewDeadLetter]) -> bool {
        let mut next = self.letters.clone();
        next.extend(letters.iter().map(|l| ((route.to_owned(), l.id.offset), l.clone())));
        if next.keys().filter(|k| k.0 == route).count() > 5 {
            return false;
        }
        self.letters = next;
        true
    }

    fn compare(&self, store: &Store) {
        let mut found: Vec<_> = store.documents().unwrap();
        found.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        let found: Vec<_> = found.into_iter().map(|d| (d.kind, d.name, d.revision, d.value)).collect();
        let wanted: Vec<_> = (self.documents.iter())
            .filter_map(|((k, n), (r, v))| v.map(|v| (*k, n.clone(), *r, json!({ "v": v }))))
            .collect();
        assert_eq!(found, wanted);
        let found: BTreeMap<_, _> =
            store.checkpoints().unwrap().into_iter().map(|(r, c)| (r, (c.epoch, c.offset))).collect();
        assert_eq!(found, self.checkpoints);
        for route in ["0", "1", "2"] {
            let wanted: Vec<_> = self.letters.iter().filter(|(k, _)| k.0 == route).map(|(_, l)| l).collect();
            assert_eq!(store.count_dead_letters(route).unwrap(), wanted.len() as u64);
            let found = store.dead_letters(route, None, 100).unwrap();
            assert_eq!(
                found.iter().map(|l| l.id).collect::<Vec<_>>(),
                wanted.iter().map(|l| l.id).collect::<Vec<_>>()
            );
            for letter in wanted {
                assert_eq!(store.dead_letter(route, letter.id).unwrap().unwrap().1, letter.event);
            }
        }
        let audit: Vec<_> = store.audit_entries(100).unwrap().into_iter().map(|e| e.target).collect();
        assert_eq!(audit, self.audit.iter().rev().take(3).cloned().collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_its_model(steps in proptest::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (_dir, path) = place();
        let mut store = open(&path);
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Write(changes) => {
                    let changes: Vec<Change> = changes.into_iter().map(|(value, kind, name, if_revision)| {
                        let name = name.to_string();
                        match value {
                            Some(v) => Change::Put { kind, name, value: json!({ "v": v }), if_revision },
                            None => Change::Delete { kind, name, if_revision },
                        }
                    }).collect();
                    let allowed = model.write(&changes);
                    assert_eq!(runtime.block_on(store.write(changes)).is_ok(), allowed);
                }
                Step::Save(marks) => {
                    let checkpoints: Vec<_> = marks.into_iter()
                        .map(|(r, epoch, offset)| (r.to_string(), Checkpoint { epoch, offset, ..Default::default() }))
                        .collect();
                    let allowed = model.save(&checkpoints);
                    assert_eq!(runtime.block_on(store.save_checkpoints(checkpoints)).is_ok(), allowed);
                }
                Step::Letters(route, offsets) => {
                    let route = route.to_string();
                    let letters: Vec<_> = offsets.into_iter().map(letter).collect();
                    let allowed = model.add(&route, &letters);
                    assert_eq!(runtime.block_on(store.add_dead_letters(&route, letters)).is_ok(), allowed);
                }
                Step::DeleteLetters(route, offsets) => {
                    let route = route.to_string();
                    let mut gone = 0;
                    for &offset in &offsets {
                        gone += u64::from(model.letters.remove(&(route.clone(), offset)).is_some());
                    }
                    let ids = offsets.into_iter().map(|offset| LetterId { offset, part: 0 }).collect();
                    assert_eq!(runtime.block_on(store.delete_dead_letters(&route, ids)).unwrap(), gone);
                }
                Step::Audit(n) => {
                    model.audit.push(n.to_string());
                    runtime.block_on(store.audit("me", "did", &n.to_string())).unwrap();
                }
                Step::Reopen => {
                    drop(store);
                    store = open(&path);
                }
            }
            model.compare(&store);
        }
    }
}
