//! What the agent promises, and whether this run saw it.

use std::fmt;

use super::Results;
use super::agent::PROFILING_DURATION;
use super::contender::Contender;
use super::figure::{Figure, Figures};
use super::load::Set;

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
    add("BPF time of a sample / that of the floor", AtMost(1.1), ratio_to_floor(ours, results));
    match set {
        Set::Idle => add("CPU, % of one processor", AtMost(0.1), figure(Figure::CpuPercent)),
        Set::Busy | Set::Deep => add("CPU, % of one processor", AtMost(0.3), figure(Figure::CpuPercent)),
        Set::Mix => {}
    }
    add("resident memory, MB", AtMost(30.0), figure(Figure::ResidentMegabytes));
    add("memory of BPF maps, MB", AtMost(16.0), figure(Figure::MapMegabytes));
    add("samples delivered, %", AtLeast(99.0), figure(Figure::DeliveredPercent));
    add("start to first sample, s", AtMost(1.0), figure(Figure::FirstSampleSeconds));
    let profile = PROFILING_DURATION.as_secs_f64() + 2.0;
    add("start to first profile, s", AtMost(profile), figure(Figure::FirstProfileSeconds));
    verdicts
}

/// BPF time of a sample, relative to the floor of the same run.
pub(super) fn ratio_to_floor(figures: &Figures, results: &Results) -> Option<f64> {
    let own = figures.get(&Figure::BpfNanosPerSample)?;
    let floor = results.get(&Contender::Floor)?.get(&Figure::BpfNanosPerSample)?;
    Some(own / floor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(nanos: f64, delivered: f64) -> Results {
        let floor = Figures::from([(Figure::BpfNanosPerSample, 1000.0)]);
        let ours = Figures::from([(Figure::BpfNanosPerSample, nanos), (Figure::DeliveredPercent, delivered)]);
        Results::from([(Contender::Floor, floor), (Contender::Ours, ours)])
    }

    #[test]
    fn each_promise_is_judged_by_its_bound() {
        for (nanos, delivered, expected) in [(1050.0, 99.5, true), (1200.0, 98.0, false)] {
            let verdicts = all(Set::Mix, &results(nanos, delivered));
            let reached: Vec<bool> = verdicts.iter().filter_map(Verdict::is_reached).collect();
            assert_eq!(reached, [expected, expected]);
        }
    }

    #[test]
    fn what_was_not_measured_is_neither_reached_nor_missed() {
        let text: Vec<String> = all(Set::Idle, &results(1.0, 1.0)).iter().map(ToString::to_string).collect();
        assert!(text.iter().any(|line| line.contains("CPU") && line.ends_with("not measured")), "{text:?}");
    }
}
