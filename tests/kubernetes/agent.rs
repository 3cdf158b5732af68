//! The source under test, and what it has told.

use crate::server::Server;
use parca_agent::discovery::catalogue::Catalogue;
use parca_agent::discovery::kubernetes::{Cluster, KubernetesState, Options, Pace, locate_with, run};
use parca_agent::discovery::status::{SourceStatus, State};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Whatever is waited for comes within this time, on a slow machine too.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The name of the thread that runs a source.
pub(crate) const EXECUTOR: &str = "executor";

/// Pauses of milliseconds.
pub(crate) const QUICK: Pace = Pace {
    shortest_pause: Duration::from_millis(1),
    longest_pause: Duration::from_millis(20),
    relist_spread: Duration::from_millis(1),
    answer: Duration::from_secs(10),
    watch: Duration::from_secs(290),
    grace: Duration::from_secs(30),
    shortest_watch: Duration::ZERO,
};

pub(crate) fn options(pace: Pace) -> Options {
    let (node, label_selector) = ("n1".to_owned(), "app in (web,db)".to_owned());
    Options { node, label_selector, kubeconfig: None, pace }
}

/// A kubeconfig with these lines for the cluster and the user.
pub(crate) fn cluster(cluster: &str, user: &str) -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let indent = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let text = format!(
        "current-context: here\ncontexts:\n- name: here\n  context: {{cluster: c, user: u}}\n\
         clusters:\n- name: c\n  cluster:\n{}users:\n- name: u\n  user:\n{}",
        indent(cluster),
        indent(user)
    );
    fs::write(&path, text).unwrap();
    let options = Options { kubeconfig: Some(path), ..options(QUICK) };
    locate_with(&options, &|_| None, Path::new("/none")).unwrap().unwrap()
}

pub(crate) struct Agent {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) status: Arc<SourceStatus>,
    pub(crate) state: Arc<KubernetesState>,
    _stop: smol::channel::Sender<()>,
}

impl Agent {
    /// Asks a server in plain text.
    pub(crate) fn start(server: &Server) -> Self {
        Self::start_with(server, options(QUICK))
    }

    pub(crate) fn start_with(server: &Server, options: Options) -> Self {
        Self::run(cluster(&format!("server: http://127.0.0.1:{}", server.port), "{}"), options)
    }

    pub(crate) fn run(cluster: Cluster, options: Options) -> Self {
        let catalogue = Arc::new(Catalogue::default());
        let status = Arc::new(SourceStatus::new("kubernetes"));
        let state = Arc::new(KubernetesState::default());
        let executor = Arc::new(smol::Executor::new());
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let source =
            run(cluster, options, catalogue.clone(), status.clone(), state.clone(), executor.clone());
        let thread = thread::Builder::new().name(EXECUTOR.to_owned());
        let run = move || {
            let task = executor.spawn(source);
            let _ = smol::block_on(executor.run(stopped.recv()));
            drop(task);
        };
        thread.spawn(run).unwrap();
        Self { catalogue, status, state, _stop: stop }
    }

    pub(crate) fn knows(&self, id: &str) -> bool {
        self.catalogue.get(id).is_some()
    }

    /// Whether a container is known, and will still be when those that are gone are forgotten.
    pub(crate) fn keeps(&self, id: &str) -> bool {
        self.catalogue.purge(Instant::now() + Duration::from_secs(61));
        self.knows(id)
    }

    pub(crate) fn is(&self, state: State) -> bool {
        self.status.snapshot().state == state
    }

    pub(crate) fn last_error(&self) -> String {
        self.status.snapshot().last_error.unwrap_or_default()
    }

    /// Waits until something is so.
    pub(crate) fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !is_so(self) {
            let now = self.status.snapshot();
            assert!(Instant::now() < end, "waited in vain until {what}; {now:?} {:?}", self.state);
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn wait_for(&self, id: &str) {
        self.wait(&format!("{id} is known"), |agent| agent.knows(id));
    }
}

/// A pod with one running container for each id.
pub(crate) fn pod(name: &str, version: u64, ids: &[&str]) -> Value {
    let container = |id: &&str| {
        json!({
            "name": "main", "containerID": format!("containerd://{id}"), "image": "image:1",
            "state": { "running": { "startedAt": "2024-01-01T00:00:00Z" } },
        })
    };
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-{name}"),
            "resourceVersion": version.to_string(), "creationTimestamp": null, "labels": { "app": "web" },
            "managedFields": [{ "manager": "kubelet", "fieldsV1": { "f:status": {} } }],
        },
        "spec": { "nodeName": "n1", "containers": [{ "name": "main" }] },
        "status": {
            "phase": "Running", "podIP": "10.0.0.7",
            "containerStatuses": ids.iter().map(container).collect::<Vec<_>>(),
        },
    })
}

/// A page of pods. An empty `next` is none.
pub(crate) fn list(version: u64, next: &str, pods: &[Value]) -> Value {
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    if !next.is_empty() {
        metadata["continue"] = next.into();
    }
    json!({ "kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": pods })
}

pub(crate) fn node() -> Value {
    json!({ "kind": "Node", "apiVersion": "v1", "metadata": { "name": "n1", "labels": { "zone": "a" } } })
}

pub(crate) fn event(kind: &str, object: &Value) -> Value {
    json!({ "type": kind, "object": object })
}

pub(crate) fn bookmark(version: u64) -> Value {
    event(
        "BOOKMARK",
        &json!({
            "kind": "Pod", "apiVersion": "v1", "spec": { "containers": null }, "status": {},
            "metadata": { "resourceVersion": version.to_string(), "creationTimestamp": null },
        }),
    )
}

pub(crate) fn error_event(code: u16) -> Value {
    event(
        "ERROR",
        &json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": format!("error {code}"), "reason": "Test", "code": code,
        }),
    )
}
