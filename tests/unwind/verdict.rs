//! What a profile says of a program, beside what is known of it.

use super::chain::{Fit, NamedFrame, text};
use super::common::profile::Profile;
use super::names::Names;
use super::target::Target;
use std::collections::BTreeMap;
use std::fmt;

/// Samples that a verdict needs.
const ENOUGH: i64 = 50;
/// Stacks shown of those that are not as they should be.
const SHOWN: usize = 3;

/// The samples of one program.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    counts: BTreeMap<Fit, i64>,
    /// Stacks that are not as they should be, in a line, and how often they are there.
    faults: BTreeMap<String, i64>,
}

impl Verdict {
    /// Compares every sample of a profile with the chains of its program.
    pub(crate) fn of(profile: &Profile, target: &Target, names: &mut Names) -> Self {
        let chains = target.case.chains();
        let mut verdict = Self::default();
        for sample in &profile.message.sample {
            let stack = names.of(&profile.stack(sample), &target.path, &target.symbols);
            let fit = chains.iter().map(|chain| chain.fit(&stack)).min().unwrap();
            verdict.add(fit, &stack, sample.value[0]);
        }
        verdict
    }

    fn add(&mut self, fit: Fit, stack: &[NamedFrame], count: i64) {
        *self.counts.entry(fit).or_default() += count;
        if matches!(fit, Fit::Cut | Fit::Wrong) {
            *self.faults.entry(format!("{fit:?}: {}", text(stack))).or_default() += count;
        }
    }

    fn count(&self, fits: &[Fit]) -> i64 {
        fits.iter().filter_map(|fit| self.counts.get(fit)).sum()
    }

    /// All samples.
    pub(crate) fn total(&self) -> i64 {
        self.counts.values().sum()
    }

    /// Share of samples whose stack has all its frames and no other.
    pub(crate) fn share(&self) -> f64 {
        self.count(&[Fit::Whole, Fit::Outer]) as f64 / self.total() as f64
    }

    /// Whether the program is profiled as it has to be.
    pub(crate) fn holds(&self, target: &Target) -> bool {
        let reached = self.count(&[Fit::Whole]) as f64 / self.total() as f64;
        self.total() >= ENOUGH && self.share() >= target.case.share && reached >= target.case.reached
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} samples {:?}", self.total(), self.counts)?;
        let mut faults: Vec<_> = self.faults.iter().collect();
        faults.sort_by_key(|(_, count)| -**count);
        for (fault, count) in faults.into_iter().take(SHOWN) {
            write!(formatter, "\n        {count} {fault}")?;
        }
        Ok(())
    }
}
