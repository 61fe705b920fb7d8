//! Definitions all at once: checked against themselves and the world, then written in one commit, then made to run.

use forebay_model::Fault;
use forebay_store::DocKind;
use serde_json::Value;

use super::{Engine, codes};
use crate::definition::{Action, Existing, Mode, Plan, Problem, check, check_delete};

/// How definitions are applied.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// What becomes of those that are not mentioned.
    pub mode: Mode,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Take sources also whose server lacks what a source needs: it will be mended.
    pub force: bool,
}

/// Why definitions were not taken.
#[derive(Debug)]
pub enum ApplyError {
    /// What is wrong with them; nothing was changed.
    Problems(Vec<Problem>),
    /// Something else failed.
    Fault(Fault),
}

impl From<Fault> for ApplyError {
    fn from(fault: Fault) -> Self {
        ApplyError::Fault(fault)
    }
}

impl Engine {
    /// Makes the definitions those of `value` (an object with `sources`, `plugins` and `routes`), all of them or none.
    ///
    /// # Errors
    /// Every problem with its path, or what failed.
    pub async fn apply(&self, value: &Value, how: How) -> Result<Plan, ApplyError> {
        // what is compared here is what is changed below
        let _alone = self.inner.changes.lock().await;
        let existing = Existing::read(self.store(), &self.inner.parts.data_dir)?;
        let mut checked = check(value, &existing, how.mode);
        let mut plan = Plan::new(&existing, &checked.wanted);
        plan.warnings = self.check_world(&existing, &mut checked, &plan, how).await;
        let wanted = checked.finish().map_err(ApplyError::Problems)?;
        if !how.dry_run && !plan.is_empty() {
            self.clear_leftovers(&plan).await?;
            let hash = |name: &String| wanted.definitions.plugins.get(name).and_then(|p| p.sha256.clone());
            let versions = wanted.versions.iter();
            let versions = versions.filter_map(|(name, v)| Some((name.clone(), (v.clone(), hash(name)?))));
            let versions = versions.collect();
            for bytes in wanted.components.into_values() {
                self.store().put_plugin(bytes).await?;
            }
            self.store().write(plan.changes()).await?;
            self.remember_versions(&versions).await?;
            self.store().sweep_plugins().await?;
            for step in plan.steps.iter().filter(|s| s.action != Action::Unchanged) {
                let target = format!("{}/{}", step.kind, step.name);
                self.store().audit("api", &format!("{:?}", step.action).to_lowercase(), &target).await?;
            }
            self.reconcile().await?;
        }
        Ok(plan)
    }

    /// Removes one definition. With a source goes its changelog, with a route its offset.
    ///
    /// # Errors
    /// If it does not exist, something refers to it, or its revision is another.
    pub async fn delete(
        &self,
        kind: DocKind,
        name: &str,
        if_revision: Option<u64>,
    ) -> Result<(), ApplyError> {
        let _alone = self.inner.changes.lock().await;
        let existing = Existing::read(self.store(), &self.inner.parts.data_dir)?;
        if existing.document(kind, name).is_none() {
            return Err(Fault::new(codes::UNKNOWN, format!("{kind}/{name} does not exist")).into());
        }
        let problems = check_delete(kind, name, &existing);
        if !problems.is_empty() {
            return Err(ApplyError::Problems(problems));
        }
        let change = forebay_store::Change::Delete { kind, name: name.to_owned(), if_revision };
        self.store().write(vec![change]).await?;
        self.store().sweep_plugins().await?;
        self.store().audit("api", "delete", &format!("{kind}/{name}")).await?;
        self.reconcile().await?;
        Ok(())
    }
}
