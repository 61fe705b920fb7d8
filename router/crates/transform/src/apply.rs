//! A plugin bound to a table, and what it does to batches.

use std::fmt;
use std::sync::Arc;

use forebay_model::{Batch, Code, Fault, Kind, Offset, Origin, TableSchema};

use crate::assemble::{Piece, assemble};
use crate::bindings as wit;
use crate::codes;
use crate::config::Config;
use crate::gather::Gathered;
use crate::host::Plugin;
use crate::instance::MESSAGE;
use crate::limits::Limits;
use crate::plan::{self, Checked, Plan};
use crate::pool::{Live, PROBLEMS, open};
use crate::share::{Share, next_binding};

/// Images that one call is given at most; longer batches are cut.
const IMAGES: usize = 8192;
/// Bytes that one call is given, roughly, unless a single event has more.
const BYTES: usize = 8 << 20;

/// A plugin bound to one version of one table, with one configuration.
///
/// Has at most one instance, which waits among its [`Share`]'s idle ones and may be dropped there: the next call opens another, which
/// must plan the same. An instance that stops is dropped and made anew; a call that is cancelled (its future dropped) drops its
/// instance, too.
pub struct Binding {
    number: u64,
    plugin: Plugin,
    source: String,
    config: Config,
    limits: Limits,
    input: Arc<TableSchema>,
    /// As the plugin said it: a new instance must say the same.
    said: wit::Plan,
    checked: Checked,
    share: Arc<Share>,
}

impl Drop for Binding {
    fn drop(&mut self) {
        self.rest();
    }
}

/// Where the events of a batch come from: what plans with stamps write into columns.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The source's name.
    pub source: &'a str,
    /// The first offset of the batch's block.
    pub first: Offset,
    /// The block's transactions.
    pub origin: &'a Origin,
}

/// What became of a batch. Every event of it is in `batch`, or counted, or rejected.
#[derive(Debug)]
pub struct Applied {
    /// The images that are left, of the table as [`Binding::output`] says.
    pub batch: Batch,
    /// Events that the plugin dropped.
    pub filtered_events: u64,
    /// Events that the plugin will not let through, in order; their images are not in `batch`.
    pub rejects: Vec<Reject>,
}

/// An event that a plugin will not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The event's offset, less the block's first offset.
    pub event: u32,
    /// See [`forebay_model::Run::part`].
    pub part: u32,
    /// In the plugin's words, at most 500 bytes.
    pub reason: String,
}

/// Why a plugin was not bound.
#[derive(Debug, thiserror::Error)]
#[error("{fault}")]
pub struct Refusal {
    /// All of it in one.
    pub fault: Fault,
    /// What the plugin says of its configuration, place by place; empty if it failed in another way.
    pub problems: Vec<ConfigProblem>,
}

/// What a plugin says of one place in its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// As `columns.email.keep_last`; empty = all of it.
    pub path: String,
    /// In the plugin's words, at most 500 bytes.
    pub message: String,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Refusal { fault, problems: Vec::new() }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        refusal.fault
    }
}

impl fmt::Debug for Binding {
    /// Without the configuration, which holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plugin, table) = (&self.plugin, self.input.full_name());
        f.debug_struct("Binding").field("plugin", plugin).field("table", &table).finish_non_exhaustive()
    }
}

impl Plugin {
    /// Binds the plugin to a table of a source. `config_json` is its configuration, in which no secret stands.
    ///
    /// # Errors
    /// Fatal: [`codes::CONFIG`] and [`codes::SCHEMA`] in the plugin's own words, [`codes::BIND`] if it crashes or runs
    /// out of a limit, [`codes::BAD_PLAN`].
    pub async fn bind(
        &self,
        source: &str,
        table: &Arc<TableSchema>,
        config_json: &str,
        limits: &Limits,
    ) -> Result<Binding, Refusal> {
        self.bind_hiding(source, table, &config_json.into(), limits, &[], &Arc::default()).await
    }

