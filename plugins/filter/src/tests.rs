//! Conditions, natively: what they mean, what is refused, and where. The router's tests compare with MySQL itself.

use forebay_plugin::LogicalType::{
    Binary, Date, Datetime, Decimal, Float, Integer, Json, Text, Time, Timestamp,
};
use forebay_plugin::testing::{run, table, texts};
use forebay_plugin::{Cell, Cells, Column};

use super::*;

fn orders() -> TableSchema {
    table([
        ("id", Integer),
        ("state", Text),
        ("amount", Decimal),
        ("rate", Float),
        ("day", Date),
        ("at", Datetime),
        ("seen", Timestamp),
        ("took", Time),
        ("doc", Json),
        ("raw", Binary),
        ("left", Text),
    ])
}

/// A value for each kind of column, by name.
fn cells(name: &str) -> Column {
    let of = |one, two| texts([Cell::Value(one), Cell::Value(two), Cell::Null, Cell::Absent]);
    let states = vec![1, 1, 0, 2];
    match name {
        "id" => Column { states, cells: Cells::Signed(vec![-5, 7, 0, 0]) },
        "rate" => Column { states, cells: Cells::Float(vec![0.5, 1e300, 0.0, 0.0]) },
        "amount" => of("10.50", "-0.01"),
        "day" => of("2020-01-31", "0000-00-00"),
        "at" => of("2020-01-31 12:00:00", "2020-00-15 00:00:00"),
        "seen" => of("2020-01-31 12:00:00", "2038-01-19 03:14:07"),
        "took" => of("-01:00:00", "838:59:59"),
        "state" => of("NSW", "nsw"),
        _ => of("NSW", ""),
    }
}

/// What becomes of four images: with the first values, the second, NULLs, and nothing there: kept, dropped, rejected.
fn fate(condition: &str) -> String {
    let table = orders();
    let config = serde_json::json!({ "where": condition }).to_string();
    let filter = Filter::open(&table, forebay_plugin::parse_config(&config).unwrap()).unwrap();
    let reads = filter.plan().reads;
    let columns = reads.iter().map(|&column| cells(&table.def(column).name)).collect();
    let (_, output) = run::<Filter>(&table, &config, 4, columns).unwrap();
    let rejected = |row: u32| output.rejects.iter().any(|reject| reject.row == row);
    output
        .keep
        .iter()
        .zip(0..)
        .map(|(keep, row)| match (keep, rejected(row)) {
            (1, false) => 'k',
            (0, false) => '.',
            (0, true) => 'r',
            _ => '?',
        })
        .collect()
}

fn refusal(condition: &str) -> String {
    let config = serde_json::json!({ "where": condition }).to_string();
    match run::<Filter>(&orders(), &config, 1, Vec::new()) {
        Err(Error::Config(problems)) => format!("config {}: {}", problems[0].path, problems[0].message),
        Err(Error::Schema(problems)) => format!("schema {}: {}", problems[0].path, problems[0].message),
        other => panic!("{condition}: {other:?}"),
    }
}

#[test]
fn comparisons() {
    for (condition, want) in [
        ("id = 7", ".k.r"),
        ("7 = id", ".k.r"),
        ("0 > id", "k..r"),
        ("id <> 7", "k..r"),
        ("id != -5", ".k.r"),
        ("id < 6.5", "k..r"),
        ("id >= -5.0", "kk.r"),
        ("id > -5.1", "kk.r"),
        ("id < 99999999999999999999999999999999999999999999", "kk.r"),
        ("id > TRUE", ".k.r"),
        ("id", "kk.r"),
        ("amount = 10.5", "k..r"),
        ("amount < -0.009", ".k.r"),
        ("amount > 1e1", "k..r"),
        ("amount > id", "k..r"),
        ("rate > 1", ".k.r"),
        ("rate = 0.5", "k..r"),
        ("rate > amount", ".k.r"),
        ("state = 'NSW'", "k..r"),
        ("state < \"a\"", "k..r"),
        ("state = `left`", "k..r"),
        ("day = '2020-01-31'", "k..r"),
        ("day < DATE '2020-01-31'", ".k.r"),
        ("day < '2020-01-31 00:00:00.000001'", "kk.r"),
        ("day < at", "kk.r"),
        ("at >= '2020-01-31'", "k..r"),
        ("at = TIMESTAMP '2020-01-31 12:00:00.000'", "k..r"),
        ("seen > '2020-01-31 12:00:00'", ".k.r"),
        ("took < TIME '00:00:00'", "k..r"),
        ("took = '838:59:59.0'", ".k.r"),
        ("id <=> NULL", "..kr"),
        ("id <=> 7", ".k.r"),
        ("NOT id <=> 7", "k.kr"),
        ("state <=> `left`", "k.kr"),
        ("id = NULL", "...."),
        ("doc IS NULL", "..kr"),
        ("raw IS NOT NULL", "kk.r"),
    ] {
        assert_eq!(fate(condition), want, "{condition}");
    }
}

