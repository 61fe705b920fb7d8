//! Judgements over facts made by hand.

use forebay_model::{Class, TablePattern};

use super::cascades::Cascade;
use super::facts::Table;
use super::settings::Settings;
use super::*;
use crate::mysql::Tls;
use crate::mysql::grants::Grants;

fn config(patterns: &[&str]) -> Config {
    Config {
        host: "h".into(),
        port: 1,
        hosts: vec![],
        user: "u".into(),
        password: None,
        tls: Tls::Preferred,
        server_id: None,
        tables: patterns.iter().map(|p| TablePattern::new(p).unwrap()).collect(),
    }
}

fn settings(pairs: &[(&str, &str)]) -> Settings {
    pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

fn table(database: &str, name: &str) -> Table {
    Table {
        database: database.into(),
        name: name.into(),
        engine: "InnoDB".into(),
        has_key: true,
        versioned: false,
    }
}

/// A server with nothing wrong, capturing `shop.*`.
fn good() -> Facts {
    Facts {
        version: "9.7.4".into(),
        settings: settings(&[
            ("log_bin", "ON"),
            ("binlog_format", "ROW"),
            ("binlog_row_image", "FULL"),
            ("binlog_row_metadata", "FULL"),
            ("binlog_row_value_options", ""),
            ("gtid_mode", "ON"),
            ("binlog_expire_logs_seconds", "2592000"),
            ("server_id", "7"),
            ("log_replica_updates", "ON"),
            ("innodb_native_foreign_keys", "OFF"),
            ("sql_mode", "STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE"),
        ]),
        user: "'u'@'%'".into(),
        grants: Grants::parse(
            [
                "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `u`@`%`",
                "GRANT SELECT ON `shop`.* TO `u`@`%`",
            ]
            .into_iter(),
        ),
        tables: vec![table("shop", "users")],
        filters: Some((String::new(), String::new())),
        dates: 1,
        ..Facts::default()
    }
}

fn all(facts: &Facts, config: &Config) -> Vec<Check> {
    let mut checks = demanded(facts, config);
    checks.extend(advised(facts, config));
    checks
}

/// The checks that are not ok, each with what it came to.
fn not_ok(facts: &Facts, config: &Config) -> Vec<(&'static str, Status)> {
    all(facts, config).iter().filter(|c| c.status != Status::Ok).map(|c| (c.id, c.status)).collect()
}

#[test]
fn a_good_server_has_nothing_to_mend() {
    assert_eq!(not_ok(&good(), &config(&["shop.*"])), []);
    let checks = all(&good(), &config(&["shop.*"]));
    // with the five of the way there, and the one that compares hosts, that is every check
    assert_eq!(checks.len() + 6, CHECKS.len());
    assert!(checks.iter().all(|c| catalog::find(c.id).is_some() && c.fix.is_none()));
}

/// One thing that is wrong, by the check that finds it.
fn wrong(change: impl FnOnce(&mut Facts, &mut Config)) -> Check {
    let (mut facts, mut config) = (good(), config(&["shop.*"]));
    change(&mut facts, &mut config);
    let mut found: Vec<Check> = all(&facts, &config).into_iter().filter(|c| c.status != Status::Ok).collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].fix.as_ref().is_some_and(|f| !f.is_empty()), "{found:#?}");
    found.remove(0)
}

