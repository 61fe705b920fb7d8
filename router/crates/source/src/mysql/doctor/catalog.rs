//! Every check there is: what it looks at, and what it means if it does not pass. `docs/doctor.md` is made from this.

use forebay_model::Code;

use crate::codes;

/// A check, before it is made.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    /// Its name.
    pub id: &'static str,
    /// What it looks at.
    pub looks_at: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// What mends it, in general; a check itself says it for the server at hand.
    pub fix: &'static str,
    /// The code of the fault that keeps a source from reading if it fails; `None` = it never does.
    pub demand: Option<Code>,
}

const fn demand(
    id: &'static str,
    code: Code,
    looks_at: &'static str,
    why: &'static str,
    fix: &'static str,
) -> Checked {
    Checked { id, looks_at, why, fix, demand: Some(code) }
}

const fn advice(id: &'static str, looks_at: &'static str, why: &'static str, fix: &'static str) -> Checked {
    Checked { id, looks_at, why, fix, demand: None }
}

/// All checks, in the order in which they are made.
pub const CHECKS: &[Checked] = &[
    demand(
        "dns",
        codes::DNS,
        "the host's name resolves to addresses",
        "nothing can be reached without",
        "check the host, and the name server of this machine",
    ),
    demand(
        "tcp",
        codes::CONNECT,
        "a TCP connection can be made",
        "the server may be down, bound to another address, or behind a firewall",
        "check host and port, that the server runs, its `bind_address`, firewalls and security groups",
    ),
    demand(
        "server",
        codes::FLAVOUR,
        "what answers is a server of a kind and version that Forebay reads",
        "other programs and older versions write other binlogs",
        "check the port; upgrade the server; raise `max_connections` where it is full",
    ),
    demand(
        "tls",
        codes::TLS,
        "the connection is as protected as the source's `tls` wants",
        "rows and the password's proof travel over it",
        "give the server a certificate (`ssl_cert`, `ssl_key`), or change `tls`",
    ),
    demand(
        "login",
        codes::AUTH,
        "the account can log in with its password and method",
        "the account may not exist for this host, be locked, or use a method that is gone",
        "`ALTER USER 'u'@'%' IDENTIFIED WITH caching_sha2_password BY '...'`; a server that demands TLS wants `tls: required`",
    ),
    demand(
        "log_bin",
        codes::LOG_BIN_OFF,
        "`log_bin` is ON",
        "without a binlog there is nothing to read",
        "start the server with `--log-bin`; in the cloud, switch binary logging (or backups) on in the parameter group",
    ),
    demand(
        "binlog_format",
        codes::BINLOG_FORMAT,
        "`binlog_format` is ROW",
        "statements do not say which rows they changed",
        "`SET PERSIST binlog_format = 'ROW'`; then let sessions reconnect",
    ),
    demand(
        "binlog_row_image",
        codes::ROW_IMAGE,
        "`binlog_row_image` is FULL (advice where it is MINIMAL or NOBLOB, which are read too)",
        "smaller images leave out what a row was: for sinks it is absent, which is not NULL",
        "`SET PERSIST binlog_row_image = 'FULL'`; then let sessions reconnect",
    ),
    advice(
        "binlog_row_metadata",
        "`binlog_row_metadata` is FULL",
        "with MINIMAL the binlog does not name columns: their names are followed through the statements that change tables",
        "`SET PERSIST binlog_row_metadata = 'FULL'`",
    ),
    advice(
        "binlog_row_value_options",
        "`binlog_row_value_options` is empty, or row images are FULL",
        "differences of JSON values need the values before; without them consumers are told that a value has changed, and not to what",
        "`SET PERSIST binlog_row_value_options = ''`; then let sessions reconnect",
    ),
    demand(
        "binlog_filter",
        codes::BINLOG_FILTER,
        "no `binlog_do_db` or `binlog_ignore_db` leaves out a captured database",
        "what is left out is lost in silence",
        "take `binlog_do_db` and `binlog_ignore_db` out of my.cnf, and restart the server",
    ),
    demand(
        "log_replica_updates",
        codes::REPLICA_UPDATES,
        "a replica writes what it replicates to its own binlog (`log_replica_updates`)",
        "without it the binlog lacks every replicated change",
        "start the server with `--log-replica-updates`",
    ),
    demand(
        "gtid_mode",
        codes::GTID_OFF,
        "`gtid_mode` is ON (a demand only if the source has several hosts)",
        "without GTIDs a position is a file and an offset, good on its own server only; and a prepared XA transaction cannot be read again: one \
         that changes captured tables, or was prepared before reading began, stops the source (`mysql.xa`)",
        "`SET PERSIST enforce_gtid_consistency = ON`, then `gtid_mode` by `OFF_PERMISSIVE` and `ON_PERMISSIVE` to `ON`",
    ),
    advice(
        "binlog_expiry",
        "how many hours the server keeps its binlog",
        "a source that is away for longer loses changes, and has to take a new snapshot",
        "`SET PERSIST binlog_expire_logs_seconds = 604800`",
    ),
    demand(
        "replication_slave",
        codes::PRIVILEGE,
        "the account has REPLICATION SLAVE",
        "to read the binlog",
        "`GRANT REPLICATION SLAVE ON *.* TO 'u'@'%'`",
    ),
    demand(
        "replication_client",
        codes::PRIVILEGE,
        "the account has REPLICATION CLIENT (MariaDB: BINLOG MONITOR)",
        "to ask where the binlog begins and ends",
        "`GRANT REPLICATION CLIENT ON *.* TO 'u'@'%'`",
    ),
    demand(
        "select",
        codes::PRIVILEGE,
        "the account has SELECT on what is captured; on all of the database, where a pattern has wildcards",
        "for snapshots and for the tables' definitions; a table that it may not see is not missed",
        "`GRANT SELECT ON shop.* TO 'u'@'%'`",
    ),
    demand(
        "server_id",
        codes::SERVER_ID,
        "the source's `server_id` is not the server's own, and no other reader's",
        "two readers with one id throw each other out",
        "leave `server_id` out, or choose another",
    ),
    advice(
        "same_history",
        "each further host has transactions of the first, and is not the same server",
        "a server with another history cannot take over: it would be refused when it is needed",
        "make it a replica (`SOURCE_AUTO_POSITION = 1`), or take it out of the hosts",
    ),
    advice(
        "tables",
        "each table that is named exists, and each pattern means some",
        "a name that is spelled otherwise captures nothing",
        "check the spelling: upper and lower case differ; `GRANT SELECT` on it",
    ),
    advice(
        "keys",
        "each captured table has a primary key",
        "a sink that merges by key cannot find the row again, and a snapshot reads the table in one piece",
        "`ALTER TABLE t ADD COLUMN id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY`, or a key of columns that it has",
    ),
    advice(
        "engines",
        "each captured table is transactional (InnoDB)",
        "other engines write rows that a rollback does not take back, and their snapshots have no moment",
        "`ALTER TABLE t ENGINE = InnoDB`",
    ),
    advice(
        "system_versioning",
        "no captured table is system-versioned (MariaDB)",
        "such a table's rows in the binlog are versions, of now and of before: it is not read, and stands aside",
        "`ALTER TABLE t DROP SYSTEM VERSIONING`, or leave it out of the source",
    ),
    advice(
        "cascades",
        "no foreign key of a captured table changes its rows unseen (ON DELETE or ON UPDATE CASCADE or SET NULL)",
        "before MySQL 9.6, and with `innodb_native_foreign_keys = ON`, such changes are not in the binlog",
        "upgrade to MySQL 9.6; there, restart it with `--innodb-native-foreign-keys=OFF`; or change child rows by statements",
    ),
    advice(
        "zero_dates",
        "no captured table can hold dates like 0000-00-00",
        "destinations without such dates need to be told what to make of them",
        "say in each sink what becomes of them; `SET PERSIST sql_mode` with STRICT_TRANS_TABLES, NO_ZERO_DATE and NO_ZERO_IN_DATE",
    ),
];

/// The check of this name.
pub(super) fn find(id: &str) -> Option<&'static Checked> {
    CHECKS.iter().find(|c| c.id == id)
}
