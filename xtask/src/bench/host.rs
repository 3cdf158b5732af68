//! What the whole machine does: how long its processors are busy, and what it is.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// `USER_HZ`: the unit of times in `/proc`, the same on all architectures that the agent runs on.
pub(super) const TICKS_PER_SECOND: u64 = 100;

/// The time that all processors together have been busy since the start, by which the number of samples
/// to expect is known.
pub(super) fn busy_time() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    busy_ticks(&stat).map(ticks).context("/proc/stat has no line for all processors")
}

/// Of the first line of `/proc/stat`: user, nice, system, irq, softirq. Not idle and iowait, when there is
/// nothing to sample; not steal, when this machine does not run and its timers do not fire; not guest,
/// which is in user already.
fn busy_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.lines().next()?.split_whitespace();
    (fields.next()? == "cpu").then_some(())?;
    let fields: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>().ok()?;
    let [user, nice, system, _idle, _iowait, irq, softirq, ..] = fields[..] else { return None };
    Some(user + nice + system + irq + softirq)
}

/// A time in the unit of `/proc`.
pub(super) fn ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * (1000 / TICKS_PER_SECOND))
}

/// One line that says where the figures come from.
pub(super) fn describe() -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
    let release =
        fs::read_to_string("/proc/sys/kernel/osrelease").context("cannot read the kernel's release")?;
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processors", |(_, model)| model.trim());
    Ok(format!("{count} x {model}, Linux {}", release.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_waiting_stolen_and_guest_time_is_not_busy() {
        let stat = "cpu  100 20 30 4000 500 6 7 800 90 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(busy_ticks(stat), Some(163));
        for wrong in ["", "cpu0 1 2 3 4 5 6 7 8", "cpu  1 2 x 4 5 6 7"] {
            assert_eq!(busy_ticks(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_tick_is_ten_milliseconds() {
        assert_eq!(ticks(250), Duration::from_millis(2500));
    }
}
