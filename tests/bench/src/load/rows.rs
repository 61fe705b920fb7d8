//! A table to take a snapshot of: as many rows as the load has changes, and nothing of them in the binlog.

use anyhow::{Context, Result, ensure};
use forebay_kit::mysql_async::prelude::Queryable;

use super::{DATABASE, Loaded};

/// The database of the table, which the load's own routes do not capture.
pub(crate) const ROWS: &str = "bench_rows";

/// Makes the table from the load's own rows, unless an earlier run has left it there.
pub(crate) async fn fill(loaded: &Loaded) -> Result<()> {
    let mut conn = loaded.server.connect().await?;
    let sql = format!("SELECT table_name FROM information_schema.tables WHERE table_schema = '{DATABASE}'");
    let table: String = conn.query_first(sql).await?.context("the load has a table")?;
    let (from, to) = (format!("{DATABASE}.{table}"), format!("{ROWS}.{table}"));
    conn.query_drop("SET SESSION sql_log_bin = 0, group_concat_max_len = 65536").await?;
    conn.query_drop(format!("CREATE DATABASE IF NOT EXISTS {ROWS}")).await?;
    conn.query_drop(format!("CREATE TABLE IF NOT EXISTS {to} LIKE {from}")).await?;
    let columns: String = conn
        .query_first(format!(
            "SELECT GROUP_CONCAT(CONCAT('`', column_name, '`') ORDER BY ordinal_position) FROM information_schema.columns \
             WHERE table_schema = '{DATABASE}' AND table_name = '{table}' AND column_name <> 'id'"
        ))
        .await?
        .context("the table has columns")?;
    loop {
        let (rows, last): (u64, u64) = conn
            .query_first(format!("SELECT COUNT(*), IFNULL(MAX(id), 0) FROM {to}"))
            .await?
            .context("a count is a row")?;
        if rows == loaded.changes {
            return Ok(conn.disconnect().await?);
        }
        ensure!(rows < loaded.changes, "{to} has {rows} rows already: of another scale?");
        let missing = loaded.changes - rows;
        let copy = format!(
            "INSERT INTO {to} (id, {columns}) SELECT {last} + id, {columns} FROM {from} ORDER BY id LIMIT {missing}"
        );
        conn.query_drop(copy).await?;
    }
}
