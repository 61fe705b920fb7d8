//! Every code that a source's fault can carry. `docs/errors.md` explains each; names never change once released.

forebay_model::codes! {
    // reaching the server
    DNS = "mysql.dns", Retryable, "The server's host name could not be resolved.";
    CONNECT = "mysql.connect", Retryable, "No TCP connection to the server could be made.";
    NETWORK = "mysql.network", Retryable, "The connection to the server broke.";
    SILENT = "mysql.silent", Retryable, "The server sent neither changes nor heartbeats for three heartbeat periods.";
    BUSY = "mysql.busy", Retryable, "The server takes no more connections at the moment.";
    TLS = "mysql.tls", Fatal, "The TLS handshake with the server failed, or its certificate was not accepted.";
    TLS_NOT_OFFERED = "mysql.tls_not_offered", Fatal, "TLS is demanded, and the server does not offer it.";
    TLS_REQUIRED = "mysql.tls_required", Fatal, "The server demands TLS, and the source has it switched off.";
    AUTH = "mysql.auth", Fatal, "The server refused the user or the password.";
    AUTH_METHOD = "mysql.auth_method", Fatal, "The account logs in by a method that Forebay does not speak.";
    FLAVOUR = "mysql.flavour", Fatal, "The server is neither MySQL 8.0 nor MariaDB 10.11, nor a later one.";
    SHUTDOWN = "mysql.shutdown", Retryable, "The server is shutting down or ended the connection.";
    KILLED = "mysql.killed", Retryable, "The server's thread that sends the binlog was killed.";
    PROTOCOL = "mysql.protocol", Retryable, "The server sent something that is not MySQL's protocol.";
    STATEMENT = "mysql.statement", Fatal, "The server refused a statement that the source needs.";

    // what the server must be set to
    LOG_BIN_OFF = "mysql.log_bin_off", Fatal, "The server writes no binlog.";
    BINLOG_FORMAT = "mysql.binlog_format", Fatal, "The binlog holds statements instead of rows.";
    ROW_IMAGE = "mysql.row_image", Fatal, "The binlog does not hold whole row images.";
    ROW_METADATA = "mysql.row_metadata", Fatal, "The binlog does not name the columns of its rows.";
    GTID_OFF = "mysql.gtid_off", Fatal, "The server gives its transactions no GTIDs.";
    PRIVILEGE = "mysql.privilege", Fatal, "The account lacks a privilege that the source needs.";
    SERVER_ID = "mysql.server_id", Fatal, "The source's server id is the server's own.";

    BINLOG_FILTER = "mysql.binlog_filter", Fatal, "The server leaves a captured database out of its binlog.";
    REPLICA_UPDATES = "mysql.replica_updates", Fatal, "The server is a replica that does not write what it replicates to its binlog.";

    // where to read from
    PURGED = "mysql.purged", Fatal, "The server has deleted binlog files that were not read yet.";
    POSITION_AHEAD = "mysql.position_ahead", Fatal, "The server lacks transactions that were read already, and will not get them.";
    SERVER_RESET = "mysql.server_reset", Fatal, "The server was reset or restored: it lacks what was read from it, or has other transactions in its place.";
    SERVER_FOREIGN = "mysql.server_foreign", Fatal, "The server has nothing to do with the one that was read.";
    REPLICA_BEHIND = "mysql.replica_behind", Retryable, "The server is a replica that lacks transactions that were read already.";
    FILE_POSITION = "mysql.file_position", Fatal, "A position by file and offset cannot be resumed on this server.";
    NO_HOST_NOW = "mysql.no_host_now", Retryable, "None of the source's hosts can be read at the moment.";
    NO_HOST = "mysql.no_host", Fatal, "Each of the source's hosts was refused.";
    TIME_NOT_FOUND = "mysql.time_not_found", Fatal, "The first transaction at a time could not be found in the binlog.";
    SERVER_ID_CLASH = "mysql.server_id_clash", Retryable, "Another reader with the same server id took over the binlog.";
    DUMP_REFUSED = "mysql.dump_refused", Retryable, "The server ended the binlog with an error.";

    // snapshots
    SNAPSHOT_REQUEST = "mysql.snapshot_request", Fatal, "A snapshot was asked for, or is to be changed, in a way that makes no sense.";
    SNAPSHOT_EXISTS = "mysql.snapshot_exists", Fatal, "There is a snapshot with that id already.";
    SNAPSHOT_UNKNOWN = "mysql.snapshot_unknown", Fatal, "There is no snapshot with that id.";
    SNAPSHOT_NOTE = "mysql.snapshot_note", Fatal, "What was noted of a snapshot cannot be read.";
    SNAPSHOT_TABLE_GONE = "mysql.snapshot_table_gone", Fatal, "A table that is to be read is not there, or not visible.";
    SNAPSHOT_FILTER = "mysql.snapshot_filter", Fatal, "The filter of a snapshot is not a condition over the table's columns.";
    SNAPSHOT_BOUND = "mysql.snapshot_bound", Fatal, "A key's value cannot be used to find the rows behind it.";
    SNAPSHOT_REPLICA = "mysql.snapshot_replica", Fatal, "The host that snapshots are read from is not a replica of the source.";
    SNAPSHOT_BEHIND = "mysql.snapshot_behind", Retryable, "The server that snapshots are read from lacks transactions that the stream has, or does not say that its readers see them.";
    SNAPSHOT_ORDER = "mysql.snapshot_order", Fatal, "The server is set to commit so that nobody can say what a reader sees.";
    SNAPSHOT_NEVER_QUIET = "mysql.snapshot_never_quiet", Fatal, "A table without a key is written too often to be read at one moment.";
    SNAPSHOT_ROWS_MOVE = "mysql.snapshot_rows_move", Fatal, "Rows change their key while their table is read, by updates that lack their other columns.";
    SNAPSHOT_BROKE_OFF = "mysql.snapshot_broke_off", Retryable, "A table without a key could not be read to its end; it is begun again.";

    // what the binlog holds
    CHECKSUM = "mysql.checksum", Retryable, "A binlog event was damaged on its way.";
    GARBLED = "mysql.garbled", Fatal, "A binlog event makes no sense.";
    INCIDENT = "mysql.incident", Fatal, "The server says that its binlog lacks changes.";
    TRANSACTION_CUT = "mysql.transaction_cut", Retryable, "The binlog ends inside a transaction.";
    UNSUPPORTED_EVENT = "mysql.unsupported_event", Fatal, "The binlog holds changes in a form that Forebay does not read.";
    XA = "mysql.xa", Fatal, "An XA transaction of two phases was committed, and the binlog that holds its rows was purged, or the server gives it no GTID.";
    COLUMN_TYPE = "mysql.column_type", Fatal, "A captured table has a column of a type that Forebay does not read.";
    SYSTEM_VERSIONED = "mysql.system_versioned", Fatal, "A captured table is system-versioned: its rows in the binlog are versions, and are not read.";
    CHARSET = "mysql.charset", Fatal, "A captured table has a column in a character set that Forebay does not read exactly.";
    TOO_LARGE = "mysql.too_large", Fatal, "An event of the binlog is larger than MySQL itself allows.";
    STATEMENT_EVENT = "mysql.statement_event", Fatal, "A captured table may have been changed by a statement that the binlog holds as text.";
    INVALID_TEXT = "mysql.invalid_text", Fatal, "A text value of a captured table has bytes that mean nothing in its character set.";
    QUARANTINED = "mysql.quarantined", Poison, "A warning: what a table looks like is not known, and its events are kept undecoded.";
    DEFINITION = "mysql.definition", Fatal, "What was said of a table in quarantine does not fit the events that were kept.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn names_are_of_one_form_and_unique() {
        let mut seen = HashSet::new();
        for code in super::ALL {
            let rest = code.name.strip_prefix("mysql.").expect("the part's name comes first");
            assert!(rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", code.name);
            assert!(seen.insert(code.name), "{} twice", code.name);
            assert!(code.meaning.ends_with('.'), "{}", code.name);
        }
    }
}
