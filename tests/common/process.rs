//! Processes, as `/proc` shows them.

use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// Sends a signal; a process that is gone gets none.
pub(crate) fn signal(process: u32, signal: Signal) {
    let _ = kill_process(pid(process), signal);
}

/// The id as the kernel's interface wants it.
pub(crate) fn pid(process: u32) -> Pid {
    Pid::from_raw(i32::try_from(process).unwrap()).unwrap()
}

/// Fields of `/proc/PID/stat` from the state on, which is number 3 in proc_pid_stat(5); `None` for a
/// process that is gone.
pub(crate) fn stat(process: u32) -> Option<Vec<String>> {
    let stat = std::fs::read(format!("/proc/{process}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    Some(stat.rsplit_once(") ")?.1.split_whitespace().map(str::to_owned).collect())
}

/// Whether it is gone, or waits only for its parent to notice.
pub(crate) fn has_ended(process: u32) -> bool {
    stat(process).is_none_or(|fields| fields[0] == "Z")
}

/// CPU time of a process itself, from utime and stime.
pub(crate) fn cpu_time(process: u32) -> Option<Duration> {
    ticks(&stat(process)?, [14, 15])
}

/// CPU time of its children that it has waited for, from cutime and cstime.
pub(crate) fn cpu_time_of_children(process: u32) -> Option<Duration> {
    ticks(&stat(process)?, [16, 17])
}

fn ticks(fields: &[String], numbers: [usize; 2]) -> Option<Duration> {
    let ticks: u64 = numbers.iter().map(|number| fields[number - 3].parse::<u64>().unwrap()).sum();
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// The live children of a process that have this word in their command line. Of processes that are no
/// children only `status` is read: of one that hangs in execve(2), all else would hang its reader.
pub(crate) fn children(parent: u32, word: &str) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    let is_child = |process: &u32| {
        let status = std::fs::read(format!("/proc/{process}/status")).unwrap_or_default();
        let status = String::from_utf8_lossy(&status);
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        field("PPid:") == Some(&*parent.to_string())
            && field("State:").is_some_and(|state| !state.starts_with('Z'))
    };
    let has_word = |process: &u32| {
        let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
    };
    processes.filter(is_child).filter(has_word).collect()
}

/// Waits until something holds.
pub(crate) fn eventually(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < limit, "after {limit:?} still not so: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
