//! What becomes of a discovered target: rules, the sampling ratio, and the labels that stay. Pure.

use super::target::{Source, Target};
use crate::label::{LabelSet, is_label_name, sanitize_label_name};
use crate::relabel::{Rules, Verdict};
use sha2::{Digest, Sha256};
use std::num::NonZeroU16;
use std::sync::Arc;

/// A rule may set this label to a number of samples a second, if fewer will do for a target.
pub const FREQUENCY_LABEL: &str = "__profile_frequency__";

/// Longest value of a label, bytes. What is longer is cut.
const MAX_VALUE: usize = 2048;
/// Labels of one target. Those beyond are dropped: first what has the last name, and never what names the target.
const MAX_LABELS: usize = 64;
/// Labels that name a target, whoever discovered it.
const NAMING: [&str; 10] = [
    "__name__",
    "cgroup",
    "comm",
    "container",
    "containerid",
    "image",
    "namespace",
    "node",
    "pod",
    "systemd_unit",
];

/// What the operator wants profiled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Rules, in their order.
    pub rules: Rules,
    /// The share of targets that is profiled; `None` for all.
    pub ratio: Option<Ratio>,
    /// Samples a second on each CPU.
    pub frequency: u32,
}

/// A share, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio(pub f64);

/// Of how many samples one is kept. That one counts for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Divisor(pub NonZeroU16);

impl Divisor {
    /// Every sample is kept.
    pub const ONE: Self = Self(NonZeroU16::MIN);
}

/// What becomes of a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is profiled.
    Profiled {
        /// Under these labels.
        target: Arc<Target>,
        /// With this share of the samples.
        divisor: Divisor,
    },
    /// It is not.
    LeftOut {
        /// Why.
        why: LeftOut,
        /// The labels that it had by then.
        labels: Arc<LabelSet>,
    },
}

/// Why a target is not profiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeftOut {
    /// Nothing claims it, and the host is not profiled.
    NotDiscovered,
    /// Its pod is not selected.
    PodNotSelected,
    /// A rule dropped it.
    Rule {
        /// Its place among the rules, from 0.
        rule: usize,
    },
    /// The sampling ratio left it out.
    SamplingRatio,
}

impl Outcome {
    /// Of how many samples one is kept, 0 if none is: as the BPF programs take it.
    pub fn kept(&self) -> u32 {
        match self {
            Self::Profiled { divisor: Divisor(divisor), .. } => u32::from(divisor.get()),
            Self::LeftOut { .. } => 0,
        }
    }
}

impl LeftOut {
    /// As a label and in the interface.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotDiscovered => "not_discovered",
            Self::PodNotSelected => "pod_not_selected",
            Self::Rule { .. } => "rule",
            Self::SamplingRatio => "sampling_ratio",
        }
    }
}

impl Policy {
    /// Decides on a target with these labels, those for rules among them. Tells also how many of its labels were
    /// dropped or cut.
    pub fn decide(&self, source: Source, mut labels: LabelSet) -> (Outcome, u64) {
        let verdict = self.rules.apply(&mut labels);
        let divisor = labels.get(FREQUENCY_LABEL).map_or(Divisor::ONE, |wanted| self.divisor(wanted));
        let (labels, cut) = finish(&labels);
        let left_out = match verdict {
            Verdict::Dropped { rule } => Some(LeftOut::Rule { rule }),
            _ if self.ratio.is_some_and(|ratio| !ratio.holds(&labels)) => Some(LeftOut::SamplingRatio),
            _ => None,
        };
        let outcome = match left_out {
            Some(why) => Outcome::LeftOut { why, labels: Arc::new(labels) },
            None => Outcome::Profiled { target: Arc::new(Target { labels, source }), divisor },
        };
        (outcome, cut)
    }

    /// The divisor for a wanted number of samples a second; one for what is no such number.
    fn divisor(&self, wanted: &str) -> Divisor {
        let wanted: f64 = wanted.trim().parse().unwrap_or_default();
        if !wanted.is_finite() || wanted <= 0.0 {
            return Divisor::ONE;
        }
        let divisor = (f64::from(self.frequency) / wanted).round().clamp(1.0, f64::from(u16::MAX));
        NonZeroU16::new(divisor as u16).map_or(Divisor::ONE, Divisor)
    }
}

impl Ratio {
    /// Whether a target is in the share. The same labels always are, or always are not, and a larger share holds
    /// all that a smaller one does.
    pub fn holds(self, labels: &LabelSet) -> bool {
        let mut hash = Sha256::new();
        for (name, value) in labels.iter() {
            // 0xff is in no UTF-8 text, so that different sets are different bytes.
            for part in [name, value] {
                hash.update(part);
                hash.update([0xff]);
            }
        }
        let head = hash.finalize().first_chunk::<8>().map_or(0, |head| u64::from_be_bytes(*head));
        // 53 bits, which a double holds exactly: from 0 to just below 1.
        let position = (head >> 11) as f64 / (1_u64 << 53) as f64;
        position < self.0
    }
}

/// Whether a label stays on profiles; the others are for rules.
pub(super) fn stays(name: &str) -> bool {
    name == "__name__" || !name.starts_with("__")
}

/// The labels that stay, and how many do not as they were: those for rules go, names and values become such as every
/// store takes.
fn finish(labels: &LabelSet) -> (LabelSet, u64) {
    let (naming, others): (Vec<_>, Vec<_>) =
        labels.iter().filter(|(name, _)| stays(name)).partition(|(name, _)| NAMING.contains(name));
    let mut cut = (naming.len() + others.len()).saturating_sub(MAX_LABELS) as u64;
    let mut finished = LabelSet::default();
    for (name, whole) in naming.into_iter().chain(others).take(MAX_LABELS) {
        let value = &whole[..whole.floor_char_boundary(MAX_VALUE)];
        cut += u64::from(value.len() < whole.len());
        if is_label_name(name) {
            finished.set(name, value);
        } else {
            let name = sanitize_label_name(name);
            finished.set(if is_label_name(&name) { name } else { format!("_{name}") }, value);
        }
    }
    (finished, cut)
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
