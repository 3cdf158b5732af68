//! A server of a test's own.

use crate::window;
use parca_agent::http::{Server, State, Storing};
use parca_agent::metrics::Registry;
use parca_agent::profile::publish::Windows;
use parca_agent::profile::{Profile, Window};
use smol::Executor;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) windows: Arc<Windows>,
    pub(crate) ready: Arc<AtomicBool>,
    pub(crate) store: Arc<OnceLock<Box<Storing>>>,
    server: Option<Server>,
    _directory: tempfile::TempDir,
    // Its threads end when this is dropped.
    _stop: smol::channel::Sender<()>,
}

/// A server with one window published, and windows of 300 ms.
pub(crate) fn start() -> TestServer {
    let server = start_empty();
    server.windows.publish(Arc::new(window::demonstration()));
    server
}

pub(crate) fn start_empty() -> TestServer {
    start_with(Box::new(describe))
}

/// Stands in for pprof: the labels of the profiles, so that a test sees which were merged.
fn describe(_: &Window, profiles: &[&Profile]) -> Vec<u8> {
    profiles.iter().map(|profile| format!("{}\n", profile.target.labels)).collect::<String>().into()
}

pub(crate) fn start_with(encode: Box<parca_agent::http::Encode>) -> TestServer {
    let executor = Arc::new(Executor::new());
    let (stop, stopped) = smol::channel::bounded::<()>(1);
    for _ in 0..2 {
        let (executor, stopped) = (executor.clone(), stopped.clone());
        std::thread::spawn(move || smol::block_on(executor.run(stopped.recv())));
    }
    let windows = Arc::new(Windows::default());
    let ready = Arc::new(AtomicBool::new(false));
    let store: Arc<OnceLock<Box<Storing>>> = Arc::default();
    let state = State {
        node: "node-<1>".to_owned(),
        profiling_duration: Duration::from_millis(300),
        cpus: 4,
        windows: windows.clone(),
        registry: Arc::new(Registry::default()),
        ready: ready.clone(),
        unwind: Arc::default(),
        discovery: Arc::default(),
        store: store.clone(),
        encode,
    };
    let directory = tempfile::tempdir().unwrap();
    let any_port = "127.0.0.1:0".parse().unwrap();
    let server = Server::start(&[any_port], state, &executor, directory.path()).unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left on disk");
    let address = server.address();
    TestServer { address, windows, ready, store, server: Some(server), _directory: directory, _stop: stop }
}

impl TestServer {
    /// Stops the server itself; its executor goes on.
    pub(crate) fn stop(&mut self) {
        drop(self.server.take());
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(seconds) = std::env::var("PARCA_AGENT_TEST_SERVE").ok().and_then(|text| text.parse().ok())
        {
            println!("serving http://{}/", self.address);
            std::thread::sleep(Duration::from_secs(seconds));
        }
    }
}
