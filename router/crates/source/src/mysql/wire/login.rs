//! Makes a connection: name, TCP, greeting, TLS, login. Each can fail, and each failure says which it was.
//!
//! Format: MySQL source documentation, "Connection Phase" and "Caching_sha2_password information".

use std::time::Duration;

use forebay_model::{Fault, Secret};
use mysql_common::crypto;
use mysql_common::scramble::{scramble_native, scramble_sha256};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::{Conn, Flavour, Inbox, Server, Socket, WireError, server_error, tls};
use crate::codes;
use crate::mysql::cursor::{Cursor, put_packed};
use crate::mysql::{Config, Tls, faults};

/// How long name resolution and the TCP handshake may take.
const CONNECT: Duration = Duration::from_secs(10);

const LONG_PASSWORD: u32 = 1;
const PROTOCOL_41: u32 = 1 << 9;
const SSL: u32 = 1 << 11;
const TRANSACTIONS: u32 = 1 << 13;
const SECURE_CONNECTION: u32 = 1 << 15;
const PLUGIN_AUTH: u32 = 1 << 19;
const CONNECT_ATTRS: u32 = 1 << 20;
const PLUGIN_AUTH_LENENC: u32 = 1 << 21;

/// utf8mb4_general_ci, which every server has.
const UTF8MB4: u8 = 45;
/// The largest packet we say we take: the server's own limit.
const LARGEST: u32 = 1 << 30;

/// What the server says first.
#[derive(Debug, PartialEq)]
struct Greeting {
    version: String,
    capabilities: u32,
    nonce: Vec<u8>,
    plugin: String,
}

impl Greeting {
    fn parse(packet: &[u8]) -> Result<Self, WireError> {
        if packet.first() == Some(&0xff) {
            return Err(server_error(packet));
        }
        let mut at = Cursor::new(packet);
        if at.u8()? != 10 {
            return Err(WireError::Protocol("this is not a MySQL server"));
        }
        let version = String::from_utf8_lossy(at.zero_ended()?).into_owned();
        let _thread = at.u32()?;
        let mut nonce = at.take(8)?.to_vec();
        at.u8()?;
        let low = at.u16()?;
        let _charset = at.u8()?;
        let _status = at.u16()?;
        let high = at.u16()?;
        let capabilities = u32::from(low) | u32::from(high) << 16;
        let nonce_len = usize::from(at.u8()?);
        at.take(10)?;
        nonce.extend_from_slice(at.take(nonce_len.saturating_sub(8).max(13))?);
        nonce.truncate(20);
        let plugin = at.zero_ended().unwrap_or_else(|_| at.rest());
        Ok(Greeting { version, capabilities, nonce, plugin: String::from_utf8_lossy(plugin).into_owned() })
    }
}

impl Conn {
    /// Connects, logs in, and [sets the session up](Self::set_up).
    ///
    /// # Errors
    /// One code for each step that can fail.
    pub(crate) async fn open(config: &Config) -> Result<Conn, Fault> {
        let socket = tcp(config).await?;
        let mut conn =
            Conn { socket: Socket::Plain(socket), inbox: Inbox::new(), server: Server::default(), bytes: 0 };
        let greeting = match conn.packet().await {
            Ok(packet) => Greeting::parse(packet),
            Err(e) => Err(e),
        };
        let greeting =
            greeting.map_err(|e| faults::wire(e, &format!("{} did not greet", config.address())))?;
        // MariaDB's, that replicas of old releases take it for MySQL
        conn.server.version = greeting.version.trim_start_matches("5.5.5-").to_owned();
        conn.server.flavour = flavour(config, &conn.server.version)?;

        let mut capabilities = LONG_PASSWORD
            | PROTOCOL_41
            | TRANSACTIONS
            | SECURE_CONNECTION
            | PLUGIN_AUTH
            | PLUGIN_AUTH_LENENC
            | (greeting.capabilities & CONNECT_ATTRS);
        let offered = greeting.capabilities & SSL != 0;
        match (&config.tls, offered) {
            (Tls::Disabled, _) | (Tls::Preferred, false) => {}
            (_, true) => {
                capabilities |= SSL;
                conn = conn.encrypt(config, capabilities).await?;
            }
            (_, false) => {
                let what = format!("{} does not offer TLS", config.address());
                return Err(Fault::new(codes::TLS_NOT_OFFERED, what).fix(
                    "give the server a certificate (ssl_cert, ssl_key), or set the source's tls to preferred",
                ));
            }
        }
        let login = format!("cannot log in to {} as {}", config.address(), config.user);
        conn.log_in(config, &greeting, capabilities).await.map_err(|e| match e {
            LoginError::Wire(e) => faults::login(e, &login, config),
            LoginError::Method(fault) => fault,
        })?;
        conn.set_up().await?;
        Ok(conn)
    }

