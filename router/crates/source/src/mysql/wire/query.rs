//! Statements and their answers, as text.

use super::{Conn, WireError, server_error};
use crate::mysql::cursor::Cursor;

/// The rows of an answer, as text; `None` is NULL.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Column names.
    pub(crate) names: Vec<String>,
    /// A value for each name.
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// The first row's value of a column, by name (any case).
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        let at = self.names.iter().position(|n| n.eq_ignore_ascii_case(name))?;
        self.rows.first()?.get(at)?.as_deref()
    }

    /// The first column of each row.
    pub(crate) fn firsts(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().filter_map(|row| row.first()?.as_deref())
    }
}

impl Conn {
    /// Runs a statement and reads its whole answer. For small answers: nothing bounds it but the server.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Rows, WireError> {
        let mut payload = vec![3];
        payload.extend_from_slice(sql.as_bytes());
        self.command(&payload).await?;
        let first = self.packet().await?;
        let columns = match first.first() {
            Some(0) => {
                self.inbox.done();
                return Ok(Rows::default());
            }
            Some(0xff) => return Err(server_error(first)),
            _ => Cursor::new(first).packed_len()?,
        };
        let mut rows = Rows::default();
        for _ in 0..columns {
            let mut at = Cursor::new(self.packet().await?);
            for _ in ["catalog", "schema", "table", "original table"] {
                at.packed_bytes()?;
            }
            rows.names.push(text(at.packed_bytes()?));
        }
        if !ends(self.packet().await?) {
            return Err(WireError::Protocol("no end after the column definitions"));
        }
        loop {
            let packet = self.packet().await?;
            if ends(packet) {
                self.inbox.done();
                return Ok(rows);
            }
            if packet.first() == Some(&0xff) {
                return Err(server_error(packet));
            }
            let mut at = Cursor::new(packet);
            let mut row = Vec::with_capacity(columns);
            for _ in 0..columns {
                if at.rest().first() == Some(&0xfb) {
                    at.u8()?;
                    row.push(None);
                } else {
                    row.push(Some(text(at.packed_bytes()?)));
                }
            }
            rows.rows.push(row);
        }
    }
}

/// Whether it is an EOF packet.
fn ends(packet: &[u8]) -> bool {
    packet.first() == Some(&0xfe) && packet.len() < 9
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