#[test]
fn each_setting_by_itself() {
    use Status::{Advice, Fail};
    let cases: &[(&str, &str, &str, Status, &str)] = &[
        ("log_bin", "OFF", "log_bin", Fail, "--log-bin"),
        ("binlog_format", "MIXED", "binlog_format", Fail, "SET PERSIST binlog_format"),
        ("binlog_row_image", "MINIMAL", "binlog_row_image", Advice, "SET PERSIST binlog_row_image"),
        ("binlog_row_image", "noblob", "binlog_row_image", Advice, "SET PERSIST binlog_row_image"),
        ("binlog_row_image", "NONE", "binlog_row_image", Fail, "SET PERSIST binlog_row_image"),
        ("binlog_row_metadata", "MINIMAL", "binlog_row_metadata", Advice, "SET PERSIST binlog_row_metadata"),
        ("gtid_mode", "OFF", "gtid_mode", Advice, "SET PERSIST gtid_mode = ON"),
        ("binlog_expire_logs_seconds", "3600", "binlog_expiry", Advice, "604800"),
        ("sql_mode", "", "zero_dates", Advice, "NO_ZERO_DATE"),
        ("sql_mode", "NO_ZERO_DATE,NO_ZERO_IN_DATE", "zero_dates", Advice, "STRICT"),
    ];
    for (name, value, id, status, fix) in cases {
        let check = wrong(|f, _| drop(f.settings.insert((*name).into(), (*value).into())));
        assert_eq!((check.id, check.status), (*id, *status), "{check:?}");
        assert!(check.fix.as_ref().unwrap().contains(fix), "{check:?}");
    }
    let quiet = |name: &str, value: &str| {
        let mut facts = good();
        facts.settings.insert(name.into(), value.into());
        not_ok(&facts, &config(&["shop.*"]))
    };
    assert_eq!(quiet("binlog_format", "row"), []);
    assert_eq!(quiet("binlog_row_value_options", "PARTIAL_JSON"), [], "with whole images");
    assert_eq!(quiet("binlog_expire_logs_seconds", "0"), []);
    assert_eq!(quiet("binlog_expire_logs_auto_purge", "OFF"), []);

    let mut facts = good();
    facts.settings.insert("binlog_row_value_options".into(), "PARTIAL_JSON".into());
    facts.settings.insert("binlog_row_image".into(), "MINIMAL".into());
    let found = not_ok(&facts, &config(&["shop.*"]));
    assert_eq!(found, [("binlog_row_image", Advice), ("binlog_row_value_options", Advice)]);
}

#[test]
fn several_hosts_demand_gtids() {
    let check = wrong(|f, c| {
        f.settings.insert("gtid_mode".into(), "OFF".into());
        c.hosts.push("b".parse().unwrap());
    });
    assert_eq!((check.id, check.status), ("gtid_mode", Status::Fail));
    assert_eq!(demands_met(&[check]).unwrap_err().code(), codes::GTID_OFF);
}

#[test]
fn mariadb_has_other_settings() {
    let mut facts = good();
    facts.version = "10.11.6-MariaDB".into();
    for gone in
        ["gtid_mode", "binlog_row_value_options", "innodb_native_foreign_keys", "binlog_expire_logs_seconds"]
    {
        facts.settings.remove(gone);
    }
    facts.settings.insert("expire_logs_days".into(), "0.5".into());
    facts.grants = Grants::parse(
        ["GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `u`@`%`", "GRANT SELECT ON `shop`.* TO `u`@`%`"]
            .into_iter(),
    );
    assert_eq!(not_ok(&facts, &config(&["shop.*"])), [("binlog_expiry", Status::Advice)]);
    assert_eq!(settings::kept_for(&facts.settings), Some(43_200));
    let fix =
        |facts: &Facts| worded_for(facts, vec![settings::expiry(&facts.settings)]).remove(0).fix.unwrap();
    assert_eq!(fix(&facts), "SET GLOBAL binlog_expire_logs_seconds = 604800; and the same in my.cnf");
}

