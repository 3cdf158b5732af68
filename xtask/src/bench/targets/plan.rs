//! When the containers of a crowd start, how long they live, and how much they work. Pure but for the number of
//! processors.

use std::thread;
use std::time::Duration;

/// Containers and processes in half a minute; in another time it is so many more or less.
const CONTAINERS: f64 = 500.0;
pub(super) const PROCESSES_EACH: usize = 20;
const OF_SECONDS: f64 = 30.0;

/// A container lives for this time at least, and at most for the other or for two thirds of the measurement.
const SHORTEST_LIFE: f64 = 1.0;
const LONGEST_LIFE: f64 = 20.0;

/// What the processes work, as a share of all processors: the machine is to stay idle for some of the time.
const LOAD: f64 = 0.35;

/// Time for which a process sleeps between two turns of work.
pub(super) const REST: Duration = Duration::from_millis(250);

/// A container to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Seconds after the first.
    pub(super) start: f64,
    /// Seconds.
    pub(super) life: f64,
}

/// All containers of a measurement of so many seconds, by their starts. Lives and starts are spread evenly, in no
/// order: the multiples of an irrational number, without their whole parts, are.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "hundreds"
)]
pub(super) fn plans(seconds: f64) -> Vec<Plan> {
    let count = (CONTAINERS * seconds / OF_SECONDS).ceil() as usize;
    let longest = LONGEST_LIFE.min(seconds * 2.0 / 3.0).max(SHORTEST_LIFE);
    let spread = |index: usize, irrational: f64| (index as f64 * irrational).fract();
    let plan = |index| {
        let life = SHORTEST_LIFE + (longest - SHORTEST_LIFE) * spread(index, 5.0_f64.sqrt());
        Plan { start: (seconds - life).max(0.0) * spread(index, 2.0_f64.sqrt()), life }
    };
    let mut plans: Vec<Plan> = (0..count).map(plan).collect();
    plans.sort_by(|one, other| one.start.total_cmp(&other.start));
    plans
}

/// How long each turn of a process is, so that all together are the load that is wanted.
#[expect(clippy::cast_precision_loss, reason = "a few processes")]
pub(super) fn work(plans: &[Plan], seconds: f64) -> Duration {
    // The children of a process of `member` start evenly over its life and live for 0.55 of what is left on average.
    let lives: f64 = plans.iter().map(|plan| plan.life).sum();
    let process_seconds = lives * (1.0 + (PROCESSES_EACH - 1) as f64 * 0.55 / 2.0);
    REST.mul_f64(LOAD * processors() * seconds / process_seconds)
}

/// Processors of this machine.
#[expect(clippy::cast_precision_loss, reason = "a machine has few processors")]
pub(super) fn processors() -> f64 {
    thread::available_parallelism().map_or(1, usize::from) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_scale_with_the_time_and_fit_into_it() {
        for (seconds, count) in [(30.0, 500), (10.0, 167), (60.0, 1000), (1.0, 17)] {
            let plans = plans(seconds);
            assert_eq!(plans.len(), count, "{seconds} s");
            let lives: Vec<f64> = plans.iter().map(|plan| plan.life).collect();
            assert!(lives.iter().all(|life| (SHORTEST_LIFE..=LONGEST_LIFE).contains(life)), "{lives:?}");
            assert!(plans.iter().all(|plan| plan.start >= 0.0 && plan.start + plan.life <= seconds + 0.001));
            assert!(plans.is_sorted_by(|one, other| one.start <= other.start));
        }
        let mean = plans(30.0).iter().map(|plan| plan.life).sum::<f64>() / 500.0;
        assert!((10.0..11.0).contains(&mean), "{mean} s");
    }
}