    async fn encrypt(mut self, config: &Config, capabilities: u32) -> Result<Conn, Fault> {
        let failed = || Fault::new(codes::TLS, format!("no TLS with {}", config.address()));
        let request = &response_head(capabilities);
        self.answer(request).await.map_err(|e| faults::wire(e, "the connection broke before TLS"))?;
        self.inbox.done();
        let settings = tls::settings(&config.tls)
            .map_err(|e| failed().cause(e).fix("check the file that the source's tls names as authority"))?;
        let name = ServerName::try_from(config.host.clone()).map_err(|_| {
            failed().cause(format!("`{}` is not a name that a certificate can have", config.host))
        })?;
        let Socket::Plain(tcp) = self.socket else { return Ok(self) };
        let shake = TlsConnector::from(settings).connect(name, tcp);
        let stream = match tokio::time::timeout(CONNECT, shake).await {
            Ok(Ok(stream)) => stream,
            // a certificate that is not accepted comes as an error with a TLS error inside; the rest is the network
            Ok(Err(e)) if e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
                return Err(failed()
                    .cause(e)
                    .fix("check the server's certificate, and the source's tls setting"));
            }
            Ok(Err(e)) => return Err(faults::wire(e.into(), "the connection broke in the TLS handshake")),
            Err(_) => return Err(faults::wire(WireError::Timeout(CONNECT), "the TLS handshake did not end")),
        };
        self.socket = Socket::Tls(Box::new(stream));
        self.server.tls = true;
        Ok(self)
    }

    async fn log_in(&mut self, config: &Config, greeting: &Greeting, caps: u32) -> Result<(), LoginError> {
        let mut nonce = greeting.nonce.clone();
        let mut plugin = greeting.plugin.clone();
        let password = config.password.as_ref().map_or("", Secret::expose);

        // an account with another method gets it by a switch request, so an unknown default is no obstacle yet
        let first = self.proof(&plugin, password, &nonce).unwrap_or_default();
        let mut response = response_head(caps).to_vec();
        response.extend_from_slice(config.user.as_bytes());
        response.push(0);
        put_packed(&mut response, first.len() as u64);
        response.extend_from_slice(&first);
        response.extend_from_slice(plugin.as_bytes());
        response.push(0);
        if caps & CONNECT_ATTRS != 0 {
            put_attributes(&mut response);
        }
        self.answer(&response).await?;

        // a server asks at most a few things; more would be a loop
        for _ in 0..8 {
            let packet = self.packet().await?.to_vec();
            match packet.as_slice() {
                [0, ..] => {
                    self.inbox.done();
                    return Ok(());
                }
                [0xff, ..] => return Err(server_error(&packet).into()),
                [0xfe, rest @ ..] => {
                    let mut at = Cursor::new(rest);
                    plugin = String::from_utf8_lossy(at.zero_ended().map_err(WireError::from)?).into_owned();
                    nonce = at.rest().strip_suffix(&[0]).unwrap_or(at.rest()).to_vec();
                    let proof =
                        self.proof(&plugin, password, &nonce).ok_or_else(|| self.unknown(config, &plugin))?;
                    self.answer(&proof).await?;
                }
                // the server knows the password's hash: an OK follows
                [1, 3] => {}
                [1, 4] if self.server.tls => self.answer(&zero_ended(password)).await?,
                [1, 4] => self.answer(&[2]).await?,
                [1, key @ ..] if key.starts_with(b"-----BEGIN") => {
                    let locked = lock_password(password, &nonce, key)?;
                    self.answer(&locked).await?;
                }
                _ => return Err(WireError::Protocol("an unknown step of the login").into()),
            }
        }
        Err(WireError::Protocol("the login does not end").into())
    }

    /// What proves the password to a method; `None` if the method is not ours.
    fn proof(&self, plugin: &str, password: &str, nonce: &[u8]) -> Option<Vec<u8>> {
        let bytes = password.as_bytes();
        Some(match plugin {
            "caching_sha2_password" => scramble_sha256(nonce, bytes).map(Vec::from).unwrap_or_default(),
            "mysql_native_password" => scramble_native(nonce, bytes).map(Vec::from).unwrap_or_default(),
            "sha256_password" if bytes.is_empty() => vec![0],
            "sha256_password" if self.server.tls => zero_ended(password),
            // asks for the server's key
            "sha256_password" => vec![1],
            _ => return None,
        })
    }

    fn unknown(&self, config: &Config, plugin: &str) -> LoginError {
        let what = format!("{} logs in by {plugin}, which is not supported", config.user);
        let method = match self.server.flavour {
            Flavour::MySql => "caching_sha2_password BY '...'",
            Flavour::MariaDb => "mysql_native_password USING PASSWORD('...')",
        };
        let fix = format!("ALTER USER '{}' IDENTIFIED WITH {method}", config.user);
        LoginError::Method(Fault::new(codes::AUTH_METHOD, what).fix(fix))
    }
}

