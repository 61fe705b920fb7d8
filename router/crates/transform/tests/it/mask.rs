//! The mask plugin: no image, before or after, carries an unmasked value.

use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, Int32Array, StringArray};
use arrow_buffer::BooleanBuffer;
use forebay_model::{Batch, Column, ColumnType, Fault, Kind};
use forebay_transform::{Binding, Limits, codes};
use proptest::prelude::*;

use crate::support::{batch, column, id_column, place, plugin, table, text_column, texts};

#[tokio::test]
async fn every_rule() {
    let names = ["email", "phone", "name", "ssn", "card", "note", "secret", "plain"];
    let mut columns = vec![id_column()];
    columns.extend(names.iter().map(|name| Column { nullable: *name != "note", ..text_column(name) }));
    columns.push(column("born", ColumnType::Date, true, "date"));
    let table = table(columns);
    let config = r#"{"columns": {
        "email": {"keep_domain": true}, "phone": {"keep_last": 4}, "name": {"keep_first": 1},
        "ssn": {"text": "REDACTED"}, "card": {"hash": {"key": "k", "encoding": "base64", "length": 10}},
        "note": {"null": true}, "secret": {"drop": true}, "born": {"hash": {"key": "k"}}}}"#;
    let mut binding = plugin("mask").bind("test", &table, config, &Limits::default()).await.unwrap();
    for name in &names[..7] {
        assert!(binding.plan().hides(name), "{name}");
    }
    assert!(!binding.plan().hides("plain"));

    let ids: ArrayRef = Arc::new(Int32Array::from(vec![7, 7]));
    let text = |before, after| Arc::new(StringArray::from(vec![before, after])) as ArrayRef;
    let born = Arc::new(Int32Array::from(vec![Some(2020 << 9 | 15), None]));
    let input = batch(
        &table,
        vec![Kind::Before, Kind::After],
        vec![
            ids,
            text(Some("jane@example.com"), Some("jo@example.com")),
            text(Some("+61 400 123 456"), None),
            text(Some("Émile"), Some("")),
            text(Some("123"), None),
            text(Some("4111"), Some("4111")),
            text(Some("private"), Some("private")),
            text(Some("x"), Some("y")),
            text(Some("plain"), None),
            born,
        ],
    );
    let applied = binding.apply(&input, &place()).await.unwrap();
    applied.batch.check();
    let after = |name: &str| {
        let index = applied.batch.table.column(name)?;
        Some(
            texts(&applied.batch.columns[index])
                .into_iter()
                .map(|t| t.map(str::to_owned))
                .collect::<Vec<_>>(),
        )
    };
    let of = |before: Option<&str>, after: Option<&str>| {
        Some(vec![before.map(str::to_owned), after.map(str::to_owned)])
    };
    assert_eq!(after("email"), of(Some("j***@example.com"), Some("j*@example.com")));
    assert_eq!(after("phone"), of(Some("*********** 456"), None));
    assert_eq!(after("name"), of(Some("É****"), Some("")));
    assert_eq!(after("ssn"), of(Some("REDACTED"), None));
    assert_eq!(after("note"), of(None, None));
    assert_eq!(after("secret"), None);
    assert_eq!(after("plain"), of(Some("plain"), None));
    // printf '4111' | openssl dgst -sha256 -hmac k -binary | base64
    assert_eq!(after("card"), of(Some("MTHXK9HmvM"), Some("MTHXK9HmvM")));
    // printf '2020-00-15' | openssl dgst -sha256 -hmac k
    let born = "73c6a58fe311a9e42ba047a294ac920888675260bd188b6e37bc85a02f87a3e0";
    assert_eq!(after("born"), of(Some(born), None));
    let note = &applied.batch.table.columns[applied.batch.table.column("note").unwrap()];
    assert!(note.nullable, "a column of NULLs can be NULL");
}

