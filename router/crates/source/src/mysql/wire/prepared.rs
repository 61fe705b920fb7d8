//! Prepared statements: the answers come in the binary protocol, in which a FLOAT keeps its bits and a number needs no
//! parsing.
//!
//! Rows are read where they lie in the receive buffer, one packet at a time.
//!
//! Format: MySQL source documentation, "Prepared Statements" and "Binary Protocol Resultset".

use std::time::Duration;

use super::{Conn, WireError, server_error};
use crate::mysql::cursor::Cursor;

/// A statement that the server has parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    id: u32,
    /// Columns of its answer.
    pub(crate) columns: usize,
    /// Question marks in it.
    pub(crate) parameters: usize,
}

/// What a packet of an answer is.
#[derive(Debug)]
pub(crate) enum RowPacket<'a> {
    /// A row: its NULL bits (two bits late) and its values.
    Row(&'a [u8]),
    /// There are no more.
    End,
}

impl Conn {
    /// Has the server parse a statement.
    pub(crate) async fn prepare(&mut self, sql: &str) -> Result<Prepared, WireError> {
        let mut payload = vec![0x16];
        payload.extend_from_slice(sql.as_bytes());
        self.command(&payload).await?;
        let packet = self.packet().await?;
        if packet.first() == Some(&0xff) {
            return Err(server_error(packet));
        }
        let mut at = Cursor::new(packet);
        if at.u8()? != 0 {
            return Err(WireError::Protocol("an unknown answer to a statement to prepare"));
        }
        let id = at.u32()?;
        let (columns, parameters) = (usize::from(at.u16()?), usize::from(at.u16()?));
        // definitions of both, each list with an end; those of the answer itself come again when it is run
        for n in [parameters, columns].into_iter().filter(|&n| n > 0) {
            for _ in 0..=n {
                self.packet().await?;
            }
        }
        self.inbox.done();
        Ok(Prepared { id, columns, parameters })
    }

    /// Runs a statement without parameters, up to where its rows begin; `wait` is how long the server may think.
    /// Answers the type of each column.
    pub(crate) async fn execute(
        &mut self,
        statement: &Prepared,
        wait: Duration,
    ) -> Result<Vec<u8>, WireError> {
        let mut payload = vec![0x17];
        payload.extend_from_slice(&statement.id.to_le_bytes());
        payload.extend_from_slice(&[0, 1, 0, 0, 0]);
        self.command(&payload).await?;
        let first = self.packet_within(wait).await?;
        let columns = match first.first() {
            Some(0xff) => return Err(server_error(first)),
            Some(0) => return Err(WireError::Protocol("a statement that should have an answer has none")),
            _ => Cursor::new(first).packed_len()?,
        };
        let mut types = Vec::with_capacity(columns);
        for _ in 0..columns {
            let mut at = Cursor::new(self.packet().await?);
            for _ in ["catalog", "schema", "table", "original table", "name", "original name"] {
                at.packed_bytes()?;
            }
            // length of what follows, character set, display width
            at.packed()?;
            at.take(2 + 4)?;
            types.push(at.u8()?);
        }
        self.packet().await?;
        Ok(types)
    }

    /// Goes on to the next packet; false if it has not come yet: [`wait_for_more`](Self::wait_for_more).
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<bool, WireError> {
        self.inbox.done();
        Ok(self.inbox.frame()?)
    }

    /// Waits for bytes, but not longer than that.
    pub(crate) async fn wait_for_more(&mut self, most: Duration) -> Result<(), WireError> {
        tokio::time::timeout(most, self.fill()).await.map_err(|_| WireError::Timeout(most))?
    }

    /// The packet at hand as one of an answer.
    #[inline]
    pub(crate) fn row_packet(&self) -> Result<RowPacket<'_>, WireError> {
        match self.inbox.packet() {
            [0, row @ ..] => Ok(RowPacket::Row(row)),
            packet @ [0xfe, ..] if packet.len() < 9 => Ok(RowPacket::End),
            packet @ [0xff, ..] => Err(server_error(packet)),
            _ => Err(WireError::Protocol("a packet among the rows is none")),
        }
    }

    /// Lets the server forget a statement.
    pub(crate) async fn close(&mut self, statement: Prepared) -> Result<(), WireError> {
        self.inbox.done();
        let mut payload = vec![0x19];
        payload.extend_from_slice(&statement.id.to_le_bytes());
        self.command(&payload).await
    }
}