#[test]
fn what_is_left_out_of_the_binlog() {
    for (only, never, lost) in
        [("crm", "", true), ("crm,shop", "", false), ("", "shop", true), ("", "crm", false)]
    {
        let mut facts = good();
        facts.filters = Some((only.into(), never.into()));
        let found = not_ok(&facts, &config(&["shop.*"]));
        assert_eq!(found.contains(&("binlog_filter", Status::Fail)), lost, "{only} {never}");
    }
    let check = wrong(|f, c| {
        f.filters = Some((String::new(), "shop".into()));
        *c = config(&["*.*"]);
        f.grants = Grants::parse(
            ["GRANT REPLICATION SLAVE, REPLICATION CLIENT, SELECT ON *.* TO `u`@`%`"].into_iter(),
        );
    });
    assert_eq!(demands_met(&[check]).unwrap_err().code(), codes::BINLOG_FILTER);
    let check = wrong(|f, _| {
        f.is_replica = true;
        f.settings.insert("log_replica_updates".into(), "OFF".into());
    });
    assert_eq!(demands_met(&[check]).unwrap_err().code(), codes::REPLICA_UPDATES);
    let mut facts = good();
    facts.settings.insert("log_replica_updates".into(), "OFF".into());
    assert_eq!(not_ok(&facts, &config(&["shop.*"])), [], "no replica");
    facts.filters = None;
    assert_eq!(not_ok(&facts, &config(&["shop.*"])), [("binlog_filter", Status::Skipped)]);
}

#[test]
fn tables_that_need_a_word() {
    let check = wrong(|f, _| f.tables[0].has_key = false);
    assert_eq!((check.id, check.status), ("keys", Status::Advice));
    assert!(check.fix.unwrap().starts_with("ALTER TABLE `shop`.`users` ADD COLUMN id"));
    let check = wrong(|f, _| f.tables[0].engine = "MyISAM".into());
    assert_eq!(
        (check.id, check.fix.as_deref()),
        ("engines", Some("ALTER TABLE `shop`.`users` ENGINE = InnoDB"))
    );
    let check = wrong(|f, _| f.zero_defaults.push("shop.users.updated_at".into()));
    assert!(check.id == "zero_dates" && check.finding.contains("shop.users.updated_at"));

    let check = wrong(|_, c| *c = config(&["shop.*", "shop.nothere"]));
    assert_eq!((check.id, check.status), ("tables", Status::Fail));
    assert!(demands_met(&[check]).is_ok(), "a name that nothing has stops no source");
    let mut facts = good();
    facts.tables.clear();
    use Status::{Advice, Skipped};
    assert_eq!(
        not_ok(&facts, &config(&["shop.*"])),
        [
            ("tables", Advice),
            ("keys", Skipped),
            ("engines", Skipped),
            ("system_versioning", Skipped),
            ("cascades", Skipped),
            ("zero_dates", Skipped)
        ]
    );
}

#[test]
fn cascades_are_hidden_before_nine_six_and_when_switched_back() {
    let with = |version: &str, native: Option<&str>| {
        let mut facts = good();
        facts.version = version.into();
        facts.settings.remove("innodb_native_foreign_keys");
        facts.settings.extend(native.map(|n| ("innodb_native_foreign_keys".to_owned(), n.to_owned())));
        let (database, table) = ("shop".to_owned(), "orders".to_owned());
        facts.cascades = vec![Cascade { database, table, rules: "ON DELETE CASCADE".into() }];
        tables::cascades(&facts)
    };
    assert_eq!(with("9.7.4", Some("OFF")).status, Status::Ok);
    let switched = with("9.7.4", Some("ON"));
    assert!(switched.finding.contains("shop.orders (ON DELETE CASCADE)"), "{switched:?}");
    assert!(switched.fix.unwrap().contains("--innodb-native-foreign-keys=OFF"));
    for version in ["8.0.36", "8.4.3-log", "9.5.0", "10.11.6-MariaDB", "11.4.2-MariaDB"] {
        let check = with(version, None);
        assert_eq!(check.status, Status::Advice, "{version}");
        assert!(check.fix.unwrap().contains("upgrade"), "{version}");
    }
}

#[test]
fn a_fault_lists_every_failed_demand() {
    let mut facts = good();
    facts.settings.insert("log_bin".into(), "OFF".into());
    facts.settings.insert("binlog_format".into(), "STATEMENT".into());
    let checks = demanded(&facts, &config(&["shop.*"]));
    let fault = demands_met(&checks).unwrap_err();
    assert_eq!((fault.code(), fault.class()), (codes::LOG_BIN_OFF, Class::Fatal));
    assert!(fault.message().contains("log_bin") && fault.message().contains("binlog_format"), "{fault}");
    assert!(fault.remedy().contains("--log-bin") && fault.remedy().contains("SET PERSIST binlog_format"));
    assert!(demands_met(&demanded(&good(), &config(&["shop.*"]))).is_ok());
}

