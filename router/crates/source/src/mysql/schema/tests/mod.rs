//! Statements, and what they make of tables.

mod bounds;
mod lineage;
mod oracle;
mod rules;

use super::follow::{Said, Told};
use super::history::History;
use super::lex::Modes;
use super::note::Key;
use super::version::Version;

/// A history that captures `d.*`.
fn history() -> History {
    let mut config = crate::mysql::bench::everything();
    config.tables = vec![forebay_model::TablePattern::new("d.*").unwrap()];
    let mut history = History::new(&config, &[], true).unwrap();
    history.databases.insert("d".into(), "utf8mb4".into());
    history
}

fn say(history: &mut History, text: &str) -> Vec<Told> {
    history.follow(&Said::again(text, "d", Modes::default()))
}

fn key(table: &str) -> Key {
    ("d".into(), table.into())
}

/// `a int!, b char(3) latin1 / a` is a (NOT NULL) and b, with a as the key; the table's own character set is not shown.
fn shown(version: &Version) -> String {
    let column = |c: &super::version::ColumnDef| {
        let charset = c.charset.as_deref().filter(|c| *c != "utf8mb4");
        let charset = charset.map_or(String::new(), |c| format!(" {c}"));
        format!("{} {}{}{charset}", c.name, c.ty, if c.nullable { "" } else { "!" })
    };
    let columns: Vec<String> = version.columns.iter().map(column).collect();
    let key = if version.key.is_empty() { String::new() } else { format!(" / {}", version.key.join(", ")) };
    format!("{}{key}", columns.join(", "))
}

/// Every table that is known, after these statements.
fn tables(history: &History) -> Vec<String> {
    let text = |v: &Option<Version>| v.as_ref().map_or("?".into(), shown);
    history.tables.iter().map(|(k, v)| format!("{}: {}", k.1, text(v))).collect()
}

