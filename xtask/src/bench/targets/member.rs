//! The workload `member`, whose threads tell by their names what they are and how old.

use std::time::Duration;

use crate::pprof::Sample;

/// The workload.
pub(super) const PROGRAM: &str = "member";

/// A container of a measurement, counted from 0.
pub(super) type Number = usize;

/// What a sample tells of the process that it was taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    /// The container that the process really is in.
    pub(super) container: Number,
    /// Time from its start to the sample.
    pub(super) age: Duration,
}

impl Sighting {
    /// Reads it of the name of the thread; none of a sample of another program.
    pub(super) fn of(sample: &Sample) -> Option<Self> {
        Self::parse(sample.labels.get("thread_name")?)
    }

    /// A name as `c0042-010317`: container and age in tenths of a millisecond.
    fn parse(name: &str) -> Option<Self> {
        let (container, age) = name.strip_prefix('c')?.split_once('-')?;
        let age = Duration::from_micros(100 * number(age)?);
        Some(Self { container: usize::try_from(number(container)?).ok()?, age })
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_container_and_age() {
        let expected = Sighting { container: 42, age: Duration::from_micros(1_031_700) };
        assert_eq!(Sighting::parse("c0042-010317"), Some(expected));
        for name in ["", "cc1plus", "c-", "c12", "c+1-2", "x0042-010317", "c0042-01031x"] {
            assert_eq!(Sighting::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_sample_has_it_if_its_thread_does() {
        let sample = |name: &str| Sample {
            labels: [("thread_name".to_owned(), name.to_owned())].into(),
            ..Sample::default()
        };
        assert!(Sighting::of(&sample("c0001-000005")).is_some());
        assert_eq!((Sighting::of(&sample("sh")), Sighting::of(&Sample::default())), (None, None));
    }
}