/// Why a login failed.
enum LoginError {
    Wire(WireError),
    Method(Fault),
}

impl From<WireError> for LoginError {
    fn from(e: WireError) -> Self {
        LoginError::Wire(e)
    }
}

async fn tcp(config: &Config) -> Result<TcpStream, Fault> {
    let address = config.address();
    let found = tokio::time::timeout(CONNECT, lookup_host((config.host.as_str(), config.port)));
    let unknown = || {
        Fault::new(codes::DNS, format!("the host name `{}` cannot be resolved", config.host))
            .fix("check the source's host, and the name server of this machine")
    };
    let addresses: Vec<_> = match found.await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(e)) => return Err(unknown().cause(e)),
        Err(_) => return Err(unknown().cause("the name server did not answer")),
    };
    let mut last: Option<Fault> = None;
    for to in addresses {
        let failed = || {
            Fault::new(codes::CONNECT, format!("cannot connect to {address}"))
                .fix("check host and port, that the server runs, its bind_address, and firewalls between")
        };
        match tokio::time::timeout(CONNECT, TcpStream::connect(to)).await {
            Ok(Ok(socket)) => {
                // commands are single packets: waiting to merge them only delays
                let _ = socket.set_nodelay(true);
                return Ok(socket);
            }
            Ok(Err(e)) => last = Some(failed().cause(e)),
            Err(_) => last = Some(failed().cause("no answer within 10 s")),
        }
    }
    Err(last.unwrap_or_else(unknown))
}

fn flavour(config: &Config, version: &str) -> Result<Flavour, Fault> {
    let mut numbers = version.split(['.', '-']).map(|n| n.parse::<u32>().ok());
    let number = (numbers.next().flatten(), numbers.next().flatten());
    let maria = version.to_ascii_lowercase().contains("mariadb");
    let kind = if maria { "MariaDB" } else { "MySQL" };
    match (maria, number) {
        (false, (Some(8..), _)) => return Ok(Flavour::MySql),
        (true, (Some(11..), _) | (Some(10), Some(11..))) => return Ok(Flavour::MariaDb),
        _ => {}
    }
    let what = format!(
        "{} is {kind} {version}; Forebay reads MySQL 8.0 and MariaDB 10.11, and later ones of both",
        config.address()
    );
    Err(Fault::new(codes::FLAVOUR, what).fix("use a server of MySQL 8.0, or MariaDB 10.11, or later"))
}

