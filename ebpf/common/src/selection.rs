//! What the agent decided of the samples of a process or a cgroup, so that unwanted ones cost next to nothing.

/// Of how many samples one is kept: 0 for none at all, 1 for all.
pub type Divisor = u32;

/// No sample is kept.
pub const KEEP_NONE: Divisor = 0;

/// The decision for a process; it goes before that for its cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ProcessDecision {
    /// When the process started, as [`SampleHeader::process_start`](crate::record::SampleHeader::process_start).
    pub start: u64,
    /// Cgroup v2 that it was in: a process that has left it may be another target.
    pub cgroup_id: u64,
    /// What is kept.
    pub divisor: Divisor,
    /// 1 if it holds only until the process runs another program, 0 if it holds until its exit.
    pub until_exec: u32,
}

const _: () = assert!(size_of::<ProcessDecision>() == 24);

/// Whether a sample is the one of `divisor` that is kept.
///
/// Time is divided into stretches of `divisor` ticks of the timer, and of each one tick is kept, another one each
/// time: a process that works in step with the timer is not seen too often or never.
#[inline(always)]
pub fn is_kept(boot_time: u64, period_nanos: u32, cpu: u32, divisor: Divisor) -> bool {
    if divisor <= 1 || period_nanos == 0 {
        return divisor != KEEP_NONE;
    }
    let tick = boot_time / u64::from(period_nanos);
    let (stretch, within) = (tick / u64::from(divisor), tick % u64::from(divisor));
    within == mix(stretch ^ (u64::from(cpu) << 48)) % u64::from(divisor)
}

/// Stafford's mixer, variant 13: each bit of the result depends on all of the input.
#[inline(always)]
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(all(test, feature = "user"))]
mod tests {
    use super::is_kept;

    const PERIOD: u32 = 10_000_000;

    fn kept(ticks: impl Iterator<Item = u64>, cpu: u32, divisor: u32) -> usize {
        ticks.filter(|tick| is_kept(tick * u64::from(PERIOD) + 77, PERIOD, cpu, divisor)).count()
    }

    #[test]
    fn of_each_stretch_one_is_kept() {
        for (divisor, expected) in [(0, 0), (1, 10_000), (2, 5_000), (10, 1_000), (100, 100)] {
            assert_eq!(kept(0..10_000, 3, divisor), expected, "{divisor}");
        }
    }

    #[test]
    fn a_process_in_step_with_the_timer_is_seen_as_often_as_any() {
        // It runs at one of ten ticks, always the same: of 10 000 such ticks one tenth is to be kept.
        for phase in 0..10 {
            let seen = kept((0..10_000).map(|round| round * 10 + phase), 0, 10);
            assert!((900..1100).contains(&seen), "phase {phase}: {seen}");
        }
    }

    #[test]
    fn cpus_do_not_keep_the_same_ticks() {
        let ticks =
            |cpu| (0..1000_u64).filter(move |tick| is_kept(tick * u64::from(PERIOD), PERIOD, cpu, 10));
        assert_ne!(ticks(0).collect::<Vec<_>>(), ticks(1).collect::<Vec<_>>());
    }
}
