//! The wiring: builds every part from the configuration, runs them, and takes them down in order.

mod debuginfo;
mod sinks;
mod sources;
mod store;

use crate::cli::{self, Command, Invocation};
use crate::collector::library::ObjectLibrary;
use crate::collector::table_cache::TableCache;
use crate::collector::{Collector, CollectorOptions};
use crate::config::Config;
use crate::config::file;
use crate::config::forced_object::ForcedObject;
use crate::discovery::Discovery;
use crate::exit::Exit;
use crate::http::{self, Server};
use crate::metrics::{Exposition, Gauge, Registry};
use crate::net::deadline::within;
use crate::net::proxy::ProxyError;
use crate::own_usage;
use crate::pprof;
use crate::profile::publish::Windows;
use crate::sample::object::ObjectKind;
use crate::sample::{Sampler, SamplerOptions, StartError};
use crate::worker::supervisor::{Options as WorkerOptions, Supervisor};
use anyhow::Context;
use async_signal::{Signal, Signals};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sinks::{Sinks, Surroundings};
use smol::channel::bounded;
use smol::stream::StreamExt;
use smol::{Executor, future};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

/// Threads that run the agent's asynchronous tasks.
const THREADS: usize = 2;
/// By when the last window must be closed after a signal. What is not done by then is lost.
const STOP_LIMIT: Duration = Duration::from_secs(8);
/// By when, after that, what waits must be sent or on disk.
const SINKS_LIMIT: Duration = Duration::from_secs(10);

/// What can change while the agent runs.
struct Reloadable {
    thread_labels: Arc<AtomicBool>,
    /// Once it runs.
    discovery: OnceLock<Arc<Discovery>>,
    /// 1 if the last reload, or the start, found a good configuration.
    successful: Gauge,
    config: Mutex<Config>,
}

/// Profiles this host until a signal ends it.
pub fn run(config: Config, invocation: &Invocation) -> anyhow::Result<Exit> {
    raise_file_limit();
    let temporary = tempfile::Builder::new()
        .prefix("parca-agent-")
        .permissions(PermissionsExt::from_mode(0o700))
        .tempdir_in(&config.temp_dir)
        .with_context(|| format!("failed to make a private directory in {}", config.temp_dir.display()))?;
    let executor = Arc::new(Executor::new());
    let (stop_threads, threads_stopped) = bounded::<()>(1);
    for index in 0..THREADS {
        let (executor, stopped) = (executor.clone(), threads_stopped.clone());
        thread::Builder::new()
            .name(format!("agent-{index}"))
            .spawn(move || future::block_on(executor.run(stopped.recv())))?;
    }
    let result = future::block_on(executor.run(serve(&executor, config, invocation, temporary.path())));
    drop(stop_threads);
    result
}

/// The unwind tables of earlier runs, if there are to be any and the directory can be used.
fn table_cache(config: &Config) -> Option<TableCache> {
    let directory = config.profiling.table_cache.path()?;
    match TableCache::open(directory) {
        Ok(cache) => Some(cache),
        Err(error) => {
            log::warn!(
                directory = directory.display().to_string().as_str(), error = error.to_string().as_str();
                "unwind tables are not kept from this run to the next"
            );
            None
        }
    }
}

