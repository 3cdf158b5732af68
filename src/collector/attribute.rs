//! From raw samples to targets: what is known of their processes is put to [`Discovery`], and what is not wanted
//! is told to the BPF programs.

use super::library::ObjectLibrary;
use crate::discovery::attribution::Attribution;
use crate::discovery::policy::Outcome;
use crate::discovery::{Discovery, Facts};
use crate::process::cgroup::{CgroupId, CgroupPath, CgroupResolver};
use crate::process::comm::Comm;
use crate::process::id::ProcessId;
use crate::process::image::ImageId;
use crate::process::table::ImageInfo;
use crate::profile::collect::{RawStack, RawWindow};
use crate::profile::publish::LONGEST_CLOSING;
use crate::profile::resolve::{Images, process_name};
use crate::sample::selection::{Holds, Selection};
use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Time between two looks at whether containers have got their names.
const NAME_POLL: Duration = Duration::from_millis(100);

/// Finds the targets of samples.
pub(super) struct Attributor {
    discovery: Arc<Discovery>,
    objects: Arc<ObjectLibrary>,
    selection: Option<Arc<Selection>>,
    cgroups: Arc<CgroupResolver>,
}

/// Whose a stack is, as far as another target may follow from it. A window has some thousands of these in a hundred
/// thousand stacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Owner {
    process: ProcessId,
    image: Option<ImageId>,
    cgroup: CgroupId,
    comm: Comm,
}

/// What becomes of the stacks of a window.
pub(super) struct Outcomes(HashMap<Owner, Outcome>);

/// How many samples of a process are wanted, decided by what was known of one of its images.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decision {
    pub(super) process: ProcessId,
    pub(super) image: ImageId,
    pub(super) cgroup: CgroupId,
    /// One of how many, 0 for none.
    pub(super) kept: u32,
    pub(super) holds: Holds,
}

impl Owner {
    fn of(raw: &RawStack, image: Option<&ImageInfo>) -> Self {
        let comm = process_name(raw, image);
        Self { process: raw.process, image: raw.image, cgroup: raw.cgroup, comm }
    }
}

impl Outcomes {
    /// What becomes of a stack of the window.
    pub(super) fn of(&self, raw: &RawStack, image: Option<&ImageInfo>) -> Option<&Outcome> {
        self.0.get(&Owner::of(raw, image))
    }
}

impl Attributor {
    pub(super) fn new(
        discovery: Arc<Discovery>,
        objects: Arc<ObjectLibrary>,
        selection: Option<Arc<Selection>>,
        cgroups: Arc<CgroupResolver>,
    ) -> Self {
        Self { discovery, objects, selection, cgroups }
    }

    /// What becomes of all stacks of a window, once every container in it has a name, or has had the time to get one.
    /// Which cgroups are not wanted is told to the BPF programs; what is decided of processes alone comes beside it.
    pub(super) fn attribute(
        &self,
        window: &RawWindow,
        images: &Images,
        duration: Duration,
    ) -> (Outcomes, Vec<Decision>) {
        let until = Instant::now() + LONGEST_CLOSING.min(duration / 3);
        let mut owners = HashMap::new();
        for (raw, _) in window.iter() {
            let image = raw.image.and_then(|image| images.get(&(raw.process, image)));
            owners.entry(Owner::of(raw, image)).or_insert_with(|| {
                let facts = self.facts(raw, image);
                let attribution = self.discovery.attribute(&facts);
                (facts, attribution)
            });
        }
        let mut nameless: Vec<_> =
            owners.values_mut().filter(|(_, attribution)| attribution.is_waiting).collect();
        while !nameless.is_empty() && Instant::now() < until {
            thread::sleep(NAME_POLL);
            nameless.retain_mut(|(facts, attribution)| {
                *attribution = self.discovery.attribute(facts);
                attribution.is_waiting
            });
        }
        let mut decisions = Vec::new();
        let finish = |(owner, (facts, attribution)): (Owner, (Facts, Attribution))| {
            decisions.extend(self.select(&owner, &facts, &attribution));
            (owner, attribution.outcome)
        };
        (Outcomes(owners.into_iter().map(finish).collect()), decisions)
    }

    /// Tells the BPF programs if a whole cgroup is not wanted. A process may run another program by now: what is decided
    /// of it alone is for who follows that.
    fn select(&self, owner: &Owner, facts: &Facts, attribution: &Attribution) -> Option<Decision> {
        let kept = attribution.outcome.kept();
        let selection = self.selection.as_ref()?;
        // Most samples are wanted, where nothing is unwanted.
        if !attribution.is_final || (kept == 1 && selection.is_empty()) {
            return None;
        }
        if attribution.is_of_cgroup && self.is_of_whole_cgroup(owner, facts) {
            selection.decide_cgroup(owner.cgroup, kept);
            return None;
        }
        let (process, cgroup, holds) = (owner.process, owner.cgroup, holds(attribution));
        Some(Decision { process, image: owner.image?, cgroup, kept, holds })
    }

    /// Whether the cgroup that the kernel tells of decides by itself. Under cgroup v1 it does not: it is the root, or
    /// one that holds other containers too.
    fn is_of_whole_cgroup(&self, owner: &Owner, facts: &Facts) -> bool {
        let (Some(alone), Some(all)) = (self.cgroups.find(owner.cgroup), &facts.cgroups) else {
            return false;
        };
        *alone.main() != CgroupPath::root() && self.discovery.claims_alike(&alone, all)
    }

    fn facts(&self, raw: &RawStack, image: Option<&ImageInfo>) -> Facts {
        let details = image.and_then(|image| image.details.clone());
        Facts {
            process: Some(raw.process),
            comm: process_name(raw, image),
            // By the id that the sample holds, and as `/proc` told.
            cgroups: self.cgroups.of_sample(
                raw.cgroup,
                image.and_then(|image| image.cgroups.as_ref()),
                image.map_or(CgroupId::UNKNOWN, |image| image.read_in),
            ),
            executable: details.as_ref().and_then(|details| self.objects.get(details.object?)),
            details,
        }
    }
}

/// A process that is named by its program is another target when it runs another one; and one outside of all containers
/// may be about to become one, as what starts a container is, which moves to its cgroup and executes its program.
pub(super) fn holds(attribution: &Attribution) -> Holds {
    if attribution.is_of_container { Holds::UntilExit } else { Holds::UntilExec }
}
