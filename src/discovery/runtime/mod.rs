//! What container runtimes know of a container: its name, its image, its labels and its pod.
//!
//! A process in a container that nothing knows makes a request, the runtimes are asked for that one container, and
//! what they tell goes into a [`Catalogue`](super::catalogue::Catalogue). Each question has a connection of its own,
//! so that a daemon's restart goes unnoticed. Only Docker is listened to as well, through its stream of events, by
//! which short-lived containers are known before they are gone and a new name is known at once; Podman's service
//! ends when no one is connected, and would never end if it were listened to.
//!
//! A container in use is requested again every five minutes, which tells that it is in use. Only where it may have
//! been renamed unnoticed is it asked for again: at Podman, and at a Docker that cannot be listened to. What the CRI
//! tells of a container cannot change.
//!
//! A daemon is asked only for containers that may be its own, and no Docker is started by a connection (see
//! `watch`). Root's runtimes are asked for root's containers, a user's Podman for those in that user's slice: what
//! is told is stored under [`ContainerId::key`](super::container::ContainerId::key), so that no user can name what is
//! another's.
//!
//! | file | what it holds |
//! |---|---|
//! | [`source`] | requests and answers: whom to ask in which order |
//! | [`place`], `rootless` | where the sockets are |
//! | `socket`, `circuit` | one socket, and when it is not to be asked |
//! | `engine_api`, `docker`, `podman` | the HTTP API of Docker, which Podman has too, and Podman's own |
//! | `cri` | the gRPC API that Kubernetes demands of a runtime |
//! | `description`, `kubernetes` | labels from what was told |
//! | `watch` | Docker's events |
//! | `known` | what was asked when |
//!
//! A runtime's socket is as good as root on the host: only calls that change nothing are made.

mod circuit;
mod cri;
mod description;
mod docker;
mod engine_api;
pub mod error;
mod figures;
mod known;
mod kubernetes;
pub mod place;
mod podman;
mod rootless;
mod socket;
pub mod source;
mod watch;

#[cfg(test)]
mod tests;

pub use place::{Options, Place};
pub use source::{Answer, Runtimes};

use super::container::Engine;

/// The runtimes that can be asked, by the API that they are asked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Docker, through its HTTP API.
    Docker,
    /// Podman, through its HTTP API.
    Podman,
    /// containerd, CRI-O and others, through the Container Runtime Interface.
    Cri,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Docker, Self::Podman, Self::Cri];

    /// In the page and as a label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Cri => "cri",
        }
    }

    /// Who knows the containers of an engine best.
    fn of(engine: Engine) -> Option<Self> {
        match engine {
            Engine::Docker => Some(Self::Docker),
            Engine::Podman => Some(Self::Podman),
            Engine::Containerd | Engine::CriO => Some(Self::Cri),
            Engine::Lxc | Engine::BuildKit => None,
        }
    }
}
