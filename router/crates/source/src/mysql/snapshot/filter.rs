//! Whether a filter is an expression over the table's columns, and nothing more: it must parse inside parentheses and
//! without them, so that it can neither close them nor add a clause.

use forebay_model::Fault;

use super::super::faults;
use super::super::wire::{Conn, WireError};
use super::shape::Shape;
use super::{Trouble, trouble};
use crate::codes;

/// Checks it.
pub(super) async fn check(conn: &mut Conn, shape: &Shape, filter: &str) -> Result<(), Trouble> {
    let name = shape.table.full_name();
    for sql in [format!("(\n{filter}\n)"), format!("\n{filter}\n")] {
        let sql = format!("SELECT 1 FROM {} WHERE {sql} LIMIT 0", shape.from);
        let wrong = || {
            Fault::new(codes::SNAPSHOT_FILTER, format!("the snapshot's filter for {name} cannot be used")).fix(
                "write it as the condition of a WHERE over the table's columns, such as: created_at >= '2026-01-01'",
            )
        };
        match conn.prepare(&sql).await {
            Ok(statement) if statement.parameters == 0 => {
                conn.close(statement).await.map_err(|e| trouble(e, &name, "cannot check the filter"))?;
            }
            Ok(_) => return Err(wrong().cause("it has a question mark").into()),
            // what the server says of the statement and not of itself
            Err(WireError::Server { code, message }) => {
                let fault = faults::wire(WireError::Server { code, message: message.clone() }, "the filter");
                let cause = WireError::Server { code, message };
                if fault.code() == codes::STATEMENT {
                    return Err(wrong().cause(cause).into());
                }
                return Err(trouble(cause, &name, "cannot check the filter"));
            }
            Err(e) => return Err(trouble(e, &name, "cannot check the filter")),
        }
    }
    Ok(())
}