    /// As [`bind`](Self::bind), for a table with columns whose values are not to come through: where the plugin replaces one of
    /// them, "as they came" is no answer ([`codes::BAD_OUTPUT`]). Whether it replaces them at all is for the caller to judge,
    /// by the plan. What it costs is counted in `share`, where its instance waits, too.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub async fn bind_hiding(
        &self,
        source: &str,
        table: &Arc<TableSchema>,
        config: &Config,
        limits: &Limits,
        hidden: &[String],
        share: &Arc<Share>,
    ) -> Result<Binding, Refusal> {
        let (mut live, said) = open(self, source, table, config, limits, share).await?;
        let bad_plan = |problem: &str| {
            let what =
                format!("plugin `{}` planned what cannot be done to {}", self.info().name, table.full_name());
            Fault::new(codes::BAD_PLAN, what)
                .cause(config.secrets.clean(problem, MESSAGE))
                .fix("report it to the plugin's author")
        };
        // names of columns are shown to everybody, those that cannot be given too, and not always whole
        if plan::names(&said).any(|name| config.secrets.are_in(name)) {
            return Err(bad_plan("a secret of the configuration would stand in a column's name").into());
        }
        let mut checked = Checked::new(&said, table).map_err(|problem| bad_plan(&problem))?;
        checked.insist(table, hidden);
        let number = next_binding();
        if checked.calls_guest() {
            live.count(&share.meter);
            share.pool.put(number, live);
        }
        Ok(Binding {
            number,
            plugin: self.clone(),
            source: source.to_owned(),
            config: config.clone(),
            limits: limits.clone(),
            input: table.clone(),
            said,
            checked,
            share: share.clone(),
        })
    }
}

