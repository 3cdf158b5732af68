//! Which container and pod a process is in, as the paths of its cgroups tell. Pure.
//!
//! Every container engine names the cgroup of a container after its id, and each in its own way, which depends on
//! who drives the cgroups: systemd (`docker-ID.scope`) or the engine itself (`/docker/ID`).
//!
//! | engine | components |
//! |---|---|
//! | Docker | `docker-ID.scope`, `docker/ID` |
//! | containerd | `cri-containerd-ID.scope`, `nerdctl-ID.scope`, `SLICE:cri-containerd:ID` |
//! | CRI-O | `crio-ID.scope`, `crio-ID` |
//! | Podman | `libpod-ID.scope`, `libpod-ID`, `libpod-payload-ID` |
//! | LXC | `lxc.payload.NAME`, `lxc/NAME` |
//! | BuildKit | `buildkit/ID` |
//! | any, below `kubepods` or a parent of the operator's choice | `ID`, `TASK-NUMBER` for ECS |
//!
//! Below `user-UID.slice` the user makes cgroups under any name, so what is found there is theirs.

use super::container::{ContainerId, Engine};
use crate::process::cgroup::{CgroupPath, Cgroups};
use std::fmt;

/// The id of a pod, as its cgroup has it: for a static pod, which the kubelet runs by itself, it is not the one
/// that the API server tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodUid(pub Box<str>);

impl fmt::Display for PodUid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What the cgroups of a process tell of containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Innermost first: a container may run others, such as the node of a cluster in containers.
    pub containers: Vec<ContainerId>,
    /// The innermost pod.
    pub pod: Option<PodUid>,
}

/// Containers within containers that are told apart.
const MAX_NESTING: usize = 4;
/// Longest name of an LXC container that is taken. Ids are 64 digits.
const MAX_NAME: usize = 255;

impl Membership {
    /// Reads the paths of a process. The first that leads into a container counts.
    pub fn of(cgroups: &Cgroups) -> Self {
        let mut found = Self::default();
        for path in cgroups.paths() {
            let one = Self::of_path(path);
            if !one.containers.is_empty() {
                return one;
            }
            found.pod = found.pod.or(one.pod);
        }
        found
    }

    fn of_path(path: &CgroupPath) -> Self {
        let mut membership = Self::default();
        let mut parent = "";
        let mut in_pods = false;
        let mut owner = None;
        for component in path.components() {
            // Ids and names of containers are ASCII: what is not is none of them.
            let Ok(component) = std::str::from_utf8(component) else {
                parent = "";
                continue;
            };
            // containerd without a systemd driver makes one component of slice, engine and id.
            for part in component.split_inclusive(".slice:") {
                let part = part.strip_suffix(':').unwrap_or(part);
                if membership.containers.is_empty() {
                    // The outermost counts: a user can make what looks like the slice of another below their own.
                    // The users within a container are none of this host's.
                    owner = owner.or_else(|| user(part));
                }
                let user = owner.filter(|user| *user != 0);
                // The cluster's pods are root's.
                in_pods |= user.is_none() && part.contains("kubepods");
                if let Some(pod) = in_pods.then(|| pod_uid(part)).flatten() {
                    membership.pod = Some(pod);
                }
                if let Some(container) = container(part, parent) {
                    membership.containers.insert(0, ContainerId { user, ..container });
                    membership.containers.truncate(MAX_NESTING);
                }
            }
            parent = component;
        }
        membership
    }
}

/// Prefixes of the names that engines give to cgroups.
const PREFIXES: [(&str, Engine); 6] = [
    ("docker-", Engine::Docker),
    ("cri-containerd-", Engine::Containerd),
    ("nerdctl-", Engine::Containerd),
    ("crio-", Engine::CriO),
    ("libpod-payload-", Engine::Podman),
    ("libpod-", Engine::Podman),
];

/// The container that a component names, below `parent`.
fn container(component: &str, parent: &str) -> Option<ContainerId> {
    let found = |engine, id: &str| Some(ContainerId { engine, id: id.into(), user: None });
    if let Some(name) = component.strip_prefix("lxc.payload.") {
        return is_name(name).then(|| found(Some(Engine::Lxc), name)).flatten();
    }
    if parent == "lxc" && is_name(component) {
        return found(Some(Engine::Lxc), component);
    }
    if parent == "buildkit" && is_build_id(component) {
        return found(Some(Engine::BuildKit), component);
    }
    let stem = component.strip_suffix(".scope").unwrap_or(component);
    if let Some(id) = stem.strip_prefix("cri-containerd:").filter(|id| is_id(id)) {
        return found(Some(Engine::Containerd), id);
    }
    // What follows another prefix is not the container but what watches it, such as `crio-conmon-ID.scope`.
    if let Some((engine, id)) = PREFIXES
        .iter()
        .find_map(|(prefix, engine)| stem.strip_prefix(prefix).filter(|id| is_id(id)).map(|id| (*engine, id)))
    {
        return found(Some(engine), id);
    }
    if is_id(component) || is_task_id(component) {
        return found((parent == "docker").then_some(Engine::Docker), component);
    }
    None
}

/// `user-UID.slice`, in which systemd keeps all sessions and services of a user.
fn user(component: &str) -> Option<u32> {
    let user = component.strip_prefix("user-")?.strip_suffix(".slice")?;
    user.bytes().all(|byte| byte.is_ascii_digit()).then(|| user.parse().ok()).flatten()
}

/// `podUID`, or `kubepods-burstable-podUID.slice` with underscores for dashes.
fn pod_uid(component: &str) -> Option<PodUid> {
    let uid = match component.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod")?.1.replace('_', "-"),
        None => component.strip_prefix("pod")?.to_owned(),
    };
    let digits = uid.bytes().filter(|byte| byte.is_ascii_hexdigit()).count();
    let is_uid = digits == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_uid.then(|| PodUid(uid.into()))
}

/// 64 hexadecimal digits in lower case: what all engines but LXC and BuildKit call a container.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(is_lower_hex)
}

/// `0123456789abcdef0123456789abcdef-1234567890`: a container of a task of Amazon's ECS.
fn is_task_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(task, number)| {
        task.len() == 32
            && task.bytes().all(is_lower_hex)
            && (6..=20).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// 25 letters and digits.
fn is_build_id(text: &str) -> bool {
    text.len() == 25 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

#[cfg(test)]
#[path = "membership/tests.rs"]
mod tests;