async fn serve(
    executor: &Arc<Executor<'static>>,
    config: Config,
    invocation: &Invocation,
    temporary: &std::path::Path,
) -> anyhow::Result<Exit> {
    let mut signals =
        Signals::new([Signal::Term, Signal::Int, Signal::Hup]).context("failed to receive signals")?;
    let shown = Shown::default();
    let registry = shown.registry.clone();
    let reloadable = Arc::new(Reloadable::new(config.clone()));
    register_own(&registry, &reloadable);

    // The address first: it is the likeliest thing to be wrong, and nothing is running yet.
    let server = start_server(executor, &config, &reloadable, &shown, temporary)?;
    let options = sampler_options(&config);
    let sampler = Sampler::start(options)?;
    log::info!(
        object = sampler.object().name(), frequency = options.frequency, version = cli::VERSION,
        kernel = rustix::system::uname().release().to_string_lossy().as_ref();
        "sampling"
    );
    let worker =
        Supervisor::start(WorkerOptions::default()).context("failed to start the worker's supervisor")?;
    let worker = Arc::new(worker);
    let tables = sampler.tables();
    let cache = tables.is_some().then(|| table_cache(&config)).flatten();
    let objects =
        Arc::new(ObjectLibrary::new(worker.clone(), tables, cache, debuginfo::kept_files(&config)?));
    let collector_options = CollectorOptions { duration: config.profiling.duration.get(), sampler: options };
    let sinks = Sinks::start(&Surroundings {
        config: &config,
        executor,
        windows: &shown.windows,
        registry: &registry,
        thread_labels: &reloadable.thread_labels,
        worker,
        objects: &objects,
    })?;
    if let Some(store) = sinks.store() {
        // Nobody else sets it.
        let _ = shown.store.set(Box::new(move || store.status()));
    }
    let sources = sources::start(&config, executor, &registry)?;
    let discovery = sources.discovery.clone();
    // Nobody else sets it.
    let _ = reloadable.discovery.set(discovery.clone());
    let _ = shown.discovery.set(discovery.clone());
    let collector = Collector::new(collector_options, sampler, &objects, &discovery, shown.windows)
        .context("failed to start collecting samples")?;
    collector.register(&registry);
    let unwinding = collector.unwind_report(&objects);
    // Nobody else sets it.
    let _ = shown.unwind.set(Box::new(move || unwinding.objects()));
    registry.register(move |exposition| objects.collect(exposition));
    let (stop, stopped) = bounded::<()>(1);
    let collecting = executor.spawn(collector.run(async move {
        // Closed, or a message: both say stop.
        let _ = stopped.recv().await;
    }));
    shown.ready.store(true, Ordering::Relaxed);
    log::info!(url = format!("http://{}/", server.address()).as_str(); "serving");

    while let Some(signal) = signals.next().await {
        match signal.context("failed to receive a signal")? {
            Signal::Hup => reloadable.reload(invocation),
            _ => break,
        }
    }
    log::info!("stopping: finishing the last window; a second signal ends at once");
    shown.ready.store(false, Ordering::Relaxed);
    drop(stop);
    let finished = async {
        if within(STOP_LIMIT, collecting).await.is_none() {
            log::warn!("the last window was not closed in time and is lost");
        }
        if within(SINKS_LIMIT, sinks.finish()).await.is_none() {
            log::warn!("what waits was neither sent nor written in time, and is lost");
        }
        Exit::Clean
    };
    let impatient = async {
        while let Some(Ok(Signal::Hup)) = signals.next().await {}
        Exit::Failure
    };
    let exit = future::or(finished, impatient).await;
    drop(sources);
    drop(server);
    log::info!("stopped");
    Ok(exit)
}

fn sampler_options(config: &Config) -> SamplerOptions {
    let force = config.profiling.forced_object.map(|object| match object {
        ForcedObject::Modern | ForcedObject::ModernInSteps => ObjectKind::Modern,
        ForcedObject::Baseline => ObjectKind::Baseline,
    });
    SamplerOptions {
        frequency: config.profiling.frequency.hertz(),
        force,
        in_steps: config.profiling.forced_object == Some(ForcedObject::ModernInSteps),
        table_bytes: config.profiling.table_memory.bytes(),
    }
}

/// What the pages show, made by others.
#[derive(Default)]
struct Shown {
    registry: Arc<Registry>,
    windows: Arc<Windows>,
    ready: Arc<AtomicBool>,
    unwind: Arc<OnceLock<Box<http::Unwinding>>>,
    discovery: Arc<OnceLock<Arc<Discovery>>>,
    store: Arc<OnceLock<Box<http::Storing>>>,
}

