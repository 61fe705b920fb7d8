//! The way to a server, step by step: name, TCP, greeting, TLS, login. Each step is a check.

use std::time::Duration;

use forebay_model::{Class, Fault};
use tokio::net::{TcpStream, lookup_host};

use super::Check;
use crate::codes;
use crate::mysql::wire::Conn;
use crate::mysql::{Config, Tls};

/// How long name and TCP may take.
const CONNECT: Duration = Duration::from_secs(10);

/// The steps, as far as they went, and the connection if all went well.
pub(super) async fn connect(config: &Config) -> (Vec<Check>, Result<Conn, Fault>) {
    let mut checks = Vec::new();
    // looked up and tried by itself, so that it is known of a server that does not answer as one
    if let Ok(Ok(found)) =
        tokio::time::timeout(CONNECT, lookup_host((config.host.as_str(), config.port))).await
    {
        let addresses: Vec<_> = found.collect();
        let ips: Vec<String> = addresses.iter().map(|a| a.ip().to_string()).collect();
        checks.push(Check::ok("dns", format!("{} is {}", config.host, super::at_most(&ips))));
        for address in addresses {
            if let Ok(Ok(_)) = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
                checks.push(Check::ok("tcp", format!("{address} accepts connections")));
                break;
            }
        }
    }
    let conn = Conn::open(config).await;
    match &conn {
        Ok(conn) => {
            checks.push(Check::ok("server", format!("it is {}", conn.server.version)));
            checks.push(tls(config, conn.server.tls));
            checks.push(Check::ok("login", format!("{} may log in", config.user)));
        }
        Err(fault) => checks.extend(failed(fault, &checks)),
    }
    (checks, conn)
}

fn tls(config: &Config, encrypted: bool) -> Check {
    match (encrypted, &config.tls) {
        (true, Tls::Preferred | Tls::Required) => {
            Check::ok("tls", "the connection is encrypted; the server's certificate is not checked")
        }
        (true, _) => Check::ok("tls", "the connection is encrypted, and the server's certificate is right"),
        (false, Tls::Disabled) => {
            Check::ok("tls", "the connection is not encrypted, as the source's tls says")
        }
        (false, _) => Check::advice(
            "tls",
            "the connection is not encrypted: the server offers no TLS",
            "give the server a certificate (ssl_cert, ssl_key), and set the source's tls to required",
        ),
    }
}

/// The step that a fault broke, and those before it that were not told yet.
pub(super) fn failed(fault: &Fault, told: &[Check]) -> Vec<Check> {
    let code = fault.code();
    let id = if code == codes::DNS {
        "dns"
    } else if code == codes::CONNECT {
        "tcp"
    } else if [codes::TLS, codes::TLS_NOT_OFFERED].contains(&code) {
        "tls"
    } else if [codes::AUTH, codes::AUTH_METHOD, codes::PRIVILEGE, codes::TLS_REQUIRED].contains(&code) {
        "login"
    } else {
        "server"
    };
    let before = ["dns", "tcp", "server", "tls"].into_iter().take_while(|step| *step != id);
    let mut checks: Vec<Check> = before
        .filter(|step| !told.iter().any(|c| c.id == *step))
        .map(|step| Check::ok(step, "nothing is wrong with it"))
        .collect();
    let again = if fault.class() == Class::Retryable { "try again" } else { "see the server's error log" };
    let fix = if fault.remedy().is_empty() { again } else { fault.remedy() };
    checks.push(Check::fail(id, fault.message(), fix));
    checks
}
