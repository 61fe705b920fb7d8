//! Lets changelogs forget what retention allows and every route is past (invariant 6).

use std::collections::BTreeMap;
use std::time::Duration;

use forebay_changelog::Log;
use forebay_model::{Fault, Offset};
use forebay_store::DocKind;

use super::Engine;
use super::kept::first_kept;
use super::replay;
use crate::definition::RouteDef;

/// How often, unless a changelog is full.
const EVERY: Duration = Duration::from_secs(5);
/// How often while one is.
const WHILE_FULL: Duration = Duration::from_millis(100);

/// Trims for ever.
pub(super) async fn keep_trimming(engine: &Engine) {
    loop {
        let full = engine.trim_all().await;
        tokio::time::sleep(if full { WHILE_FULL } else { EVERY }).await;
    }
}

impl Engine {
    /// Trims every changelog once; says whether one of them is full.
    ///
    /// What a route claims is read from its definition and its checkpoint, and not from what runs: a route that is being
    /// paused, replayed or mended claims as much as a running one (invariant 6).
    async fn trim_all(&self) -> bool {
        let routes: BTreeMap<String, RouteDef> = match self.defined(DocKind::Routes) {
            Ok(routes) => routes,
            Err(fault) => {
                tracing::error!(code = fault.code().name, "nothing is trimmed: {fault}");
                return false;
            }
        };
        let claimed = |source: &str, head: Offset| -> Offset {
            let reading = routes.iter().filter(|(_, def)| def.source == source);
            // one that has no checkpoint yet may want everything
            let offsets =
                reading.map(|(name, _)| self.inner.parts.checkpoints.get(name).map_or(0, |at| at.offset));
            offsets.min().unwrap_or(head)
        };
        let logs: Vec<_> = {
            let running = self.inner.running.lock().await;
            running.sources.iter().filter_map(|(name, s)| Some((name.clone(), s.log.clone()?))).collect()
        };
        let mut full = false;
        for (name, log) in logs {
            if let Err(fault) = trim(&log, |head| claimed(&name, head)).await {
                tracing::error!(source = name, code = fault.code().name, "{fault}");
            }
            for (route, _) in routes.iter().filter(|(_, def)| def.source == name) {
                if let Err(fault) = self.forget(route, log.first()).await {
                    tracing::error!(route, code = fault.code().name, "{fault}");
                }
            }
            full |= log.state().paused.is_some();
        }
        full
    }
}

impl Engine {
    /// What ran with events that are gone is not needed any more.
    async fn forget(&self, route: &str, first: Offset) -> Result<(), Fault> {
        if replay::forget(self.store(), route, first).await? {
            self.store().sweep_plugins().await?;
        }
        Ok(())
    }
}

/// Trims one changelog to what routes claim, and what tables in quarantine need: it says that itself, whether its source is
/// connected or not.
async fn trim(log: &Log, claimed: impl FnOnce(Offset) -> Offset) -> Result<(), Fault> {
    // what comes after this may belong to a quarantine that nobody knows of yet
    let head = log.head();
    let reading = log.clone();
    let kept = tokio::task::spawn_blocking(move || first_kept(&reading)).await.expect("notes are read")?;
    log.trim(Some(claimed(head).min(head).min(kept.unwrap_or(head)))).await?;
    Ok(())
}