/// Columns of CREATE TABLE, and what they are.
const CREATES: &[(&str, &str)] = &[
    ("CREATE TABLE t (a INT)", "a int"),
    ("create table `t`(`a` int(11) not null,primary key(`a`))", "a int! / a"),
    (
        "CREATE TABLE IF NOT EXISTS d.t (a BIGINT UNSIGNED ZEROFILL AUTO_INCREMENT PRIMARY KEY)",
        "a bigint unsigned! / a",
    ),
    ("CREATE/**/TABLE t(a int,b int,PRIMARY KEY (b, a))", "a int!, b int! / b, a"),
    ("CREATE TABLE t (\n  a int, -- x, y int\n  b int # z int,\n)", "a int, b int"),
    ("CREATE TABLE t (a int /* , c int */, b int)", "a int, b int"),
    ("CREATE TABLE t (a int /*!80023 INVISIBLE */, b int /*!99999 NOT NULL */)", "a int, b int"),
    ("/* app:x */ CREATE TABLE t (a int)", "a int"),
    ("CREATE /*!50100 TABLE */ t (a int)", "a int"),
    (
        "CREATE TABLE `t` (`a``b` int, `c d` int, `select` int, `é` int)",
        "a`b int, c d int, select int, é int",
    ),
    (
        "CREATE TABLE t (a tinyint(1), b bool, c boolean, d int1, e int2, f int3, g int4, h int8, i middleint)",
        "a tinyint, b tinyint, c tinyint, d tinyint, e smallint, f mediumint, g int, h bigint, i mediumint",
    ),
    ("CREATE TABLE t (a integer unsigned, b smallint(5) zerofill)", "a int unsigned, b smallint unsigned"),
    ("CREATE TABLE t (id SERIAL, x int)", "id bigint unsigned!, x int"),
    (
        "CREATE TABLE t (a dec, b numeric(5), c fixed(6,2), d decimal(65,30) unsigned)",
        "a decimal(10,0), b decimal(5,0), c decimal(6,2), d decimal(65,30) unsigned",
    ),
    (
        "CREATE TABLE t (a float, b float(24), c float(25), d float(7,3), e double precision, f real, g float8)",
        "a float, b float, c double, d float, e double, f double, g double",
    ),
    (
        "CREATE TABLE t (a bit, b bit(7), c year(4), d date, e time(3), f datetime(6), g timestamp(2) NULL)",
        "a bit(1), b bit(7), c year, d date, e time(3), f datetime(6), g timestamp(2)",
    ),
    (
        "CREATE TABLE t (a char, b char(3), c character varying(5), d varchar(300))",
        "a char(1), b char(3), c varchar(5), d varchar(300)",
    ),
    (
        "CREATE TABLE t (a nchar(3), b national char(3), c national varchar(3), d nvarchar(3), e nchar varchar(4))",
        "a char(3) utf8mb3, b char(3) utf8mb3, c varchar(3) utf8mb3, d varchar(3) utf8mb3, e varchar(4) utf8mb3",
    ),
    (
        "CREATE TABLE t (a char(3) byte, b varchar(9) charset binary, c text character set binary, d binary, e varbinary(7))",
        "a binary(3), b varbinary(9), c blob, d binary(1), e varbinary(7)",
    ),
    (
        "CREATE TABLE t (a long, b long varchar, c long varbinary, d text(100), e text(70000), f blob(10), g blob(70000))",
        "a mediumtext, b mediumtext, c mediumblob, d text, e mediumtext, f tinyblob, g mediumblob",
    ),
    (
        "CREATE TABLE t (a tinytext, b mediumtext, c longtext, d tinyblob, e mediumblob, f longblob)",
        "a tinytext, b mediumtext, c longtext, d tinyblob, e mediumblob, f longblob",
    ),
    (
        "CREATE TABLE t (a enum('x','y,z','it''s','b\\\\c  ') NOT NULL DEFAULT 'x', b set(\"p\",\"q\") COMMENT 'c, d int)')",
        "a enum('x','y,z','it''s','b\\c')!, b set('p','q')",
    ),
    (
        "CREATE TABLE t (a json, b geometry, c point srid 4326, d geometrycollection, e vector(3), f vector)",
        "a json, b geometry, c point, d geomcollection, e vector, f vector",
    ),
    (
        "CREATE TABLE t (a varchar(9) ascii, b varchar(9) unicode, c varchar(9) collate latin2_bin, d text charset utf8)",
        "a varchar(9) latin1, b varchar(9) ucs2, c varchar(9) latin2, d text utf8mb3",
    ),
    (
        "CREATE TABLE t (a varchar(9), b text(100), c int) CHARSET latin1",
        "a varchar(9) latin1, b tinytext latin1, c int",
    ),
    (
        "CREATE TABLE t (a char(2)) ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARACTER SET = 'latin1' COLLATE latin1_bin COMMENT='charset x'",
        "a char(2) latin1",
    ),
    ("CREATE TABLE t (a char(2)) COLLATE=koi8r_general_ci", "a char(2) koi8r"),
    (
        "CREATE TABLE t (a int DEFAULT -1, b int DEFAULT (1 + (2)), c datetime DEFAULT CURRENT_TIMESTAMP(0) ON UPDATE CURRENT_TIMESTAMP, d int NOT NULL DEFAULT '0')",
        "a int, b int, c datetime, d int!",
    ),
    (
        "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL NOT NULL, c int AS (concat(a, ',')) STORED)",
        "a int, b int!, c int",
    ),
    (
        "CREATE TABLE t (a int, b int REFERENCES p (id) ON DELETE SET NULL ON UPDATE CASCADE, CONSTRAINT c CHECK (a > 0) NOT ENFORCED)",
        "a int, b int",
    ),
    (
        "CREATE TABLE t (a int NOT NULL, KEY (a), INDEX i (a), UNIQUE KEY u (a), FULLTEXT f (a), CONSTRAINT pk PRIMARY KEY USING BTREE (a DESC), FOREIGN KEY (a) REFERENCES p(id))",
        "a int! / a",
    ),
    (
        "CREATE TABLE t (a varchar(9), PRIMARY KEY (a(3))) PARTITION BY KEY (a) PARTITIONS 4",
        "a varchar(9)! / a",
    ),
    (
        "CREATE TABLE t (a int CHECK (a IN (1, 2)), b int COLUMN_FORMAT FIXED STORAGE DISK) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (1), PARTITION p1 VALUES LESS THAN MAXVALUE)",
        "a int, b int",
    ),
    (
        "CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `a` int DEFAULT NULL\n) START TRANSACTION",
        "id int!, a int",
    ),
    ("CREATE OR REPLACE TABLE t (a int)", "a int"),
    (
        "CREATE TABLE t (a int ENGINE_ATTRIBUTE '{\"NOT\": \"NULL\"}', b timestamp NOT NULL DEFAULT now() ON UPDATE now())",
        "a int, b timestamp!",
    ),
    ("CREATE TABLE t (a\tint\r\n,\u{b}b int\u{c})", "a int, b int"),
    ("CREATE TABLE t (`key` int, `primary` int KEY)", "key int, primary int! / primary"),
];

