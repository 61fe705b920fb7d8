//! The doctor's list, of servers with everything right, everything wrong, and nothing there; and its page in the docs.

use std::fmt::Write as _;
use std::path::Path;

use forebay_kit::{Server, free_port};
use forebay_model::Secret;
use forebay_source::mysql::{CHECKS, Check, Config, Status, demands_met, doctor};

use super::config;

fn of(checks: &[Check], status: Status) -> Vec<&str> {
    checks.iter().filter(|c| c.status == status).map(|c| c.id).collect()
}

fn ids() -> Vec<&'static str> {
    CHECKS.iter().map(|c| c.id).collect()
}

#[tokio::test]
async fn a_fit_server_passes_every_check() {
    let server = forebay_kit::mysql().await;
    let database = server.database("doctor").await.unwrap();
    database.exec("CREATE TABLE t (id INT PRIMARY KEY, at DATETIME)").await.unwrap();
    let checks = doctor(&config(server, &[format!("{}.*", database.name())])).await;
    assert_eq!(checks.iter().map(|c| c.id).collect::<Vec<_>>(), ids(), "every check, in its place");
    assert_eq!(of(&checks, Status::Ok), ids(), "{checks:#?}");
    assert!(checks.iter().all(|c| c.host == format!("127.0.0.1:{}", server.port())));
}

#[tokio::test]
async fn a_server_with_everything_wrong() {
    let server = Server::start(&[
        "--binlog-format=MIXED",
        "--binlog-row-image=MINIMAL",
        "--binlog-row-metadata=MINIMAL",
        "--binlog-row-value-options=PARTIAL_JSON",
        "--gtid-mode=OFF",
        "--enforce-gtid-consistency=OFF",
        "--binlog-expire-logs-seconds=3600",
        "--binlog-ignore-db=hidden",
        "--innodb-native-foreign-keys=ON",
        "--sql-mode=",
        "--tls-version=",
    ])
    .await
    .unwrap();
    server
        .exec(
            "CREATE DATABASE bad; USE bad; CREATE TABLE parent (id INT PRIMARY KEY);
             CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE);
             CREATE TABLE nullify (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON UPDATE SET NULL);
             CREATE TABLE keep (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id));
             CREATE TABLE keyless (a INT); CREATE TABLE old (id INT PRIMARY KEY) ENGINE = MyISAM;
             CREATE TABLE dated (id INT PRIMARY KEY, at DATETIME DEFAULT '0000-00-00 00:00:00')",
        )
        .await
        .unwrap();
    let mut config = config(&server, &["bad.*".into(), "bad.nothere".into(), "hidden.*".into()]);
    config.server_id = Some(1);
    let checks = doctor(&config).await;
    let failed = ["binlog_format", "binlog_filter", "server_id", "tables"];
    assert_eq!(of(&checks, Status::Fail), failed, "{checks:#?}");
    let advised = [
        "tls",
        "binlog_row_image",
        "binlog_row_metadata",
        "binlog_row_value_options",
        "gtid_mode",
        "binlog_expiry",
        "keys",
        "engines",
        "cascades",
        "zero_dates",
    ];
    assert_eq!(of(&checks, Status::Advice), advised, "{checks:#?}");
    // without GTIDs there is nothing to compare
    assert_eq!(of(&checks, Status::Skipped), ["same_history"]);
    let mut found = checks.iter().filter(|c| c.status != Status::Skipped);
    assert!(found.all(|c| c.fix.is_some() == (c.status != Status::Ok)), "{checks:#?}");
    let finding = |id: &str| checks.iter().find(|c| c.id == id).unwrap().finding.as_str();
    assert!(finding("keys").starts_with("bad.keyless have"), "{}", finding("keys"));
    assert!(finding("engines").starts_with("bad.old (MyISAM)"), "{}", finding("engines"));
    assert!(
        finding("cascades").ends_with(": bad.child (ON DELETE CASCADE), bad.nullify (ON UPDATE SET NULL)"),
        "{}",
        finding("cascades")
    );
    assert!(finding("zero_dates").contains("bad.dated.at"), "{}", finding("zero_dates"));
    assert!(finding("binlog_filter").ends_with("leaves out hidden"), "{}", finding("binlog_filter"));
    // the name that nothing has is no demand, the rest is
    assert!(!demands_met(&checks).unwrap_err().message().contains("nothere"));

    // what is mended by a statement is mended by that statement
    for id in [
        "binlog_format",
        "binlog_row_image",
        "binlog_row_value_options",
        "binlog_row_metadata",
        "binlog_expiry",
        "keys",
        "engines",
    ] {
        let fix = checks.iter().find(|c| c.id == id).unwrap().fix.as_ref().unwrap();
        server.exec(fix.split(';').next().unwrap()).await.unwrap_or_else(|e| panic!("{fix}: {e:#}"));
    }
    config.server_id = None;
    config.tables.truncate(1);
    let checks = doctor(&config).await;
    assert_eq!(of(&checks, Status::Fail), [""; 0], "{checks:#?}");
    assert_eq!(of(&checks, Status::Advice), ["tls", "gtid_mode", "cascades", "zero_dates"], "{checks:#?}");
}

