//! The binlog as the server sends it: whole, checked events, one at a time.
//!
//! Owns the connection that the binlog comes by. Gives each event's header and body as they lie in the receive
//! buffer, after their checksum was found right; events inside a compressed transaction come out like all others. What
//! reads events knows nothing of packets, checksums or compression.
//!
//! Format: MySQL source documentation, "COM_BINLOG_DUMP", "COM_BINLOG_DUMP_GTID", "COM_REGISTER_SLAVE"; MariaDB Knowledge
//! Base, "Replica Registration".

use std::time::Duration;

use forebay_model::{Fault, GtidSet};
use tokio::time::Instant;

use super::binlog::{
    Arriving, CHECKSUM, Event, HEADER, Header, Inner, Payload, checksum_in_use, encode_set, is_whole, kinds,
};
use super::cursor::Garbled;
use super::wire::{Conn, Flavour, Server, server_error};
use super::{Config, faults};
use crate::codes;

/// How often an idle server says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long it may say nothing at all.
const SILENCE: Duration = HEARTBEAT.saturating_mul(3);
/// Larger than any event: max_allowed_packet ends at 1 GiB.
const LARGEST_EVENT: usize = (1 << 30) + (1 << 20);
/// What must have come of a compressed transaction before it is looked into: more than the fields that it begins with.
const BEGINNING: usize = 1024;
/// Flag: the set of GTIDs is what counts, not file and offset.
const THROUGH_GTID: u16 = 4;

/// From where on the binlog is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From<'a> {
    /// Every transaction that is not in the set.
    Behind(&'a GtidSet),
    /// A file and an offset in it.
    At(&'a str, u32),
}

impl From<'_> {
    /// What the server must be told before.
    pub(crate) fn settings(self, flavour: Flavour) -> String {
        let period = HEARTBEAT.as_nanos();
        let mut settings = format!(
            "SET @source_binlog_checksum = 'CRC32', @master_binlog_checksum = 'CRC32', \
             @source_heartbeat_period = {period}, @master_heartbeat_period = {period}"
        );
        if flavour == Flavour::MariaDb {
            // 4: sends transactions under their GTIDs, and not as an old replica would read them
            settings.push_str(", @mariadb_slave_capability = 4");
            if let From::Behind(gtids) = self {
                settings.push_str(&format!(
                    ", @slave_connect_state = '{gtids}', @slave_gtid_strict_mode = 0, @slave_gtid_ignore_duplicates = 0"
                ));
            }
        }
        settings
    }

    /// The command.
    pub(crate) fn command(self, flavour: Flavour, server_id: u32, flags: u16) -> Vec<u8> {
        let mut dump = Vec::new();
        match (self, flavour) {
            (From::Behind(gtids), Flavour::MySql) => {
                let set = encode_set(gtids);
                dump.push(0x1e);
                dump.extend_from_slice(&(flags | THROUGH_GTID).to_le_bytes());
                dump.extend_from_slice(&server_id.to_le_bytes());
                dump.extend_from_slice(&0u32.to_le_bytes());
                dump.extend_from_slice(&4u64.to_le_bytes());
                dump.extend_from_slice(&(set.len() as u32).to_le_bytes());
                dump.extend_from_slice(&set);
            }
            // no file: what was set before says from where
            (From::Behind(_), Flavour::MariaDb) => {
                dump.push(0x12);
                dump.extend_from_slice(&4u32.to_le_bytes());
                dump.extend_from_slice(&flags.to_le_bytes());
                dump.extend_from_slice(&server_id.to_le_bytes());
            }
            (From::At(file, pos), _) => {
                dump.push(0x12);
                dump.extend_from_slice(&pos.to_le_bytes());
                dump.extend_from_slice(&flags.to_le_bytes());
                dump.extend_from_slice(&server_id.to_le_bytes());
                dump.extend_from_slice(file.as_bytes());
            }
        }
        dump
    }
}

/// A running binlog dump.
#[derive(Debug)]
pub(crate) struct Dump {
    conn: Conn,
    server_id: u32,
    /// Whether events carry a checksum; `None` until the first format description says so.
    checksum: Option<bool>,
    /// The event at hand in the receive buffer: its header, and the bytes behind its body.
    at_hand: Option<(Header, usize)>,
    /// The compressed transaction at hand, and whether it stands at an event.
    payload: Option<(Payload, bool)>,
    /// The event that holds it, while that comes.
    arriving: Option<Arriving>,
    heard: Instant,
    events: u64,
}

