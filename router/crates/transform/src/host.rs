//! The engine that all plugins run on, and plugins as they come from an upload.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};

use forebay_model::Fault;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine};

use crate::bindings::{TransformPlugin, TransformPluginPre};
use crate::cache::Cache;
use crate::config::Secrets;
use crate::instance::{Instance, State};
use crate::limits::{Limits, TICK};
use crate::plugin_log::clean;
use crate::stacks::Stacks;
use crate::world::{self, check_world};
use crate::{codes, upload};

/// Places of secrets that a plugin may name.
const SECRETS: usize = 100;

/// The WASM host: one for each process. Clones share it; the last one to go joins its thread.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    engine: Engine,
    linker: Linker<State>,
    cache: Cache,
    _ticker: Ticker,
}

/// A compiled plugin, checked to be of the world that is spoken here.
#[derive(Clone)]
pub struct Plugin {
    pub(crate) pre: TransformPluginPre<State>,
    info: Arc<PluginInfo>,
    /// Keeps the epoch rising for as long as something may run.
    _host: Host,
}

/// Who a plugin is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PluginInfo {
    /// As the plugin calls itself.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// One sentence.
    pub description: String,
    /// Where in its configuration secrets stand, as `columns.*.hash.key`: only references are accepted there.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Of the uploaded bytes, in hexadecimal.
    pub sha256: String,
    /// Length of the upload.
    pub bytes: u64,
    /// The contract that it was accepted under.
    pub world: String,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("cache", &self.0.cache).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Host {
    /// Starts the engine. `cache_dir` holds compiled plugins; it is made if it is not there, and must be this
    /// program's own.
    ///
    /// # Errors
    /// [`codes::HOST`].
    pub fn new(cache_dir: &Path) -> Result<Host, Fault> {
        let failed = |what: String| Fault::new(codes::HOST, what);
        let mut config = Config::new();
        config.wasm_component_model(true).epoch_interruption(true);
        // the same input gives the same output on every processor
        config.cranelift_nan_canonicalization(true).relaxed_simd_deterministic(true);
        config.with_host_stack(Arc::new(Stacks::default()));
        let engine = Engine::new(&config)
            .map_err(|error| failed("the WebAssembly engine does not start".to_owned()).cause(error))?;
        let mut linker = Linker::new(&engine);
        TransformPlugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)
            .map_err(|error| failed("the host's functions cannot be linked".to_owned()).cause(error))?;
        let cache = Cache::open(cache_dir, &engine).map_err(|error| {
            failed(format!("the folder {} for compiled plugins cannot be used", cache_dir.display()))
                .cause(error)
                .fix("give this user a data directory of its own")
        })?;
        let ticker = Ticker::start(engine.clone()).map_err(|error| {
            failed("the thread that limits plugins' time does not start".to_owned()).cause(error)
        })?;
        Ok(Host(Arc::new(Inner { engine, linker, cache, _ticker: ticker })))
    }

    /// Checks an upload: that it is a component of our world which imports nothing else, compiles, and says who it
    /// is. Takes up to some seconds of CPU for a large plugin: not for an async thread.
    ///
    /// # Errors
    /// Fatal `transform.*` faults in words for whoever uploaded.
    pub fn inspect(&self, bytes: &[u8]) -> Result<PluginInfo, Fault> {
        self.load(bytes).map(|plugin| (*plugin.info).clone())
    }

    /// Makes a plugin ready to be bound: compiles it, or takes what was compiled before. As slow as
    /// [`inspect`](Self::inspect) the first time.
    ///
    /// # Errors
    /// As [`inspect`](Self::inspect).
    pub fn load(&self, bytes: &[u8]) -> Result<Plugin, Fault> {
        upload::check(bytes)?;
        let sha256: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        match self.cached(&sha256) {
            Some(plugin) => Ok(plugin),
            None => self.compile(bytes, sha256),
        }
    }

    /// The plugin whose component has this hash, if it was compiled before: less than a millisecond, however large it is.
    pub fn cached(&self, sha256: &str) -> Option<Plugin> {
        let (component, info) = self.0.cache.get(&self.0.engine, sha256)?;
        let pre = self.0.linker.instantiate_pre(&component).and_then(TransformPluginPre::new).ok()?;
        Some(Plugin { pre, info: Arc::new(info), _host: self.clone() })
    }

    fn compile(&self, bytes: &[u8], sha256: String) -> Result<Plugin, Fault> {
        let engine = &self.0.engine;
        let component = Component::from_binary(engine, bytes).map_err(|error| {
            Fault::new(codes::INVALID, "the upload does not validate or compile")
                .cause(clean(&format!("{error:#}"), 500))
        })?;
        let world = check_world(&component.component_type(), engine)?;
        let pre =
            self.0.linker.instantiate_pre(&component).and_then(TransformPluginPre::new).map_err(|error| {
                Fault::new(codes::WRONG_WORLD, "the component differs from its contract")
                    .cause(clean(&format!("{error:#}"), 500))
                    .fix(world::fix())
            })?;
        let (limits, log) = (Limits::default(), Arc::default());
        let said = run(async {
            Instance::start(&pre, "new", &limits, &log, &Secrets::default()).await?.describe().await
        })
        .map_err(|stop| {
            Fault::new(codes::DESCRIBE, format!("the plugin failed when asked who it is: {stop}"))
        })?;
        let info = PluginInfo {
            name: clean(said.name.trim(), 100),
            version: clean(said.version.trim(), 100),
            description: clean(said.description.trim(), 1000),
            secrets: said.secrets.iter().take(SECRETS).map(|path| clean(path.trim(), 200)).collect(),
            sha256,
            bytes: bytes.len() as u64,
            world: world.name.to_owned(),
        };
        if info.name.is_empty() {
            return Err(
                Fault::new(codes::DESCRIBE, "the plugin has no name").fix("give it one in `describe`")
            );
        }
        self.0.cache.put(&component, &info);
        Ok(Plugin { pre, info: Arc::new(info), _host: self.clone() })
    }
}

impl Plugin {
    /// Who it is.
    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    /// What it imports, by name.
    pub fn imports(&self) -> Vec<String> {
        let component = self.pre.instance_pre().component();
        component.component_type().imports(self.pre.engine()).map(|(name, _)| name.to_owned()).collect()
    }
}

/// Runs a future that waits for nothing but its own turns, as guest calls do.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        thread::yield_now();
    }
}

/// The thread that makes the epoch rise.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: Engine) -> std::io::Result<Ticker> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("plugin-epoch".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                thread::park_timeout(TICK);
                engine.increment_epoch();
            }
        })?;
        Ok(Ticker { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // it cannot panic, and there is nothing to do if it did
            let _ = thread.join();
        }
    }
}
