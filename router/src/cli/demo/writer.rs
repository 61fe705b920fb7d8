//! The demo's live writer: a shop's day, a change at a time.

use std::time::Duration;

use mysql_async::prelude::Queryable;

/// Writes for ever.
pub(super) async fn write(pool: &mysql_async::Pool) -> anyhow::Result<()> {
    let mut conn = pool.get_conn().await?;
    for day in 0u64.. {
        for statement in statements(day) {
            conn.query_drop(statement).await?;
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }
    Ok(())
}

/// What happens on one day: every kind of change, in each of the databases, and one transaction over two tables.
fn statements(day: u64) -> Vec<String> {
    let states = ["NSW", "VIC", "QLD", "WA"];
    let state = states[day as usize % states.len()];
    vec![
        format!(
            "INSERT INTO active.tenants (name, street_number, street_name, suburb, state, postcode, country_id, timezone) \
             VALUES ('Tenant {day}', '{}', 'Test St', 'Sydney', '{state}', '2000', 1, 'Australia/Sydney')",
            100 + day
        ),
        format!("UPDATE active.tenants SET suburb = 'Parramatta' WHERE name = 'Tenant {day}'"),
        format!(
            "INSERT INTO retail_db.customers (first_name, last_name, email, phone, city, state) \
             VALUES ('Jane', 'Smith', 'jane.smith{day}@email.com', '555-{:04}', 'Seattle', 'WA')",
            day % 10_000
        ),
        format!(
            "BEGIN; INSERT INTO retail_db.orders (customer_id, order_status, total_amount, payment_method) \
             VALUES (1, 'PENDING', {day}.50, 'PayPal'); \
             UPDATE retail_db.products SET stock_quantity = stock_quantity - 1 WHERE product_id = 2; COMMIT"
        ),
        format!("INSERT INTO testdb.users (name, email) VALUES ('David', 'david{day}@example.com')"),
        format!(
            "UPDATE testdb.users SET email = 'd{day}@example.org' WHERE email = 'david{day}@example.com'"
        ),
        format!(
            "INSERT INTO export.member_scans (member_id, location_id, weight, height, bmi, sex, enabled, created_at) \
             VALUES ({day}, 7, {}, 181, 24, 1, 1, NOW(3))",
            700 + day % 200
        ),
        format!("DELETE FROM active.tenants WHERE name = 'Tenant {day}'"),
        format!("DELETE FROM testdb.users WHERE email = 'd{day}@example.org'"),
    ]
}
