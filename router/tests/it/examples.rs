//! The examples of docs/plugins.md work: each chain of transforms is bound to the table that it is written for, and its
//! result has the columns that the example says.

use std::path::Path;
use std::sync::Arc;

use forebay_model::{Column, ColumnType, TableSchema};
use forebay_transform::{Host, Limits};
use serde_json::{Value, json};

use crate::docs::blocks;
use crate::rig::guest;

fn integer(bits: u8) -> ColumnType {
    ColumnType::Integer { bits, unsigned: false }
}

fn decimal() -> ColumnType {
    ColumnType::Decimal { precision: 10, scale: 2 }
}

/// A table of an example; the first column is the key and, like those that end in `!`, never NULL.
fn table(name: &str) -> Arc<TableSchema> {
    let text = |name| (name, ColumnType::Text, "varchar(100)");
    let int = |name| (name, integer(32), "int");
    let dec = |name| (name, decimal(), "decimal(10,2)");
    let stamp = |name| (name, ColumnType::Timestamp { fsp: 3 }, "timestamp(3)");
    let bool = |name| (name, integer(8), "tinyint(1)");
    let json = |name| (name, ColumnType::Json, "json");
    let columns = match name {
        "members" => vec![
            int("id"),
            int("member_id"),
            int("location_id"),
            int("weight"),
            int("height"),
            int("bmi"),
            int("pbf_rate"),
            int("muscle_quantity"),
            bool("enabled"),
            stamp("created_at"),
        ],
        "tenants" => ["id", "name", "suburb", "state", "timezone", "email"].map(text).to_vec(),
        "customers" => {
            ["customer_id", "first_name", "last_name", "email", "phone", "city", "state", "card", "note"]
                .map(text)
                .to_vec()
        }
        "orders" => vec![int("order_id"), int("customer_id"), text("order_status"), dec("total_amount")],
        "sales" => vec![
            int("sales_id"),
            int("ticket_number"),
            int("quantity"),
            dec("sales_price"),
            dec("ext_sales_price"),
            dec("net_profit"),
        ],
        "documents" => vec![int("id"), json("payload")],
        "outbox" => {
            vec![
                text("id"),
                text("aggregatetype"),
                text("aggregateid!"),
                text("type"),
                json("payload"),
                stamp("created_at"),
            ]
        }
        other => panic!("no table {other}"),
    };
    let column = |(at, (name, ty, native)): (usize, (&str, ColumnType, &str))| Column {
        nullable: at > 0 && !name.ends_with('!'),
        name: name.trim_end_matches('!').to_owned(),
        ty,
        native: native.to_owned(),
    };
    let columns = columns.into_iter().enumerate().map(column).collect();
    TableSchema {
        database: "shop".to_owned(),
        table: name.to_owned(),
        columns,
        key: vec![0],
        lineage: Default::default(),
    }
    .shared()
}

/// What references to secrets stand for.
fn with_secrets(config: &mut Value) {
    match config {
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("env") => {
            *config = json!("a secret")
        }
        Value::Object(fields) => fields.values_mut().for_each(with_secrets),
        Value::Array(items) => items.iter_mut().for_each(with_secrets),
        _ => {}
    }
}

#[tokio::test]
async fn the_examples_of_the_plugins_page_work() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/plugins.md");
    let page = std::fs::read_to_string(page).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let host = Host::new(cache.path()).unwrap();
    let mut examples = 0;
    for (info, text) in blocks(&page) {
        let Some(name) = info.strip_prefix("yaml transforms=") else { continue };
        examples += 1;
        let (result, _) = text.strip_prefix("# result: ").unwrap().split_once('\n').unwrap();
        let transforms: Vec<Value> = serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let mut table = table(name);
        for mut transform in transforms {
            let plugin = host.load(&guest(transform["plugin"].as_str().unwrap())).unwrap();
            with_secrets(&mut transform["config"]);
            let config = transform["config"].to_string();
            let bound = plugin.bind("test", &table, &config, &Limits::default()).await;
            let bound = bound.unwrap_or_else(|refusal| panic!("{text}\n{}", refusal.fault));
            table = bound.output().clone();
        }
        let columns: Vec<&str> = table.columns.iter().map(|column| &*column.name).collect();
        assert_eq!(columns.join(", "), result, "{text}");
    }
    assert!(examples >= 12, "{examples}");
}
