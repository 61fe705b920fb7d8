//! The rows of a SELECT, one after the other as they come.

use std::time::Duration;

use super::super::cursor::Garbled;
use super::super::wire::{Conn, Prepared, RowPacket, WireError};
use super::wire::Wire;
use super::{Trouble, trouble};

/// How long the server may think before a row comes.
const PATIENCE: Duration = Duration::from_secs(600);

/// What ended a stretch of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    End,
    /// Whoever takes the rows had enough for now.
    Enough,
}

/// Why an answer could not be read.
pub(super) enum Broken {
    Wire(WireError),
    Changed,
}

impl From<WireError> for Broken {
    fn from(e: WireError) -> Self {
        Broken::Wire(e)
    }
}

impl Broken {
    pub(super) fn of(self, name: &str) -> Trouble {
        match self {
            Broken::Wire(e) => trouble(e, name, "cannot read rows"),
            Broken::Changed => Trouble::Changed,
        }
    }
}

/// The rows of a SELECT, as they come.
pub(super) struct Answer<'a> {
    conn: &'a mut Conn,
    statement: Prepared,
}

impl<'a> Answer<'a> {
    pub(super) async fn begin(conn: &'a mut Conn, wires: &[&Wire], sql: &str) -> Result<Self, Broken> {
        let statement = conn.prepare(sql).await?;
        let types = conn.execute(&statement, PATIENCE).await?;
        let fit = types.len() == wires.len() && wires.iter().zip(&types).all(|(w, t)| w.fits(*t));
        if fit { Ok(Answer { conn, statement }) } else { Err(Broken::Changed) }
    }

    /// Gives rows to `take` until there are no more or it answers false.
    pub(super) async fn take(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<bool, Garbled>,
    ) -> Result<More, Broken> {
        loop {
            while self.conn.advance()? {
                match self.conn.row_packet()? {
                    RowPacket::Row(row) => {
                        let wrong = |_| WireError::Protocol("a row of an answer makes no sense");
                        if !take(row).map_err(wrong)? {
                            return Ok(More::Enough);
                        }
                    }
                    RowPacket::End => {
                        self.conn.close(self.statement).await?;
                        return Ok(More::End);
                    }
                }
            }
            self.conn.wait_for_more(PATIENCE).await?;
        }
    }
}

/// Gives the rows of a SELECT to `take`; false if it had enough before their end: the connection is of no more use then.
pub(super) async fn select(
    conn: &mut Conn,
    wires: &[&Wire],
    sql: &str,
    take: impl FnMut(&[u8]) -> Result<bool, Garbled>,
) -> Result<bool, Broken> {
    Ok(Answer::begin(conn, wires, sql).await?.take(take).await? == More::End)
}
