//! Who claims a process: a container of a pod, another container, a systemd unit that was asked for, or the host.

use super::catalogue::Catalogue;
use super::container::{ContainerId, Engine};
use super::kubernetes::KubernetesState;
use super::membership::{Membership, PodUid};
use super::status::SourceStatus;
use super::systemd::{Unit, Units};
use super::target::{Discovered, Source};
use super::unknown::Unknown;
use crate::label::LabelSet;
use crate::process::cgroup::Cgroups;
use std::sync::Arc;
use std::time::Instant;

/// Whose a process is.
#[derive(Clone, Debug)]
pub enum Claim {
    /// A container's.
    Container {
        /// [`Source::Kubernetes`] or [`Source::Container`].
        source: Source,
        /// What is known of it.
        discovered: Arc<Discovered>,
        /// The unit that was asked for and that the container runs in, if there is one.
        unit: Option<Arc<Unit>>,
    },
    /// A unit's.
    Unit(Arc<Unit>),
    /// Nobody's: it is named by its executable and cgroup.
    Host,
    /// Nobody's, and it is not to be profiled.
    Nobody(Unclaimed),
}

/// Why a process is not to be profiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unclaimed {
    /// Only what a source claims is profiled.
    HostOff,
    /// It is in a pod that the selector of pods leaves out.
    PodNotSelected,
}

/// A claim, and whether a better one may come at any moment.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// As of now.
    pub claim: Claim,
    /// Its container is not known yet, and has been met only just now.
    pub is_waiting: bool,
    /// No source knows its container.
    pub is_nameless: bool,
}

/// What is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimants {
    /// Pods are asked for.
    pub kubernetes: bool,
    /// Only some of them.
    pub selects_pods: bool,
    /// Containers of no pod are profiled as such.
    pub containers: bool,
    /// What nothing else claims is profiled.
    pub host: bool,
}

/// The sources that may claim a process.
#[derive(Debug)]
pub struct Sources {
    /// What is in force.
    pub claimants: Claimants,
    /// What the API server tells.
    pub kubernetes: Arc<Catalogue>,
    /// How far it has got.
    pub kubernetes_state: Arc<KubernetesState>,
    /// What container runtimes tell.
    pub runtimes: Arc<Catalogue>,
    /// The units that were asked for.
    pub units: Arc<Units>,
    /// How each of them does.
    pub statuses: Vec<Arc<SourceStatus>>,
    /// Containers that none of them knows.
    pub unknown: Unknown,
}

impl Claim {
    /// Who claims, if anyone.
    pub fn source(&self) -> Option<Source> {
        match self {
            Self::Container { source, .. } => Some(*source),
            Self::Unit(_) => Some(Source::Systemd),
            Self::Host => Some(Source::Host),
            Self::Nobody(_) => None,
        }
    }

    /// Whether another claim is the same, of the same version.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Container { source, discovered, unit },
                Self::Container { source: other_source, discovered: other_discovered, unit: other_unit },
            ) => {
                source == other_source
                    && (Arc::ptr_eq(discovered, other_discovered) || discovered == other_discovered)
                    && unit == other_unit
            }
            (Self::Unit(unit), Self::Unit(other)) => Arc::ptr_eq(unit, other) || unit == other,
            (Self::Host, Self::Host) => true,
            (Self::Nobody(why), Self::Nobody(other)) => why == other,
            _ => false,
        }
    }
}

impl Sources {
    /// Another number whenever a claim may have changed.
    pub(super) fn revision(&self) -> [u64; 4] {
        let known = u64::from(self.kubernetes_state.synced());
        [self.kubernetes.revision(), self.runtimes.revision(), self.units.revision(), known]
    }

    /// Who claims a process in these cgroups; of one without any nothing can be told.
    pub(super) fn claim(&self, cgroups: Option<&Cgroups>, now: Instant) -> Claimed {
        let Some(cgroups) = cgroups else { return self.nobody_else().settled() };
        let membership = Membership::of(cgroups);
        let unit = || {
            let paths: Vec<&[u8]> = cgroups.paths().iter().map(|path| &*path.0).collect();
            self.units.unit_of(&paths)
        };
        if let Some(innermost) = membership.containers.first()
            && let Some(claimed) = self.container(innermost, &membership, unit, now)
        {
            return claimed;
        }
        match unit() {
            Some(unit) => Claim::Unit(unit).settled(),
            None => self.nobody_else().settled(),
        }
    }

    fn nobody_else(&self) -> Claim {
        if self.claimants.host { Claim::Host } else { Claim::Nobody(Unclaimed::HostOff) }
    }

