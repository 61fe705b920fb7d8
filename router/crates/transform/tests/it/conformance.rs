//! The same guest written with each SDK does the same: every case is run in every language, and must give the outcome
//! that stands here. What came of it is `docs/conformance.md` (`UPDATE=1 cargo test -p forebay-transform --test it
//! conformance`).

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type, UInt64Type};
use arrow_array::{Array as _, ArrayRef, Int32Array, StringArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use forebay_model::{Batch, Code, Kind};
use forebay_transform::{Applied, Limits, PluginInfo, codes};

use crate::support::{batch, config, host, notes, place, plugin};

/// Language, and the guest that is written in it.
const LANGUAGES: [(&str, &str); 2] = [("Rust", "conformance"), ("Go", "conformance-go")];

/// One thing that a plugin does.
struct Case {
    does: &'static str,
    what: &'static str,
    want: Want,
}

enum Want {
    /// The batch afterwards, as `told` writes it.
    Batch(&'static str),
    /// A fault: its code, what it says, and what it must not say.
    Fault { code: Code, says: &'static [&'static str], hides: &'static [&'static str] },
}

const fn fault(code: Code, says: &'static [&'static str]) -> Want {
    Want::Fault { code, says, hides: &[] }
}

/// The images that every case is given: `kind id note`, `-` = NULL, `?` = absent. The first image is of a snapshot.
const INPUT: &str = "r 1 héllo, c 2 -, b 3 poison, a 3 日本, d 4 ?, c 5 , c 6 poison";

const CASES: &[Case] = &[
    Case {
        does: "identity",
        what: "reads a column and leaves its cells as they came",
        want: Want::Batch("id note: r 1 héllo, c 2 -, b 3 poison, a 3 日本, d 4 ?, c 5 , c 6 poison"),
    },
    Case {
        does: "columns",
        what: "renames a column and nullifies another, without a call",
        want: Want::Batch("key note: r 1 -, c 2 -, b 3 -, a 3 -, d 4 ?, c 5 -, c 6 -"),
    },
    Case {
        does: "drop",
        what: "drops the images whose note is `poison`",
        want: Want::Batch("id note: r 1 héllo, c 2 -, c 3 日本, d 4 ?, c 5 ; filtered 1"),
    },
    Case {
        does: "mask",
        what: "keeps the first character, stars for the others",
        want: Want::Batch("id note: r 1 h****, c 2 -, b 3 p*****, a 3 日*, d 4 ?, c 5 , c 6 p*****"),
    },
    Case {
        does: "hash",
        what: "HMAC-SHA-256 of the note, the first 8 digits",
        want: Want::Batch(
            "id note: r 1 aba8e806, c 2 -, b 3 31a60859, a 3 19f0c25c, d 4 ?, c 5 5d5d1395, c 6 31a60859",
        ),
    },
    Case {
        does: "fast_hash",
        what: "SipHash-2-4 of the note, the first 8 digits of 32",
        want: Want::Batch(
            "id note: r 1 ee756e5f, c 2 -, b 3 758f90d3, a 3 598fb8bc, d 4 ?, c 5 16c06a52, c 6 758f90d3",
        ),
    },
    Case {
        does: "null_in_retyped",
        what: "says that the note is never NULL afterwards, and leaves the NULLs that there are",
        want: fault(codes::BAD_OUTPUT, &["column `note`: NULL came back as it came"]),
    },
    Case {
        does: "append",
        what: "a new column with the note's length in bytes",
        want: Want::Batch(
            "id note length: r 1 héllo 6, c 2 - -, b 3 poison 6, a 3 日本 6, d 4 ? ?, c 5  0, c 6 poison 6",
        ),
    },
    Case {
        does: "reject",
        what: "rejects the images whose note is `poison`: their whole events go to the dead letters",
        want: Want::Batch(
            "id note: r 1 héllo, c 2 -, d 4 ?, c 5 ; rejected 2 not this one; rejected 5 not this one",
        ),
    },
    Case {
        does: "route",
        what: "sends the images whose note is longer than two bytes to the place `long`",
        want: Want::Batch(
            "id note: r 1 héllo > long, c 2 -, b 3 poison > long, a 3 日本 > long, d 4 ?, c 5 , c 6 poison > long",
        ),
    },
    Case {
        does: "stamps",
        what: "a constant and metadata as new columns, and deleted rows kept, without a call",
        want: Want::Batch(
            "id note country op offset gone: r 1 héllo AU r 1000 0, c 2 - AU c 1001 0, b 3 poison AU u 1002 0, \
             a 3 日本 AU u 1002 0, b 4 ? AU u 1003 0, a 4 ? AU u 1003 1, c 5  AU c 1004 0, c 6 poison AU c 1005 0",
        ),
    },
    Case {
        does: "kinds",
        what: "a new column with the images' kinds",
        want: Want::Batch(
            "id note kind: r 1 héllo 0, c 2 - 1, b 3 poison 2, a 3 日本 3, d 4 ? 4, c 5  1, c 6 poison 1",
        ),
    },
    Case {
        does: "data_error",
        what: "says that it cannot do a batch",
        want: fault(codes::DATA, &["cannot do this"]),
    },
    Case {
        does: "trap",
        what: "panics with a literal text: the operator reads place and text",
        want: fault(codes::TRAP, &["pply: panicked at ", ": apply goes wrong"]),
    },
    Case {
        does: "formatted_trap",
        what: "panics with a text that holds a row's value: the operator reads the place only",
        want: Want::Fault {
            code: codes::TRAP,
            says: &["onformance", "pply: panicked at ", " (its text is left out"],
            hides: &["héllo", "the note is"],
        },
    },
    Case { does: "loop", what: "never ends", want: fault(codes::TIMEOUT, &["without an end"]) },
    Case { does: "grow", what: "allocates without an end", want: fault(codes::MEMORY, &["bytes of memory"]) },
    Case {
        does: "config_error",
        what: "refuses its configuration",
        want: fault(codes::CONFIG, &["do: no such thing"]),
    },
    Case {
        does: "no_such_thing",
        what: "is given a configuration that does not fit its type",
        want: fault(codes::CONFIG, &["do: unknown variant"]),
    },
    Case {
        does: "schema_error",
        what: "refuses the table",
        want: fault(codes::SCHEMA, &["do: column `id` is int, not text"]),
    },
];

