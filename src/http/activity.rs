//! Activity: the targets that had samples lately, also those that the last window lacks.

use crate::discovery::target::Target;
use crate::metrics::{Counter, Exposition};
use crate::object::{ObjectId, Unidentified};
use crate::profile::frame::{Frame, Unresolved};
use crate::profile::{Profile, SampleCount, Window};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Most targets that are remembered; beyond it those unseen for longest are forgotten.
const MAX_TARGETS: usize = 1024;
/// How long a target without samples is remembered.
const MEMORY: Duration = Duration::from_secs(300);

/// What is known of one target's profiles.
#[derive(Clone, Debug)]
pub(super) struct TargetActivity {
    /// The target.
    pub(super) target: Arc<Target>,
    /// Samples in the last window; 0 if it was not in it.
    pub(super) samples: SampleCount,
    /// When the window of its last profile ended.
    pub(super) last_profile: SystemTime,
    /// What was wrong with its last profile.
    pub(super) last_error: Option<String>,
}

/// The targets seen lately. Windows are recorded as they come.
#[derive(Debug, Default)]
pub(super) struct Activity {
    state: Mutex<State>,
    /// Targets forgotten for want of room.
    forgotten: Counter,
}

#[derive(Debug, Default)]
struct State {
    /// Start of the last window recorded.
    recorded: Option<SystemTime>,
    targets: BTreeMap<Arc<Target>, TargetActivity>,
}

impl Activity {
    /// Takes note of a window; one that was recorded already changes nothing.
    pub(super) fn record(&self, window: &Window) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.recorded >= Some(window.start) {
            return;
        }
        state.recorded = Some(window.start);
        let end = window.start + window.duration;
        state.targets.values_mut().for_each(|activity| activity.samples = SampleCount(0));
        let unidentified = unidentified(window);
        for profile in &window.profiles {
            let activity = TargetActivity {
                target: profile.target.clone(),
                samples: profile.total(),
                last_profile: end,
                last_error: last_error(window, profile, &unidentified),
            };
            state.targets.insert(profile.target.clone(), activity);
        }
        let oldest = end.checked_sub(MEMORY);
        state.targets.retain(|_, activity| oldest.is_none_or(|oldest| activity.last_profile >= oldest));
        while state.targets.len() > MAX_TARGETS {
            let oldest =
                state.targets.values().min_by_key(|activity| (activity.last_profile, activity.samples));
            let Some(target) = oldest.map(|activity| activity.target.clone()) else { break };
            state.targets.remove(&target);
            self.forgotten.increment();
        }
    }

    /// Every target; the one with the most samples first.
    pub(super) fn targets(&self) -> Vec<TargetActivity> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut targets: Vec<_> = state.targets.values().cloned().collect();
        targets.sort_by_key(|activity| std::cmp::Reverse((activity.samples, activity.last_profile)));
        targets
    }

    /// Writes the counter.
    pub(super) fn expose(&self, exposition: &mut Exposition) {
        exposition.counter(
            "http_targets_forgotten",
            "Targets that the page forgot because there were too many.",
            [(&[][..], self.forgotten.get())],
        );
    }
}

/// Objects whose frames have file offsets for addresses, and why.
fn unidentified(window: &Window) -> BTreeMap<ObjectId, Unidentified> {
    let failed = |info: &Result<_, Unidentified>| info.as_ref().err().copied();
    window
        .objects
        .iter()
        .filter_map(|(id, object)| Some((*id, object.info.get().and_then(failed)?)))
        .collect()
}

