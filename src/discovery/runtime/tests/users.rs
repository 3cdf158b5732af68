//! What a user's socket can tell, and of whom.

use super::daemon::{DOCKER, Engine as Daemon, PODMAN};
use super::{A, Answer, B, C, Engine, Kind, Options, Place, Running, eventually, folder};
use std::path::{Path, PathBuf};

const USER: u32 = 1000;

/// Where a user's socket is below a folder.
fn socket_of_user(folder: &Path) -> PathBuf {
    std::fs::create_dir_all(folder.join("podman")).unwrap();
    folder.join("podman/podman.sock")
}

fn of_user(path: PathBuf) -> Place {
    Place { path, kind: Some(Kind::Podman), user: Some(USER) }
}

fn running(places: Vec<Place>) -> Running {
    Running::start(Options { socket_path: None, places: Some(places) })
}

fn set_in_podman(podman: &Daemon, id: &str, name: &str) {
    podman
        .set(&format!("/v4.3.1/libpod/containers/{id}/json"), format!(r#"{{"Id":"{id}","Name":"{name}"}}"#));
}

#[test]
fn a_users_podman_names_containers_of_that_user_and_of_nobody_else() {
    let (folder, path) = folder();
    let root = Daemon::start(&path("root"), PODMAN);
    set_in_podman(&root, A, "roots");
    let socket = socket_of_user(folder.path());
    let user = Daemon::start(&socket, PODMAN);
    for id in [A, B] {
        set_in_podman(&user, id, "users");
    }
    let running = running(vec![Place::new(path("root"), Some(Kind::Podman)), of_user(socket)]);
    // What it knows is not asked of it where the cgroup is not the user's.
    assert_eq!(running.ask(Some(Engine::Podman), A), Answer::Known);
    assert_eq!(running.ask(Some(Engine::Podman), B), Answer::Unknown);
    assert_eq!(running.ask(None, B), Answer::Unknown);
    assert_eq!(running.ask_of(Some(USER + 1), Some(Engine::Podman), B), Answer::Unknown);
    // Of the runtimes of users only Podman is asked.
    for engine in [Some(Engine::Docker), None] {
        assert_eq!(running.ask_of(Some(USER), engine, B), Answer::Unknown);
    }
    assert_eq!(user.inspections(), 0);
    // An id that is root's, too, is another container.
    let asked = root.inspections();
    for id in [A, B] {
        assert_eq!(running.ask_of(Some(USER), Some(Engine::Podman), id), Answer::Known);
    }
    assert_eq!(running.name(A).as_deref(), Some("roots"));
    assert_eq!(running.name(B), None);
    for id in [A, B] {
        assert_eq!(running.name(&format!("user-{USER}/{id}")).as_deref(), Some("users"));
    }
    assert_eq!(root.inspections(), asked, "root's is not asked for what is a user's");
    // What is gone is gone from where it was.
    assert_eq!(running.ask_of(Some(USER), Some(Engine::Podman), C), Answer::Unknown);
    assert_eq!(running.runtimes.statuses()[Kind::Podman as usize].snapshot().errors, 0);
}

#[test]
fn a_users_socket_that_says_it_is_docker_is_not_believed() {
    let (folder, path) = folder();
    let docker = Daemon::start(&path("docker"), DOCKER);
    docker.set_container(A, "web");
    let socket = socket_of_user(folder.path());
    let user = Daemon::start(&socket, DOCKER);
    for id in [A, B] {
        user.set_container(id, "forged");
    }
    let running = running(vec![Place::new(path("docker"), Some(Kind::Docker)), of_user(socket)]);
    assert_eq!(running.ask(Some(Engine::Docker), A), Answer::Known);
    assert_eq!(running.ask_of(Some(USER), Some(Engine::Podman), B), Answer::Failed);
    let error = running.runtimes.statuses()[Kind::Podman as usize].snapshot().last_error.unwrap();
    assert!(error.contains("no answer of Podman"), "{error}");
    // Docker's, or what claims to be, is none of the user's.
    assert_eq!(running.ask_of(Some(USER), Some(Engine::Docker), B), Answer::Unknown);
    eventually("root's is listened to", || docker.listeners() == 1);
    assert_eq!((user.listeners(), user.inspections()), (0, 0));
    assert_eq!((running.name(A).as_deref(), running.catalogue.len()), (Some("web"), 1));
}

#[test]
fn only_who_told_of_a_container_can_tell_that_it_is_gone() {
    let (_folder, path) = folder();
    let (docker, podman) = (Daemon::start(&path("docker"), DOCKER), Daemon::start(&path("podman"), PODMAN));
    set_in_podman(&podman, A, "web");
    docker.set_container(B, "db");
    let running = running(vec![
        Place::new(path("docker"), Some(Kind::Docker)),
        Place::new(path("podman"), Some(Kind::Podman)),
    ]);
    assert_eq!(running.ask(Some(Engine::Podman), A), Answer::Known);
    assert_eq!(running.ask(Some(Engine::Docker), C), Answer::Unknown);
    eventually("somebody listens", || docker.listeners() == 1);
    docker.event("destroy", A);
    docker.event("start", B);
    eventually("both events are read", || running.name(B).is_some());
    let asked = podman.inspections();
    assert_eq!(running.ask(Some(Engine::Podman), A), Answer::Known);
    assert_eq!(podman.inspections(), asked, "what was told holds");
}
