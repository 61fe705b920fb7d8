//! The instances of a plugin that wait for their next batch, over all tables of a route.
//!
//! Promises: at most [`INSTANCES`] of them, those that were used last; together with the one that runs they have no more memory
//! than [`Limits::pool_bytes`], or what one instance may have if that is more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forebay_model::{Fault, TableSchema};
use wasmtime::component::ResourceAny;

use crate::apply::{ConfigProblem, Refusal, in_a_line};
use crate::bindings as wit;
use crate::config::Config;
use crate::host::Plugin;
use crate::instance::{Instance, MESSAGE, Stop};
use crate::limits::Limits;
use crate::meter::Meter;
use crate::share::Share;
use crate::{codes, types};

/// Instances of one plugin that one route keeps. Each reserves gigabytes of addresses, and some megabytes of memory; another one is
/// open within a millisecond.
pub(crate) const INSTANCES: usize = 32;
/// More problems than this of one configuration help nobody.
pub(crate) const PROBLEMS: usize = 100;
/// The longest path of one, bytes.
const PATH: usize = 200;

/// An instance with its binding open.
pub(crate) struct Live {
    pub(crate) instance: Instance,
    pub(crate) resource: ResourceAny,
    /// What it is counted in, and how much memory is counted there.
    counted: Option<(Arc<Meter>, u64)>,
}

impl Live {
    /// Counts the instance, and what its memory has become.
    pub(crate) fn count(&mut self, meter: &Arc<Meter>) {
        let now = self.instance.memory();
        let before = self.counted.replace((meter.clone(), now));
        if before.is_none() {
            meter.opened();
        }
        meter.grew(before.map_or(0, |(_, before)| before), now);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some((meter, counted)) = self.counted.take() {
            meter.grew(counted, 0);
            meter.closed();
        }
    }
}

/// A new instance, bound, with its plan.
pub(crate) async fn open(
    plugin: &Plugin,
    source: &str,
    table: &TableSchema,
    config: &Config,
    limits: &Limits,
    share: &Share,
) -> Result<(Live, wit::Plan), Refusal> {
    let about = || format!("plugin `{}` on {}", plugin.info().name, table.full_name());
    let stopped = |stop: Stop| {
        let fix = "report it to the plugin's author, or raise the limits of plugins";
        Fault::new(codes::BIND, format!("{} cannot be bound: {stop}", about())).fix(fix)
    };
    let columns: Vec<_> = table.columns.iter().map(types::def).collect();
    let schema = wit::TableSchema {
        source,
        database: &table.database,
        table: &table.table,
        columns: &columns,
        primary_key: &table.key,
    };
    share.pool.make_room(limits);
    let started =
        Instance::start(&plugin.pre, &plugin.info().name, limits, &share.log, &config.secrets).await;
    let mut instance = started.map_err(stopped)?;
    let resource = instance.open(schema, &config.json).await.map_err(stopped)?.map_err(|error| {
        let (code, problems, fix) = match error {
            wit::Error::Config(problems) => (codes::CONFIG, problems, "correct the transform's `config`"),
            wit::Error::Schema(problems) => (
                codes::SCHEMA,
                problems,
                "correct the transform's `config`, or leave the table out of the route",
            ),
            wit::Error::Data(message) => {
                let problem = wit::Problem { path: String::new(), message };
                (codes::CONFIG, vec![problem], "report it to the plugin's author")
            }
        };
        let clean = |p: wit::Problem| ConfigProblem {
            path: config.secrets.clean(&p.path, PATH),
            message: config.secrets.clean(&p.message, MESSAGE),
        };
        let problems: Vec<_> = problems.into_iter().take(PROBLEMS).map(clean).collect();
        Refusal {
            fault: Fault::new(code, format!("{}: {}", about(), in_a_line(&problems))).fix(fix),
            problems,
        }
    })?;
    let plan = instance.plan(resource).await.map_err(stopped)?;
    Ok((Live { instance, resource, counted: None }, plan))
}

/// The idle ones, by the binding that each belongs to; the one that was used last is at the end.
#[derive(Default)]
pub(crate) struct Pool(Mutex<VecDeque<(u64, Live)>>);

impl Pool {
    /// Makes room for an instance that is to run, and gives the binding its own if it is still here.
    pub(crate) fn take(&self, binding: u64, limits: &Limits) -> Option<Live> {
        let live = self.remove(binding);
        self.make_room(limits);
        live
    }

    /// Keeps a binding's instance for its next batch.
    pub(crate) fn put(&self, binding: u64, live: Live) {
        self.idle().push_back((binding, live));
    }

    /// The binding's instance goes.
    pub(crate) fn drop_of(&self, binding: u64) {
        drop(self.remove(binding));
    }

    /// Bytes that the binding's instance has.
    pub(crate) fn memory_of(&self, binding: u64) -> u64 {
        self.idle().iter().find(|(of, _)| *of == binding).map_or(0, |(_, live)| live.instance.memory())
    }

    /// Drops what was not used for longest until one more may run with all the memory that it may have.
    pub(crate) fn make_room(&self, limits: &Limits) {
        let most = limits.pool_bytes.saturating_sub(limits.memory_bytes) as u64;
        let mut surplus = Vec::new();
        let mut idle = self.idle();
        let mut bytes: u64 = idle.iter().map(|(_, live)| live.instance.memory()).sum();
        while idle.len() >= INSTANCES || bytes > most {
            let Some((_, oldest)) = idle.pop_front() else { break };
            bytes -= oldest.instance.memory();
            surplus.push(oldest);
        }
        // giving the memory back takes its time
        drop(idle);
        drop(surplus);
    }

    fn remove(&self, binding: u64) -> Option<Live> {
        let mut idle = self.idle();
        let at = idle.iter().position(|(of, _)| *of == binding)?;
        idle.remove(at).map(|(_, live)| live)
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<(u64, Live)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