#[test]
fn create_table() {
    for (sql, wanted) in CREATES {
        let mut history = history();
        say(&mut history, sql);
        assert_eq!(tables(&history), [format!("t: {wanted}")], "{sql}");
    }
}

/// On `t (id INT PRIMARY KEY, a VARCHAR(10) CHARSET latin1, b TEXT CHARSET latin1, c INT NOT NULL)`.
const ALTERS: &[(&str, &str)] = &[
    ("ADD d INT", "id int!, a varchar(10) latin1, b text latin1, c int!, d int / id"),
    ("ADD COLUMN d INT NOT NULL FIRST", "d int!, id int!, a varchar(10) latin1, b text latin1, c int! / id"),
    ("ADD COLUMN d INT AFTER `id`", "id int!, d int, a varchar(10) latin1, b text latin1, c int! / id"),
    (
        "add column (d int, e char(2))",
        "id int!, a varchar(10) latin1, b text latin1, c int!, d int, e char(2) / id",
    ),
    (
        "ADD d INT AFTER a, ADD e INT AFTER d, ADD f INT FIRST",
        "f int, id int!, a varchar(10) latin1, d int, e int, b text latin1, c int! / id",
    ),
    (
        "ADD COLUMN after INT AFTER c, ADD first INT",
        "id int!, a varchar(10) latin1, b text latin1, c int!, after int, first int / id",
    ),
    ("DROP c", "id int!, a varchar(10) latin1, b text latin1 / id"),
    ("DROP COLUMN `A`, DROP COLUMN b", "id int!, c int! / id"),
    ("DROP a, ADD a INT FIRST", "a int, id int!, b text latin1, c int! / id"),
    ("DROP id", "a varchar(10) latin1, b text latin1, c int!"),
    ("DROP COLUMN IF EXISTS nothing, DROP IF EXISTS c", "id int!, a varchar(10) latin1, b text latin1 / id"),
    ("RENAME COLUMN c TO z", "id int!, a varchar(10) latin1, b text latin1, z int! / id"),
    (
        "RENAME COLUMN a TO c, RENAME COLUMN c TO a",
        "id int!, c varchar(10) latin1, b text latin1, a int! / id",
    ),
    ("RENAME COLUMN id TO key_", "key_ int!, a varchar(10) latin1, b text latin1, c int! / key_"),
    ("CHANGE c c2 BIGINT", "id int!, a varchar(10) latin1, b text latin1, c2 bigint / id"),
    (
        "CHANGE COLUMN `c` `c` BIGINT UNSIGNED FIRST",
        "c bigint unsigned, id int!, a varchar(10) latin1, b text latin1 / id",
    ),
    ("MODIFY c BIGINT AFTER id", "id int!, c bigint, a varchar(10) latin1, b text latin1 / id"),
    ("MODIFY COLUMN a VARCHAR(20)", "id int!, a varchar(20), b text latin1, c int! / id"),
    ("MODIFY id BIGINT", "id bigint!, a varchar(10) latin1, b text latin1, c int! / id"),
    (
        "MODIFY b TEXT CHARACTER SET koi8r AFTER c, MODIFY a INT AFTER b",
        "id int!, c int!, b text koi8r, a int / id",
    ),
    ("CHANGE a x INT, ADD y INT AFTER x", "id int!, x int, y int, b text latin1, c int! / id"),
    ("CONVERT TO CHARACTER SET utf8mb4", "id int!, a varchar(10), b mediumtext, c int! / id"),
    (
        "CONVERT TO CHARSET utf8mb3 COLLATE utf8mb3_bin, ADD d CHAR(1)",
        "id int!, a varchar(10) utf8mb3, b mediumtext utf8mb3, c int!, d char(1) utf8mb3 / id",
    ),
    ("CONVERT TO CHARACTER SET DEFAULT", "id int!, a varchar(10), b mediumtext, c int! / id"),
    (
        "DEFAULT CHARSET koi8r, ADD d CHAR(1)",
        "id int!, a varchar(10) latin1, b text latin1, c int!, d char(1) koi8r / id",
    ),
    (
        "COLLATE = koi8r_bin, ADD d CHAR(1)",
        "id int!, a varchar(10) latin1, b text latin1, c int!, d char(1) koi8r / id",
    ),
    (
        "MODIFY b TINYTEXT, MODIFY a TEXT CHARSET koi8r FIRST, ADD d TEXT CHARSET latin1, CONVERT TO CHARSET utf8mb4",
        "a tinytext, id int!, b mediumtext, c int!, d text / id",
    ),
    ("MODIFY c TEXT, CONVERT TO CHARSET utf8mb4", "?"),
    ("DROP PRIMARY KEY", "id int!, a varchar(10) latin1, b text latin1, c int!"),
    (
        "DROP PRIMARY KEY, ADD PRIMARY KEY (c, a(3))",
        "id int!, a varchar(10)! latin1, b text latin1, c int! / c, a",
    ),
    (
        "DROP PRIMARY KEY, ADD CONSTRAINT PRIMARY KEY USING BTREE (c)",
        "id int!, a varchar(10) latin1, b text latin1, c int! / c",
    ),
    (
        "DROP PRIMARY KEY, ADD d INT PRIMARY KEY FIRST",
        "d int!, id int!, a varchar(10) latin1, b text latin1, c int! / d",
    ),
    (
        "ADD d INT, ALGORITHM=INSTANT, LOCK=NONE",
        "id int!, a varchar(10) latin1, b text latin1, c int!, d int / id",
    ),
    ("ALGORITHM = INPLACE, ADD d INT", "id int!, a varchar(10) latin1, b text latin1, c int!, d int / id"),
    (
        "ADD INDEX i (a, c), ADD UNIQUE (c), DROP INDEX j, RENAME INDEX k TO l, ADD CONSTRAINT f FOREIGN KEY (c) REFERENCES p (a, b) ON DELETE CASCADE, DROP c",
        "id int!, a varchar(10) latin1, b text latin1 / id",
    ),
    (
        "ADD CHECK (c > 1), ALTER c SET DEFAULT 5, ALTER COLUMN a DROP DEFAULT, ALTER INDEX i INVISIBLE, DROP CHECK x, DROP CONSTRAINT y, DROP FOREIGN KEY z",
        "id int!, a varchar(10) latin1, b text latin1, c int! / id",
    ),
    ("ENGINE=InnoDB", "id int!, a varchar(10) latin1, b text latin1, c int! / id"),
    (
        "ENGINE InnoDB ROW_FORMAT=DYNAMIC COMMENT='a, DROP b' AUTO_INCREMENT 7, DROP c",
        "id int!, a varchar(10) latin1, b text latin1 / id",
    ),
    ("ORDER BY a, c DESC, ADD d INT", "id int!, a varchar(10) latin1, b text latin1, c int!, d int / id"),
    ("FORCE", "id int!, a varchar(10) latin1, b text latin1, c int! / id"),
    (
        "ADD d INT PARTITION BY HASH(id) PARTITIONS 4",
        "id int!, a varchar(10) latin1, b text latin1, c int!, d int / id",
    ),
    ("DROP PARTITION p0, p1", "id int!, a varchar(10) latin1, b text latin1, c int! / id"),
    (
        "REORGANIZE PARTITION p0 INTO (PARTITION n0 VALUES LESS THAN (5), PARTITION n1 VALUES LESS THAN (9))",
        "id int!, a varchar(10) latin1, b text latin1, c int! / id",
    ),
    ("EXCHANGE PARTITION p WITH TABLE x", "id int!, a varchar(10) latin1, b text latin1, c int! / id"),
    ("DISABLE KEYS", "id int!, a varchar(10) latin1, b text latin1, c int! / id"),
    (
        "ADD COLUMN IF NOT EXISTS c INT, ADD COLUMN IF NOT EXISTS d INT",
        "id int!, a varchar(10) latin1, b text latin1, c int!, d int / id",
    ),
    (
        "ADD d INT DEFAULT (json_length('[1, 2]')) COMMENT 'x, DROP c', ADD e INT",
        "id int!, a varchar(10) latin1, b text latin1, c int!, d int, e int / id",
    ),
    (
        "add d enum('a','b') charset latin1 default 'a' after id, drop b,\n\tchange c\n c3 int null",
        "id int!, d enum('a','b') latin1, a varchar(10) latin1, c3 int / id",
    ),
    ("SECRET OPTION, DROP c", "?"),
    ("ADD d FANCYTYPE", "?"),
    ("MODIFY nothing INT", "?"),
    ("ADD d INT AFTER nothing", "?"),
    ("ADD SYSTEM VERSIONING", "?"),
];

