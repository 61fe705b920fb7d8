//! What cannot be seen from outside: guests are deterministic, so no guest plans something else the second time.

use std::path::Path;

use forebay_model::{Column, ColumnType};

use super::*;
use crate::host::Host;

#[tokio::test]
async fn an_instance_that_plans_something_else_is_not_accepted() {
    let exe = std::env::current_exe().unwrap();
    let guest = exe.ancestors().find_map(|dir| std::fs::read(dir.join("guests/hostile.wasm")).ok());
    let folder = tempfile::tempdir().unwrap();
    let host = Host::new(&Path::new(folder.path()).join("compiled")).unwrap();
    let plugin = host.load(&guest.expect("make plugins")).unwrap();
    let column =
        |name: &str, ty| Column { name: name.to_owned(), ty, nullable: true, native: "x".to_owned() };
    let columns = vec![
        column("id", ColumnType::Integer { bits: 32, unsigned: false }),
        column("note", ColumnType::Text),
    ];
    let (database, table) = ("shop".to_owned(), "orders".to_owned());
    let table = TableSchema { lineage: Default::default(), database, table, columns, key: vec![0] }.shared();
    let mut binding =
        plugin.bind("test", &table, r#"{"do": "unchanged"}"#, &Limits::default()).await.unwrap();
    binding.rest();
    assert!(binding.reopen().await.is_ok());
    // as if the first one had planned to filter, too
    binding.said.filters = !binding.said.filters;
    let fault = binding.reopen().await.err().expect("another plan");
    assert_eq!(fault.code(), codes::BAD_PLAN);
    assert!(fault.message().contains("planned something else for shop.orders than before"), "{fault}");
    assert_eq!(binding.memory_bytes(), 0);
}
