//! The whole source against daemons of the tests' own.

mod daemon;
mod sleep;
mod users;

use super::known::{FORGET, MAX_ENTRIES};
use super::socket::{Seen, Socket};
use super::source::MAX_UNHEARD;
use super::{Answer, Kind, Options, Place, Runtimes};
use crate::discovery::catalogue::Catalogue;
use crate::discovery::container::{ContainerId, Engine};
use crate::discovery::status::State;
use crate::metrics::{Format, Registry};
use daemon::{Cri, DOCKER, Engine as Daemon, Fault, PODMAN, container, image, pair, sandbox};
use smol::Executor;
use smol::channel::{Receiver, Sender, bounded};
use smol::future::FutureExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";
/// Longer than any test takes.
const LIMIT: Duration = Duration::from_secs(30);

/// A running source.
struct Running {
    runtimes: Arc<Runtimes>,
    catalogue: Arc<Catalogue>,
    requests: Option<Sender<ContainerId>>,
    answers: Receiver<(ContainerId, Answer)>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    fn start(options: Options) -> Self {
        let executor = Arc::new(Executor::new());
        let catalogue = Arc::new(Catalogue::default());
        let runtimes = Runtimes::new(options, catalogue.clone(), executor.clone());
        let ((requests, requested), (answer, answers), (over, is_over)) =
            (bounded(64), bounded(64), bounded::<()>(1));
        let run = executor.spawn(runtimes.clone().run(requested, answer));
        let helper = executor.clone();
        let threads = vec![
            std::thread::spawn(move || {
                smol::block_on(executor.run(run));
                drop(over);
            }),
            std::thread::spawn(move || {
                let _ = smol::block_on(helper.run(is_over.recv()));
            }),
        ];
        Self { runtimes, catalogue, requests: Some(requests), answers, threads }
    }

    fn at(places: impl IntoIterator<Item = (PathBuf, Option<Kind>)>) -> Self {
        let places = places.into_iter().map(|(path, kind)| Place::new(path, kind)).collect();
        Self::start(Options { socket_path: None, places: Some(places) })
    }

    fn request(&self, engine: Option<Engine>, id: &str) {
        self.request_of(None, engine, id);
    }

    fn request_of(&self, user: Option<u32>, engine: Option<Engine>, id: &str) {
        let container = ContainerId { engine, id: id.into(), user };
        self.requests.as_ref().unwrap().send_blocking(container).unwrap();
    }

    fn ask(&self, engine: Option<Engine>, id: &str) -> Answer {
        self.ask_of(None, engine, id)
    }

    fn ask_of(&self, user: Option<u32>, engine: Option<Engine>, id: &str) -> Answer {
        self.request_of(user, engine, id);
        let late = async {
            smol::Timer::after(LIMIT).await;
            panic!("no answer for {id}");
        };
        let (container, answer) = smol::block_on(async { self.answers.recv().await.unwrap() }.or(late));
        assert_eq!(&*container.id, id);
        answer
    }

    fn labels(&self, id: &str) -> String {
        self.catalogue.get(id).map_or_else(String::new, |discovered| discovered.labels.to_string())
    }

    fn meta(&self, id: &str, name: &str) -> String {
        self.catalogue.get(id).unwrap().meta.get(name).unwrap_or_default().to_owned()
    }

    fn name(&self, id: &str) -> Option<String> {
        Some(self.catalogue.get(id)?.labels.get("container")?.to_owned())
    }

    fn state(&self, kind: Kind) -> State {
        self.runtimes.statuses()[kind as usize].snapshot().state
    }

