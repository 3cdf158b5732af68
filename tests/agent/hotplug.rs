//! A CPU that leaves and comes back.

use super::agent::Agent;
use super::process::{eventually, pid};
use super::program::{Program, unique};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::time::{Duration, SystemTime};

const SWITCH: &str = "/sys/devices/system/cpu/cpu1/online";
/// The agent looks every five seconds.
const FOLLOWED: Duration = Duration::from_secs(6);

/// Brings the CPU back whatever happens.
struct Offline;

impl Offline {
    fn begin() -> std::io::Result<Self> {
        std::fs::write(SWITCH, "0").map(|()| Self)
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        let back = std::fs::write(SWITCH, "1");
        assert!(back.is_ok() || std::thread::panicking(), "CPU 1 did not come back: {back:?}");
    }
}

#[test]
fn a_cpu_that_comes_back_is_sampled_again() {
    let agent = Agent::start(&["--profiling-duration=1s"]);
    let attached = || agent.metrics().value("cpus_attached");
    let all = attached();
    let offline = match Offline::begin() {
        Ok(offline) => offline,
        Err(error) => return eprintln!("skipped: CPU 1 cannot be taken away here: {error}"),
    };
    eventually("the CPU is not sampled any more", FOLLOWED, || attached() == all - 1.0);
    assert_eq!(agent.metrics().value("cpus_online"), all - 1.0);
    drop(offline);
    eventually("the CPU is sampled again", FOLLOWED, || attached() == all);

    let name = unique("pinned");
    let program = Program::start_measured("chain", &name, &[]);
    let mut second = CpuSet::new();
    second.set(1);
    sched_setaffinity(Some(pid(program.id())), &second).unwrap();
    let meter = program.meter();
    let profile = agent.profile_since(&name, SystemTime::now());
    let used = meter.used(profile.start(), profile.end()).as_secs_f64();
    let ratio = profile.total() as f64 / (used * 100.0);
    let [start, end] = [profile.start(), profile.end()];
    let found = profile.total();
    assert!((0.8..1.2).contains(&ratio), "{found} samples in {used} s on CPU 1 of {start:?} to {end:?}");
    agent.metrics().assert_books_balance();
    agent.stop();
}
