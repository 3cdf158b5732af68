//! The inner server: tiny_http on a private socket, and the way from a request to its handler.

use super::answer::Answer;
use super::private_socket::PrivateSocket;
use super::route::Route;
use super::{Context, assets, discovered, health, index, query, scrape, store, targets, unwind};
use smol::Executor;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tiny_http::{Request, Server};

/// Pause before tiny_http is started again after it gave up listening.
const RESTART_PAUSE: Duration = Duration::from_millis(100);

/// The thread that receives requests. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Inner {
    socket: Arc<PrivateSocket>,
    current: Arc<Current>,
    thread: Option<JoinHandle<()>>,
}

/// What the receiving thread and its owner share.
#[derive(Default)]
struct Current {
    closing: AtomicBool,
    server: Mutex<Option<Arc<Server>>>,
}

impl std::fmt::Debug for Current {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Current").field("closing", &self.closing).finish_non_exhaustive()
    }
}

impl Current {
    fn replace(&self, server: Option<Arc<Server>>) -> Option<Arc<Server>> {
        std::mem::replace(&mut *self.server.lock().unwrap_or_else(PoisonError::into_inner), server)
    }
}

impl Inner {
    /// Receives from the listener; each request becomes a task of the executor.
    pub(super) fn start(
        listener: UnixListener,
        socket: Arc<PrivateSocket>,
        context: Arc<Context>,
        executor: Arc<Executor<'static>>,
    ) -> io::Result<Self> {
        let current = Arc::new(Current::default());
        let shared = current.clone();
        let run = move || receive(&listener, &shared, &context, &executor);
        let thread = std::thread::Builder::new().name("http".to_owned()).spawn(run)?;
        Ok(Self { socket, current, thread: Some(thread) })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.current.closing.store(true, Ordering::SeqCst);
        if let Some(server) = self.current.replace(None) {
            server.unblock();
        }
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, was reported where it happened.
            let _ = thread.join();
        }
        // tiny_http's own thread waits in accept, and looks whether it should end after that.
        drop(UnixStream::connect(self.socket.path()));
    }
}

fn receive(
    listener: &UnixListener,
    current: &Current,
    context: &Arc<Context>,
    executor: &Arc<Executor<'static>>,
) {
    loop {
        // tiny_http stops listening for good on any error of accept, so it gets a duplicate.
        let server =
            listener.try_clone().ok().and_then(|listener| Server::from_listener(listener, None).ok());
        if let Some(server) = server.map(Arc::new) {
            current.replace(Some(server.clone()));
            while !current.closing.load(Ordering::SeqCst) {
                let Ok(request) = server.recv() else { break };
                executor.spawn(serve(context.clone(), request)).detach();
            }
        }
        if current.closing.load(Ordering::SeqCst) {
            return;
        }
        std::thread::sleep(RESTART_PAUSE);
    }
}

/// Answers one request. Rendering and writing block, so they happen on the pool for that.
async fn serve(context: Arc<Context>, request: Request) {
    let answer = match Route::of(request.url()) {
        Route::Query(parameters) => query::answer(&context, parameters).await,
        route => {
            let accept = header(&request, "Accept");
            smol::unblock(move || prompt(&context, &route, &accept)).await
        }
    };
    smol::unblock(move || answer.send(request)).await;
}

/// Every answer that waits for nothing.
fn prompt(context: &Context, route: &Route, accept: &str) -> Answer {
    match route {
        Route::Index => index::answer(context),
        Route::Metrics => scrape::answer(context, accept),
        Route::Healthy => health::alive(),
        Route::Ready => health::ready(context),
        Route::Targets => targets::answer(context),
        Route::Discovered => discovered::answer(context),
        Route::Store => store::answer(context),
        Route::Unwind => unwind::answer_page(context),
        Route::UnwindNumbers => unwind::answer(context),
        Route::Asset(name) => assets::answer(name),
        Route::BadQuery => Answer::text(400, "the query part of the address is not well formed"),
        // A query may wait, and has its own way.
        Route::Unknown | Route::Query(_) => Answer::text(404, "not found"),
    }
}

fn header(request: &Request, name: &'static str) -> String {
    let found = request.headers().iter().find(|header| header.field.equiv(name));
    found.map(|header| header.value.to_string()).unwrap_or_default()
}