#[test]
fn three_valued_logic() {
    for (condition, want) in [
        ("NOT id = 7", "k..r"),
        ("id = 7 OR id IS NULL", ".kkr"),
        ("id = 7 OR state = 'NSW'", "kk.r"),
        ("id = 7 AND state = 'nsw'", ".k.r"),
        ("id = 7 OR TRUE", "kkkk"),
        ("id = 7 AND FALSE", "...."),
        ("id = 7 OR NULL", ".k.r"),
        ("id = 7 AND NULL", "...."),
        ("(id = 7) IS UNKNOWN", "..kr"),
        ("(id = 7) IS NULL", "..kr"),
        ("id = 7 IS NOT TRUE", "k.kr"),
        ("id = 7 IS FALSE", "k..r"),
        ("id IS TRUE", "kk.r"),
        ("NOT (id = 7 OR state = 'NSW')", "...r"),
        ("id = -5 OR id = 7 AND state = 'x'", "k..r"),
        ("(id = -5 OR id = 7) AND state = 'nsw'", ".k.r"),
        ("NOT NOT id = 7", ".k.r"),
        ("not id = 7 and state is not null", "k..r"),
    ] {
        assert_eq!(fate(condition), want, "{condition}");
    }
}

#[test]
fn lists_ranges_and_patterns() {
    for (condition, want) in [
        ("state IN ('VIC', 'NSW')", "k..r"),
        ("state NOT IN ('VIC', 'NSW')", ".k.r"),
        ("state NOT IN ('VIC', NULL)", "...."),
        ("state IN ('NSW', NULL)", "k..r"),
        ("id IN (1, 7, 7.0, 6.5)", ".k.r"),
        ("id IN (6.5)", "...r"),
        ("amount IN (10.50, 1)", "k..r"),
        ("id IN (amount, -5)", "k..r"),
        ("'NSW' IN (state, `left`)", "k..r"),
        ("day IN ('2020-01-31')", "k..r"),
        ("id BETWEEN -5 AND 6", "k..r"),
        ("id NOT BETWEEN -5 AND 6", ".k.r"),
        ("id BETWEEN 8 AND NULL", "...."),
        ("id NOT BETWEEN 8 AND NULL", "kk.r"),
        ("state LIKE 'N%'", "k..r"),
        ("state NOT LIKE '__W'", ".k.r"),
        ("state LIKE 'NS!W' ESCAPE '!'", "k..r"),
        ("state LIKE NULL", "...."),
        ("id = 7 AND id BETWEEN 1 AND 10 AND state LIKE '%'", ".k.r"),
    ] {
        assert_eq!(fate(condition), want, "{condition}");
    }
}