/// `path: message; path: message`.
pub(crate) fn in_a_line(problems: &[ConfigProblem]) -> String {
    let one = |p: &ConfigProblem| match p.path.as_str() {
        "" => p.message.clone(),
        path => format!("{path}: {}", p.message),
    };
    problems.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl Binding {
    /// The table as it comes.
    pub fn input(&self) -> &Arc<TableSchema> {
        &self.input
    }

    /// The table as it goes.
    pub fn output(&self) -> &Arc<TableSchema> {
        &self.checked.output
    }

    /// Whether the plugin is called for each batch. If not, the router does all that the plan says.
    pub fn calls_plugin(&self) -> bool {
        self.checked.calls_guest()
    }

    /// Linear memory of the instance, in bytes; 0 if there is none.
    pub fn memory_bytes(&self) -> usize {
        self.share.pool.memory_of(self.number) as usize
    }

    /// Lets the instance go: no batch is expected soon. The next one opens another.
    pub fn rest(&self) {
        self.share.pool.drop_of(self.number);
    }

    /// What is done.
    pub fn plan(&self) -> &Plan {
        &self.checked.plan
    }

    /// Transforms a batch of [`input`](Self::input). The thread is lent to other tasks every 10 ms.
    ///
    /// # Errors
    /// Poison ([`codes::TRAP`] and its siblings): some event of the batch is at fault; a smaller batch may pass. The
    /// binding can be used on. Fatal: [`codes::WRONG_TABLE`], or as [`Plugin::bind`] if a new instance cannot be bound.
    pub async fn apply(&mut self, batch: &Batch, place: &Place<'_>) -> Result<Applied, Fault> {
        if !Arc::ptr_eq(&batch.table, &self.input) && batch.table != self.input {
            let (has, wants) = (batch.table.full_name(), self.input.full_name());
            return Err(Fault::new(
                codes::WRONG_TABLE,
                format!("a batch of {has} came to a binding of {wants}"),
            ));
        }
        let mut pieces = Vec::new();
        let mut bytes = 0;
        if self.checked.calls_guest() {
            let mut start = 0;
            while start < batch.rows() {
                let rows = start..self.end_of_piece(batch, start);
                start = rows.end;
                let gathered = Gathered::new(batch, &rows, &self.checked.reads, self.checked.needs_kinds);
                self.share.meter.took(rows.len());
                let output = self.call(&gathered).await?;
                let piece = Piece::new(&self.checked, batch, rows, output).map_err(|problem| {
                    // an instance that breaks the contract is not trusted with another batch
                    self.rest();
                    self.failed(codes::BAD_OUTPUT, &problem);
                    self.poison(codes::BAD_OUTPUT, &problem)
                })?;
                bytes += piece.bytes();
                if bytes > self.limits.output_bytes {
                    let most = self.limits.output_bytes;
                    return Err(
                        self.poison(codes::OUTPUT_TOO_LARGE, &format!("it returned more than {most} bytes"))
                    );
                }
                pieces.push(piece);
            }
        }
        let applied = assemble(&self.checked, batch, pieces, place)
            .map_err(|problem| self.poison(codes::OUTPUT_TOO_LARGE, &problem))?;
        self.share.meter.left_out(applied.filtered_events, applied.rejects.len() as u64);
        Ok(applied)
    }

    /// Where a piece that starts here ends: bounded in images and bytes, never within an update.
    fn end_of_piece(&self, batch: &Batch, start: usize) -> usize {
        let bytes: usize =
            self.checked.reads.iter().map(|&c| batch.columns[c].get_buffer_memory_size()).sum();
        let rows = IMAGES.min(batch.rows() * BYTES / bytes.max(1)).max(1);
        let end = (start + rows).min(batch.rows());
        end + usize::from(batch.kinds.get(end) == Some(&Kind::After))
    }

    /// One call of the guest. An instance that stops gets a successor and the piece once more: it may have died of
    /// what earlier batches left behind.
    async fn call(&mut self, gathered: &Gathered) -> Result<wit::Output, Fault> {
        let columns = gathered.columns();
        let mut stopped = None;
        for _ in 0..2 {
            let mut live = match self.share.pool.take(self.number, &self.limits) {
                Some(live) => live,
                None => self.reopen().await?,
            };
            let meter = &self.share.meter;
            meter.called();
            let called = live.instance.apply(live.resource, gathered.batch(&columns));
            let answer = meter.timed(called).await;
            live.count(meter);
            match answer {
                Ok(answer) => {
                    self.share.pool.put(self.number, live);
                    return answer.map(|output| self.veiled(output)).map_err(|error| {
                        let words = match error {
                            wit::Error::Data(words) => words,
                            wit::Error::Config(problems) | wit::Error::Schema(problems) => problems
                                .into_iter()
                                .map(|p| p.message)
                                .take(PROBLEMS)
                                .collect::<Vec<_>>()
                                .join("; "),
                        };
                        self.poison(codes::DATA, &words)
                    });
                }
                Err(stop) => {
                    self.failed(stop.code, &stop.to_string());
                    stopped = Some(stop);
                }
            }
        }
        let stop = stopped.expect("both attempts stopped");
        Err(self.poison(stop.code, &stop.to_string()))
    }

    async fn reopen(&self) -> Result<Live, Fault> {
        let (plugin, table) = (&self.plugin, &self.input);
        let opened = open(plugin, &self.source, table, &self.config, &self.limits, &self.share).await;
        let (mut live, said) = opened?;
        if said == self.said {
            live.count(&self.share.meter);
            return Ok(live);
        }
        let plugin = &self.plugin.info().name;
        let what =
            format!("plugin `{plugin}` planned something else for {} than before", self.input.full_name());
        Err(Fault::new(codes::BAD_PLAN, what).fix("report it to the plugin's author"))
    }

    /// The answer without secrets in its reasons. Its cells are the destination's, which may be meant to have one.
    fn veiled(&self, mut output: wit::Output) -> wit::Output {
        for reject in &mut output.rejects {
            reject.reason = self.config.secrets.veil(&reject.reason).into_owned();
        }
        output
    }

    fn failed(&self, code: Code, problem: &str) {
        let (plugin, table) = (&self.plugin.info().name, self.input.full_name());
        self.share.failed(plugin, &table, code, &self.config.secrets.clean(problem, MESSAGE));
    }

    fn poison(&self, code: Code, problem: &str) -> Fault {
        let (plugin, table) = (&self.plugin.info().name, self.input.full_name());
        let problem = self.config.secrets.clean(problem, MESSAGE);
        Fault::new(code, format!("plugin `{plugin}` on a batch of {table}: {problem}"))
    }
}

#[cfg(test)]
mod tests;