    /// The claim of a container; `None` if containers of its kind are of no interest.
    fn container(
        &self,
        innermost: &ContainerId,
        membership: &Membership,
        unit: impl FnOnce() -> Option<Arc<Unit>>,
        now: Instant,
    ) -> Option<Claimed> {
        let in_pod = self.claimants.kubernetes && membership.pod.is_some();
        // The cluster's containers are root's.
        let of_cluster = || membership.containers.iter().filter(|container| container.user.is_none());
        let is_another = |unit: &Arc<Unit>| !is_of_container(unit.name.as_str(), &innermost.id);
        let claim =
            |source, discovered| Claim::Container { source, discovered, unit: unit().filter(is_another) };
        if self.claimants.kubernetes
            && let Some(discovered) = of_cluster().find_map(|container| self.kubernetes.get(&container.id))
        {
            return Some(claim(Source::Kubernetes, discovered).settled());
        }
        if !in_pod && !self.claimants.containers {
            return None;
        }
        if !in_pod && matches!(innermost.engine, Some(Engine::Lxc | Engine::BuildKit)) {
            // No one can be asked about it.
            return Some(claim(Source::Container, Arc::new(nameless(innermost, None))).settled());
        }
        let told = membership.containers.iter().find_map(|container| self.runtimes.get(&container.key()));
        let is_of_pod = in_pod || told.as_ref().is_some_and(|told| told.labels.get("pod").is_some());
        // What runs it may be known although it is not.
        let is_nameless = self.runtimes.get(&innermost.key()).is_none();
        let is_waiting = if is_nameless {
            self.unknown.awaits(innermost, !in_pod, now)
        } else {
            // The runtime knows at once; the API server, which knows more, some seconds later.
            self.unknown.refresh(innermost, now);
            in_pod && self.unknown.is_fresh(innermost, now)
        };
        let left_out = in_pod && self.claimants.selects_pods && self.kubernetes_state.synced();
        if left_out {
            // One that is selected loses what it does before the server tells of it; the others are not wanted.
            let claim = Claim::Nobody(Unclaimed::PodNotSelected);
            return Some(Claimed { claim, is_waiting, is_nameless: false });
        }
        let source = if is_of_pod { Source::Kubernetes } else { Source::Container };
        let discovered = told.unwrap_or_else(|| Arc::new(nameless(innermost, membership.pod.as_ref())));
        Some(Claimed { claim: claim(source, discovered), is_waiting, is_nameless })
    }
}

impl Claim {
    /// What is known of the claimant; nothing of the host.
    pub(super) fn discovered(&self) -> Option<&Discovered> {
        match self {
            Self::Container { discovered, .. } => Some(discovered),
            Self::Unit(unit) => Some(&unit.discovered),
            Self::Host | Self::Nobody(_) => None,
        }
    }

    /// Puts the labels that it gives.
    pub(super) fn put(&self, labels: &mut LabelSet) {
        let mut put = |discovered: &Discovered| {
            for (name, value) in discovered.labels.iter().chain(discovered.meta.iter()) {
                labels.set(name, value);
            }
        };
        match self {
            Self::Container { discovered, unit, .. } => {
                unit.iter().for_each(|unit| put(&unit.discovered));
                put(discovered);
            }
            Self::Unit(unit) => put(&unit.discovered),
            Self::Host | Self::Nobody(_) => {}
        }
    }

    fn settled(self) -> Claimed {
        Claimed { claim: self, is_waiting: false, is_nameless: false }
    }
}

/// Whether a unit is that of the container itself, which tells nothing: `docker-ID.scope`, `lxc@NAME.service`.
fn is_of_container(unit: &str, id: &str) -> bool {
    let stem = unit.rsplit_once('.').map_or(unit, |(stem, _)| stem);
    stem.strip_suffix(id).is_some_and(|before| before.is_empty() || before.ends_with(['-', '@', ':']))
}

/// What the path of its cgroup tells of a container that nothing else knows.
fn nameless(container: &ContainerId, pod: Option<&PodUid>) -> Discovered {
    let mut discovered = Discovered::default();
    discovered.labels.set("containerid", container.to_string());
    let id = |name: &str| format!("__meta_{name}_container_id");
    let name = match container.engine {
        Some(Engine::Containerd) => Some(id("containerd")),
        Some(Engine::CriO) => Some(id("crio")),
        Some(Engine::Docker) => Some(id("docker")),
        Some(Engine::Podman) => Some(id("podman")),
        Some(Engine::Lxc) => Some(id("lxc")),
        Some(Engine::BuildKit) => Some("__meta_docker_build_kit_container_id".to_owned()),
        None => None,
    };
    if let Some(name) = name {
        discovered.meta.set(name, &*container.id);
    }
    if let Some(pod) = pod {
        discovered.meta.set("__meta_kubernetes_pod_uid", &*pod.0);
        discovered.meta.set("__meta_kubernetes_pod_container_id", container.to_string());
    }
    if container.engine == Some(Engine::Lxc) {
        // It has no other name.
        discovered.labels.set("container", &*container.id);
    }
    discovered
}

#[cfg(test)]
#[path = "claim/tests.rs"]
mod tests;
