//! What a container is called: an id, and the engine that gave it.

use std::borrow::Cow;
use std::fmt;

/// Who runs a container. The name is the prefix that Kubernetes gives to the container's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Engine {
    /// containerd, by itself or below Kubernetes.
    Containerd,
    /// CRI-O.
    CriO,
    /// Docker.
    Docker,
    /// Podman, and what else uses libpod.
    Podman,
    /// LXC and LXD.
    Lxc,
    /// BuildKit, for the steps of an image's build.
    BuildKit,
}

impl Engine {
    /// Every engine.
    pub const ALL: [Self; 6] =
        [Self::Containerd, Self::CriO, Self::Docker, Self::Podman, Self::Lxc, Self::BuildKit];

    /// The prefix of its containers' ids.
    pub fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Lxc => "lxc",
            Self::BuildKit => "buildkit",
        }
    }
}

/// A container, as its cgroup tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId {
    /// Who runs it; `None` where the path does not tell, as in a cgroup of Kubernetes without systemd.
    pub engine: Option<Engine>,
    /// Mostly 64 hexadecimal digits; a name for LXC.
    pub id: Box<str>,
    /// The user in whose slice the cgroup lies, if that is not root: within it they name cgroups as they please.
    pub user: Option<u32>,
}

impl ContainerId {
    /// What the container is stored under in what the runtimes told.
    pub fn key(&self) -> Cow<'_, str> {
        key(self.user, &self.id)
    }
}

/// What a container of root's or of another user's is stored under: the bare id if it is root's, else
/// `user-UID/ID`. No id has a slash, so that nothing a user's runtime tells can be taken for a container of another's.
pub fn key(user: Option<u32>, id: &str) -> Cow<'_, str> {
    match user {
        Some(user) => format!("user-{user}/{id}").into(),
        None => id.into(),
    }
}

/// `docker://0123…`, or the bare id where nothing tells of the engine.
impl fmt::Display for ContainerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.engine {
            Some(engine) => write!(formatter, "{}://{}", engine.name(), self.id),
            None => formatter.write_str(&self.id),
        }
    }
}