#[tokio::test]
async fn conformance_of_every_language() {
    let mut table = String::from(HEAD);
    let mut wrong = String::new();
    for case in CASES {
        let mut cells = String::new();
        for (language, guest) in LANGUAGES {
            let verdict = run(guest, case.does).await;
            let passed = passes(&verdict, &case.want);
            let _ = write!(cells, " {} |", if passed { "yes" } else { "**no**" });
            if !passed {
                let _ = writeln!(wrong, "{} in {language}: {verdict:?}", case.does);
            }
        }
        let outcome = match &case.want {
            Want::Batch(told) => format!("`{told}`"),
            Want::Fault { code, .. } => format!("`{}`", code.name),
        };
        let _ = writeln!(table, "| `{}` | {} | {outcome} |{cells}", case.does, case.what);
    }
    assert!(wrong.is_empty(), "{wrong}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/conformance.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &table).expect("the document can be written");
    }
    let document = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        document == table,
        "docs/conformance.md is out of date: UPDATE=1 cargo test -p forebay-transform --test it conformance"
    );
}

const HEAD: &str = "# Conformance of the SDKs\n\n\
    Written by the test that runs every case in every language (`UPDATE=1 cargo test -p forebay-transform --test it \
    conformance`). The guests are\n[Rust](../plugins/tests/conformance) and [Go](../plugins/tests/conformance-go); \
    \"yes\" means that the outcome was the one in the table.\n\n\
    The images that came in, as `kind id note`: `r 1 héllo, c 2 -, b 3 poison, a 3 日本, d 4 ?, c 5 , c 6 poison`. \
    Kinds are `r` snapshot, `c`\ninsert, `b` and `a` an update's before and after image, `d` delete; `-` is NULL, `?` \
    is not in the image; `> long` is where an image goes.\n\n\
    | Case | The plugin ... | Outcome | Rust | Go |\n|---|---|---|---|---|\n";

