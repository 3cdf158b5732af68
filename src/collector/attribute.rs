//! From raw samples to targets: what is known of their processes is put to [`Discovery`], and what is not wanted
//! is told to the BPF programs.

use super::library::ObjectLibrary;
use crate::discovery::attribution::Attribution;
use crate::discovery::policy::{Divisor, Outcome};
use crate::discovery::{Discovery, Facts};
use crate::process::cgroup::{CgroupId, CgroupPath, CgroupResolver};
use crate::process::table::ImageInfo;
use crate::profile::collect::{RawStack, RawWindow};
use crate::profile::resolve::{Images, process_name};
use crate::sample::selection::{Holds, Selection};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Time between two looks at whether containers have got their names.
const NAME_POLL: Duration = Duration::from_millis(100);
/// For how long the end of a window waits for them, in a window of ten seconds.
const NAME_WAIT: Duration = Duration::from_secs(3);

/// Finds the targets of samples.
pub(super) struct Attributor {
    discovery: Arc<Discovery>,
    objects: Arc<ObjectLibrary>,
    selection: Option<Arc<Selection>>,
    cgroups: Arc<CgroupResolver>,
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

    /// Waits until every container in a window has a name, or has had the time to get one.
    pub(super) fn wait_for_names(&self, window: &RawWindow, images: &Images, duration: Duration) {
        let until = Instant::now() + NAME_WAIT.min(duration / 3);
        let is_nameless = |facts: &Facts| self.discovery.attribute(facts).is_waiting;
        let all = window.iter().map(|(raw, _)| self.facts(raw, image_of(raw, images)));
        let mut nameless: Vec<Facts> = all.filter(is_nameless).collect();
        while !nameless.is_empty() && Instant::now() < until {
            thread::sleep(NAME_POLL);
            nameless.retain(is_nameless);
        }
    }

    /// What becomes of a stack. What is not wanted of its like is not sampled from now on.
    pub(super) fn attribute(&self, raw: &RawStack, image: Option<&ImageInfo>) -> Outcome {
        let facts = self.facts(raw, image);
        let attribution = self.discovery.attribute(&facts);
        if let Some(selection) = &self.selection
            && attribution.is_final
            // Most samples are wanted, where nothing is unwanted.
            && (kept_of(&attribution.outcome) != 1 || !selection.is_empty())
        {
            self.select(selection, raw, &facts, &attribution);
        }
        attribution.outcome
    }

    fn select(&self, selection: &Selection, raw: &RawStack, facts: &Facts, attribution: &Attribution) {
        let divisor = kept_of(&attribution.outcome);
        if attribution.is_of_cgroup && self.is_of_whole_cgroup(raw, facts, attribution) {
            selection.decide_cgroup(raw.cgroup, divisor);
            return;
        }
        selection.decide_process(raw.process, raw.cgroup, divisor, holds(attribution));
    }

    /// Whether the cgroup that the kernel tells of decides by itself. Under cgroup v1 it does not: it is the root, or
    /// one that holds other containers too.
    fn is_of_whole_cgroup(&self, raw: &RawStack, facts: &Facts, attribution: &Attribution) -> bool {
        let Some(cgroups) = self.cgroups.find(raw.cgroup) else { return false };
        if *cgroups.main() == CgroupPath::root() {
            return false;
        }
        let alone = Facts { cgroups: Some(cgroups), ..facts.clone() };
        let alone = self.discovery.attribute(&alone);
        alone.is_of_cgroup && alone.outcome == attribution.outcome
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

fn image_of<'a>(raw: &RawStack, images: &'a Images) -> Option<&'a ImageInfo> {
    images.get(&(raw.process, raw.image?))
}

/// How many samples of a process one is kept of, in the form in which the BPF programs take it.
fn kept_of(outcome: &Outcome) -> u32 {
    match outcome {
        Outcome::Profiled { divisor: Divisor(divisor), .. } => u32::from(divisor.get()),
        Outcome::LeftOut { .. } => 0,
    }
}

/// A process that is named by its program is another target when it runs another one; and one outside of all containers
/// may be about to become one, as what starts a container is, which moves to its cgroup and executes its program.
fn holds(attribution: &Attribution) -> Holds {
    if attribution.is_of_container { Holds::UntilExit } else { Holds::UntilExec }
}
