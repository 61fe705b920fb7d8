//! The databases that tests, demo and bench know by name, as plain SQL files in `tests/kit/seeds/`.
//!
//! Each file runs as it is in one session (`mysql < FILE`, or one call of a client that takes several statements).

use anyhow::Result;

use crate::Server;

/// `active.tenants`: zero dates, `INT UNSIGNED`, predicates that are not on the key.
pub const ACTIVE: &str = include_str!("../seeds/active.sql");
/// `testdb.users`: the simplest table.
pub const TESTDB: &str = include_str!("../seeds/testdb.sql");
/// `retail_db`: customers, orders with a foreign key, products; DECIMAL, TEXT, personal data.
pub const RETAIL_DB: &str = include_str!("../seeds/retail_db.sql");
/// `export.member_scans`: 228 columns.
pub const EXPORT: &str = include_str!("../seeds/export.sql");

/// Inserts, updates and deletes of `active.tenants`.
pub const ACTIVE_CHANGES: &str = include_str!("../seeds/active-changes.sql");
/// One insert, one update, one delete of `testdb.users`.
pub const TESTDB_CHANGES: &str = include_str!("../seeds/testdb-changes.sql");
/// Changes of `retail_db`, two of which change nothing.
pub const RETAIL_DB_CHANGES: &str = include_str!("../seeds/retail_db-changes.sql");

/// Makes all four databases with their first rows. Their names are fixed, so this is for a [`Server`] of one's own.
///
/// # Errors
/// What the server reports.
pub async fn load(server: &Server) -> Result<()> {
    for sql in [ACTIVE, TESTDB, RETAIL_DB, EXPORT] {
        server.exec(sql).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn load_and_change() {
        let server = Server::start(&[]).await.unwrap();
        load(&server).await.unwrap();
        for sql in [ACTIVE_CHANGES, TESTDB_CHANGES, RETAIL_DB_CHANGES] {
            server.exec(sql).await.unwrap();
        }
        let text = |sql: &'static str| {
            let server = &server;
            async move { server.query::<String>(sql).await.unwrap() }
        };
        let tenants = "SELECT CONCAT_WS('|', id, name, suburb, updated_at) FROM active.tenants ORDER BY id";
        assert_eq!(
            text(tenants).await,
            [
                "1|Acme Corp|Surry Hills|0000-00-00 00:00:00",
                "2|Tech Solutions|Melbourne|0000-00-00 00:00:00",
                "4|Global Services|Perth|0000-00-00 00:00:00",
            ]
        );
        let users = "SELECT CONCAT_WS('|', id, email) FROM testdb.users ORDER BY id";
        assert_eq!(
            text(users).await,
            ["1|alice.new@example.com", "2|bob@example.com", "4|david@example.com"]
        );
        let columns =
            "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.columns WHERE table_schema = 'export'";
        assert_eq!(text(columns).await, ["228"]);
        let orders =
            "SELECT CONCAT_WS('|', order_id, order_status, total_amount) FROM retail_db.orders ORDER BY 1";
        assert_eq!(text(orders).await, ["1|SHIPPED|1329.98", "2|PROCESSING|29.99", "3|SHIPPED|249.99"]);
    }
}