#[tokio::test]
async fn a_wrong_configuration_is_answered_with_its_path() {
    let table = table(vec![id_column(), text_column("email")]);
    let mask = plugin("mask");
    let bind = async |config: &str| -> Result<Binding, Fault> {
        Ok(mask.bind("test", &table, config, &Limits::default()).await?)
    };
    let fault = bind(r#"{"columns": {"email": {"hash": {"key": 5}}}}"#).await.unwrap_err();
    assert_eq!(fault.code(), codes::CONFIG);
    assert!(
        fault.message().contains("columns.email.hash.key: invalid type: integer, expected a string"),
        "{fault}"
    );
    let fault = bind(r#"{"columns": {"e_mail": {"null": true}}}"#).await.unwrap_err();
    assert_eq!(fault.code(), codes::SCHEMA);
    assert!(fault.message().contains("table shop.orders has no column `e_mail`"), "{fault}");
    let fault = bind(r#"{"columns": {"id": {"keep_first": 1}}}"#).await.unwrap_err();
    assert!(fault.message().contains("column `id` is int"), "{fault}");
    let config = r#"{"missing": "ignore", "columns": {"e_mail": {"null": true}}}"#;
    assert_eq!(bind(config).await.unwrap().output(), &table);
}

/// An event's images: kind, and the text (`None` = NULL) and absence of each.
fn events() -> impl Strategy<Value = Vec<(Kind, Option<String>, bool)>> {
    let cell = || (prop::option::weighted(0.9, "\\PC{2,12}"), prop::bool::weighted(0.1));
    let event = (0..4u8, cell(), cell()).prop_map(|(op, (a, a_absent), (b, b_absent))| match op {
        0 => vec![(Kind::Snapshot, a, a_absent)],
        1 => vec![(Kind::Insert, a, a_absent)],
        2 => vec![(Kind::Delete, a, a_absent)],
        _ => vec![(Kind::Before, a, a_absent), (Kind::After, b, b_absent)],
    });
    prop::collection::vec(event, 1..40).prop_map(|events| events.into_iter().flatten().collect())
}

fn images(table: &Arc<forebay_model::TableSchema>, images: &[(Kind, Option<String>, bool)]) -> Batch {
    let ids: Int32Array = (0..images.len() as i32).collect();
    let cells: StringArray =
        images.iter().map(|(_, text, absent)| text.as_deref().filter(|_| !absent)).collect();
    let kinds = images.iter().map(|(kind, ..)| *kind).collect();
    let mut batch = batch(table, kinds, vec![Arc::new(ids), Arc::new(cells)]);
    batch.absent = vec![None, Some(images.iter().map(|(.., absent)| *absent).collect::<BooleanBuffer>())];
    batch
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Of every image, before or after, the masked column is a function of its own value alone; what is NULL or
    /// absent stays so, and nothing else changes.
    #[test]
    fn no_image_carries_an_unmasked_value(images_in in events(), from in 0usize..5) {
        let table = table(vec![id_column(), text_column("email")]);
        let config = r#"{"columns": {"email": {"keep_first": 1}}}"#;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let whole = images(&table, &images_in);
        // a slice, as batches cut from blocks are
        let from = from.min(images_in.len() - 1);
        let from = if images_in[from].0 == Kind::After { from - 1 } else { from };
        let mut input = images(&table, &images_in[from..]);
        input.columns = whole.columns.iter().map(|c| c.slice(from, whole.rows() - from)).collect();
        let applied = runtime.block_on(async {
            let mut binding = plugin("mask").bind("test", &table, config, &Limits::default()).await.unwrap();
            binding.apply(&input, &place()).await.unwrap()
        });
        applied.batch.check();
        prop_assert_eq!(&applied.batch.kinds, &input.kinds);
        prop_assert_eq!(&applied.batch.columns[0], &input.columns[0]);
        for (row, (_, text, absent)) in images_in[from..].iter().enumerate() {
            let masked = texts(&applied.batch.columns[1])[row];
            prop_assert_eq!(applied.batch.is_absent(1, row), *absent);
            match text.as_deref().filter(|_| !absent) {
                None => prop_assert_eq!(masked, None),
                Some(text) => {
                    let mut characters = text.chars();
                    let want: String = characters.next().into_iter().chain(characters.map(|_| '*')).collect();
                    prop_assert_eq!(masked, Some(&*want));
                }
            }
        }
        prop_assert_eq!(applied.batch.columns[1].len(), input.rows());
    }
}
