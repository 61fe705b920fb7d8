//! What an error of the server or the network means for the source.
//!
//! Error numbers: MySQL Error Message Reference.

use forebay_model::{Code, Fault};

use super::Config;
use super::wire::WireError;
use crate::codes;

/// Classifies an error of a connection; `what` says what it broke.
pub(crate) fn wire(error: WireError, what: &str) -> Fault {
    let (code, fix) = match &error {
        WireError::Io(_) | WireError::Timeout(_) => (codes::NETWORK, ""),
        WireError::Protocol(_) => (codes::PROTOCOL, "check that host and port are a MySQL server's"),
        WireError::Server { code, message } => server(*code, message),
    };
    Fault::new(code, what).fix(fix).cause(error)
}

/// Classifies an error of the login.
pub(crate) fn login(error: WireError, what: &str, config: &Config) -> Fault {
    match &error {
        // 3159: require_secure_transport
        WireError::Server { code: 3159, .. } => {
            Fault::new(codes::TLS_REQUIRED, what).fix("set the source's tls to required").cause(error)
        }
        // a connection that ends at the login is not a wrong password: it may come again
        _ => {
            let number = if let WireError::Server { code, .. } = &error { *code } else { 0 };
            let fault = wire(error, what);
            if fault.code() == codes::AUTH {
                return fault.fix(may_log_in(number, &config.user));
            }
            fault
        }
    }
}

/// What lets an account log in that was refused with this number.
fn may_log_in(number: u16, user: &str) -> String {
    match number {
        // locked, of MySQL and of MariaDB; locked for a while, after too many wrong passwords
        3118 | 3955 | 4151 => format!("unlock the account: ALTER USER '{user}'@'...' ACCOUNT UNLOCK"),
        1820 | 1862 => format!(
            "the password has expired: ALTER USER '{user}'@'...' IDENTIFIED BY '...', and give the source the new one"
        ),
        _ => format!(
            "check the password, and that the account may log in from here: SHOW GRANTS FOR '{user}'@'...'"
        ),
    }
}

fn server(number: u16, message: &str) -> (Code, &'static str) {
    match number {
        1236 => dump(message),
        // access denied, host not allowed, no such auth plugin, account locked, password expired
        1044 | 1045 | 1130 | 1524 | 1698 | 1820 | 1862 | 3118 | 3955 | 4031 | 4151 => (codes::AUTH, ""),
        1142 | 1143 | 1227 | 1370 => (codes::PRIVILEGE, "grant the account what `forebay doctor` lists"),
        // too many connections, of the server or the user; host blocked; out of resources
        1040 | 1041 | 1129 | 1135 | 1203 | 1226 => {
            (codes::BUSY, "raise max_connections, or close other connections")
        }
        1053 | 1077 | 1079 | 3168 | 3169 => (codes::SHUTDOWN, ""),
        1094 | 1152 | 1317 | 1927 => (codes::KILLED, ""),
        1158..=1161 | 1184 => (codes::NETWORK, ""),
        _ => (codes::STATEMENT, ""),
    }
}

/// Error 1236 covers everything that can befall a dump thread; its text tells them apart.
fn dump(message: &str) -> (Code, &'static str) {
    let has = |text: &str| message.to_ascii_lowercase().contains(text);
    if has("purged") || has("could not find first log file") {
        (
            codes::PURGED,
            "take a new snapshot, and keep binlogs longer: SET PERSIST binlog_expire_logs_seconds = 604800",
        )
    } else if has("more gtids than") || has("which is not in the master's binlog") {
        (codes::POSITION_AHEAD, "the server was restored or replaced: take a new snapshot")
    } else if has("same server_uuid") || has("same server_id") {
        (codes::SERVER_ID_CLASH, "give each reader of this server a server_id of its own")
    } else if has("checksum") && has("can not handle") {
        (codes::STATEMENT, "set binlog_checksum to CRC32 or NONE")
    } else {
        (codes::DUMP_REFUSED, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_not_getting_in_has_its_own_fix() {
        for (number, fix) in [
            (1045, "check the password"),
            (3118, "ACCOUNT UNLOCK"),
            (4151, "ACCOUNT UNLOCK"),
            (1862, "IDENTIFIED BY"),
        ] {
            assert_eq!(server(number, "").0, codes::AUTH, "{number}");
            assert!(may_log_in(number, "cdc").contains(fix), "{number}");
        }
    }

    #[test]
    fn dump_errors_are_told_apart() {
        let class = |message: &str| {
            let error = WireError::Server { code: 1236, message: message.into() };
            wire(error, "the binlog ended").code().name
        };
        // texts as MySQL 8.0 to 9.7 send them
        assert_eq!(
            class(
                "Cannot replicate because the source purged required binary logs. Replicate the missing ..."
            ),
            "mysql.purged"
        );
        assert_eq!(class("Could not find first log file name in binary log index file"), "mysql.purged");
        assert_eq!(
            class("Replica has more GTIDs than the source has, using the source's SERVER_UUID."),
            "mysql.position_ahead"
        );
        assert_eq!(
            class(
                "A replica with the same server_uuid/server_id as this replica has connected to the source"
            ),
            "mysql.server_id_clash"
        );
        assert_eq!(class("log event entry exceeded max_allowed_packet"), "mysql.dump_refused");
    }
}