impl Dump {
    /// Asks for the binlog.
    pub(crate) async fn start(
        mut conn: Conn,
        config: &Config,
        server_id: u32,
        from: From<'_>,
    ) -> Result<Dump, Fault> {
        let failed = || format!("cannot read the binlog of {}", config.address());
        let settings = from.settings(conn.server.flavour);
        conn.query(&settings).await.map_err(|e| faults::wire(e, &failed()))?;

        // registered readers are seen in SHOW REPLICAS
        let mut register = vec![0x15];
        register.extend_from_slice(&server_id.to_le_bytes());
        register.extend_from_slice(b"\x07forebay\0\0");
        register.extend_from_slice(&[0; 10]);
        conn.command(&register).await.map_err(|e| faults::wire(e, &failed()))?;
        let answer = match conn.packet().await {
            Ok(packet) if packet.first() == Some(&0xff) => Err(server_error(packet)),
            Ok(_) => Ok(()),
            Err(e) => Err(e),
        };
        answer.map_err(|e| faults::wire(e, &failed()))?;
        conn.inbox.done();

        let dump = from.command(conn.server.flavour, server_id, 0);
        conn.command(&dump).await.map_err(|e| faults::wire(e, &failed()))?;
        let heard = Instant::now();
        Ok(Dump {
            conn,
            server_id,
            checksum: None,
            at_hand: None,
            payload: None,
            arriving: None,
            heard,
            events: 0,
        })
    }

    pub(crate) fn server(&self) -> &Server {
        &self.conn.server
    }

    pub(crate) fn server_id(&self) -> u32 {
        self.server_id
    }

    /// Bytes and events received.
    pub(crate) fn received(&self) -> (u64, u64) {
        (self.conn.bytes, self.events)
    }

    /// Whether an event is at hand, which [`event`](Self::event) gives until [`done`](Self::done).
    pub(crate) fn peek(&mut self) -> Result<bool, Fault> {
        loop {
            if let Some((payload, standing)) = &mut self.payload {
                if *standing {
                    return Ok(true);
                }
                match payload.advance(LARGEST_EVENT).map_err(compressed)? {
                    Inner::Event => {
                        *standing = true;
                        self.events += 1;
                        return Ok(true);
                    }
                    Inner::Hungry if self.feed()? => continue,
                    Inner::Hungry => return Ok(false),
                    Inner::End => self.payload = None,
                }
            }
            if self.at_hand.is_some() {
                return Ok(true);
            }
            if !self.conn.inbox.frame().map_err(|_| too_large())? {
                if self.open_begun()? {
                    continue;
                }
                return Ok(false);
            }
            let (header, tail) = self.check()?;
            self.events += 1;
            if header.kind == kinds::TRANSACTION_PAYLOAD {
                let packet = self.conn.inbox.packet();
                let body = packet.get(1 + HEADER..packet.len() - tail).unwrap_or_default();
                let mut payload = Payload::open(header, body).map_err(compressed)?;
                payload.end();
                self.payload = Some((payload, false));
                self.conn.inbox.done();
                continue;
            }
            self.at_hand = Some((header, tail));
            return Ok(true);
        }
    }

