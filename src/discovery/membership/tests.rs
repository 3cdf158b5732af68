//! Paths as engines, drivers and distributions make them.

use super::Membership;
use crate::discovery::container::ContainerId;
use crate::process::cgroup::Cgroups;
use proptest::prelude::*;

const A: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const B: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
const POD: &str = "7f3c1c52-9d0a-4b7e-8f57-0a1b2c3d4e5f";

/// `A`, `B` and `POD` in the text stand for ids. Gives `containers, innermost first | pod`; a user's container as
/// `UID's docker://A`.
fn read(text: &str) -> String {
    let slice_pod = POD.replace('-', "_");
    let text = text.replace("POD_", &slice_pod).replace("POD", POD).replace('A', A).replace('B', B);
    let Some(cgroups) = Cgroups::parse(text.as_bytes()) else { return "no cgroup".into() };
    let membership = Membership::of(&cgroups);
    let name = |container: &ContainerId| match container.user {
        Some(user) => format!("{user}'s {container}"),
        None => container.to_string(),
    };
    let containers: Vec<_> = membership.containers.iter().map(name).collect();
    let pod = membership.pod.map_or(String::new(), |pod| format!(" | {pod}"));
    format!("{}{pod}", containers.join(" ")).replace(A, "A").replace(B, "B").replace(POD, "POD")
}

#[test]
fn each_engine_and_driver() {
    for (name, text, expected) in [
        ("docker, systemd, v2", "0::/system.slice/docker-A.scope\n", "docker://A"),
        ("docker, own driver, v2", "0::/docker/A\n", "docker://A"),
        (
            "docker, v1",
            "12:pids:/docker/A\n3:memory:/docker/A\n1:name=systemd:/docker/A\n0::/\n",
            "docker://A",
        ),
        (
            "docker, v1 with systemd",
            "5:cpu,cpuacct:/system.slice/docker-A.scope\n1:name=systemd:/system.slice/docker-A.scope\n",
            "docker://A",
        ),
        ("docker, hybrid", "4:memory:/docker/A\n0::/system.slice/docker.service\n", "docker://A"),
        (
            "docker, parent of the operator's choice",
            "0::/batch.slice/batch-night.slice/docker-A.scope\n",
            "docker://A",
        ),
        ("docker, own parent, own driver", "0::/jobs/A\n", "A"),
        (
            "rootless docker",
            "0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-A.scope\n",
            "1000's docker://A",
        ),
        ("podman as root", "0::/machine.slice/libpod-A.scope/container\n", "podman://A"),
        ("podman, own driver", "0::/libpod_parent/libpod-A\n", "podman://A"),
        ("podman in a pod", "0::/machine.slice/machine-libpod_pod_B.slice/libpod-A.scope\n", "podman://A"),
        (
            "rootless podman",
            "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-A.scope/container\n",
            "1000's podman://A",
        ),
        ("podman as a unit", "0::/system.slice/web.service/libpod-payload-A\n", "podman://A"),
        ("podman's monitor", "0::/machine.slice/libpod-conmon-A.scope\n", ""),
        ("podman's monitor, own driver", "8:pids:/libpod_parent/conmon\n0::/\n", ""),
        ("nerdctl", "0::/system.slice/nerdctl-A.scope\n", "containerd://A"),
        ("ctr", "0::/default/shell\n", ""),
        ("lxc", "0::/lxc.payload.web-1/system.slice/nginx.service\n", "lxc://web-1"),
        ("lxc, v1", "4:memory:/lxc/web-1\n", "lxc://web-1"),
        ("lxc's monitor", "0::/lxc.monitor.web-1\n", ""),
        (
            "buildkit",
            "0::/docker/buildkit/mmx1dcu3bn04u8mln3qb4znvw\n",
            "buildkit://mmx1dcu3bn04u8mln3qb4znvw",
        ),
        (
            "ecs",
            "0::/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-2704909612\n",
            "0123456789abcdef0123456789abcdef-2704909612",
        ),
        ("ecs on docker", "4:memory:/ecs/0123456789abcdef0123456789abcdef/A\n", "A"),
    ] {
        assert_eq!(read(text), expected, "{name}");
    }
}