/// What a TLS request and a login begin with.
fn response_head(capabilities: u32) -> [u8; 32] {
    let mut head = [0; 32];
    head[..4].copy_from_slice(&capabilities.to_le_bytes());
    head[4..8].copy_from_slice(&LARGEST.to_le_bytes());
    head[8] = UTF8MB4;
    head
}

/// Says who connects; `performance_schema.session_connect_attrs` shows it.
fn put_attributes(response: &mut Vec<u8>) {
    let mut attributes = Vec::new();
    for text in ["program_name", "forebay", "_client_version", env!("CARGO_PKG_VERSION")] {
        put_packed(&mut attributes, text.len() as u64);
        attributes.extend_from_slice(text.as_bytes());
    }
    put_packed(response, attributes.len() as u64);
    response.extend_from_slice(&attributes);
}

fn zero_ended(password: &str) -> Vec<u8> {
    let mut bytes = password.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// The password under the server's RSA key, for a login without TLS.
fn lock_password(password: &str, nonce: &[u8], key: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut masked = zero_ended(password);
    for (byte, n) in masked.iter_mut().zip(nonce.iter().cycle()) {
        *byte ^= n;
    }
    // the library panics at a key that is none, and the key is the server's
    std::panic::catch_unwind(|| crypto::encrypt(&masked, key))
        .map_err(|_| WireError::Protocol("the server's public key makes no sense"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As MySQL 9.7 sends it.
    fn greeting() -> Vec<u8> {
        let mut bytes = vec![10];
        bytes.extend_from_slice(b"9.7.4\0");
        bytes.extend_from_slice(&7u32.to_le_bytes());
        bytes.extend_from_slice(b"abcdefgh\0");
        bytes.extend_from_slice(&[0xff, 0xff, 255, 2, 0, 0xff, 0xdf, 21]);
        bytes.extend_from_slice(&[0; 10]);
        bytes.extend_from_slice(b"ijklmnopqrst\0caching_sha2_password\0");
        bytes
    }

    #[test]
    fn a_greeting_is_read() {
        let read = Greeting::parse(&greeting()).unwrap();
        assert_eq!(read.version, "9.7.4");
        assert_eq!(read.nonce, b"abcdefghijklmnopqrst");
        assert_eq!(read.plugin, "caching_sha2_password");
        assert!(read.capabilities & SSL != 0);
        for cut in 0..greeting().len() - 22 {
            assert!(Greeting::parse(&greeting()[..cut]).is_err(), "cut to {cut}");
        }
    }

    #[test]
    fn other_servers_are_refused() {
        let config = Config {
            host: "db".into(),
            port: 3306,
            hosts: vec![],
            user: "u".into(),
            password: Some(Secret::new("hidden")),
            tls: Tls::Preferred,
            server_id: None,
            tables: vec![],
        };
        assert!(!format!("{config:?}").contains("hidden"));
        for good in ["8.0.11", "8.4.3-log", "9.7.4-2", "10.1.0"] {
            assert_eq!(flavour(&config, good).unwrap(), Flavour::MySql, "{good}");
        }
        for good in ["10.11.6-MariaDB", "11.4.2-MariaDB-ubu2404", "12.0.2-MariaDB-log"] {
            assert_eq!(flavour(&config, good).unwrap(), Flavour::MariaDb, "{good}");
        }
        for bad in ["5.7.44", "10.6.18-MariaDB", "5.5.64-MariaDB", "mystery"] {
            assert_eq!(flavour(&config, bad).unwrap_err().code(), codes::FLAVOUR, "{bad}");
        }
    }

    #[test]
    fn a_false_key_is_an_error() {
        assert!(lock_password("secret", b"nonce", b"-----BEGIN PUBLIC KEY-----\nAAAA\n").is_err());
    }
}
