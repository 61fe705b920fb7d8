//! Guests, tables and batches for the tests.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, Int32Array, StringArray};
use forebay_model::{Batch, Column, ColumnType, Fault, Kind, Origin, Run, TableSchema, Txn};
use forebay_transform::{Applied, Binding, Host, Limits, Place, Plugin};

/// The bytes of a guest, from the `guests` folder of the target directory that this test was built in.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let exe = std::env::current_exe().expect("a test has a path");
    let found =
        exe.ancestors().find_map(|folder| std::fs::read(folder.join(format!("guests/{name}.wasm"))).ok());
    found.unwrap_or_else(|| {
        panic!(
            "no guests/{name}.wasm in the target directory of {}: run `scripts/wasm-rust guests`",
            exe.display()
        )
    })
}

/// One host for all tests; compiled guests are kept from run to run.
pub(crate) fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| Host::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled")).expect("a host"))
}

pub(crate) fn plugin(name: &str) -> Plugin {
    host().load(&guest(name)).expect("a plugin")
}

pub(crate) fn column(name: &str, ty: ColumnType, nullable: bool, native: &str) -> Column {
    Column { name: name.to_owned(), ty, nullable, native: native.to_owned() }
}

pub(crate) fn table(columns: Vec<Column>) -> Arc<TableSchema> {
    TableSchema {
        database: "shop".to_owned(),
        table: "orders".to_owned(),
        columns,
        key: vec![0],
        lineage: Default::default(),
    }
    .shared()
}

pub(crate) fn id_column() -> Column {
    column("id", ColumnType::Integer { bits: 32, unsigned: false }, false, "int")
}

pub(crate) fn text_column(name: &str) -> Column {
    column(name, ColumnType::Text, true, "varchar(64)")
}

/// `id int primary key, note varchar(64)`.
pub(crate) fn notes() -> Arc<TableSchema> {
    table(vec![id_column(), text_column("note")])
}

/// Images of a table, one run for each event; the events' offsets are 0, 1, ...
pub(crate) fn batch(table: &Arc<TableSchema>, kinds: Vec<Kind>, columns: Vec<ArrayRef>) -> Batch {
    let starts = kinds.iter().enumerate().filter(|(_, kind)| **kind != Kind::After);
    let run = |(event, row)| Run { pos: 4, row, event, nth: event, txn: 0, seconds: 0, part: 0 };
    let runs = starts.enumerate().map(|(event, (row, _))| run((event as u32, row as u32))).collect();
    let batch = Batch { table: table.clone(), kinds, runs, columns, absent: Vec::new(), routing: None };
    batch.check();
    batch
}

/// One transaction of the source `test`, whose block starts at offset 1000.
pub(crate) fn place() -> Place<'static> {
    static ORIGIN: OnceLock<Origin> = OnceLock::new();
    let txn = Txn {
        uuid: [0xab; 16],
        number: 7,
        commit_us: 1_700_000_000_123_456,
        thread: 1,
        server_id: 1,
        file: 0,
        tag: 0,
    };
    let origin = ORIGIN.get_or_init(|| Origin { txns: vec![txn], strings: vec!["binlog.000001".to_owned()] });
    Place { source: "test", first: 1000, origin }
}

/// Inserts into [`notes`]: ids 0, 1, ...
pub(crate) fn inserts(table: &Arc<TableSchema>, notes: &[Option<&str>]) -> Batch {
    let ids: Int32Array = (0..notes.len() as i32).collect();
    let notes: StringArray = notes.iter().copied().collect();
    batch(table, vec![Kind::Insert; notes.len()], vec![Arc::new(ids), Arc::new(notes)])
}

pub(crate) fn texts(column: &ArrayRef) -> Vec<Option<&str>> {
    column.as_string::<i32>().iter().collect()
}

pub(crate) fn hostile() -> &'static Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| plugin("hostile"))
}

/// The hostile guest's configuration.
pub(crate) fn config(does: &str) -> String {
    format!(r#"{{"do": "{does}"}}"#)
}

/// The hostile guest, bound to a table with small limits.
pub(crate) async fn bind(does: &str, table: &Arc<TableSchema>) -> Result<Binding, Fault> {
    let limits = Limits { batch_time: std::time::Duration::from_millis(300), ..Limits::default() };
    Ok(hostile().bind("test", table, &config(does), &limits).await?)
}

/// The hostile guest, applied once to three notes.
pub(crate) async fn once(does: &str, notes_: [Option<&str>; 3]) -> Result<Applied, Fault> {
    let table = notes();
    bind(does, &table).await?.apply(&inserts(&table, &notes_), &place()).await
}

/// Everything that is not computed came through as it was.
pub(crate) fn assert_same(column: &ArrayRef, other: &ArrayRef) {
    assert_eq!(column.to_data(), other.to_data());
}
