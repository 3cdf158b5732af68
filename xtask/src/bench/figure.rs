//! What is measured of a profiler.

use std::collections::BTreeMap;

use serde::Serialize;

/// One measure. Its name in JSON tells the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Figure {
    /// Run time of the sampling BPF program, by the number of its runs.
    BpfNanosPerSample,
    /// Run time of its sampling BPF program by that of the floor, while both are attached.
    TimesFloor,
    /// Run time by that of the floor, on stacks that both walk to their end.
    TimesFloorOfSameStacks,
    /// Run time on stacks without frame pointers by that of the floor on those of the same program with them.
    TimesFloorOfFramePointers,
    /// Run time of all of its BPF programs, as a share of one processor.
    BpfPercent,
    /// Processor time of its processes, as a share of one processor.
    CpuPercent,
    /// The most memory that each of its processes had, added.
    PeakMegabytes,
    /// Memory of its processes at the end of the measurement.
    ResidentMegabytes,
    /// Memory of its BPF maps.
    MapMegabytes,
    /// Samples of other tasks than the idle task.
    SamplesDelivered,
    /// The busy time of all processors, by the time between two samples.
    SamplesExpected,
    /// The share of the one in the other.
    DeliveredPercent,
    /// Of the samples with a user stack, the share in which it goes back to where the program or thread began.
    WholePercent,
    /// From the start of a program whose file the profiler never saw to its first whole stack: the middle of many.
    FirstWholeMedianMilliseconds,
    /// The same, exceeded by one in a hundred.
    FirstWholeP99Milliseconds,
    /// From the start of the process to the first sample.
    FirstSampleSeconds,
    /// From the start of the process to the first profile.
    FirstProfileSeconds,
}

/// The measures that a profiler has.
pub(super) type Figures = BTreeMap<Figure, f64>;

/// The middle of several measurements, for each figure.
pub(super) fn medians(measured: &[Figures]) -> Figures {
    let mut values: BTreeMap<Figure, Vec<f64>> = BTreeMap::new();
    for (figure, value) in measured.iter().flatten() {
        values.entry(*figure).or_default().push(*value);
    }
    values.into_iter().filter_map(|(figure, values)| Some((figure, median(values)?))).collect()
}

/// The middle value; of an even number, the mean of the middle two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = values.len() / 2;
    let lower = values.len().checked_sub(1)? / 2;
    Some((values.get(lower)? + values.get(upper)?) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let cases: [(&[f64], Option<f64>); 4] =
            [(&[], None), (&[3.0], Some(3.0)), (&[9.0, 1.0], Some(5.0)), (&[9.0, 1.0, 2.0], Some(2.0))];
        for (values, expected) in cases {
            assert_eq!(median(values.to_vec()), expected, "{values:?}");
        }
    }

    #[test]
    fn each_figure_has_its_own_median() {
        let rounds = [
            Figures::from([(Figure::CpuPercent, 1.0), (Figure::BpfPercent, 7.0)]),
            Figures::from([(Figure::CpuPercent, 3.0)]),
        ];
        let expected = Figures::from([(Figure::CpuPercent, 2.0), (Figure::BpfPercent, 7.0)]);
        assert_eq!(medians(&rounds), expected);
    }
}
