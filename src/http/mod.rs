//! The agent's pages and interface over HTTP.
//!
//! | route | answer |
//! |---|---|
//! | `/` | page of all targets |
//! | `/query?query=SELECTOR` | pprof of the next window, all matching targets merged |
//! | `...&debug=1` | the same as a page |
//! | `...&latest=1` | the last finished window will do |
//! | `/metrics` | the agent's own numbers |
//! | `/-/healthy`, `/healthy` | the process is alive |
//! | `/-/ready`, `/ready` | samples are being taken |
//! | `/targets` | what each source told, and what became of each target |
//! | `/api/v1/targets` | the numbers of `/` and `/targets`, as JSON |
//! | `/unwind`, `/api/v1/unwind` | how each file is unwound, and how that goes |
//! | `/api/v1/store` | how the store does |
//! | `/ui/...` | files of the pages |
//!
//! A request passes the guard, then tiny_http on a private socket, then a handler, one a file.
//! Handlers only render: what they show was made by others.

mod activity;
pub mod address;
mod answer;
mod assets;
mod call_tree;
mod discovered;
mod figures;
mod frame_name;
mod functions;
mod guard;
pub mod head;
mod headers;
mod health;
mod html;
mod index;
mod inner;
mod layout;
mod names;
mod percent;
mod private_socket;
mod profile_page;
mod query;
pub mod refusal;
mod report;
pub mod route;
mod scrape;
pub mod selector;
mod slots;
mod store;
mod targets;
mod unwind;

use crate::discovery::Discovery;
use crate::metrics::Registry;
use crate::profile::publish::Windows;
use crate::profile::{Profile, Window};
use crate::store::status::StoreStatus;
use crate::unwind::report::ObjectReport;
use activity::Activity;
use address::AddressError;
use guard::Guard;
use inner::Inner;
use private_socket::PrivateSocket;
use refusal::Refusals;
use smol::lock::Semaphore;
use smol::net::TcpListener;
use smol::{Async, Executor, Task};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Makes one compressed pprof of profiles of a window.
pub type Encode = dyn Fn(&Window, &[&Profile]) -> Vec<u8> + Send + Sync;

/// Tells how each object file is unwound, the one with the most stacks first.
pub type Unwinding = dyn Fn() -> Vec<ObjectReport> + Send + Sync;

/// Tells how the store does.
pub type Storing = dyn Fn() -> StoreStatus + Send + Sync;

/// What the handlers may see.
pub struct State {
    /// Name of this machine, as in the label `node`.
    pub node: String,
    /// How long a window lasts.
    pub profiling_duration: Duration,
    /// CPUs that are sampled.
    pub cpus: usize,
    /// The profiles.
    pub windows: Arc<Windows>,
    /// The agent's own numbers.
    pub registry: Arc<Registry>,
    /// Set once samples are being taken and targets found.
    pub ready: Arc<AtomicBool>,
    /// How object files are unwound, once the collector runs.
    pub unwind: Arc<OnceLock<Box<Unwinding>>>,
    /// Where targets come from, once the collector runs.
    pub discovery: Arc<OnceLock<Arc<Discovery>>>,
    /// The store, if there is one.
    pub store: Arc<OnceLock<Box<Storing>>>,
    /// The pprof encoder.
    pub encode: Box<Encode>,
}

impl fmt::Debug for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("State").field("node", &self.node).finish_non_exhaustive()
    }
}

/// The state, and what the server keeps for itself.
#[derive(Debug)]
struct Context {
    state: State,
    started: Instant,
    activity: Activity,
    /// Queries that may wait for a window.
    waiting: Arc<Semaphore>,
}

/// Why the server did not start. Nothing is left running then.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The name to listen on has no address.
    #[error("the name to listen on has no address")]
    NoAddress,
    /// The private socket.
    #[error("failed to make a private socket in {directory}")]
    PrivateSocket {
        /// Where it was tried.
        directory: String,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// The inner server's thread.
    #[error("failed to start the inner server")]
    Inner(#[source] io::Error),
}

/// A running server. It stops when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    _tasks: Vec<Task<()>>,
    _inner: Inner,
}

impl Server {
    /// Listens on the first of `addresses` that this machine has. `directory` may be any in which a file can be made; nothing stays there.
    pub fn start(
        addresses: &[SocketAddr],
        state: State,
        executor: &Arc<Executor<'static>>,
        directory: &Path,
    ) -> Result<Self, ServerError> {
        let (listener, address) = listen_on_first(addresses)?;
        let (private, socket) = PrivateSocket::bind(directory).map_err(|source| {
            ServerError::PrivateSocket { directory: directory.display().to_string(), source }
        })?;
        let socket = Arc::new(socket);
        let waiting = query::longest_wait(&state);
        let refusals = Arc::new(Refusals::default());
        let guard = Guard::new(executor.clone(), socket.clone(), waiting, refusals.clone());
        let context = Arc::new(Context {
            state,
            started: Instant::now(),
            activity: Activity::default(),
            waiting: Arc::new(Semaphore::new(query::MAX_WAITING)),
        });
        register_metrics(&context, refusals, &guard);
        let inner =
            Inner::start(private, socket, context.clone(), executor.clone()).map_err(ServerError::Inner)?;
        let tasks = vec![executor.spawn(follow(context)), executor.spawn(guard.run(listener, address.ip()))];
        Ok(Self { address, _tasks: tasks, _inner: inner })
    }

    /// The address it listens on, with the port that the kernel chose where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A host without IPv6 has no IPv6 wildcard, and a name may resolve to an address of another host; only then
/// is the next address tried.
fn listen_on_first(addresses: &[SocketAddr]) -> Result<(TcpListener, SocketAddr), ServerError> {
    let mut absent = ServerError::NoAddress;
    for address in addresses {
        match listen(*address) {
            Err(ServerError::Address(error)) if error.is_absence() => absent = error.into(),
            result => return result,
        }
    }
    Err(absent)
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let bind_error = |source| AddressError::Bind { address, source };
    let listener = address::bind(address)?;
    let bound = listener.local_addr().map_err(bind_error)?;
    Ok((Async::new(listener).map_err(bind_error)?.into(), bound))
}

fn register_metrics(context: &Arc<Context>, refusals: Arc<Refusals>, guard: &Arc<Guard>) {
    // The registry is part of the context: a strong reference would keep both for ever.
    let (context_of_scrape, guard) = (Arc::downgrade(context), Arc::downgrade(guard));
    context.state.registry.register(move |exposition| {
        refusals.expose(exposition);
        if let Some(guard) = guard.upgrade() {
            guard.expose(exposition);
        }
        if let Some(context) = context_of_scrape.upgrade() {
            context.activity.expose(exposition);
        }
    });
}

/// Records every window as it is published, so that the page knows targets from before it was opened.
async fn follow(context: Arc<Context>) {
    let windows = &context.state.windows;
    loop {
        // The subscription first: a window published in between is in one of the two.
        let next = windows.next();
        if let Some(window) = windows.latest() {
            context.activity.record(&window);
        }
        match next {
            Some(next) => drop(next.recv().await),
            None => drop(smol::Timer::after(context.state.profiling_duration / 2).await),
        }
    }
}
