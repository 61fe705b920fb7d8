//! Moving a source by hand: what it would skip or read again is said first; then it is done, durably.

use forebay_changelog::Entry;
use forebay_model::{Fault, Note};
use forebay_source::mysql::{self, Outlook, PositionTarget, Resolved};
use forebay_store::DocKind;

use super::{Engine, assemble, codes};
use crate::definition::SourceDef;

/// Notes that are true of one position only: what tables looked like there, which XA transactions were undecided, which one was last.
const OF_A_POSITION: [&str; 6] = ["schema/", "xa/", "xa-missed", "databases", "caution/", "last"];

impl Engine {
    /// What moving a source to `target` would mean now. Changes nothing.
    ///
    /// # Errors
    /// If there is no such source, its server cannot be asked, or does not have what the target needs.
    pub async fn resolve_position(&self, source: &str, target: &PositionTarget) -> Result<Resolved, Fault> {
        let config = assemble::mysql_config(&self.source_def(source)?)?;
        let present = self.log_of_source(source).await?.position();
        mysql::resolve(&config, present.as_ref(), target).await
    }

    /// Moves a source to `target`; durable on return. Its routes stand still meanwhile, and keep their offsets.
    ///
    /// # Errors
    /// As [`resolve_position`](Self::resolve_position), and if the changelog cannot be written.
    pub async fn move_source(&self, source: &str, target: &PositionTarget) -> Result<Resolved, Fault> {
        let def = self.source_def(source)?;
        let resolved = self.resolve_position(source, target).await?;
        let moved = {
            let mut running = self.inner.running.lock().await;
            let names: Vec<String> = running
                .routes
                .iter()
                .filter(|(_, r)| r.def.source == source)
                .map(|(n, _)| n.clone())
                .collect();
            for name in names {
                if let Some(route) = running.routes.remove(&name) {
                    route.stop().await;
                }
            }
            if let Some(running) = running.sources.remove(source) {
                running.stop().await?;
            }
            self.store_position(source, &def, &resolved).await
        };
        // starts them again, moved or not
        let started = self.reconcile().await;
        moved.and(started)?;
        tracing::warn!(source, gap = %resolved.gap, "the source was moved by hand");
        Ok(resolved)
    }

    async fn store_position(&self, source: &str, def: &SourceDef, to: &Resolved) -> Result<(), Fault> {
        let log = assemble::open_log(&self.inner.parts.data_dir, source, def).await?;
        let reading = log.clone();
        let known = tokio::task::spawn_blocking(move || reading.notes()).await.expect("notes are read")?;
        let stale = known.into_keys().filter(|key| OF_A_POSITION.iter().any(|of| key.starts_with(of)));
        let mut notes: Vec<Note> = stale.map(|key| Note { key, value: None }).collect();
        notes.extend(to.notes.iter().cloned());
        log.append(Entry { position: Some(to.position.clone()), notes, ..Entry::default() }).await?;
        log.flush().await?;
        log.close().await
    }

    /// How long the server keeps what this source has not read, and what it may delete.
    ///
    /// # Errors
    /// If there is no such source, it has not begun, or its server cannot be asked.
    pub async fn outlook(&self, source: &str) -> Result<Outlook, Fault> {
        let config = assemble::mysql_config(&self.source_def(source)?)?;
        let log = self.log_of_source(source).await?;
        let position = log.position().ok_or_else(|| {
            Fault::new(codes::NOT_CONNECTED, format!("source {source} has read nothing yet"))
                .fix("see the source's own fault; try again once it reads")
        })?;
        let known = tokio::task::spawn_blocking(move || log.notes()).await.expect("notes are read")?;
        let notes: Vec<Note> =
            known.into_iter().map(|(key, value)| Note { key, value: Some(value) }).collect();
        mysql::outlook(&config, &position, &notes).await
    }

    pub(super) fn source_def(&self, source: &str) -> Result<SourceDef, Fault> {
        let all = self.defined::<SourceDef>(DocKind::Sources)?;
        let unknown = || Fault::new(codes::UNKNOWN, format!("there is no source {source}"));
        all.get(source).cloned().ok_or_else(unknown)
    }
}