#[test]
fn pods_of_each_class_and_driver() {
    for (name, text, expected) in [
        (
            "burstable, systemd",
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podPOD_.slice/cri-containerd-A.scope\n",
            "containerd://A | POD",
        ),
        (
            "best effort, systemd, cri-o",
            "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podPOD_.slice/crio-A.scope\n",
            "cri-o://A | POD",
        ),
        (
            "guaranteed, systemd, docker",
            "0::/kubepods.slice/kubepods-podPOD_.slice/docker-A.scope\n",
            "docker://A | POD",
        ),
        ("burstable, own driver", "0::/kubepods/burstable/podPOD/A\n", "A | POD"),
        ("guaranteed, own driver", "0::/kubepods/podPOD/A\n", "A | POD"),
        ("cri-o, own driver", "0::/kubepods/besteffort/podPOD/crio-A\n", "cri-o://A | POD"),
        (
            "cri-o with crun",
            "0::/kubepods.slice/kubepods-podPOD_.slice/crio-A.scope/container\n",
            "cri-o://A | POD",
        ),
        ("cri-o's monitor", "0::/kubepods.slice/kubepods-podPOD_.slice/crio-conmon-A.scope\n", " | POD"),
        (
            "containerd told of systemd, without it",
            "1:name=systemd:/kubepods-burstable-podPOD_.slice:cri-containerd:A\n",
            "containerd://A | POD",
        ),
        (
            "the same below its own unit",
            "0::/system.slice/containerd.service/kubepods-burstable-podPOD_.slice:cri-containerd:A\n",
            "containerd://A | POD",
        ),
        (
            "a static pod",
            "0::/kubepods/burstable/pod0123456789abcdef0123456789abcdef/A\n",
            "A | 0123456789abcdef0123456789abcdef",
        ),
        (
            "a slice for the kubelet",
            "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-podPOD_.slice/cri-containerd-A.scope\n",
            "containerd://A | POD",
        ),
        (
            "kind",
            "0::/system.slice/docker-B.scope/kubelet.slice/kubepods.slice/kubepods-podPOD_.slice/cri-containerd-A.scope\n",
            "containerd://A docker://B | POD",
        ),
        ("another cgroup namespace", "0::/../../podPOD/A\n", "A"),
        ("another cgroup namespace, systemd", "0::/../cri-containerd-A.scope\n", "containerd://A"),
        ("a container in a container of a pod", "0::/kubepods/podPOD/B/docker/A\n", "docker://A B | POD"),
    ] {
        assert_eq!(read(text), expected, "{name}");
    }
}

/// A user can make any path below their own slice.
#[test]
fn whose_a_container_is() {
    for (name, text, expected) in [
        ("root's session", "0::/user.slice/user-0.slice/user@0.service/libpod-A.scope\n", "podman://A"),
        ("a session", "0::/user.slice/user-1000.slice/session-3.scope/libpod-A.scope\n", "1000's podman://A"),
        ("v1", "4:memory:/\n1:name=systemd:/user.slice/user-1000.slice/docker/A\n", "1000's docker://A"),
        (
            "the name of root's",
            "0::/user.slice/user-7.slice/machine.slice/libpod-A.scope\n",
            "7's podman://A",
        ),
        (
            "another's below one's own",
            "0::/user.slice/user-7.slice/user-8.slice/docker-A.scope\n",
            "7's docker://A",
        ),
        (
            "root's below one's own",
            "0::/user.slice/user-7.slice/user-0.slice/docker-A.scope\n",
            "7's docker://A",
        ),
        (
            "in a container of a user's",
            "0::/user-7.slice/libpod-B.scope/docker/A\n",
            "7's docker://A 7's podman://B",
        ),
        (
            "a user of a container's",
            "0::/docker/B/user.slice/user-7.slice/libpod-A.scope\n",
            "podman://A docker://B",
        ),
        ("a pod of a user's own", "0::/user.slice/user-7.slice/kubepods/podPOD/A\n", "7's A"),
        ("a slice and more", "1:name=systemd:/user-7.slice:cri-containerd:A\n", "7's containerd://A"),
        ("no user", "0::/user-.slice/user-x.slice/user-+7.slice/user-7/docker/A\n", "docker://A"),
        ("too large a number", "0::/user-4294967296.slice/docker/A\n", "docker://A"),
    ] {
        assert_eq!(read(text), expected, "{name}");
    }
}

#[test]
fn what_is_no_container() {
    for text in [
        "0::/system.slice/nginx.service\n",
        "0::/user.slice/user-1000.slice/session-3.scope\n",
        "0::/init.scope\n",
        "0::/\n",
        "0::/system.slice/system-getty.slice/getty@tty1.service\n",
        "0::/docker/short\n",
        "0::/docker/A0\n",
        "0::/docker-A0.scope\n",
        "0::/lxc\n",
        "0::/lxc.payload.\n",
        "0::/lxc.payload.a b\n",
    ] {
        assert_eq!(read(text), "", "{text:?}");
    }
    let upper = format!("0::/docker/{}\n", A.to_uppercase());
    assert_eq!(Membership::of(&Cgroups::parse(upper.as_bytes()).unwrap()), Membership::default());
    assert_eq!(Membership::of(&Cgroups::parse(b"0::/\xff\xfe/docker\n").unwrap()), Membership::default());
}

#[test]
fn the_path_that_leads_into_a_container_counts() {
    // systemd's own hierarchy may know nothing of a container that the controllers hold.
    let text = "9:name=systemd:/system.slice/docker.service\n4:memory:/docker/A\n0::/\n";
    assert_eq!(read(text), "docker://A");
}

#[test]
fn nesting_is_bounded() {
    let text = format!("0::{}\n", "/docker/A".repeat(100));
    assert_eq!(read(&text), "docker://A docker://A docker://A docker://A");
}

proptest! {
    #[test]
    fn any_path_is_read(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Some(cgroups) = Cgroups::parse(&text) {
            Membership::of(&cgroups);
        }
    }

    #[test]
    fn an_id_is_found_wherever_it_stands(
        before in "[a-z.]{0,9}(/[a-z.]{1,9}){0,4}", id in "[0-9a-f]{64}", after in "(/[a-z.]{1,9}){0,4}",
    ) {
        let path = format!("0::/{before}/docker-{id}.scope{after}\n");
        let cgroups = Cgroups::parse(path.as_bytes()).unwrap();
        let membership = Membership::of(&cgroups);
        prop_assert!(membership.containers.iter().any(|container| *container.id == *id));
    }
}
