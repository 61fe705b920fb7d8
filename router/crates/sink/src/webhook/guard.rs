//! Which addresses a webhook may reach: the guard against requests that are made to hit the inside of a network (SSRF).
//!
//! Names are resolved here and nowhere else, and every new connection goes to an address that has passed, so that a name
//! cannot answer well first and badly later.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::config::WebhookConfig;

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    /// Private and link-local addresses.
    private: bool,
    /// Anything beyond this machine: not for plain http.
    beyond: bool,
}

/// Why an address is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Plain http, beyond this machine.
    Insecure,
    /// Not an address of the public internet.
    Private(IpAddr),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Insecure => {
                f.write_str("plain http goes to this machine only; use https, or set allow_insecure: true")
            }
            Refused::Private(address) => write!(
                f,
                "{address} is a private, link-local or reserved address; set allow_private: true if it is meant"
            ),
        }
    }
}

impl std::error::Error for Refused {}

impl Guard {
    pub(super) fn new(config: &WebhookConfig, url: &Url) -> Guard {
        Guard { private: config.allow_private, beyond: url.scheme() == "https" || config.allow_insecure }
    }

    /// What can be said before a name is resolved.
    pub(super) fn check_host(self, url: &Url) -> Result<(), Refused> {
        let host = url.host_str().unwrap_or_default();
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(address) => self.check(address),
            Err(_) if self.beyond || host == "localhost" || host.ends_with(".localhost") => Ok(()),
            Err(_) => Err(Refused::Insecure),
        }
    }

    fn check(self, address: IpAddr) -> Result<(), Refused> {
        let plain = embedded(address);
        if plain.is_loopback() {
            return Ok(());
        }
        if !self.private && !is_public(plain) {
            return Err(Refused::Private(address));
        }
        if self.beyond { Ok(()) } else { Err(Refused::Insecure) }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = *self;
        Box::pin(async move {
            let mut allowed = Vec::new();
            let mut refused = None;
            for found in tokio::net::lookup_host((name.as_str(), 0)).await? {
                match guard.check(found.ip()) {
                    Ok(()) => allowed.push(found),
                    Err(why) => refused = Some(why),
                }
            }
            match refused {
                Some(why) if allowed.is_empty() => Err(why.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
                    as Result<Addrs, _>,
            }
        })
    }
}

/// The IPv4 address inside an IPv6 one that only carries it (mapped, NAT64, 6to4), else the address.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => v4(g, h),
        (0x2002, ..) => v4(b, c),
        _ => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// IANA's special-purpose registry for IPv4, without what is globally reachable.
fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let reserved = matches!(
        (a, b, c),
        (0 | 127, ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18 | 19, _) | (240..=255, ..)
    );
    !(reserved || v4.is_private() || v4.is_link_local() || v4.is_multicast() || v4.is_documentation())
}

/// Of IPv6, only global unicast is public, without its documentation and tunnel ranges.
fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [a, b, ..] = v6.segments();
    a & 0xe000 == 0x2000 && (a, b) != (0x2001, 0xdb8) && (a, b) != (0x2001, 0) && a & 0xfff0 != 0x3ff0
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Guard = Guard { private: false, beyond: true };

    #[test]
    fn addresses() {
        let private = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.2.1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:a00:1::",
            "2001:db8::1",
        ];
        for text in private {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(STRICT.check(address), Err(Refused::Private(address)), "{text}");
            assert_eq!(Guard { private: true, ..STRICT }.check(address), Ok(()), "{text}");
        }
        for text in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert_eq!(STRICT.check(text.parse().unwrap()), Ok(()), "{text}");
            assert_eq!(
                Guard { beyond: false, ..STRICT }.check(text.parse().unwrap()),
                Err(Refused::Insecure),
                "{text}"
            );
        }
        for text in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(
                Guard { beyond: false, private: false }.check(text.parse().unwrap()),
                Ok(()),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn names_are_checked_as_they_resolve() {
        let resolve = |guard: Guard| async move {
            let name: Name = "localhost".parse().unwrap();
            guard.resolve(name).await.map(|addresses| addresses.collect::<Vec<_>>())
        };
        let addresses = resolve(Guard { private: false, beyond: false }).await.unwrap();
        assert!(!addresses.is_empty() && addresses.iter().all(|a| a.ip().is_loopback()));
    }
}