/// The most frequent fault among the frames of a profile, in words.
fn last_error(
    window: &Window,
    profile: &Profile,
    unidentified: &BTreeMap<ObjectId, Unidentified>,
) -> Option<String> {
    let mut faults: BTreeMap<Fault, u64> = BTreeMap::new();
    for sample in &profile.samples {
        for frame in window.stacks.frames(sample.stack) {
            let fault = match frame {
                Frame::Unresolved(reason) => Fault::Unresolved(*reason),
                Frame::Object { object, .. } if unidentified.contains_key(object) => {
                    Fault::Unidentified(*object)
                }
                _ => continue,
            };
            *faults.entry(fault).or_default() += sample.count.0;
        }
    }
    let (fault, _) = faults.into_iter().max_by_key(|(_, samples)| *samples)?;
    Some(match fault {
        Fault::Unresolved(reason) => format!("frames without a mapping: {}", spaced(reason.name())),
        Fault::Unidentified(object) => {
            let name = window.objects.get(&object)?.name();
            format!("{name} is not identified: {}", spaced(unidentified.get(&object)?.name()))
        }
    })
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Unresolved(Unresolved),
    Unidentified(ObjectId),
}

fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::{Activity, MAX_TARGETS};
    use crate::address::KernelAddress;
    use crate::discovery::target::{Source, Target};
    use crate::process::comm::Comm;
    use crate::process::id::{Tgid, ThreadId};
    use crate::profile::frame::{Frame, Unresolved};
    use crate::profile::stack::StackTable;
    use crate::profile::{Profile, Sample, SampleCount, Thread, Window};
    use std::sync::Arc;
    use std::time::{Duration, UNIX_EPOCH};

    fn window(second: u64, comms: &[&str], frame: Frame) -> Window {
        let mut stacks = StackTable::default();
        let stack = stacks.intern(&[frame]).unwrap();
        let thread = Thread { tgid: Tgid(1), tid: ThreadId(1), name: Comm::new(b"t") };
        let profile = |comm: &&str| Profile {
            target: Arc::new(Target {
                labels: [("comm", *comm)].into_iter().collect(),
                source: Source::Host,
            }),
            samples: vec![Sample { stack, thread, count: SampleCount(2) }],
        };
        Window {
            start: UNIX_EPOCH + Duration::from_secs(second),
            duration: Duration::from_secs(10),
            period: Duration::from_millis(10),
            stacks,
            objects: Default::default(),
            kernel_symbols: Default::default(),
            profiles: comms.iter().map(profile).collect(),
        }
    }

    fn seen(activity: &Activity) -> Vec<(String, u64)> {
        let target = |target: super::TargetActivity| (target.target.labels.to_string(), target.samples.0);
        activity.targets().into_iter().map(target).collect()
    }

    const KERNEL: Frame = Frame::Kernel(KernelAddress(1));

    #[test]
    fn a_target_is_remembered_without_samples_and_then_forgotten() {
        let activity = Activity::default();
        activity.record(&window(0, &["a", "b"], KERNEL));
        activity.record(&window(10, &["b"], KERNEL));
        activity.record(&window(0, &["c"], KERNEL));
        assert_eq!(seen(&activity), [("{comm=\"b\"}".to_owned(), 2), ("{comm=\"a\"}".to_owned(), 0)]);
        activity.record(&window(310, &["b"], KERNEL));
        assert_eq!(seen(&activity), [("{comm=\"b\"}".to_owned(), 2)]);
    }

    #[test]
    fn targets_are_bounded_and_the_drops_counted() {
        let activity = Activity::default();
        let names: Vec<String> = (0..MAX_TARGETS + 5).map(|index| index.to_string()).collect();
        activity.record(&window(0, &names.iter().map(String::as_str).collect::<Vec<_>>(), KERNEL));
        assert_eq!((activity.targets().len(), activity.forgotten.get()), (MAX_TARGETS, 5));
    }

    #[test]
    fn the_last_error_is_that_of_the_last_profile() {
        let activity = Activity::default();
        activity.record(&window(0, &["a"], Frame::Unresolved(Unresolved::ProcessExited)));
        let error = activity.targets()[0].last_error.clone();
        assert_eq!(error.as_deref(), Some("frames without a mapping: process exited"));
        activity.record(&window(10, &["a"], KERNEL));
        assert_eq!(activity.targets()[0].last_error, None);
    }
}
