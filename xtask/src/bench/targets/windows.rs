//! Every window of an agent from some moment on, each taken once.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow, ensure};

use crate::bench::agent;
use crate::pprof::Profile;

/// A window begins where the last one ended, give or take this. More is a window that was missed.
const GAP: Duration = Duration::from_millis(500);

/// A thread that asks for window after window.
pub(super) struct Windows {
    from: SystemTime,
    until: Arc<OnceLock<SystemTime>>,
    follower: JoinHandle<Result<Vec<Profile>>>,
}

impl Windows {
    /// Takes windows from the next one that is closed on.
    pub(super) fn follow(address: SocketAddr) -> Self {
        let until: Arc<OnceLock<SystemTime>> = Arc::default();
        let wanted = until.clone();
        let follower = thread::spawn(move || {
            let (mut windows, mut last) = (Vec::new(), 0);
            loop {
                let window = agent::next_window(address, last)?;
                last = window.start_nanos;
                let end = end(&window);
                windows.push(window);
                if wanted.get().is_some_and(|until| end >= *until) {
                    return Ok(windows);
                }
            }
        });
        Self { from: SystemTime::now(), until, follower }
    }

    /// All windows from the beginning until now, once the last of them is closed.
    pub(super) fn up_to_now(self) -> Result<Vec<Profile>> {
        let _ = self.until.set(SystemTime::now()); // it is set only here
        let windows = self.follower.join().map_err(|_| anyhow!("the follower of windows has failed"))??;
        ensure!(are_whole(&windows, self.from), "a window of the agent was missed");
        Ok(windows)
    }
}

fn start(window: &Profile) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(window.start_nanos)
}

fn end(window: &Profile) -> SystemTime {
    start(window) + Duration::from_nanos(window.duration_nanos)
}

/// Whether windows cover all time from some moment on.
fn are_whole(windows: &[Profile], from: SystemTime) -> bool {
    let mut covered = from;
    windows.iter().all(|window| {
        let follows = start(window) <= covered + GAP;
        covered = end(window);
        follows
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_is_missing_is_noticed() {
        let window = |second: u64| Profile {
            start_nanos: second * 1_000_000_000,
            duration_nanos: 10_000_000_000,
            ..Profile::default()
        };
        let windows = |seconds: &[u64]| seconds.iter().map(|second| window(*second)).collect::<Vec<_>>();
        let from = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
        for (seconds, expected) in [
            (&[0, 10, 20][..], true),
            (&[7, 17], true),
            (&[0, 10, 30], false),
            (&[10, 20], false),
            (&[], true),
        ] {
            assert_eq!(are_whole(&windows(seconds), from), expected, "{seconds:?}");
        }
    }
}
