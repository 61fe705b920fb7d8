//! The hosts of a source: the first that is fit is read.

use std::fmt;
use std::str::FromStr;

use super::Config;

/// The port that MySQL listens on by default.
const PORT: u16 = 3306;

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name or an address.
    pub host: String,
    /// Usually 3306.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why a text is not a [`HostPort`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host (expected name, name:port or [address]:port)")]
pub struct BadHost(String);

impl FromStr for HostPort {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let bad = || BadHost(text.chars().take(100).collect());
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(bad)?;
                let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(bad)?) };
                (host, port)
            }
            // more than one colon: an address of IPv6 without a port
            None if text.matches(':').count() > 1 => (text, None),
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(PORT), |p| p.parse().map_err(|_| bad()))?;
        if host.is_empty() || port == 0 || host.contains(|c: char| c.is_whitespace() || "/@[]".contains(c)) {
            return Err(bad());
        }
        Ok(HostPort { host: host.to_owned(), port })
    }
}

impl Config {
    /// Every host, in the order in which they are tried.
    pub fn all_hosts(&self) -> impl Iterator<Item = HostPort> {
        let first = HostPort { host: self.host.clone(), port: self.port };
        std::iter::once(first).chain(self.hosts.iter().cloned())
    }

    /// The same, standing at this one of its hosts.
    pub(crate) fn at(&self, host: &HostPort) -> Config {
        Config { host: host.host.clone(), port: host.port, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_and_printed() {
        for (text, host, port) in [
            ("db", "db", 3306),
            ("db.example.com:3307", "db.example.com", 3307),
            ("10.0.0.1:1", "10.0.0.1", 1),
            ("::1", "::1", 3306),
            ("[fe80::1]:33", "fe80::1", 33),
            ("[fe80::1]", "fe80::1", 3306),
        ] {
            let read: HostPort = text.parse().unwrap();
            assert_eq!((read.host.as_str(), read.port), (host, port), "{text}");
            assert_eq!(read.to_string().parse(), Ok(read), "{text}");
        }
        for bad in ["", ":3306", "db:", "db:0", "db:65536", "db:x", "a b", "[::1", "[::1]3", "u@db", "db/x"] {
            assert!(bad.parse::<HostPort>().is_err(), "{bad}");
        }
    }
}
