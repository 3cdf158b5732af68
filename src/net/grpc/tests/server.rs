//! A server of gRPC on a Unix socket that answers as a test wants.

use crate::net::grpc::Code;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use smol::channel::{Receiver, Sender, bounded};
use smol::future::FutureExt;
use smol::{Executor, stream};
use smol_hyper::rt::{FuturesIo, SmolExecutor};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// What a call is answered with.
pub(crate) enum Reply {
    Message(Vec<u8>),
    Status(Code, &'static str),
    /// So many bytes of a message.
    Zeros(usize),
    /// An empty message without a status.
    NoStatus,
    /// Half a message, and the end.
    Half,
    /// A status of HTTP, a type of content and a body.
    Page(u16, &'static str, &'static str),
    /// Nothing, ever.
    Never,
}

/// Runs until it is dropped, which takes the socket away.
pub(crate) struct Server {
    path: PathBuf,
    connections: Arc<AtomicUsize>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// From scheme, authority and path, and the message.
pub(crate) type Handler = dyn Fn(&str, &[u8]) -> Reply + Send + Sync;

impl Server {
    pub(crate) fn start(path: &Path, handler: impl Fn(&str, &[u8]) -> Reply + Send + Sync + 'static) -> Self {
        let listener = async_net::unix::UnixListener::bind(path).unwrap();
        let (stop, stopped) = bounded(1);
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let thread = std::thread::spawn(move || {
            let executor = Arc::new(Executor::new());
            let handler: Arc<Handler> = Arc::new(handler);
            let accept = accept(listener, handler, executor.clone(), counted);
            smol::block_on(executor.run(accept.or(until(stopped))));
        });
        Self { path: path.to_owned(), connections, stop: Some(stop), thread: Some(thread) }
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop = None;
        self.thread.take().unwrap().join().unwrap();
        std::fs::remove_file(&self.path).unwrap();
    }
}

async fn until(stopped: Receiver<()>) {
    let _ = stopped.recv().await;
}

async fn accept(
    listener: async_net::unix::UnixListener,
    handler: Arc<Handler>,
    executor: Arc<Executor<'static>>,
    connections: Arc<AtomicUsize>,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (handler, connections) = (handler.clone(), connections.clone());
        connections.fetch_add(1, Ordering::SeqCst);
        let service = service_fn(move |request| answer(request, handler.clone()));
        let serve = hyper::server::conn::http2::Builder::new(SmolExecutor::new(executor.clone()))
            .serve_connection(FuturesIo::new(stream), service);
        executor
            .spawn(async move {
                // Whoever breaks off is a part of some tests.
                let _ = serve.await;
                connections.fetch_sub(1, Ordering::SeqCst);
            })
            .detach();
    }
}

async fn answer(
    request: Request<Incoming>,
    handler: Arc<Handler>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::Error> {
    let place = request.uri().to_string();
    let message = request.into_body().collect().await?.to_bytes();
    let ok = || {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Frame::trailers(trailers)
    };
    let data = |length: usize, bytes: Vec<u8>| {
        let head = u32::try_from(length).unwrap().to_be_bytes();
        Frame::data([&[0], &head[..], &bytes].concat().into())
    };
    let mut response = Response::builder().header("content-type", "application/grpc");
    let frames = match handler(&place, &message[5..]) {
        Reply::Message(bytes) => vec![data(bytes.len(), bytes), ok()],
        Reply::Zeros(count) => vec![data(count, vec![0; count]), ok()],
        Reply::NoStatus => vec![data(0, Vec::new())],
        Reply::Half => vec![data(100, vec![0; 50])],
        Reply::Status(code, message) => {
            response = response.header("grpc-status", code as i32).header("grpc-message", message);
            Vec::new()
        }
        Reply::Page(status, kind, text) => {
            response = Response::builder().status(status).header("content-type", kind);
            vec![Frame::data(text.into())]
        }
        Reply::Never => std::future::pending().await,
    };
    let body = StreamBody::new(stream::iter(frames.into_iter().map(Ok))).boxed();
    Ok(response.body(body).unwrap())
}
