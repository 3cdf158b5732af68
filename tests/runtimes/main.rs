//! The source of container runtimes against the real daemons, whose containers run on this host. Needs root.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

#[path = "../common/mod.rs"]
mod common;

mod source;

use common::daemons::containerd::{Containerd, PodNames};
use common::daemons::docker::Docker;
use common::daemons::podman::Podman;
use parca_agent::discovery::runtime::{Answer, Kind};
use source::Source;

const WORKLOAD: &str = "chain";
const LABELS: [(&str, &str); 1] = [("com.example/team", "shop")];

#[test]
fn docker() {
    let mut docker = Docker::start();
    let container = docker.run(WORKLOAD, "web", &LABELS);
    let source = Source::start(&docker.socket(), Some(Kind::Docker));
    let id = &container.id;
    assert_eq!(source.ask(&container), Answer::Known);
    assert_eq!(
        source.labels(id),
        format!(r#"{{container="web",containerid="docker://{id}",image="localhost/chain:1"}}"#)
    );
    assert_eq!(source.meta(id, "__meta_docker_container_label_com_example_team"), "shop");

    // It tells of what changes, without being asked.
    source.is_listening();
    docker.rename(&container, "renamed");
    source.becomes(id, "container", "renamed");
    let other = docker.run(WORKLOAD, "other", &[]);
    source.becomes(&other.id, "container", "other");
    docker.remove(&other);
    source.forgets(&other);

    // What changes while nobody listens is asked for when it is back.
    docker.stop();
    assert_eq!(source.ask(&container), Answer::Known);
    docker.begin();
    source.becomes(id, "container", "renamed");
    docker.rename(&container, "again");
    source.becomes(id, "container", "again");
    assert_eq!(source.ask(&container), Answer::Known);
}

#[test]
fn podman() {
    let mut podman = Podman::start();
    let container = podman.run(WORKLOAD, "web", &LABELS, None);
    let of_pod = podman.run(WORKLOAD, "in-pod", &[], Some("shop"));
    let source = Source::start(&podman.socket(), Some(Kind::Podman));
    let id = &container.id;
    assert_eq!(source.ask(&container), Answer::Known);
    assert_eq!(
        source.labels(id),
        format!(r#"{{container="web",containerid="podman://{id}",image="localhost/chain:1"}}"#)
    );
    assert_eq!(source.meta(id, "__meta_podman_container_label_com_example_team"), "shop");
    assert_eq!(source.ask(&of_pod), Answer::Known);
    assert_eq!(source.meta(&of_pod.id, "__meta_podman_pod_name"), "shop");

    podman.rename(&container, "renamed");
    podman.stop();
    assert_eq!(source.ask(&container), Answer::Known);
    podman.begin();
    let late = podman.run(WORKLOAD, "late", &[], None);
    assert_eq!(source.ask(&late), Answer::Known);
    // What an earlier source was told of is none of a later one's business.
    let later = Source::start(&podman.socket(), None);
    assert_eq!(later.ask(&container), Answer::Known);
    later.becomes(id, "container", "renamed");
    podman.remove(&late);
    assert_eq!(later.ask(&late), Answer::Unknown);
}

#[test]
fn containerd() {
    let mut containerd = Containerd::start();
    let names = PodNames {
        namespace: "shop",
        pod: "web-1",
        uid: "6a9c1f3e-8f8b-4b4e-9d0a-3c2b1a0f9e8d",
        container: "web",
        labels: &LABELS,
        annotations: &[("note", "hello")],
    };
    let pod = containerd.run(WORKLOAD, names);
    assert_eq!(&*source::membership(&pod.container).unwrap().pod.unwrap().0, names.uid);
    let source = Source::start(&containerd.socket(), Some(Kind::Cri));
    for restarted in [false, true] {
        if restarted {
            containerd.stop();
            assert_eq!(source.ask(&pod.container), Answer::Known);
            containerd.begin();
        }
        // One source has known it since before the restart, and one has not.
        let other = Source::start(&containerd.socket(), None);
        for source in [&source, &other] {
            let id = &pod.container.id;
            assert_eq!(source.ask(&pod.container), Answer::Known);
            assert_eq!(
                source.labels(id),
                format!(
                    r#"{{container="web",containerid="containerd://{id}",namespace="shop",pod="web-1"}}"#
                )
            );
            assert_eq!(source.meta(id, "__meta_kubernetes_pod_label_com_example_team"), "shop");
            assert_eq!(source.meta(id, "__meta_kubernetes_pod_annotation_note"), "hello");
            assert_eq!(source.meta(id, "__meta_kubernetes_pod_uid"), names.uid);
            assert_eq!(source.meta(id, "__meta_kubernetes_pod_container_image"), "localhost/chain:1");
            assert_eq!(source.ask(&pod.sandbox), Answer::Known);
            source.becomes(&pod.sandbox.id, "container", "POD");
            source.becomes(&pod.sandbox.id, "pod", "web-1");
        }
    }
    containerd.remove(&pod);
    let later = Source::start(&containerd.socket(), None);
    assert_eq!(later.ask(&pod.container), Answer::Unknown);
}
