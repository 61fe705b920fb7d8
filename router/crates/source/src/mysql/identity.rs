//! Who we are among the server's replicas.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use forebay_model::Fault;

use super::wire::Conn;
use super::{Config, faults};
use crate::codes;

/// The id to read the binlog under: the one that was set, or a random high one that nobody has.
pub(crate) async fn server_id(conn: &mut Conn, config: &Config) -> Result<u32, Fault> {
    let own = conn
        .query("SELECT @@GLOBAL.server_id")
        .await
        .map_err(|e| faults::wire(e, "cannot read the server's id"))?;
    let own = own.firsts().next().and_then(|id| id.parse().ok()).unwrap_or(0);
    if let Some(id) = config.server_id {
        if id == own || id == 0 {
            let what = format!(
                "the source's server_id {id} cannot be used: 0 is none, and {own} is the server's own"
            );
            return Err(
                Fault::new(codes::SERVER_ID, what).fix("leave the source's server_id out, or choose another")
            );
        }
        return Ok(id);
    }
    // who may not see the replicas still gets an id: among 2^31 a clash is unlikely
    let taken: HashSet<u32> = match conn.query("SHOW REPLICAS").await {
        Ok(rows) => rows.firsts().filter_map(|id| id.parse().ok()).collect(),
        Err(_) => HashSet::new(),
    };
    let random = RandomState::new();
    let id =
        (0u32..).map(|n| random.hash_one(n) as u32 | 1 << 31).find(|id| *id != own && !taken.contains(id));
    Ok(id.unwrap_or(u32::MAX))
}
