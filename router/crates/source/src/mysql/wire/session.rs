//! What a session must be like, whatever the server's global variables and `init_connect` make of it.
//!
//! What is read through a connection decides what a table's columns are called and which rows it has: a limit on rows, another
//! character set or another way to quote names must not.

use forebay_model::Fault;

use super::{Conn, Flavour};
use crate::mysql::faults;

/// DEFAULT would be the global value.
const ALL_ROWS: u64 = u64::MAX;

impl Conn {
    /// Makes the session what every reader here takes it for. `init_connect` has run before.
    ///
    /// # Errors
    /// If the server does not take it.
    pub(super) async fn set_up(&mut self) -> Result<(), Fault> {
        let no_time_limit = match self.server.flavour {
            Flavour::MySql => "max_execution_time = 0",
            Flavour::MariaDb => "max_statement_time = 0",
        };
        let variables = format!(
            "SET NAMES utf8mb4, SESSION sql_mode = '', SESSION autocommit = 1, SESSION sql_select_limit = {ALL_ROWS}, \
             SESSION sql_big_selects = 1, SESSION sql_quote_show_create = 1, SESSION {no_time_limit}"
        );
        let set = self.query(&variables).await;
        set.map_err(|e| faults::wire(e, "cannot set up a session"))?;
        if self.server.flavour == Flavour::MySql {
            // best effort: before 8.0.30 there are no invisible keys that could be hidden
            let _ = self.query("SET SESSION show_gipk_in_create_table_and_information_schema = ON").await;
        }
        Ok(())
    }
}
