//! Daemons that speak the APIs of runtimes, and some that do not.

use crate::discovery::runtime::cri::message::{
    ContainerMetadata, ContainerStatus, ContainerStatusRequest, ContainerStatusResponse, ImageSpec,
    ListContainersRequest, ListContainersResponse, ListPodSandboxRequest, ListPodSandboxResponse,
    ListedContainer, Pair, PodSandbox, PodSandboxMetadata, VersionResponse,
};
use crate::net::grpc::Code;
use crate::net::grpc::tests::server::{Reply, Server};
use prost::Message;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Docker or Podman: answers by path, and a stream of events. Dropping it ends it, as a daemon ends.
pub(super) struct Engine {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    header: &'static str,
    bodies: Mutex<HashMap<String, Vec<u8>>>,
    streams: Mutex<Vec<UnixStream>>,
    listeners: Mutex<Vec<UnixStream>>,
    inspections: AtomicUsize,
    answers: AtomicUsize,
    connections: AtomicUsize,
    is_broken: AtomicBool,
    refuses: AtomicBool,
    held: Mutex<Option<String>>,
    unanswered: Mutex<Vec<UnixStream>>,
    is_over: AtomicBool,
}

pub(super) const DOCKER: &str = "Api-Version: 1.41";
pub(super) const PODMAN: &str = "Api-Version: 1.41\r\nLibpod-Api-Version: 4.3.1";

impl Engine {
    pub(super) fn start(path: &Path, header: &'static str) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let shared = Arc::new(Shared { header, ..Shared::default() });
        let serving = shared.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                if serving.is_over.load(Ordering::SeqCst) {
                    return;
                }
                serving.connections.fetch_add(1, Ordering::SeqCst);
                if serving.is_broken.load(Ordering::SeqCst) {
                    continue;
                }
                serving.streams.lock().unwrap().push(stream.try_clone().unwrap());
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        Self { path: path.to_owned(), shared, thread: Some(thread) }
    }

    /// Answers a path with a body.
    pub(super) fn set(&self, path: &str, body: impl Into<Vec<u8>>) {
        self.shared.bodies.lock().unwrap().insert(path.to_owned(), body.into());
    }

    /// A container of Docker.
    pub(super) fn set_container(&self, id: &str, name: &str) {
        let body = format!(r#"{{"Id":"{id}","Name":"/{name}","Config":{{"Image":"image","Labels":null}}}}"#);
        self.set(&format!("/containers/{id}/json"), body);
    }

    /// Leaves questions about a container of Docker without an answer.
    pub(super) fn hold(&self, id: &str) {
        *self.shared.held.lock().unwrap() = Some(format!("/containers/{id}/json"));
    }

    pub(super) fn remove(&self, path: &str) {
        self.shared.bodies.lock().unwrap().remove(path);
    }

    /// How many listen to the events.
    pub(super) fn listeners(&self) -> usize {
        self.shared.listeners.lock().unwrap().len()
    }

    /// How often a container was asked for.
    pub(super) fn inspections(&self) -> usize {
        self.shared.inspections.load(Ordering::SeqCst)
    }

    /// How many connections there were.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Closes all connections, as a daemon that ends whose socket is systemd's.
    pub(super) fn hang_up(&self) {
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.shared.listeners.lock().unwrap().clear();
    }

    /// Closes every new connection at once.
    pub(super) fn set_broken(&self, is_broken: bool) {
        self.shared.is_broken.store(is_broken, Ordering::SeqCst);
    }

    /// Tells of no container, as a proxy that forbids it.
    pub(super) fn set_refusing(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::SeqCst);
    }

    /// How many questions about containers have their whole answer.
    pub(super) fn answers(&self) -> usize {
        self.shared.answers.load(Ordering::SeqCst)
    }

    pub(super) fn event(&self, action: &str, id: &str) {
        self.line(&format!(r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"{id}"}}}}"#));
    }

    /// A line of the stream of events, of whatever kind.
    pub(super) fn line(&self, line: &str) {
        for mut stream in &*self.shared.listeners.lock().unwrap() {
            // Who has heard enough breaks off.
            let _ = write!(stream, "{:x}\r\n{line}\n\r\n", line.len() + 1);
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes who accepts.
        UnixStream::connect(&self.path).unwrap();
        self.thread.take().unwrap().join().unwrap();
        std::fs::remove_file(&self.path).unwrap();
        self.hang_up();
    }
}

