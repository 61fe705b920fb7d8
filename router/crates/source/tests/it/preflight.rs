//! Demands on a server and its accounts, and what stands between us and it.

use forebay_kit::{CdcUser, Server, free_port};
use forebay_model::{Class, Secret};
use forebay_source::codes;
use forebay_source::mysql::{
    Check, Config, Limits, Start, Status, Stream, Tls, catalog, demands_met, preflight,
};

use super::{config, connect, take};

fn failed(checks: &[Check]) -> Vec<&str> {
    checks.iter().filter(|c| c.failed()).map(|c| c.id).collect()
}

fn as_user(config: &Config, user: &CdcUser) -> Config {
    Config { user: user.name.clone(), password: Some(Secret::new(&user.password)), ..config.clone() }
}

#[tokio::test]
async fn a_fit_server_and_a_least_privileged_account() {
    let server = forebay_kit::mysql().await;
    let database = server.database("fit").await.unwrap();
    let name = database.name();
    database
        .exec("CREATE TABLE t (a INT, b INT, PRIMARY KEY (b, a)); CREATE VIEW v AS SELECT * FROM t")
        .await
        .unwrap();
    let root = config(server, &[format!("{name}.*")]);
    assert_eq!(failed(&preflight(&root).await.unwrap()), [""; 0]);

    let select = format!("SELECT ON `{name}`.*");
    let user = server.cdc_user(&["REPLICATION SLAVE, REPLICATION CLIENT ON *.*", &select]).await.unwrap();
    let least = as_user(&root, &user);
    let checks = preflight(&least).await.unwrap();
    demands_met(&checks).unwrap();
    let tables = catalog(&least).await.unwrap();
    assert_eq!(tables.len(), 1);
    assert_eq!((tables[0].database.as_str(), tables[0].table.as_str()), (name, "t"));
    assert_eq!(tables[0].columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(tables[0].key, [1, 0]);

    let mut stream = connect(&least, Start::Now).await;
    database.exec("INSERT INTO t VALUES (1, 2)").await.unwrap();
    assert_eq!(take(&mut stream, 1).await.0, ["t +1,2"]);
}

#[tokio::test]
async fn missing_privileges_are_named_with_their_grant() {
    let server = forebay_kit::mysql().await;
    let database = server.database("poor").await.unwrap();
    database.exec("CREATE TABLE t (a INT)").await.unwrap();
    let user = server.cdc_user(&[]).await.unwrap();
    let poor = as_user(&config(server, &[format!("{}.*", database.name())]), &user);
    let checks = preflight(&poor).await.unwrap();
    assert_eq!(failed(&checks), ["replication_slave", "replication_client", "select"]);
    let fault = demands_met(&checks).unwrap_err();
    assert_eq!((fault.code(), fault.class()), (codes::PRIVILEGE, Class::Fatal));
    // the fixes are statements that mend it
    for check in checks.iter().filter(|c| c.failed()) {
        server.exec(check.fix.as_ref().unwrap()).await.unwrap();
    }
    assert_eq!(failed(&preflight(&poor).await.unwrap()), [""; 0]);

    // the same by a role
    let user = server.cdc_user(&[]).await.unwrap();
    let role = format!("role_{}", user.name);
    server
        .exec(&format!(
            "CREATE ROLE `{role}`; GRANT REPLICATION SLAVE, REPLICATION CLIENT, SELECT ON *.* TO `{role}`;
             GRANT `{role}` TO `{0}`; SET DEFAULT ROLE `{role}` TO `{0}`",
            user.name
        ))
        .await
        .unwrap();
    assert_eq!(failed(&preflight(&as_user(&poor, &user)).await.unwrap()), [""; 0]);

    let refused =
        Stream::connect(&Config { user: "nobody".into(), ..poor }, Start::Now, Limits::default()).await;
    assert_eq!(refused.unwrap_err().code(), codes::AUTH);
}

#[tokio::test]
async fn every_setting_that_is_wrong_is_named() {
    let server = Server::start(&[
        "--binlog-format=MIXED",
        "--binlog-row-image=MINIMAL",
        "--binlog-row-metadata=MINIMAL",
        "--binlog-row-value-options=PARTIAL_JSON",
        "--gtid-mode=OFF",
        "--enforce-gtid-consistency=OFF",
        "--binlog-expire-logs-seconds=3600",
    ])
    .await
    .unwrap();
    let config = config(&server, &["a.*".into()]);
    let checks = preflight(&config).await.unwrap();
    let all = ["binlog_format"];
    assert_eq!(failed(&checks), all);
    let fault = demands_met(&checks).unwrap_err();
    assert_eq!(fault.code(), codes::BINLOG_FORMAT);
    assert!(fault.message().contains("MIXED"), "{fault}");
    for id in
        ["binlog_row_image", "binlog_row_value_options", "binlog_row_metadata", "gtid_mode", "binlog_expiry"]
    {
        let check = checks.iter().find(|c| c.id == id).unwrap();
        assert!(check.status == Status::Advice && check.fix.is_some(), "{check:?}");
    }
    // a stream says it too
    let refused = Stream::connect(&config, Start::Now, Limits::default()).await.unwrap_err();
    assert_eq!(refused.code(), codes::BINLOG_FORMAT);
    // where failing over needs them, GTIDs are a demand
    let several = Config { hosts: vec!["127.0.0.1:1".parse().unwrap()], ..config };
    assert_eq!(failed(&preflight(&several).await.unwrap()), [&all[..], &["gtid_mode"]].concat());

    let server = Server::start(&["--skip-log-bin"]).await.unwrap();
    let config = super::config(&server, &["a.*".into()]);
    assert_eq!(failed(&preflight(&config).await.unwrap())[0], "log_bin");
}

#[tokio::test]
async fn each_step_of_a_connection_fails_by_its_own_name() {
    let server = forebay_kit::mysql().await;
    let good = config(server, &["a.*".into()]);
    let refused = async |config: &Config| preflight(config).await.unwrap_err();

    let fault = refused(&Config { host: "no-such-host.invalid".into(), ..good.clone() }).await;
    assert_eq!((fault.code(), fault.class()), (codes::DNS, Class::Retryable), "{fault}");
    let fault = refused(&Config { port: free_port(), ..good.clone() }).await;
    assert_eq!((fault.code(), fault.class()), (codes::CONNECT, Class::Retryable), "{fault}");

    let user = server.cdc_user(&[]).await.unwrap();
    let wrong = Config { password: Some(Secret::new("wrong-and-hidden")), ..as_user(&good, &user) };
    let fault = refused(&wrong).await;
    assert_eq!((fault.code(), fault.class()), (codes::AUTH, Class::Fatal), "{fault}");
    assert!(!fault.to_string().contains("hidden") && !format!("{fault:?}{wrong:?}").contains("hidden"));

    // a server that says nothing MySQL-like
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let strange = Config { port, ..good.clone() };
    let (fault, ()) = tokio::join!(refused(&strange), async {
        use tokio::io::AsyncWriteExt as _;
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"\x05\0\0\0HTTP/").await.unwrap();
    });
    assert_eq!(fault.code(), codes::PROTOCOL, "{fault}");
}