#[tokio::test]
async fn an_account_without_grants() {
    let server = forebay_kit::mysql().await;
    let database = server.database("poor").await.unwrap();
    database.exec("CREATE TABLE t (a INT)").await.unwrap();
    let user = server.cdc_user(&[]).await.unwrap();
    let poor = Config {
        user: user.name.clone(),
        password: Some(Secret::new(&user.password)),
        ..config(server, &[format!("{}.t", database.name())])
    };
    let checks = doctor(&poor).await;
    assert_eq!(
        of(&checks, Status::Fail),
        ["replication_slave", "replication_client", "select", "tables"],
        "{checks:#?}"
    );
    assert_eq!(
        of(&checks, Status::Skipped),
        ["binlog_filter", "keys", "engines", "system_versioning", "cascades", "zero_dates"]
    );

    let wrong = Config { password: Some(Secret::new("wrong-and-hidden")), ..poor };
    let checks = doctor(&wrong).await;
    assert_eq!(of(&checks, Status::Ok), ["dns", "tcp", "server", "tls"], "{checks:#?}");
    assert_eq!(of(&checks, Status::Fail), ["login"]);
    assert_eq!(of(&checks, Status::Skipped), ids()[5..]);
    assert!(!format!("{checks:?}").contains("hidden"));
}

/// With the grants that the docs advise, on a server whose foreign keys change rows unseen.
async fn cascades_are_seen_on(server: &Server) {
    let database = server.database("cascades").await.expect("the server answers");
    database
        .exec(
            "CREATE TABLE p (id INT PRIMARY KEY, `references` INT, at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP);
             CREATE TABLE keep (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id));
             CREATE TABLE c (id INT PRIMARY KEY, p INT COMMENT 'ON DELETE CASCADE', `ON UPDATE CASCADE` INT,
                 CONSTRAINT one FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE SET NULL)",
        )
        .await
        .expect("the server answers");
    let select = format!("SELECT ON `{}`.*", database.name());
    let user = server
        .cdc_user(&[&select, "REPLICATION SLAVE ON *.*", "REPLICATION CLIENT ON *.*"])
        .await
        .expect("the server answers");
    let of = |tables: &str| Config {
        user: user.name.clone(),
        password: Some(Secret::new(&user.password)),
        ..config(server, &[format!("{}.{tables}", database.name())])
    };
    for tables in ["*", "c"] {
        let checks = doctor(&of(tables)).await;
        let check = checks.iter().find(|c| c.id == "cascades").expect("the server answers");
        assert_eq!(check.status, Status::Advice, "{check:?}");
        let named = format!(": {}.c (ON DELETE CASCADE ON UPDATE SET NULL)", database.name());
        assert!(check.finding.ends_with(&named), "{check:?}");
    }
    for tables in ["p", "keep"] {
        let checks = doctor(&of(tables)).await;
        let check = checks.iter().find(|c| c.id == "cascades").expect("the server answers");
        assert_eq!(check.status, Status::Ok, "{check:?}");
    }
}

#[tokio::test]
async fn cascades_are_seen_with_the_least_grants() {
    cascades_are_seen_on(&Server::start(&["--innodb-native-foreign-keys=ON"]).await.unwrap()).await;
}

#[tokio::test]
async fn cascades_are_seen_with_the_least_grants_on_mariadb() {
    cascades_are_seen_on(forebay_kit::mariadb().await).await;
}

#[tokio::test]
async fn nothing_answers() {
    let server = forebay_kit::mysql().await;
    let good = config(server, &["a.*".into()]);
    let closed = doctor(&Config { port: free_port(), ..good.clone() }).await;
    assert_eq!((of(&closed, Status::Ok), of(&closed, Status::Fail)), (vec!["dns"], vec!["tcp"]));
    assert_eq!(of(&closed, Status::Skipped), ids()[2..]);
    let unknown = doctor(&Config { host: "no-such-host.invalid".into(), ..good.clone() }).await;
    assert_eq!((of(&unknown, Status::Ok), of(&unknown, Status::Fail)), (vec![], vec!["dns"]));
    assert_eq!(of(&unknown, Status::Skipped), ids()[1..]);

    // a closed port beside a good one: each has its list
    let several = Config { port: free_port(), hosts: good.all_hosts().collect(), ..good };
    let checks = doctor(&several).await;
    assert_eq!(checks.len(), 2 * CHECKS.len());
    assert_eq!(of(&checks, Status::Fail), ["tcp"]);
    assert_eq!(checks.last().unwrap().host, format!("127.0.0.1:{}", server.port()));

    // a stranger, and the same server again, are no hosts to fall back on
    let stranger = Server::start(&[]).await.unwrap();
    stranger.exec("CREATE DATABASE a").await.unwrap();
    let hosts = [config(&stranger, &[]), config(server, &[])].map(|c| c.all_hosts().next().unwrap());
    let checks = doctor(&Config { hosts: hosts.to_vec(), ..config(server, &["*.*".into()]) }).await;
    let compared: Vec<Status> = checks.iter().filter(|c| c.id == "same_history").map(|c| c.status).collect();
    assert_eq!(compared, [Status::Ok, Status::Fail, Status::Advice], "{checks:#?}");
}

#[test]
fn the_docs_name_every_check() {
    let mut text = String::from(
        "# Checks of a server\n\n`forebay doctor` makes all of these on every host of a source, and prints what it found and the statement \
         that mends it. Each comes to `ok`, `advice` (the source can read, but somebody should know), `fail`, or `skipped` (an earlier \
         one failed). `--json` prints a list of `{host, id, status, finding, fix}`.\n\nWhere a check has an error, a source does not read a \
         server that fails it, and says so under that code (or a more exact one of [errors.md](errors.md)).\n\nThis page is made from the \
         code by a test (`UPDATE=1 cargo test -p forebay-source the_docs_name_every_check`).\n\n| check | looks at | why | mended by | error if \
         it fails |\n|---|---|---|---|---|\n",
    );
    for check in CHECKS {
        let error = check.demand.map_or("none".to_owned(), |code| format!("`{}`", code.name));
        writeln!(text, "| `{}` | {} | {} | {} | {error} |", check.id, check.looks_at, check.why, check.fix)
            .unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/doctor.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == text,
        "docs/doctor.md is out of date: UPDATE=1 cargo test -p forebay-source the_docs_name_every_check"
    );
}