#[test]
fn select_is_needed_on_what_is_captured() {
    let mut facts = good();
    facts.grants =
        Grants::parse(["GRANT SELECT ON `a`.* TO `u`@`%`", "GRANT SELECT ON `b`.`t` TO `u`@`%`"].into_iter());
    let mut says = |patterns: &[&str], visible: &[(&str, &str)]| {
        facts.tables = visible.iter().map(|(d, t)| table(d, t)).collect();
        privileges::select(&facts, &config(patterns)).status
    };
    assert_eq!(says(&["a.*", "b.t"], &[]), Status::Ok);
    for none in ["b.x", "b.*", "c.*", "*.*"] {
        assert_eq!(says(&[none], &[]), Status::Fail, "{none}");
    }
    // of the tables that it may not see nobody knows
    assert_eq!(says(&["b.*"], &[("b", "t")]), Status::Advice);
    assert_eq!(says(&["*.t"], &[("a", "t"), ("b", "t")]), Status::Advice);
    assert_eq!(says(&["b.*", "c.*"], &[("b", "t")]), Status::Fail);
    facts.grants = Grants::parse(["GRANT SELECT ON `tenant\\_%`.* TO `u`@`%`"].into_iter());
    let says = |pattern: &str| privileges::select(&facts, &config(&[pattern])).status;
    assert_eq!((says("tenant_*.t"), says("tenant*.t")), (Status::Ok, Status::Fail));
    let check = privileges::select(&facts, &config(&["c.`d"]));
    assert_eq!(check.fix.unwrap(), "GRANT SELECT ON `c`.```d` TO 'u'@'%'");
    facts.grants = Grants::default();
    let check =
        privileges::everywhere(&facts, "replication_client", &["REPLICATION CLIENT", "BINLOG MONITOR"]);
    assert_eq!(check.fix.unwrap(), "GRANT REPLICATION CLIENT ON *.* TO 'u'@'%'");
}

#[test]
fn server_ids_clash() {
    let check = |id, replicas: &[&str]| {
        let mut facts = good();
        facts.replicas = replicas.iter().map(|&r| r.to_owned()).collect();
        settings::server_id(&facts, &Config { server_id: id, ..config(&[]) }).status
    };
    assert_eq!(check(Some(7), &[]), Status::Fail);
    assert_eq!(check(Some(0), &[]), Status::Fail);
    assert_eq!(check(Some(8), &["8"]), Status::Advice);
    assert_eq!(check(Some(8), &["9"]), Status::Ok);
    assert_eq!(check(None, &["9"]), Status::Ok);
}

#[test]
fn a_fault_of_the_connection_is_one_step() {
    let steps = |code, told: &[Check]| {
        let found = connection::failed(&Fault::new(code, "what"), told);
        found.iter().map(|c| (c.id, c.status)).collect::<Vec<_>>()
    };
    use Status::{Fail, Ok};
    assert_eq!(steps(codes::DNS, &[]), [("dns", Fail)]);
    let told = [Check::ok("dns", ""), Check::ok("tcp", "")];
    assert_eq!(steps(codes::CONNECT, &told[..1]), [("tcp", Fail)]);
    for code in [codes::PROTOCOL, codes::FLAVOUR, codes::BUSY, codes::NETWORK] {
        assert_eq!(steps(code, &told), [("server", Fail)]);
    }
    assert_eq!(steps(codes::TLS, &told), [("server", Ok), ("tls", Fail)]);
    for code in [codes::AUTH, codes::AUTH_METHOD, codes::TLS_REQUIRED] {
        assert_eq!(steps(code, &told), [("server", Ok), ("tls", Ok), ("login", Fail)]);
    }
}

#[test]
fn the_catalog_names_each_check_once() {
    let mut ids: Vec<&str> = CHECKS.iter().map(|c| c.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), CHECKS.len());
}
