//! A running instance of a plugin: one store, its limits, and what stopped it.
//!
//! Promises: a call ends within its limits; while it runs, the thread is lent to other tasks every tick. After a
//! [`Stop`] the instance is dead and must be dropped. A call's future that is dropped leaves a dead instance, too.

use std::fmt;
use std::sync::Arc;

use forebay_model::Code;
use wasmtime::component::ResourceAny;
use wasmtime::{Error, Store, Trap, UpdateDeadline, WasmBacktrace};

use crate::bindings::exports::forebay::transform::transformer::Guest;
use crate::bindings::{self as wit, TransformPlugin, TransformPluginPre, host};
use crate::codes;
use crate::config::Secrets;
use crate::limits::{Limits, Memory};
use crate::plugin_log::{LogRate, PluginLog, clean};

/// The longest message that a fault takes from a plugin, in bytes.
pub(crate) const MESSAGE: usize = 500;

/// What a store carries.
pub(crate) struct State {
    memory: Memory,
    log: PluginLog,
    /// Ticks that the present call may still see.
    ticks: u32,
}

impl host::Host for State {
    fn log(&mut self, level: host::Level, message: String) {
        self.log.line(level, &message);
    }

    fn stderr(&mut self, piece: Vec<u8>) {
        self.log.stderr(&piece);
    }
}

impl wit::forebay::transform::types::Host for State {}

/// A running instance.
pub(crate) struct Instance {
    store: Store<State>,
    plugin: TransformPlugin,
    limits: Limits,
}

impl Instance {
    /// Instantiates; `name` is what log lines are marked with.
    pub(crate) async fn start(
        pre: &TransformPluginPre<State>,
        name: &str,
        limits: &Limits,
        log: &Arc<LogRate>,
        secrets: &Secrets,
    ) -> Result<Instance, Stop> {
        let state = State {
            memory: Memory::new(limits.memory_bytes),
            log: PluginLog::new(Arc::from(name), limits.log_lines_per_second, log.clone(), secrets.clone()),
            ticks: limits.ticks(),
        };
        let mut store = Store::new(pre.engine(), state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(limits.output_bytes);
        store.epoch_deadline_callback(|mut store| {
            let state = store.data_mut();
            state.ticks = state.ticks.saturating_sub(1);
            Ok(if state.ticks == 0 { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
        });
        store.set_epoch_deadline(1);
        match pre.instantiate_async(&mut store).await {
            Ok(plugin) => Ok(Instance { store, plugin, limits: limits.clone() }),
            Err(error) => Err(Stop::new(&error, store.data_mut(), limits)),
        }
    }

    /// Bytes of linear memory.
    pub(crate) fn memory(&self) -> u64 {
        self.store.data().memory.used() as u64
    }

    fn guest(&mut self) -> (&mut Store<State>, &Guest) {
        self.store.data_mut().ticks = self.limits.ticks();
        self.store.set_epoch_deadline(1);
        (&mut self.store, self.plugin.forebay_transform_transformer())
    }

    fn stopped<T>(&mut self, result: wasmtime::Result<T>) -> Result<T, Stop> {
        let result = result.map_err(|error| Stop::new(&error, self.store.data_mut(), &self.limits));
        self.store.data().log.end_of_call();
        result
    }

    pub(crate) async fn describe(&mut self) -> Result<wit::PluginInfo, Stop> {
        let (store, guest) = self.guest();
        let result = guest.call_describe(store).await;
        self.stopped(result)
    }

    pub(crate) async fn open(
        &mut self,
        schema: wit::TableSchema<'_>,
        config: &str,
    ) -> Result<Result<ResourceAny, wit::Error>, Stop> {
        let (store, guest) = self.guest();
        let result = guest.binding().call_open(store, schema, config).await;
        self.stopped(result)
    }

    pub(crate) async fn plan(&mut self, binding: ResourceAny) -> Result<wit::Plan, Stop> {
        let (store, guest) = self.guest();
        let result = guest.binding().call_plan(store, binding).await;
        self.stopped(result)
    }

    pub(crate) async fn apply(
        &mut self,
        binding: ResourceAny,
        batch: wit::Batch<'_>,
    ) -> Result<Result<wit::Output, wit::Error>, Stop> {
        let (store, guest) = self.guest();
        let result = guest.binding().call_apply(store, binding, batch).await;
        self.stopped(result)
    }
}

/// Why an instance is dead. `Display` says it, with the plugin's last words.
#[derive(Debug)]
pub(crate) struct Stop {
    /// What it is called when it happens to a batch.
    pub(crate) code: Code,
    message: String,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Stop {
    fn new(error: &Error, state: &mut State, limits: &Limits) -> Stop {
        let (code, message) = if let Some(wanted) = state.memory.refused {
            let allowed = limits.memory_bytes;
            (codes::MEMORY, format!("it wanted {wanted} bytes of memory, and may have {allowed}"))
        } else if let Some(trap) = error.downcast_ref::<Trap>() {
            match trap {
                Trap::Interrupt => {
                    (codes::TIMEOUT, format!("it ran for {:?} without an end", limits.batch_time))
                }
                trap => (codes::TRAP, format!("it crashed: {trap}{}", place(error))),
            }
        } else {
            let error = error.root_cause().to_string();
            // wasmtime keeps this error's type to itself
            if error.contains("fuel allocated for hostcalls") {
                (codes::OUTPUT_TOO_LARGE, format!("it returned more than {} bytes", limits.output_bytes))
            } else {
                (codes::BAD_OUTPUT, format!("it returned what is not of the contract: {error}"))
            }
        };
        let words = state.log.take_last_words();
        let message = if words.is_empty() { message } else { format!("{message}: {words}") };
        Stop { code, message: clean(&message, MESSAGE) }
    }
}

/// ` in FUNCTION`, where the plugin's names say so.
fn place(error: &Error) -> String {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    // "    0:   0x2f9d - <unknown>!mask::Mask::apply"
    let text = trace.to_string();
    let machinery = [
        "__rust",
        "panicking",
        "panic_",
        "abort",
        "handle_alloc_error",
        "runtime.",
        "<wasm function",
        "os.Exit",
        "os.runtime_",
        "syscall",
        "forebay_sdk_go.",
    ];
    text.lines()
        .filter_map(|line| line.split_once(" - ").and_then(|(_, frame)| frame.split_once('!')))
        .map(|(_, function)| function.split("::h").next().unwrap_or(function).trim())
        .find(|function| !machinery.iter().any(|part| function.contains(part)))
        .map_or_else(String::new, |function| format!(" in {function}"))
}
