//! What the agent promises, and whether this run saw it.

use std::fmt;

use super::Results;
use super::agent::PROFILING_DURATION;
use super::contender::Contender;
use super::figure::{Figure, Figures};
use super::load::Set;

/// Expected samples from which the share delivered is known to a part in a hundred.
const ENOUGH_SAMPLES: f64 = 1000.0;

/// A promise, and what was measured.
pub(super) struct Verdict {
    what: &'static str,
    bound: Bound,
    measured: Option<f64>,
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Verdict {
    /// A promise of a share or an amount that there is at least.
    pub(super) fn at_least(what: &'static str, bound: f64, measured: Option<f64>) -> Self {
        Self { what, bound: Bound::AtLeast(bound), measured }
    }

    /// A promise of what there is at most.
    pub(super) fn at_most(what: &'static str, bound: f64, measured: Option<f64>) -> Self {
        Self { what, bound: Bound::AtMost(bound), measured }
    }

    fn is_reached(&self) -> Option<bool> {
        let measured = self.measured?;
        Some(match self.bound {
            Bound::AtMost(bound) => measured <= bound,
            Bound::AtLeast(bound) => measured >= bound,
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = match self.bound {
            Bound::AtMost(bound) => format!("<= {bound}"),
            Bound::AtLeast(bound) => format!(">= {bound}"),
        };
        let measured = self.measured.map_or_else(|| "-".to_owned(), |measured| format!("{measured:.2}"));
        let verdict = match self.is_reached() {
            Some(true) => "reached",
            Some(false) => "NOT REACHED",
            None => "not measured",
        };
        write!(formatter, "  {:<38} {bound:>8} {measured:>9}  {verdict}", self.what)
    }
}

/// The promises for one set of programs.
pub(super) fn all(set: Set, results: &Results) -> Vec<Verdict> {
    use Bound::{AtLeast, AtMost};
    let Some(ours) = results.get(&Contender::Ours) else { return Vec::new() };
    let figure = |figure| ours.get(&figure).copied();
    let mut verdicts = Vec::new();
    let mut add = |what, bound, measured| verdicts.push(Verdict { what, bound, measured });
    add("BPF time of a sample / that of the floor", AtMost(1.1), figure(Figure::TimesFloor));
    if set == Set::Deep {
        add("the same on stacks that both walk", AtMost(1.1), figure(Figure::TimesFloorOfSameStacks));
        let times = figure(Figure::TimesFloorOfFramePointers);
        add("without frame pointers / floor with", AtMost(1.0), times);
    }
    match set {
        Set::Idle => add("CPU, % of one processor", AtMost(0.1), figure(Figure::CpuPercent)),
        Set::Busy | Set::Deep => add("CPU, % of one processor", AtMost(0.3), figure(Figure::CpuPercent)),
        Set::Mix => {}
    }
    add("resident memory, MB", AtMost(30.0), figure(Figure::ResidentMegabytes));
    add("memory of BPF maps, MB", AtMost(16.0), figure(Figure::MapMegabytes));
    match set {
        Set::Idle => {
            let [median, p99] = [Figure::FirstWholeMedianMilliseconds, Figure::FirstWholeP99Milliseconds];
            add("exec to first whole stack, median, ms", AtMost(10.0), figure(median));
            add("the same, 99th percentile, ms", AtMost(100.0), figure(p99));
        }
        Set::Busy | Set::Deep => add("whole user stacks, %", AtLeast(99.5), figure(Figure::WholePercent)),
        Set::Mix => add("whole user stacks, %", AtLeast(99.0), figure(Figure::WholePercent)),
    }
    add("samples delivered, %", AtLeast(99.0), delivered(ours));
    add("start to first sample, s", AtMost(1.0), figure(Figure::FirstSampleSeconds));
    let profile = PROFILING_DURATION.as_secs_f64() + 2.0;
    add("start to first profile, s", AtMost(profile), figure(Figure::FirstProfileSeconds));
    verdicts
}

/// The share of samples delivered, where enough are expected: an idle host has a dozen in half a minute, and
/// chance decides whether a timer finds them.
fn delivered(figures: &Figures) -> Option<f64> {
    let expected = figures.get(&Figure::SamplesExpected)?;
    figures.get(&Figure::DeliveredPercent).copied().filter(|_| *expected >= ENOUGH_SAMPLES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(times: f64, delivered: f64, expected: f64) -> Results {
        let ours = Figures::from([
            (Figure::TimesFloor, times),
            (Figure::DeliveredPercent, delivered),
            (Figure::SamplesExpected, expected),
        ]);
        Results::from([(Contender::Ours, ours)])
    }

    #[test]
    fn each_promise_is_judged_by_its_bound() {
        for (times, delivered, expected) in [(1.05, 99.5, true), (1.2, 98.0, false)] {
            let verdicts = all(Set::Mix, &results(times, delivered, 6000.0));
            let reached: Vec<bool> = verdicts.iter().filter_map(Verdict::is_reached).collect();
            assert_eq!(reached, [expected, expected]);
        }
    }

    #[test]
    fn what_was_not_measured_is_neither_reached_nor_missed() {
        let text: Vec<String> =
            all(Set::Idle, &results(1.0, 50.0, 12.0)).iter().map(ToString::to_string).collect();
        for what in ["CPU", "samples delivered"] {
            assert!(
                text.iter().any(|line| line.contains(what) && line.ends_with("not measured")),
                "{text:?}"
            );
        }
    }
}
