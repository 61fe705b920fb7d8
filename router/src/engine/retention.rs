//! Lets changelogs forget what retention allows and every route is past (invariant 6).

use std::time::Duration;

use forebay_model::Offset;

use super::Engine;

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
    async fn trim_all(&self) -> bool {
        let logs: Vec<_> = {
            let running = self.inner.running.lock().await;
            let claimed = |source: &str| -> Option<Offset> {
                let routes = running.routes.iter().filter(|(_, route)| route.def.source == source);
                let at = |name: &str| self.inner.parts.checkpoints.get(name).map_or(0, |at| at.offset);
                routes.map(|(name, _)| at(name)).min()
            };
            let open = running.sources.iter().filter_map(|(name, s)| Some((name.clone(), s.log.clone()?)));
            open.map(|(name, log)| (claimed(&name), name, log)).collect()
        };
        let mut full = false;
        for (claimed, name, log) in logs {
            if let Err(fault) = log.trim(claimed).await {
                tracing::error!(source = name, code = fault.code().name, "{fault}");
            }
            full |= log.state().paused.is_some();
        }
        full
    }
}
