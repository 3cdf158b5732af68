//! A Docker that nobody has started, or that was stopped, is not started by a connection.

use super::daemon::{DOCKER, Engine as Daemon, PODMAN};
use super::{A, Answer, B, C, Engine, Kind, Running, eventually, folder, stopped_docker};
use std::time::Duration;

/// More than passes before the first try to listen again.
const WHILE: Duration = Duration::from_millis(2500);

#[test]
fn docker_is_met_by_its_containers_alone() {
    let (_folder, path) = folder();
    let (docker, podman) = (Daemon::start(&path("docker"), DOCKER), Daemon::start(&path("podman"), PODMAN));
    docker.set_container(A, "web");
    podman.set(&format!("/v4.3.1/libpod/containers/{B}/json"), format!(r#"{{"Id":"{B}","Name":"db"}}"#));
    let running = Running::at([(path("podman"), Some(Kind::Podman)), (path("docker"), Some(Kind::Docker))]);
    let others = [
        (Some(Engine::Podman), B, Answer::Known),
        (Some(Engine::Podman), C, Answer::Unknown),
        (Some(Engine::Containerd), A, Answer::Unknown),
    ];
    for (engine, id, expected) in others {
        assert_eq!(running.ask(engine, id), expected, "{engine:?} {id}");
    }
    // Those of which only the answer tells whose they are.
    for index in 0..20 {
        let id = format!("{index:064x}");
        podman.set(&format!("/v4.3.1/libpod/containers/{id}/json"), format!(r#"{{"Id":"{id}"}}"#));
        assert_eq!(running.ask(None, &id), Answer::Known);
    }
    assert_eq!(docker.connections(), 0);
    // Nobody else knows it.
    assert_eq!(running.ask(None, A), Answer::Known);
    assert!(docker.connections() > 0);
}

#[test]
fn a_docker_that_was_stopped_is_heard_again_once_it_has_another_container() {
    let (_folder, docker, running) = stopped_docker();
    let connections = docker.connections();
    // That nothing happens can only be waited for.
    std::thread::sleep(WHILE);
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Known);
    assert_eq!((docker.connections(), docker.listeners()), (connections, 0));
    docker.set_container(A, "renamed");
    assert_eq!(running.ask(Some(Engine::Docker), B), Answer::Known);
    eventually("somebody listens again", || docker.listeners() == 1);
    eventually("the new name is known", || running.name(A).as_deref() == Some("renamed"));
}

#[test]
fn an_event_that_is_too_long_ends_no_listening() {
    let (_folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set_container(A, "web");
    let running = Running::at([(path("docker"), Some(Kind::Docker))]);
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Known);
    eventually("somebody listens", || docker.listeners() == 1);
    docker.line(&"x".repeat(2 << 20));
    eventually("somebody listens again", || docker.listeners() == 2);
}