    /// The event at hand.
    #[inline]
    pub(crate) fn event(&self) -> Result<Event<'_>, Fault> {
        match (&self.payload, &self.at_hand) {
            (Some((payload, _)), _) => payload.event().map_err(compressed),
            (None, Some((header, tail))) => {
                let packet = self.conn.inbox.packet();
                let body = packet.get(1 + HEADER..packet.len() - tail).unwrap_or_default();
                Ok(Event { header: *header, body })
            }
            (None, None) => Err(garbled("an event that is not there")),
        }
    }

    /// The event at hand has been read.
    #[inline]
    pub(crate) fn done(&mut self) {
        match &mut self.payload {
            Some((_, standing)) => *standing = false,
            None => {
                self.at_hand = None;
                self.conn.inbox.done();
            }
        }
    }

    /// Begins with a compressed transaction before it is there whole, if it is one that comes in many pieces.
    #[cold]
    fn open_begun(&mut self) -> Result<bool, Fault> {
        let (Some(has_checksum), [0, begun @ ..]) = (self.checksum, self.conn.inbox.begun()) else {
            return Ok(false);
        };
        let Ok(header) = Header::parse(begun) else { return Ok(false) };
        if header.kind != kinds::TRANSACTION_PAYLOAD || begun.len() < BEGINNING {
            return Ok(false);
        }
        if header.size as usize > LARGEST_EVENT {
            return Err(too_large());
        }
        let mut arriving = Arriving::new(&header, has_checksum).map_err(compressed)?;
        let n = arriving.take(begun).map_err(compressed)?;
        let payload = Payload::open(header, begun.get(HEADER..n).unwrap_or_default()).map_err(compressed)?;
        (self.payload, self.arriving) = (Some((payload, false)), Some(arriving));
        self.conn.inbox.forget_begun();
        self.events += 1;
        Ok(true)
    }

    /// Feeds what has come of the compressed transaction at hand; false if that is nothing.
    #[cold]
    fn feed(&mut self) -> Result<bool, Fault> {
        let last = self.conn.inbox.frame().map_err(|_| too_large())?;
        let inbox = &mut self.conn.inbox;
        let bytes = if last { inbox.packet() } else { inbox.begun() };
        let (Some((payload, _)), Some(arriving)) = (&mut self.payload, &mut self.arriving) else {
            return Err(garbled("a piece of nothing"));
        };
        if bytes.is_empty() && !last {
            return Ok(false);
        }
        let n = arriving.take(bytes).map_err(compressed)?;
        payload.feed(&bytes[..n]);
        if !last {
            inbox.forget_begun();
            return Ok(true);
        }
        if !arriving.is_whole() {
            return Err(Fault::new(codes::CHECKSUM, "the checksum of a compressed transaction is wrong"));
        }
        payload.end();
        self.arriving = None;
        inbox.done();
        Ok(true)
    }

    /// Takes what has already arrived; false if nothing has.
    pub(crate) fn fill_now(&mut self) -> Result<bool, Fault> {
        let some = self.conn.fill_now().map_err(|e| faults::wire(e, "the connection to the server broke"))?;
        if some {
            self.heard = Instant::now();
        }
        Ok(some)
    }

    /// Waits for bytes, at most until then; false if none came.
    pub(crate) async fn fill(&mut self, until: Option<Instant>) -> Result<bool, Fault> {
        let silent = self.heard + SILENCE;
        let deadline = until.map_or(silent, |t| t.min(silent));
        match tokio::time::timeout_at(deadline, self.conn.fill()).await {
            Ok(done) => {
                done.map_err(|e| faults::wire(e, "the connection to the server broke"))?;
                self.heard = Instant::now();
                Ok(true)
            }
            Err(_) if deadline == silent => {
                let what = format!("the server has sent nothing for {} s", SILENCE.as_secs());
                Err(Fault::new(codes::SILENT, what))
            }
            Err(_) => Ok(false),
        }
    }

    /// Reads the status byte, the header and the checksum of the packet at hand. Answers the header and how many bytes
    /// stand behind the body.
    fn check(&mut self) -> Result<(Header, usize), Fault> {
        let event = match self.conn.inbox.packet() {
            [0, event @ ..] => event,
            packet @ [0xff, ..] => {
                return Err(faults::wire(server_error(packet), "the server ended the binlog"));
            }
            [0xfe, ..] => return Err(Fault::new(codes::SHUTDOWN, "the server ended the binlog")),
            _ => return Err(Fault::new(codes::PROTOCOL, "the server sent something that is no event")),
        };
        let header = Header::parse(event).map_err(|Garbled| garbled("an event without a header"))?;
        if header.size as usize != event.len() {
            return Err(garbled(&format!(
                "an event of {} bytes that says it has {}",
                event.len(),
                header.size
            )));
        }
        let described = header.kind == kinds::FORMAT_DESCRIPTION;
        if described {
            let in_use = checksum_in_use(event).map_err(|Garbled| garbled("a format description"))?;
            self.checksum = Some(in_use);
        }
        let tail = match self.checksum {
            Some(true) if !is_whole(event) => {
                let what = format!("the checksum of the event that ends at {} is wrong", header.end);
                return Err(Fault::new(codes::CHECKSUM, what));
            }
            Some(in_use) => usize::from(in_use || described) * CHECKSUM,
            // before the first format description, the server's own setting holds
            None => usize::from(is_whole(event)) * CHECKSUM,
        };
        if event.len() < HEADER + tail {
            return Err(garbled("an event without a body"));
        }
        Ok((header, tail))
    }
}

fn too_large() -> Fault {
    Fault::new(codes::TOO_LARGE, "an event of the binlog is larger than 1 GiB")
        .fix("lower max_allowed_packet on the server; then start from now")
}

fn compressed(_: Garbled) -> Fault {
    garbled("a compressed transaction")
}

fn garbled(what: &str) -> Fault {
    Fault::new(codes::GARBLED, format!("the server sent {what}, which makes no sense"))
        .fix("check the binlog with mysqlbinlog --verify-binlog-checksum, and report this with its output")
}