/// Where the other cells settle it, an absent one does no harm.
#[test]
fn absent_cells_matter_only_where_the_condition_hangs_on_them() {
    let table = orders();
    let config = r#"{"where": "id = 7 AND state = 'NSW' OR id = 8"}"#;
    let ids = Column { states: Vec::new(), cells: Cells::Signed(vec![7, 8, 9]) };
    let states = texts([Cell::Absent, Cell::Absent, Cell::Absent]);
    let (_, output) = run::<Filter>(&table, config, 3, vec![ids, states]).unwrap();
    assert_eq!(output.keep, [0, 1, 0]);
    assert_eq!(output.rejects.iter().map(|r| r.row).collect::<Vec<_>>(), [0]);
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    for (condition, want) in [
        ("stat = 'NSW'", "schema where: at character 1: table shop.customers has no column `stat`"),
        (
            "id = 1 AND STATE = 'x'",
            "schema where: at character 12: table shop.customers has no column `STATE`; it has `state`: write it like that",
        ),
        (
            "id = '7'",
            "schema where: at character 6: `id` is bigint: compare it with a number, without quotes",
        ),
        (
            "state = 7",
            "schema where: at character 9: `state` is varchar(64): compare it with a text, in quotes",
        ),
        (
            "day = 20200131",
            "schema where: at character 7: `day` is date: compare it with '2020-01-31' or '2020-01-31 23:59:59'",
        ),
        (
            "day = '31.1.2020'",
            "schema where: at character 7: `day` is date: compare it with '2020-01-31' or '2020-01-31 23:59:59'",
        ),
        (
            "seen > at",
            "schema where: at character 1: `seen` is timestamp and `at` datetime, which cannot be compared",
        ),
        (
            "doc = '{}'",
            "schema where: at character 1: `doc` is json, which cannot be compared; IS NULL works on any column",
        ),
        (
            "'x' = raw",
            "schema where: at character 7: `raw` is blob, which cannot be compared; IS NULL works on any column",
        ),
        (
            "state",
            "schema where: at character 1: `state` is varchar(64) and no condition: compare it with something",
        ),
        ("id LIKE '7'", "schema where: at character 1: `id` is bigint: LIKE works on text only"),
        ("1 = 1", "config where: at character 1: one side of a comparison must be a column"),
        ("TRUE", "config where: at character 1: the condition names no column"),
        ("state = 'it''s", "config where: at character 9: there is no ' to end what starts here"),
        ("id = 1x", "config where: at character 6: a number is followed by letters"),
        ("id = #", "config where: at character 6: `#` has no meaning in a condition"),
        (
            "(id = 1) = 2",
            "config where: at character 10: a condition cannot be compared; IS TRUE and IS FALSE ask for its truth",
        ),
        ("o.id = 1", "config where: at character 2: the name of a column stands alone, without its table"),
        ("état = 1", "schema where: at character 1: table shop.customers has no column `état`"),
        ("state LIKE 'x' ESCAPE 'ab'", "config where: at character 23: ESCAPE needs one character"),
    ] {
        assert_eq!(refusal(condition), want, "{condition}");
    }
    for (condition, want) in [
        ("", "at character 1: the condition ends, where a column or a literal is needed; supported are =,"),
        ("id = 1 id = 2", "at character 8: `id` stands here, where AND, OR or the end is needed"),
        ("id = 1 XOR id = 2", "at character 8: `XOR` stands here, where AND, OR or the end"),
        ("id + 1 = 2", "at character 4: `+` stands here, where AND, OR or the end"),
        ("id IN ()", "at character 8: `)` stands here, where a column or a literal"),
        ("id IN 1", "at character 7: a number stands here, where the list of IN, in parentheses, is needed"),
        ("id = 1 = 2", "at character 8: `=` stands here"),
        ("LOWER(state) = 'x'", "at character 1: functions are not supported; supported are"),
        ("id = (SELECT 1)", "at character 6: `(` stands here, where a column or a literal is needed"),
        ("state REGEXP 'x'", "at character 7: `REGEXP` stands here"),
        ("id IS 7", "at character 7: a number stands here, where NULL, TRUE, FALSE or UNKNOWN is needed"),
        ("id = 1 -- x", "at character 8: `-` stands here"),
        ("!(id = 1)", "at character 1: `!` stands here"),
        ("id = --1", "at character 6: `-` stands here"),
    ] {
        let said = refusal(condition);
        assert!(said.strip_prefix("config where: ").unwrap().starts_with(want), "{condition}: {said}");
    }
    let deep = format!("{}id = 1{}", "(".repeat(65), ")".repeat(65));
    assert!(refusal(&deep).contains("nested more than 64 deep"));
    assert!(refusal(&"NOT ".repeat(100_000)).contains("nested more than 64 deep"));
    let long = vec!["id = 1"; 20_000].join(" OR ");
    assert_eq!(fate(&long), "...r", "a long condition is not a deep one");
}

#[test]
fn texts_are_read_as_mysql_reads_them() {
    let read = |text: &str| match &token::tokens(text).unwrap()[0].token {
        token::Token::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    for (written, want) in [
        (r"'it''s'", "it's"),
        (r#""say ""x""""#, "say \"x\""),
        (r"'a\nb\\c\'d\%\_\q'", "a\nb\\c'd\\%\\_q"),
        ("'日本'", "日本"),
    ] {
        assert_eq!(read(written), want);
    }
}

/// Whatever is written, it is taken or refused.
#[test]
fn no_text_panics() {
    const PIECES: [&str; 40] = [
        "id",
        "state",
        "amount",
        "day",
        "doc",
        "`left`",
        "é",
        " ",
        " ",
        " ",
        "=",
        "<=>",
        "<",
        "!",
        "(",
        ")",
        ",",
        "-",
        "+",
        ".",
        "'x'",
        "'",
        "\"",
        "\\",
        "`",
        "1",
        "2.5",
        "1e",
        "e9",
        "9999999999999999999999999999999999999999",
        "NULL",
        " AND ",
        " OR ",
        " NOT ",
        " IN ",
        " LIKE ",
        " BETWEEN ",
        " IS ",
        " ESCAPE ",
        "DATE '2020-01-31'",
    ];
    let table = orders();
    let mut random = 1_u64;
    let mut taken = 0;
    for _ in 0..50_000 {
        let mut text = String::new();
        for _ in 0..1 + random % 9 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(PIECES[(random >> 33) as usize % PIECES.len()]);
        }
        taken += usize::from(parse::parse(&text).is_ok_and(|parsed| bind(&table, &parsed).is_ok()));
    }
    assert!(taken > 100, "{taken}");
}