#[tokio::test]
async fn tls_as_it_is_asked_for() {
    let server = Server::start(&[]).await.unwrap();
    let good = config(&server, &["a.*".into()]);
    let with = |tls| Config { tls, ..good.clone() };
    let ca: Vec<String> = server.query("SELECT @@GLOBAL.ssl_ca").await.unwrap();
    let data: Vec<String> = server.query("SELECT @@GLOBAL.datadir").await.unwrap();
    let ca = std::path::Path::new(&data[0]).join(&ca[0]);
    server.exec("SET GLOBAL require_secure_transport = ON").await.unwrap();

    for tls in [Tls::Preferred, Tls::Required, Tls::VerifyCa { ca: ca.clone() }] {
        let stream = Stream::connect(&with(tls.clone()), Start::Now, Limits::default()).await;
        assert!(stream.unwrap_or_else(|e| panic!("{tls:?}: {e}")).stats().tls, "{tls:?}");
    }
    let refused = async |tls| preflight(&with(tls)).await.unwrap_err().code();
    assert_eq!(refused(Tls::Disabled).await, codes::TLS_REQUIRED);
    // the server's certificate is from its own authority, and names no host
    assert_eq!(refused(Tls::VerifyIdentity { ca: None }).await, codes::TLS);
    assert_eq!(refused(Tls::VerifyIdentity { ca: Some(ca) }).await, codes::TLS);
    assert_eq!(refused(Tls::VerifyCa { ca: "/no/such/file".into() }).await, codes::TLS);
}

#[tokio::test]
async fn a_server_without_tls() {
    let server = Server::start(&["--tls-version="]).await.unwrap();
    let good = config(&server, &["a.*".into()]);
    let fault = preflight(&Config { tls: Tls::Required, ..good.clone() }).await.unwrap_err();
    assert_eq!(fault.code(), codes::TLS_NOT_OFFERED, "{fault}");
    // the first login of an account locks its password with the server's key; the second is known
    let user = server.cdc_user(&["REPLICATION SLAVE, REPLICATION CLIENT, SELECT ON *.*"]).await.unwrap();
    for tls in [Tls::Preferred, Tls::Disabled] {
        let stream =
            Stream::connect(&Config { tls, ..as_user(&good, &user) }, Start::Now, Limits::default()).await;
        assert!(!stream.unwrap().stats().tls);
    }
}