#[test]
fn alter_table() {
    for (clauses, wanted) in ALTERS {
        for sql in [format!("ALTER TABLE t {clauses}"), format!("alter /* x */ table `d`.`t`\n{clauses}")] {
            let mut history = history();
            say(
                &mut history,
                "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10) CHARSET latin1, b TEXT CHARSET latin1, c INT NOT NULL)",
            );
            say(&mut history, &sql);
            assert_eq!(tables(&history), [format!("t: {wanted}")], "{sql}");
        }
    }
}

/// On tables `t (a int)` and `u (b int)`: what is known afterwards, and of which tables a change is told.
const OTHERS: &[(&str, &[&str], &str)] = &[
    ("RENAME TABLE t TO v", &["u: b int", "v: a int"], "t rename, v rename"),
    ("rename table `d`.`t` to `d`.`v`, u to t", &["t: b int", "v: a int"], "t rename, v rename, u rename"),
    ("RENAME TABLE t TO x, u TO t, x TO u", &["t: b int", "u: a int"], "t rename, u rename"),
    ("RENAME TABLE t TO x, x TO t", &["t: a int", "u: b int"], "t rename"),
    ("RENAME TABLE t TO x, x TO y", &["u: b int", "y: a int"], "t rename, y rename"),
    ("RENAME TABLES t TO other.t", &["u: b int"], "t rename"),
    ("ALTER TABLE t RENAME TO v", &["u: b int", "v: a int"], "t alter, v rename"),
    ("ALTER TABLE t RENAME v, ADD x INT", &["u: b int", "v: a int, x int"], "t alter, v rename"),
    ("ALTER TABLE t RENAME AS d.v", &["u: b int", "v: a int"], "t alter, v rename"),
    ("DROP TABLE t", &["u: b int"], "t drop"),
    ("DROP TABLE IF EXISTS `t`,`u` /* generated by server */", &[], "t drop, u drop"),
    ("DROP TEMPORARY TABLE t", &["t: a int", "u: b int"], ""),
    ("DROP DATABASE d", &[], "t drop, u drop"),
    ("DROP SCHEMA IF EXISTS other", &["t: a int", "u: b int"], ""),
    ("TRUNCATE TABLE t", &["t: a int", "u: b int"], "t truncate"),
    ("truncate t", &["t: a int", "u: b int"], "t truncate"),
    ("CREATE TABLE v LIKE t", &["t: a int", "u: b int", "v: a int"], "v create"),
    ("CREATE TABLE v (LIKE d.u)", &["t: a int", "u: b int", "v: b int"], "v create"),
    ("CREATE TABLE v LIKE other.u", &["t: a int", "u: b int", "v: ?"], "v create"),
    ("CREATE TABLE v SELECT * FROM t", &["t: a int", "u: b int", "v: ?"], "v create"),
    ("CREATE TABLE IF NOT EXISTS t (z int)", &["t: a int", "u: b int"], ""),
    ("CREATE TEMPORARY TABLE t (z int)", &["t: a int", "u: b int"], ""),
    ("CREATE TABLE other.t (z int)", &["t: a int", "u: b int"], ""),
    ("CREATE UNIQUE INDEX i ON t (a)", &["t: a int", "u: b int"], "t alter"),
    ("DROP INDEX `on` ON d.t", &["t: a int", "u: b int"], "t alter"),
    ("CREATE PROCEDURE p() BEGIN DROP TABLE t; END", &["t: a int", "u: b int"], ""),
    ("CREATE VIEW v AS SELECT 1", &["t: a int", "u: b int"], ""),
    (
        "CREATE DEFINER=`root`@`%` TRIGGER x AFTER INSERT ON t FOR EACH ROW SET @a = 1",
        &["t: a int", "u: b int"],
        "",
    ),
    ("ALTER USER x IDENTIFIED BY 'y'", &["t: a int", "u: b int"], ""),
    ("FLUSH TABLES t", &["t: a int", "u: b int"], ""),
    ("ALTER DATABASE d CHARACTER SET latin1", &["t: a int", "u: b int"], ""),
    ("RENAME TABLE t ONTO u", &["t: ?", "u: ?"], "t alter, u alter"),
    ("RENAME USER a TO b", &["t: a int", "u: b int"], ""),
    ("CREATE TABLE `t", &["t: a int", "u: b int"], ""),
    ("DROP TABLE t extra", &["u: b int"], "t drop"),
    ("ALTER TABLE t ADD (b int", &["t: ?", "u: b int"], "t alter"),
    ("ALTER TABLE t ADD b int)", &["t: a int, b int", "u: b int"], "t alter"),
    ("", &["t: a int", "u: b int"], ""),
];

