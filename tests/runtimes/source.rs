//! A running source that asks one socket.

use crate::common::daemons::Container;
use crate::common::process::eventually;
use parca_agent::discovery::catalogue::Catalogue;
use parca_agent::discovery::container::ContainerId;
use parca_agent::discovery::membership::Membership;
use parca_agent::discovery::runtime::{Answer, Kind, Options, Place, Runtimes};
use parca_agent::discovery::status::State;
use parca_agent::process::cgroup::Cgroups;
use smol::Executor;
use smol::channel::{Receiver, Sender, bounded};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Source {
    runtimes: Arc<Runtimes>,
    catalogue: Arc<Catalogue>,
    requests: Option<Sender<ContainerId>>,
    answers: Receiver<(ContainerId, Answer)>,
    thread: Option<JoinHandle<()>>,
}

impl Source {
    /// Asks a socket of a kind, or one of which it does not know the kind.
    pub(crate) fn start(socket: &Path, kind: Option<Kind>) -> Self {
        let options = match kind {
            Some(_) => Options { socket_path: None, places: Some(vec![Place::new(socket, kind)]) },
            None => Options { socket_path: Some(socket.to_owned()), places: None },
        };
        let (executor, catalogue) = (Arc::new(Executor::new()), Arc::new(Catalogue::default()));
        let runtimes = Runtimes::new(options, catalogue.clone(), executor.clone());
        let ((requests, requested), (answer, answers)) = (bounded(8), bounded(8));
        let run = runtimes.clone().run(requested, answer);
        let thread = std::thread::spawn(move || smol::block_on(executor.run(run)));
        Self { runtimes, catalogue, requests: Some(requests), answers, thread: Some(thread) }
    }

    /// Asks for the container that a process is in, by what its cgroups tell.
    pub(crate) fn ask(&self, container: &Container) -> Answer {
        let id = named(container);
        self.requests.as_ref().unwrap().send_blocking(id.clone()).unwrap();
        let (answered, answer) = self.answers.recv_blocking().unwrap();
        assert_eq!(answered, id);
        answer
    }

    pub(crate) fn labels(&self, id: &str) -> String {
        self.catalogue.get(id).unwrap().labels.to_string()
    }

    pub(crate) fn meta(&self, id: &str, name: &str) -> String {
        let discovered = self.catalogue.get(id).unwrap();
        discovered.meta.get(name).unwrap_or_else(|| panic!("no {name} in {}", discovered.meta)).to_owned()
    }

    /// Waits until a container has a label, which nobody asks for.
    pub(crate) fn becomes(&self, id: &str, label: &str, value: &str) {
        eventually(&format!("{label} is {value}"), PATIENCE, || {
            self.catalogue.get(id).is_some_and(|discovered| discovered.labels.get(label) == Some(value))
        });
    }

    /// Waits until a container that is gone is no longer taken to be known.
    pub(crate) fn forgets(&self, container: &Container) {
        let id = ContainerId { engine: None, id: container.id.as_str().into(), user: None };
        eventually("a container that is gone is unknown", PATIENCE, || {
            self.requests.as_ref().unwrap().send_blocking(id.clone()).unwrap();
            self.answers.recv_blocking().unwrap().1 == Answer::Unknown
        });
    }

    /// Waits until it has been greeted.
    pub(crate) fn is_listening(&self) {
        eventually("Docker is listened to", PATIENCE, || {
            self.runtimes.statuses()[Kind::Docker as usize].snapshot().state == State::Working
                && self.runtimes.listens()
        });
    }
}

/// What the cgroups of a container's process tell; `None` once it has ended.
pub(crate) fn membership(container: &Container) -> Option<Membership> {
    let text = std::fs::read(format!("/proc/{}/cgroup", container.process)).ok()?;
    Some(Membership::of(&Cgroups::parse(&text)?))
}

/// What the attribution would ask for.
fn named(container: &Container) -> ContainerId {
    let Some(membership) = membership(container) else {
        return ContainerId { engine: None, id: container.id.as_str().into(), user: None };
    };
    let innermost = membership.containers.first().unwrap_or_else(|| panic!("none in {membership:?}"));
    assert_eq!(*innermost.id, *container.id);
    innermost.clone()
}

impl Drop for Source {
    fn drop(&mut self) {
        self.requests = None;
        self.thread.take().unwrap().join().unwrap();
    }
}
