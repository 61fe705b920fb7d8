//! A connection to a MySQL server: packets, login, TLS, text queries, prepared statements.
//!
//! Owns the socket. It is written here, and not taken from a driver, because the binlog wants the bytes of an event as
//! they lie in the receive buffer: a driver's copy, its parse of each event and its allocations cost more than the
//! whole decoding of a one-row statement. Names what failed (name, TCP, TLS, login) apart.
//!
//! Format: MySQL source documentation, "Client/Server Protocol".

mod inbox;
mod login;
mod prepared;
mod query;
mod session;
mod tls;

use std::io;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

pub(crate) use inbox::Inbox;
pub(crate) use prepared::{Prepared, RowPacket};
pub(crate) use query::Rows;

/// How long a single answer of the server may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(30);

/// What a connection can meet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// An ERR packet.
    #[error("{message} (error {code})")]
    Server { code: u16, message: String },
    #[error("{0}")]
    Protocol(&'static str),
}

impl From<super::cursor::Garbled> for WireError {
    fn from(_: super::cursor::Garbled) -> Self {
        WireError::Protocol("a packet ends early")
    }
}

impl From<inbox::TooLarge> for WireError {
    fn from(_: inbox::TooLarge) -> Self {
        WireError::Protocol("a packet is larger than the server's largest max_allowed_packet")
    }
}

#[derive(Debug)]
enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    async fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Plain(s) => s.read(room).await,
            Socket::Tls(s) => s.read(room).await,
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Socket::Plain(s) => s.write_all(bytes).await,
            Socket::Tls(s) => {
                s.write_all(bytes).await?;
                s.flush().await
            }
        }
    }
}

/// Whose server it is: the two speak one protocol, and differ in what their binlogs hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flavour {
    #[default]
    MySql,
    MariaDb,
}

/// Who answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    pub(crate) flavour: Flavour,
    /// As the server spells it.
    pub(crate) version: String,
    /// Whether the connection is encrypted.
    pub(crate) tls: bool,
}

/// A connection, logged in.
#[derive(Debug)]
pub(crate) struct Conn {
    socket: Socket,
    pub(crate) inbox: Inbox,
    pub(crate) server: Server,
    pub(crate) bytes: u64,
}

impl Conn {
    /// Waits until some bytes have come.
    pub(crate) async fn fill(&mut self) -> Result<(), WireError> {
        let n = self.socket.read(self.inbox.room()).await?;
        self.took(n)
    }

    /// Takes the bytes that are waiting; false if there are none.
    pub(crate) fn fill_now(&mut self) -> Result<bool, WireError> {
        match self.socket.read(self.inbox.room()).now_or_never() {
            None => Ok(false),
            Some(n) => self.took(n?).map(|()| true),
        }
    }

    fn took(&mut self, n: usize) -> Result<(), WireError> {
        if n == 0 {
            return Err(
                io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection").into()
            );
        }
        self.inbox.received(n);
        self.bytes += n as u64;
        Ok(())
    }

    /// Waits until a whole packet is at hand.
    pub(crate) async fn packet(&mut self) -> Result<&[u8], WireError> {
        self.packet_within(ANSWER).await
    }

    /// As [`packet`](Self::packet), for an answer that the server may have to think about.
    pub(crate) async fn packet_within(&mut self, most: Duration) -> Result<&[u8], WireError> {
        self.inbox.done();
        let arrives = async {
            while !self.inbox.frame()? {
                let n = self.socket.read(self.inbox.room()).await?;
                if n == 0 {
                    return Err(WireError::from(io::Error::from(io::ErrorKind::UnexpectedEof)));
                }
                self.inbox.received(n);
            }
            Ok(())
        };
        tokio::time::timeout(most, arrives).await.map_err(|_| WireError::Timeout(most))??;
        Ok(self.inbox.packet())
    }

    /// Sends a packet that continues the exchange at hand.
    async fn answer(&mut self, payload: &[u8]) -> Result<(), WireError> {
        // both sides count, and two packets of ours may follow each other (the TLS request and the login)
        self.inbox.seq = self.inbox.seq.wrapping_add(1);
        self.send(self.inbox.seq, payload).await
    }

    /// Sends a command.
    pub(crate) async fn command(&mut self, payload: &[u8]) -> Result<(), WireError> {
        self.send(0, payload).await
    }

    async fn send(&mut self, seq: u8, payload: &[u8]) -> Result<(), WireError> {
        let [a, b, c, 0] = (payload.len() as u32).to_le_bytes() else {
            return Err(WireError::Protocol("a statement is larger than a packet"));
        };
        let mut packet = Vec::with_capacity(payload.len() + 4);
        packet.extend_from_slice(&[a, b, c, seq]);
        packet.extend_from_slice(payload);
        tokio::time::timeout(ANSWER, self.socket.write_all(&packet))
            .await
            .map_err(|_| WireError::Timeout(ANSWER))??;
        Ok(())
    }

    /// Says goodbye, so that the server does not count an aborted connection.
    pub(crate) async fn quit(mut self) {
        // best effort: the connection is not needed any more, whatever comes of it
        let _ = self.command(&[1]).await;
    }
}

/// Reads an ERR packet.
///
/// Format: 0xff, code, then `#` and the SQL state (not in the first packet of a connection), message.
pub(crate) fn server_error(packet: &[u8]) -> WireError {
    let code = packet.get(1..3).map_or(0, |c| u16::from_le_bytes([c[0], c[1]]));
    let message = match packet.get(3..) {
        Some([b'#', rest @ ..]) => rest.get(5..).unwrap_or_default(),
        Some(rest) => rest,
        None => &[],
    };
    WireError::Server { code, message: String::from_utf8_lossy(message).into_owned() }
}