#[test]
fn other_statements() {
    for (sql, wanted, told) in OTHERS {
        let mut history = history();
        say(&mut history, "CREATE TABLE t (a int)");
        say(&mut history, "CREATE TABLE u (b int)");
        let seen = say(&mut history, sql);
        assert_eq!(tables(&history), *wanted, "{sql}");
        let seen: Vec<String> = seen.iter().map(|t| format!("{} {}", t.key.1, t.change.kind)).collect();
        assert_eq!(seen.join(", "), *told, "{sql}");
    }
}

/// What a statement is told as, on `t (id INT PRIMARY KEY, a VARCHAR(10), b TEXT, c INT NOT NULL)`.
const CHANGES: &[(&str, &str)] = &[
    ("TRUNCATE t", r#"{"kind":"truncate","understood":true}"#),
    ("ALTER TABLE t TRUNCATE PARTITION p", r#"{"kind":"truncate_partition","understood":true}"#),
    ("ALTER TABLE t DROP PARTITION IF EXISTS p, q", r#"{"kind":"drop_partition","understood":true}"#),
    (
        "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u WITHOUT VALIDATION",
        r#"{"kind":"exchange_partition","understood":true}"#,
    ),
    ("ALTER TABLE u EXCHANGE PARTITION p WITH TABLE t", r#"{"kind":"exchange_partition","understood":true}"#),
    ("ALTER TABLE t DISCARD PARTITION p TABLESPACE", r#"{"kind":"discard_tablespace","understood":true}"#),
    ("ALTER TABLE t IMPORT TABLESPACE", r#"{"kind":"import_tablespace","understood":true}"#),
    ("ALTER TABLE t CONVERT PARTITION p TO TABLE v", r#"{"kind":"convert_partition","understood":true}"#),
    ("ALTER TABLE t REORGANIZE PARTITION p INTO (PARTITION q)", r#"{"kind":"alter","understood":true}"#),
    ("ALTER TABLE t ENGINE=InnoDB", r#"{"kind":"alter","understood":true}"#),
    ("ALTER TABLE t NEW STUFF", r#"{"kind":"alter","understood":false}"#),
    (
        "ALTER TABLE t ADD d INT FIRST, DROP b",
        r#"{"kind":"alter","columns":{"added":[{"name":"d","type":"int"}],"dropped":[{"name":"b","type":"text"}]},"understood":true}"#,
    ),
    (
        "ALTER TABLE t RENAME COLUMN id TO n",
        r#"{"kind":"alter","columns":{"renamed":[{"from":"id","to":"n"}]},"understood":true}"#,
    ),
    (
        "ALTER TABLE t CHANGE a a2 VARCHAR(20) NOT NULL",
        r#"{"kind":"alter","columns":{"renamed":[{"from":"a","to":"a2"}],"retyped":[{"name":"a2","from":"varchar(10)","to":"varchar(20) not null"}]},"understood":true}"#,
    ),
    (
        "ALTER TABLE t MODIFY c INT NOT NULL FIRST",
        r#"{"kind":"alter","columns":{"moved":["c"]},"understood":true}"#,
    ),
    (
        "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, c)",
        r#"{"kind":"alter","key":{"from":["id"],"to":["id","c"]},"understood":true}"#,
    ),
    ("DROP TABLE t", r#"{"kind":"drop","understood":true}"#),
    (
        "CREATE TABLE v (a INT PRIMARY KEY)",
        r#"{"kind":"create","columns":{"added":[{"name":"a","type":"int not null"}]},"key":{"from":[],"to":["a"]},"understood":true}"#,
    ),
    ("RENAME TABLE t TO v", r#"{"kind":"rename","renamed_to":"d.v","understood":true}"#),
    ("RENAME TABLE t TO v, v TO w", r#"{"kind":"rename","renamed_to":"d.w","understood":true}"#),
    ("RENAME TABLE t TO v, v TO t", r#"{"kind":"rename","understood":true}"#),
];

#[test]
fn changes_say_what_changed() {
    for (sql, wanted) in CHANGES {
        let mut history = history();
        say(&mut history, "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(10), b TEXT, c INT NOT NULL)");
        assert_eq!(say(&mut history, sql)[0].change.json(), *wanted, "{sql}");
    }
}

#[test]
fn tables_are_swapped_as_gh_ost_and_pt_osc_do() {
    for swap in [
        &[
            "create /* gh-ost */ table `d`.`_t_gho` like `d`.`t`",
            "alter /* gh-ost */ table `d`.`_t_gho` ADD COLUMN `n` INT FIRST, ENGINE=InnoDB",
            "rename /* gh-ost */ table `d`.`t` to `d`.`_t_del`, `d`.`_t_gho` to `d`.`t`",
            "drop /* gh-ost */ table if exists `d`.`_t_del`",
        ][..],
        &[
            "CREATE TABLE `d`.`_t_new` (\n  `id` int NOT NULL,\n  `v` varchar(10) DEFAULT NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB",
            "ALTER TABLE `d`.`_t_new` ADD n int first",
            "RENAME TABLE `d`.`t` TO `d`.`_t_old`, `d`.`_t_new` TO `d`.`t`",
            "DROP TABLE IF EXISTS `_t_old` /* generated by server */",
        ],
    ] {
        let mut history = history();
        history.databases.insert("d".into(), "latin1".into());
        say(&mut history, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10))");
        let mut told = Vec::new();
        for sql in swap {
            told.extend(say(&mut history, sql));
        }
        assert_eq!(tables(&history), ["t: n int, id int!, v varchar(10) latin1 / id"]);
        let of_t = told.iter().find(|t| t.key == key("t")).unwrap();
        assert!(
            of_t.change.json().contains(r#""added":[{"name":"n","type":"int"}]"#),
            "{}",
            of_t.change.json()
        );
    }
}

#[test]
fn names_without_upper_and_lower_case() {
    let mut history = history();
    history.fold = true;
    say(&mut history, "CREATE TABLE D.T (a int)");
    say(&mut history, "ALTER TABLE d.t ADD B int");
    assert_eq!(tables(&history), ["t: a int, B int"]);
}