impl Shared {
    fn serve(&self, mut stream: UnixStream) {
        while let Some(path) = request(&mut stream) {
            let head = |status| format!("HTTP/1.1 {status}\r\n{}\r\n", self.header);
            if path.starts_with("/events?") {
                write!(stream, "{}Transfer-Encoding: chunked\r\n\r\n", head("200 OK")).unwrap();
                self.listeners.lock().unwrap().push(stream);
                return;
            }
            if path.contains("/containers/") {
                self.inspections.fetch_add(1, Ordering::SeqCst);
            }
            if self.held.lock().unwrap().as_ref() == Some(&path) {
                self.unanswered.lock().unwrap().push(stream);
                return;
            }
            let body = match path.as_str() {
                "/_ping" => Some(b"OK".to_vec()),
                path => self.bodies.lock().unwrap().get(path).cloned(),
            };
            let is_refused = self.refuses.load(Ordering::SeqCst) && path != "/_ping";
            let status = match &body {
                _ if is_refused => "403 Forbidden",
                Some(_) => "200 OK",
                None => "404 Not Found",
            };
            let body = body.unwrap_or_default();
            // Who has heard enough breaks off.
            let _ = write!(stream, "{}Content-Length: {}\r\n\r\n", head(status), body.len());
            let _ = stream.write_all(&body);
            if path.contains("/containers/") {
                self.answers.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// The path of the next request; `None` at the end.
fn request(stream: &mut UnixStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.extend(byte);
    }
    let head = String::from_utf8(head).ok()?;
    Some(head.strip_prefix("GET ")?.split(' ').next()?.to_owned())
}

/// What a runtime with the CRI has.
#[derive(Clone, Default)]
pub(super) struct Cri {
    pub(super) name: &'static str,
    pub(super) containers: Vec<ListedContainer>,
    pub(super) sandboxes: Vec<PodSandbox>,
    /// What the status of every container says of its image.
    pub(super) image: ImageSpec,
}

impl Cri {
    pub(super) fn start(self, path: &Path) -> Server {
        Server::start(path, move |place, message| self.answer(place.rsplit('/').next().unwrap(), message))
    }

    fn answer(&self, method: &str, message: &[u8]) -> Reply {
        Reply::Message(match method {
            "Version" => VersionResponse { runtime_name: self.name.as_bytes().to_vec() }.encode_to_vec(),
            "ListContainers" => {
                let wanted = ListContainersRequest::decode(message).unwrap().filter.unwrap().id;
                // As some do, by the beginning of the id alone.
                let fits = |container: &&ListedContainer| container.id.starts_with(&wanted[..4]);
                let containers = self.containers.iter().filter(fits).cloned().collect();
                ListContainersResponse { containers }.encode_to_vec()
            }
            "ContainerStatus" => {
                let wanted = ContainerStatusRequest::decode(message).unwrap().container_id;
                if !self.containers.iter().any(|container| container.id == wanted) {
                    return Reply::Status(Code::Unknown, "no such container");
                }
                let image = Some(self.image.clone());
                ContainerStatusResponse { status: Some(ContainerStatus { image }) }.encode_to_vec()
            }
            "ListPodSandbox" => {
                let wanted = ListPodSandboxRequest::decode(message).unwrap().filter.unwrap().id;
                let items = self.sandboxes.iter().filter(|sandbox| sandbox.id == wanted).cloned().collect();
                ListPodSandboxResponse { items }.encode_to_vec()
            }
            _ => return Reply::Status(Code::Unimplemented, "unknown method"),
        })
    }
}

pub(super) fn pair(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Pair {
    Pair { key: key.as_ref().to_vec(), value: value.as_ref().to_vec() }
}

pub(super) fn image(image: &str, by_user: &str) -> ImageSpec {
    ImageSpec { image: image.into(), user_specified_image: by_user.into() }
}

pub(super) fn container(id: &str, sandbox: &str, name: &[u8], labels: Vec<Pair>) -> ListedContainer {
    ListedContainer {
        id: id.to_owned(),
        pod_sandbox_id: sandbox.to_owned(),
        metadata: Some(ContainerMetadata { name: name.to_vec() }),
        image: Some(image("sha256:1", "")),
        labels,
    }
}

pub(super) fn sandbox(id: &str, name: &str, labels: Vec<Pair>, annotations: Vec<Pair>) -> PodSandbox {
    let metadata = Some(PodSandboxMetadata { name: name.into() });
    PodSandbox { id: id.to_owned(), metadata, labels, annotations }
}

/// What is at a socket's path, and does not do what a runtime does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NotSocket,
    /// Its daemon was killed.
    Stale,
    /// Accepts, and never answers.
    Hanging,
    ClosesAtOnce,
    Garbage,
    /// Speaks HTTP/1, and is neither Docker nor Podman.
    OtherHttp1,
    /// Speaks HTTP/2, and its answers are too long.
    Flood,
}

/// Whatever keeps a fault going.
pub(super) enum Faulty {
    Nothing,
    Listening(#[expect(dead_code, reason = "it is there to be open")] UnixListener),
    Serving(#[expect(dead_code, reason = "it is there to run")] Server),
}

impl Fault {
    pub(super) const ALL: [Self; 7] = [
        Self::NotSocket,
        Self::Stale,
        Self::Hanging,
        Self::ClosesAtOnce,
        Self::Garbage,
        Self::OtherHttp1,
        Self::Flood,
    ];

    pub(super) fn start(self, path: &Path) -> Faulty {
        match self {
            Self::NotSocket => {
                std::fs::write(path, "").unwrap();
                Faulty::Nothing
            }
            Self::Stale => {
                drop(UnixListener::bind(path).unwrap());
                Faulty::Nothing
            }
            Self::Hanging => Faulty::Listening(UnixListener::bind(path).unwrap()),
            Self::ClosesAtOnce => answering(path, b""),
            Self::Garbage => answering(path, b"\x00\xff\x17 nonsense\n\n\n"),
            Self::OtherHttp1 => answering(path, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
            Self::Flood => Faulty::Serving(Server::start(path, |_, _| Reply::Zeros(100 << 20))),
        }
    }
}

/// Answers every connection with the same bytes, and closes it.
fn answering(path: &Path, bytes: &'static [u8]) -> Faulty {
    let listener = UnixListener::bind(path).unwrap();
    // It ends with the test program.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            if !bytes.is_empty() {
                let _ = stream.read(&mut [0; 4096]);
            }
            let _ = stream.write_all(bytes);
        }
    });
    Faulty::Nothing
}