fn start_server(
    executor: &Arc<Executor<'static>>,
    config: &Config,
    reloadable: &Arc<Reloadable>,
    shown: &Shown,
    temporary: &std::path::Path,
) -> anyhow::Result<Server> {
    let thread_labels = reloadable.thread_labels.clone();
    let state = http::State {
        node: config.labels.node.clone(),
        profiling_duration: config.profiling.duration.get(),
        cpus: thread::available_parallelism().map_or(1, usize::from),
        windows: shown.windows.clone(),
        registry: shown.registry.clone(),
        ready: shown.ready.clone(),
        unwind: shown.unwind.clone(),
        discovery: shown.discovery.clone(),
        store: shown.store.clone(),
        encode: Box::new(move |window, profiles| {
            let options = pprof::Options { thread_labels: thread_labels.load(Ordering::Relaxed) };
            pprof::encode(window, profiles, options)
        }),
    };
    let addresses =
        config.http.address.socket_addresses().context("failed to look up the address to serve on")?;
    Ok(Server::start(&addresses, state, executor, temporary)?)
}

fn register_own(registry: &Registry, reloadable: &Arc<Reloadable>) {
    let reloadable = reloadable.clone();
    registry.register(move |exposition| {
        exposition.gauge(
            "build_info",
            "Constant 1, labelled with what this is.",
            [(&[("version", cli::VERSION), ("arch", std::env::consts::ARCH)][..], 1.0)],
        );
        reloadable.collect(exposition);
        own_usage::collect(exposition);
    });
}

impl Reloadable {
    fn new(config: Config) -> Self {
        let successful = Gauge::default();
        successful.set(1);
        Self {
            discovery: OnceLock::new(),
            thread_labels: Arc::new(AtomicBool::new(config.profiling.thread_labels)),
            successful,
            config: Mutex::new(config),
        }
    }

    /// Reads the configuration again. A bad one changes nothing.
    fn reload(&self, invocation: &Invocation) {
        let new = match cli::load(invocation, file::read) {
            Ok(Command::Run { config, .. }) => *config,
            Ok(Command::Worker | Command::Print { .. }) => return,
            Err(error) => {
                self.successful.set(0);
                log::error!(error = error.to_string().as_str(); "bad configuration: the old one stays in force");
                return;
            }
        };
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let diff = Config::reload_diff(&config, &new);
        crate::log::set(new.log.level, new.log.format);
        self.thread_labels.store(new.profiling.thread_labels, Ordering::Relaxed);
        self.successful.set(1);
        log::info!(changed = diff.at_once.join(",").as_str(); "configuration reloaded");
        if !diff.at_restart.is_empty() {
            log::warn!(keys = diff.at_restart.join(",").as_str(); "changed, but in force only after a restart");
        }
        // What needs a restart stays as it was, and is told again at the next reload.
        config.log = new.log;
        config.labels.external = new.labels.external;
        config.discovery.sampling_ratio = new.discovery.sampling_ratio;
        config.discovery.relabel = new.discovery.relabel;
        config.profiling.thread_labels = new.profiling.thread_labels;
        if let Some(discovery) = self.discovery.get() {
            discovery.set_terms(sources::terms(&config));
        }
    }

    fn collect(&self, exposition: &mut Exposition) {
        exposition.gauge(
            "config_last_reload_successful",
            "1 if the configuration in force is the one in the file.",
            [(&[][..], self.successful.get() as f64)],
        );
    }
}

/// Each process that is read, each CPU and each connection takes a descriptor; the default soft limit
/// of 1024 is for programs that use select(2).
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        log::warn!(error = error.to_string().as_str(); "failed to raise the limit of open files");
    }
}

/// The exit code for an error that ended the agent.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    if error.is::<StartError>() {
        Exit::Unsupported
    } else if error.is::<ProxyError>() {
        Exit::Config
    } else {
        Exit::Failure
    }
}