    fn metric(&self, line: &str) -> u64 {
        let (registry, runtimes) = (Registry::default(), self.runtimes.clone());
        registry.register(move |exposition| runtimes.collect(exposition));
        let text = registry.scrape(Format::Prometheus);
        let value = text.lines().find_map(|found| found.strip_prefix(&format!("parca_agent_{line} ")));
        value.unwrap_or_else(|| panic!("no {line} in {text}")).parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.requests = None;
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn folder() -> (TempDir, impl Fn(&str) -> PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().to_owned();
    (folder, move |name| base.join(name))
}

/// A container of a pod, its pod, and one of no pod.
fn cluster(name: &'static str) -> Cri {
    let kubernetes = |rest: &[(&str, &str)]| {
        let all = [("pod.name", "web-1"), ("pod.namespace", "shop"), ("pod.uid", "77")];
        all.iter().chain(rest).map(|(name, value)| pair(format!("io.kubernetes.{name}"), value)).collect()
    };
    let mut pod_labels: Vec<_> = kubernetes(&[]);
    pod_labels.push(pair("app.kubernetes.io/name", "web"));
    Cri {
        name,
        containers: vec![
            container(A, B, b"web", kubernetes(&[("container.name", "web")])),
            container(C, "none", b"alone", vec![pair("x", "y")]),
        ],
        sandboxes: vec![sandbox(B, "web-1", pod_labels, vec![pair("note", "hello")])],
        image: image("nginx:1", ""),
    }
}

#[test]
fn a_container_of_a_pod_has_these_labels() {
    let (_folder, path) = folder();
    let _cri = cluster("containerd").start(&path("cri"));
    let running = Running::at([(path("cri"), Some(Kind::Cri))]);
    assert_eq!(running.ask(Some(Engine::Containerd), A), Answer::Known);
    assert_eq!(
        running.labels(A),
        format!(r#"{{container="web",containerid="containerd://{A}",namespace="shop",pod="web-1"}}"#)
    );
    let meta: Vec<_> = running
        .catalogue
        .get(A)
        .unwrap()
        .meta
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let expected = [
        format!("__meta_containerd_container_id={A}"),
        "__meta_containerd_container_image=nginx:1".to_owned(),
        "__meta_containerd_container_label_io_kubernetes_container_name=web".to_owned(),
        "__meta_containerd_container_label_io_kubernetes_pod_name=web-1".to_owned(),
        "__meta_containerd_container_label_io_kubernetes_pod_namespace=shop".to_owned(),
        "__meta_containerd_container_label_io_kubernetes_pod_uid=77".to_owned(),
        "__meta_containerd_container_labelpresent_io_kubernetes_container_name=true".to_owned(),
        "__meta_containerd_container_labelpresent_io_kubernetes_pod_name=true".to_owned(),
        "__meta_containerd_container_labelpresent_io_kubernetes_pod_namespace=true".to_owned(),
        "__meta_containerd_container_labelpresent_io_kubernetes_pod_uid=true".to_owned(),
        "__meta_containerd_container_name=web".to_owned(),
        "__meta_containerd_pod_name=web-1".to_owned(),
        "__meta_kubernetes_namespace=shop".to_owned(),
        "__meta_kubernetes_pod_annotation_note=hello".to_owned(),
        "__meta_kubernetes_pod_annotationpresent_note=true".to_owned(),
        format!("__meta_kubernetes_pod_container_id=containerd://{A}"),
        "__meta_kubernetes_pod_container_image=nginx:1".to_owned(),
        "__meta_kubernetes_pod_container_name=web".to_owned(),
        "__meta_kubernetes_pod_label_app_kubernetes_io_name=web".to_owned(),
        "__meta_kubernetes_pod_labelpresent_app_kubernetes_io_name=true".to_owned(),
        "__meta_kubernetes_pod_name=web-1".to_owned(),
        "__meta_kubernetes_pod_uid=77".to_owned(),
    ];
    assert_eq!(meta, expected);
    assert_eq!(running.state(Kind::Cri), State::Working);
    assert_eq!(running.state(Kind::Docker), State::Off);
}

#[test]
fn other_containers_of_the_cri() {
    let (_folder, path) = folder();
    let _cri = cluster("cri-o").start(&path("cri"));
    let running = Running::at([(path("cri"), Some(Kind::Cri))]);
    // Where the cgroup tells nothing of the engine.
    assert_eq!(running.ask(None, C), Answer::Known);
    assert_eq!(
        running.labels(C),
        format!(r#"{{container="alone",containerid="cri-o://{C}",image="nginx:1"}}"#)
    );
    assert_eq!(running.meta(C, "__meta_crio_container_label_x"), "y");
    // The container that holds a pod's namespaces.
    assert_eq!(running.ask(Some(Engine::CriO), B), Answer::Known);
    assert_eq!(
        running.labels(B),
        format!(r#"{{container="POD",containerid="cri-o://{B}",namespace="shop",pod="web-1"}}"#)
    );
    assert_eq!(running.meta(B, "__meta_crio_pod_name"), "web-1");
    assert_eq!(running.ask(Some(Engine::CriO), &"d".repeat(64)), Answer::Unknown);
}

#[test]
fn the_users_name_of_an_image_is_preferred_to_its_digest() {
    let (_folder, path) = folder();
    let _cri = Cri { image: image("sha256:1", "nginx:1"), ..cluster("containerd") }.start(&path("cri"));
    let running = Running::at([(path("cri"), Some(Kind::Cri))]);
    running.ask(None, C);
    assert_eq!(running.meta(C, "__meta_containerd_container_image"), "nginx:1");
}

#[test]
fn names_that_are_no_text_and_labels_of_megabytes_cost_only_themselves() {
    let (_folder, path) = folder();
    let labels = vec![pair("huge", vec![b'x'; 10 << 20]), pair(b"\xff", b"\xfe"), pair("small", "1")];
    let cri = Cri {
        name: "containerd",
        containers: vec![container(A, "none", b"we\xffb", labels)],
        sandboxes: Vec::new(),
        image: image("nginx:1", ""),
    };
    let _cri = cri.start(&path("cri"));
    let docker = Daemon::start(&path("docker"), DOCKER);
    let json = [
        format!(r#"{{"Id":"{B}","Name":"/d"#).as_bytes(),
        b"\xff",
        format!(r#"b","Config":{{"Labels":{{"huge":"{}","small":"2"}}}}}}"#, "x".repeat(10 << 20)).as_bytes(),
    ]
    .concat();
    docker.set(&format!("/containers/{B}/json"), json);
    let running = Running::at([(path("cri"), Some(Kind::Cri)), (path("docker"), Some(Kind::Docker))]);
    assert_eq!(running.ask(Some(Engine::Containerd), A), Answer::Known);
    assert_eq!(running.name(A).unwrap(), r"we\xffb");
    assert_eq!(running.meta(A, "__meta_containerd_container_label_small"), "1");
    assert_eq!(running.meta(A, "__meta_containerd_container_label__xff"), r"\xfe");
    assert_eq!(running.ask(Some(Engine::Docker), B), Answer::Known);
    assert_eq!(running.name(B).unwrap(), "d\u{fffd}b");
    assert_eq!(running.meta(B, "__meta_docker_container_label_small"), "2");
    assert_eq!(running.metric("container_labels_dropped_total"), 2);
    assert!(running.catalogue.bytes() < 10_000);
}

#[test]
fn a_container_of_podman_is_asked_for_by_podmans_own_api() {
    let (_folder, path) = folder();
    // The package podman-docker puts Podman at Docker's path.
    let podman = Daemon::start(&path("podman"), PODMAN);
    let json = format!(r#"{{"Id":"{A}","Name":"web","ImageName":"nginx:1","Pod":"p1","Config":{{}}}}"#);
    podman.set(&format!("/v4.3.1/libpod/containers/{A}/json"), json);
    podman.set("/v4.3.1/libpod/pods/p1/json", r#"{"Name":"shop"}"#);
    std::os::unix::fs::symlink(path("podman"), path("docker")).unwrap();
    let running = Running::at([(path("podman"), Some(Kind::Podman)), (path("docker"), Some(Kind::Docker))]);
    assert_eq!(running.ask(Some(Engine::Podman), A), Answer::Known);
    assert_eq!(
        running.labels(A),
        format!(r#"{{container="web",containerid="podman://{A}",image="nginx:1"}}"#)
    );
    assert_eq!(running.meta(A, "__meta_podman_pod_name"), "shop");
    assert_eq!((running.state(Kind::Podman), podman.listeners()), (State::Working, 0));
}

#[test]
fn a_socket_of_any_kind_may_be_given() {
    let (_folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set_container(A, "web");
    let _cri = cluster("containerd").start(&path("cri"));
    for (socket, id, kind) in [("docker", A, Kind::Docker), ("cri", C, Kind::Cri)] {
        let running = Running::start(Options { socket_path: Some(path(socket)), places: None });
        assert_eq!(running.ask(None, id), Answer::Known, "{socket}");
        assert_eq!(running.state(kind), State::Working, "{socket}");
    }
}

/// A container that starts in an outage is asked for again in seconds if that is known to be one.
#[test]
fn a_socket_that_was_given_fails_as_what_it_is() {
    let (_folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set_container(A, "web");
    let running = Running::start(Options { socket_path: Some(path("docker")), places: None });
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Known);
    assert_eq!((running.state(Kind::Cri), running.state(Kind::Podman)), (State::Off, State::Off));
    eventually("somebody listens", || docker.listeners() == 1);
    docker.set_broken(true);
    for when in ["failing", "resting"] {
        assert_eq!(running.ask(Some(Engine::Docker), B), Answer::Failed, "{when}");
    }
    assert_eq!((running.state(Kind::Docker), running.state(Kind::Cri)), (State::Failing, State::Off));
    let errors = |runtime: &str| {
        running.metric(&format!(r#"container_runtime_errors_total{{runtime="{runtime}",reason="protocol"}}"#))
    };
    assert!(errors("docker") > 0);
    assert_eq!(errors("cri"), 0);
    let _hanging = Fault::Hanging.start(&path("hanging"));
    let running = Running::start(Options { socket_path: Some(path("hanging")), places: None });
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Failed, "it may be Docker's");
}

#[test]
fn for_what_no_runtime_knows_none_is_asked() {
    let (_folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    for (engine, id) in [(Engine::BuildKit, "mmx1dcu3bn04u8mln3qb4znvw"), (Engine::Lxc, "web")] {
        assert_eq!(running.ask(Some(engine), id), Answer::Unknown);
    }
    assert_eq!(docker.connections(), 0);
}

#[test]
fn how_long_what_was_told_holds() {
    let socket = |kind| Socket::new(Place::new("/none", Some(kind)), Arc::new(Executor::new()));
    let before = Instant::now();
    assert!(socket(Kind::Cri).still_holds(before), "it cannot change");
    assert!(!socket(Kind::Podman).still_holds(before));
    let docker = socket(Kind::Docker);
    assert!(!docker.still_holds(before), "nobody listens");
    docker.end_listening(false);
    assert!(!docker.still_holds(before), "nobody has listened");
    docker.begin_listening();
    assert_eq!((docker.still_holds(before), docker.still_holds(Instant::now())), (false, true));
    docker.end_listening(false);
    assert!(docker.still_holds(before), "it may sleep");
    docker.begin_listening();
    docker.end_listening(true);
    assert!(!docker.still_holds(before), "it can be asked");
}

/// A window may be longer than what is gone is kept for.
#[test]
fn who_is_forgotten_keeps_its_labels_to_the_end_of_the_window() {
    let (_folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set_container(A, "web");
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Known);
    let later = Instant::now() + FORGET;
    for passed in [Duration::ZERO, Duration::from_secs(600)] {
        running.runtimes.tidy(later + passed);
        assert_eq!(running.name(A).as_deref(), Some("web"), "{passed:?}");
    }
    assert_eq!(running.metric("container_runtime_forgotten_total"), 1);
    running.catalogue.purge(later + Duration::from_secs(600));
    assert_eq!(running.name(A), None);
}

#[test]
fn beyond_a_bound_nobody_is_known_and_that_is_counted() {
    let (_folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set_container(A, "web");
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    for index in 0..MAX_ENTRIES {
        running.runtimes.known().learn(&index.to_string(), Path::new("/none").into(), Instant::now());
    }
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Failed);
    assert!(running.catalogue.is_empty(), "who could never be forgotten is not taken in");
    assert_eq!(running.metric("container_runtime_crowded_out_total"), 1);
}

/// More than can wait before anybody listens, which is only in this test possible.
#[test]
fn a_docker_that_could_not_be_listened_to_is_counted_and_tried_again() {
    let (_folder, path) = folder();
    let _docker = Daemon::start(&path("docker"), DOCKER);
    let executor = Arc::new(Executor::new());
    let runtimes = Runtimes::new(Options::default(), Arc::default(), executor.clone());
    let socket = || Arc::new(Socket::new(Place::new(path("docker"), Some(Kind::Docker)), executor.clone()));
    let ask = |socket: &Arc<Socket>| smol::block_on(executor.run(runtimes.ask_again(socket, A)));
    for _ in 0..MAX_UNHEARD {
        ask(&socket());
    }
    assert_eq!(runtimes.figures.unheard.get(), 0);
    let socket = socket();
    for failures in 1..3 {
        ask(&socket);
        assert_eq!(runtimes.figures.unheard.get(), failures);
    }
}

/// A Docker with two containers that told of one, was listened to, and hung up.
fn stopped_docker() -> (TempDir, Daemon, Running) {
    let (folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set_container(A, "web");
    docker.set_container(B, "db");
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Known);
    eventually("somebody listens", || docker.listeners() == 1);
    eventually("what may have been missed was asked for", || docker.answers() == 2);
    docker.hang_up();
    eventually("nobody listens", || !running.runtimes.listens());
    (folder, docker, running)
}

#[test]
fn events_are_read_while_what_was_missed_is_asked_for() {
    let (_folder, docker, running) = stopped_docker();
    docker.hold(A);
    running.ask(Some(Engine::Docker), C);
    eventually("somebody listens again", || docker.listeners() == 1);
    docker.event("start", B);
    eventually("an event is read", || running.name(B).is_some());
    let given_up = running.metric(r#"container_runtime_errors_total{runtime="docker",reason="late"}"#);
    assert_eq!(given_up, 0, "nothing waits for the question that is not answered");
}

#[test]
fn an_id_cannot_lead_to_another_path() {
    let (_folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    for id in ["", "a/b", "..", "a?b", "a b", "a%2fb", &"a".repeat(256)] {
        assert_eq!(running.ask(Some(Engine::Docker), id), Answer::Unknown, "{id}");
    }
    assert_eq!(docker.connections(), 0);
}

#[test]
fn a_name_that_looks_like_an_id_is_none() {
    let (_folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set(&format!("/containers/{A}/json"), format!(r#"{{"Id":"{B}","Name":"/{A}"}}"#));
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Unknown);
    assert!(running.catalogue.is_empty());
}

/// Each fault at a socket of each kind, beside a socket of another kind that works.
#[test]
fn a_faulty_socket_fails_and_holds_up_nobody() {
    for kind in [Kind::Docker, Kind::Cri] {
        for fault in Fault::ALL {
            let (_folder, path) = folder();
            let _faulty = fault.start(&path("faulty"));
            let good = Daemon::start(&path("good"), PODMAN);
            good.set(
                &format!("/v4.3.1/libpod/containers/{A}/json"),
                format!(r#"{{"Id":"{A}","Name":"web"}}"#),
            );
            let running = Running::at([(path("faulty"), Some(kind)), (path("good"), Some(Kind::Podman))]);
            let engine = if kind == Kind::Docker { Engine::Docker } else { Engine::Containerd };
            let begun = Instant::now();
            running.request(Some(engine), B);
            running.request(Some(Engine::Podman), A);
            for _ in 0..2 {
                let (container, answer) = running.answers.recv_blocking().unwrap();
                let is_good = &*container.id == A;
                let expected = if is_good { Answer::Known } else { Answer::Failed };
                assert_eq!(answer, expected, "{kind:?} {fault:?}");
                let elapsed = begun.elapsed();
                assert!(!is_good || elapsed < Duration::from_millis(1900), "{kind:?} {fault:?}: {elapsed:?}");
            }
            assert_eq!(running.state(kind), State::Failing, "{kind:?} {fault:?}");
            // It is left alone now, unless a look is enough to see what is wrong.
            let begun = Instant::now();
            assert_eq!(running.ask(Some(engine), B), Answer::Failed, "{kind:?} {fault:?}");
            assert!(begun.elapsed() < Duration::from_millis(1900), "{kind:?} {fault:?}");
            let reason = match (fault, kind) {
                (Fault::NotSocket | Fault::Stale, _) => "connect",
                (Fault::Hanging, _) => "late",
                (Fault::OtherHttp1, Kind::Docker) => "refused",
                (Fault::Flood, Kind::Cri) => "too_long",
                _ => "protocol",
            };
            let line =
                format!(r#"container_runtime_errors_total{{runtime="{}",reason="{reason}"}}"#, kind.name());
            assert!(running.metric(&line) > 0, "{kind:?} {fault:?}");
        }
    }
}

#[test]
fn an_absent_socket_is_no_fault_and_one_that_appears_is_asked_at_once() {
    let (_folder, path) = folder();
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Unknown);
    assert_eq!(running.state(Kind::Docker), State::Off);
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set_container(A, "web");
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Known);
    assert_eq!(running.state(Kind::Docker), State::Working);
}

#[test]
fn a_replaced_socket_is_asked_at_once_whatever_the_one_before_did() {
    let (_folder, path) = folder();
    let hanging = Fault::Hanging.start(&path("docker"));
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Failed);
    drop(hanging);
    std::fs::remove_file(path("docker")).unwrap();
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set_container(A, "web");
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Known);
}

#[test]
fn a_socket_that_may_not_be_used_fails() {
    let (folder, path) = folder();
    let _docker = Daemon::start(&path("docker"), DOCKER);
    let place = Place::new(path("docker"), Some(Kind::Docker));
    let socket = Arc::new(Socket::new(place, Arc::new(Executor::new())));
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    std::fs::set_permissions(path("docker"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    // The user of a thread of its own: root may use everything.
    let outcome = std::thread::spawn(move || {
        if rustix::process::geteuid().is_root() {
            rustix::thread::set_thread_uid(rustix::thread::Uid::from_raw(65534)).unwrap();
        }
        smol::block_on(Seen::of(socket).unwrap().ask(A))
    });
    match outcome.join().unwrap() {
        super::socket::Outcome::Failed(error) => {
            assert_eq!(error.reason(), super::error::Reason::Connect, "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_without_end_costs_one_container() {
    let (_folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set(&format!("/containers/{A}/json"), vec![b' '; 100 << 20]);
    docker.set(&format!("/containers/{B}/json"), "[]");
    docker.set_container(C, "web");
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Failed);
    assert_eq!(running.ask(Some(Engine::Docker), B), Answer::Failed);
    assert_eq!(running.ask(Some(Engine::Docker), C), Answer::Known);
    assert_eq!(running.state(Kind::Docker), State::Working);
    for reason in ["too_long", "malformed"] {
        let line = format!(r#"container_runtime_errors_total{{runtime="docker",reason="{reason}"}}"#);
        assert_eq!(running.metric(&line), 1, "{reason}");
    }
}

#[test]
fn a_runtime_that_refuses_everything_fails_and_one_that_refuses_something_says_so() {
    let (_folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set_container(A, "web");
    docker.set_refusing(true);
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    let status = || running.runtimes.statuses()[Kind::Docker as usize].snapshot();
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Failed);
    assert_eq!((status().state, status().errors), (State::Failing, 1));
    assert!(status().last_error.unwrap().contains("status 403"));
    docker.set_refusing(false);
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Known);
    assert_eq!(status().state, State::Working);
    docker.set_refusing(true);
    assert_eq!(running.ask(Some(Engine::Docker), B), Answer::Failed);
    assert_eq!(status().state, State::Working);
    assert!(status().errors > 1 && status().last_error.is_some());
}

#[test]
fn who_refuses_a_question_has_answered() {
    let (_folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set_broken(true);
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Failed);
    docker.set_broken(false);
    docker.set_refusing(true);
    eventually("it is tried again", || {
        running.ask(Some(Engine::Docker), A);
        docker.inspections() > 0
    });
    let asked = docker.inspections();
    running.ask(Some(Engine::Docker), B);
    assert_eq!(docker.inspections(), asked + 1);
}

#[test]
fn a_containerd_that_serves_no_cri_is_no_fault() {
    let (_folder, path) = folder();
    let _containerd = crate::net::grpc::tests::server::Server::start(&path("cri"), |_, _| {
        crate::net::grpc::tests::server::Reply::Status(
            crate::net::grpc::Code::Unimplemented,
            "unknown service",
        )
    });
    let running = Running::at([(path("cri"), Some(Kind::Cri))]);
    for _ in 0..2 {
        assert_eq!(running.ask(Some(Engine::Containerd), A), Answer::Unknown);
        assert_eq!(running.state(Kind::Cri), State::Off);
    }
}

#[test]
fn docker_tells_what_changes() {
    let (_folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set_container(A, "web");
    docker.set_container(B, "db");
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    assert_eq!(running.ask(Some(Engine::Docker), B), Answer::Known);
    eventually("somebody listens", || docker.listeners() == 1);
    eventually("what may have been missed was asked for", || docker.answers() == 2);
    // Before anybody has requested it.
    docker.event("start", A);
    eventually("a new container is known", || running.name(A).as_deref() == Some("web"));
    docker.set_container(A, "renamed");
    docker.line("nonsense");
    docker.event("rename", A);
    eventually("the new name is known", || running.name(A).as_deref() == Some("renamed"));
    assert_eq!(running.metric(r#"container_runtime_events_total{result="malformed"}"#), 1);
    let asked = docker.inspections();
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Known);
    assert_eq!(docker.inspections(), asked, "who listens need not ask");
    docker.remove(&format!("/containers/{A}/json"));
    docker.event("destroy", A);
    eventually("it is asked for again", || running.ask(Some(Engine::Docker), A) == Answer::Unknown);
    assert_eq!(running.name(A).as_deref(), Some("renamed"), "its last samples come late");
}

#[test]
fn what_is_known_outlives_its_daemon_and_is_asked_for_again_when_that_is_back() {
    let (_folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set_container(A, "web");
    docker.set_container(B, "db");
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    for id in [A, B] {
        assert_eq!(running.ask(Some(Engine::Docker), id), Answer::Known);
    }
    eventually("somebody listens", || docker.listeners() == 1);
    drop(docker);
    eventually("its absence is noticed", || running.state(Kind::Docker) == State::Off);
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Known);
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set_container(A, "renamed");
    eventually("the new name is known", || running.name(A).as_deref() == Some("renamed"));
    eventually("who is gone is asked for", || running.ask(Some(Engine::Docker), B) == Answer::Unknown);
    assert_eq!(docker.listeners(), 1);
}

#[test]
fn requests_are_answered_each_once() {
    let (_folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    let ids: Vec<_> = (0..50).map(|index| format!("{index:064x}")).collect();
    for id in ids.iter().skip(25) {
        docker.set_container(id, "web");
    }
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    for id in &ids {
        running.request(Some(Engine::Docker), id);
    }
    let mut known: Vec<_> = (0..ids.len())
        .map(|_| running.answers.recv_blocking().unwrap())
        .map(|(container, answer)| (container.id, answer == Answer::Known))
        .collect();
    known.sort();
    let expected: Vec<_> = ids.iter().enumerate().map(|(index, id)| ((**id).into(), index >= 25)).collect();
    assert_eq!(known, expected);
    assert_eq!(running.metric(r#"container_runtime_answers_total{result="known"}"#), 25);
}

#[test]
fn the_path_of_a_place_is_what_errors_name() {
    let (_folder, path) = folder();
    let _stale = Fault::Stale.start(&path("docker"));
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    running.ask(Some(Engine::Docker), A);
    let error = running.runtimes.statuses()[Kind::Docker as usize].snapshot().last_error.unwrap();
    assert!(error.contains(&*Path::new(&path("docker")).to_string_lossy()), "{error}");
}