/// What came of a case: the batch as text, or the fault.
async fn run(guest: &str, does: &str) -> Result<String, (Code, String)> {
    let table = notes();
    let limits = Limits { batch_time: Duration::from_millis(300), ..Limits::default() };
    let input = input();
    let told_input = told(&Applied { batch: input.clone(), filtered_events: 0, rejects: Vec::new() });
    assert_eq!(told_input, format!("id note: {INPUT}"));
    let plugin = plugin(guest);
    let outcome = async {
        let mut binding = plugin.bind("test", &table, &config(does), &limits).await?;
        binding.apply(&input, &place()).await
    };
    outcome.await.map(|applied| told(&applied)).map_err(|fault| (fault.code(), fault.message()))
}

fn passes(verdict: &Result<String, (Code, String)>, want: &Want) -> bool {
    match (verdict, want) {
        (Ok(told), Want::Batch(want)) => told == want,
        (Err((code, message)), Want::Fault { code: wanted, says, hides }) => {
            code == wanted
                && says.iter().all(|words| message.contains(words))
                && !hides.iter().any(|words| message.contains(words))
        }
        _ => false,
    }
}

fn input() -> Batch {
    use Kind::{After, Before, Delete, Insert, Snapshot};
    let ids = Int32Array::from(vec![1, 2, 3, 3, 4, 5, 6]);
    let cells = [Some("héllo"), None, Some("poison"), Some("日本"), None, Some(""), Some("poison")];
    let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(StringArray::from(cells.to_vec()))];
    let mut input = batch(&notes(), vec![Snapshot, Insert, Before, After, Delete, Insert, Insert], columns);
    input.absent = vec![None, Some(BooleanBuffer::collect_bool(7, |row| row == 4))];
    input
}

/// A batch in one line.
fn told(applied: &Applied) -> String {
    let batch = &applied.batch;
    batch.check();
    let names: Vec<&str> = batch.table.columns.iter().map(|column| &*column.name).collect();
    let image = |row: usize| {
        let cells = (0..batch.columns.len()).map(|column| cell(batch, column, row));
        let kind = match batch.kinds[row] {
            Kind::Snapshot => "r",
            Kind::Insert => "c",
            Kind::Before => "b",
            Kind::After => "a",
            Kind::Delete => "d",
        };
        let place = batch.routing(row).map(|place| format!("> {place}"));
        std::iter::once(kind.to_owned()).chain(cells).chain(place).collect::<Vec<_>>().join(" ")
    };
    let images: Vec<String> = (0..batch.rows()).map(image).collect();
    let mut told = format!("{}: {}", names.join(" "), images.join(", "));
    for reject in &applied.rejects {
        let _ = write!(told, "; rejected {} {}", reject.event, reject.reason);
    }
    if applied.filtered_events > 0 {
        let _ = write!(told, "; filtered {}", applied.filtered_events);
    }
    told
}

fn cell(batch: &Batch, column: usize, row: usize) -> String {
    let cells = &batch.columns[column];
    if batch.is_absent(column, row) {
        return "?".to_owned();
    }
    if cells.is_null(row) {
        return "-".to_owned();
    }
    match cells.data_type() {
        DataType::Int32 => cells.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => cells.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt64 => cells.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Utf8 => cells.as_string::<i32>().value(row).to_owned(),
        other => panic!("no case has a column of {other}"),
    }
}

#[test]
fn every_language_says_who_it_is() {
    for (_, guest) in LANGUAGES {
        let PluginInfo { name, version, description, secrets, .. } = plugin(guest).info().clone();
        assert_eq!((&*name, &*version), ("conformance", "0.1.0"));
        assert_eq!(description, "Does what plugins do, one thing at a time, for the tests.");
        assert_eq!(secrets, ["key"]);
    }
    let _ = host();
}

/// What Go's runtime must import is answered inside the component: nothing of this machine is seen, nor of this hour.
#[tokio::test]
async fn a_go_plugin_sees_nothing_around_it() {
    let (code, first) = run("conformance-go", "surroundings").await.unwrap_err();
    assert_eq!(code, codes::DATA);
    let seen = "0 arguments, 0 variables, a file: false, year 2023, an hour asleep: true, random ";
    assert!(first.contains(seen), "{first}");
    let (_, again) = run("conformance-go", "surroundings").await.unwrap_err();
    assert_eq!(first, again);
}
