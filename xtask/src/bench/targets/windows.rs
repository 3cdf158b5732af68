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
    until: Arc<OnceLock<SystemTime>>,
    follower: JoinHandle<Result<Vec<Profile>>>,
}

impl Windows {
    /// Takes windows from the next one that is closed on.
    pub(super) fn follow(address: SocketAddr) -> Self {
        let until: Arc<OnceLock<SystemTime>> = Arc::default();
        let wanted = until.clone();
        let follower = thread::spawn(move || {
            let mut windows = Vec::new();
            loop {
                let window = agent::next_window(address)?;
                let end = end(&window);
                windows.push(window);
                if wanted.get().is_some_and(|until| end >= *until) {
                    return Ok(windows);
                }
            }
        });
        Self { until, follower }
    }

    /// All windows that began before now, once the last of them is closed.
    pub(super) fn up_to_now(self) -> Result<Vec<Profile>> {
        let _ = self.until.set(SystemTime::now()); // it is set only here
        let windows = self.follower.join().map_err(|_| anyhow!("the follower of windows has failed"))??;
        ensure!(are_seamless(&windows), "a window of the agent was missed");
        Ok(windows)
    }
}

fn start(window: &Profile) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(window.start_nanos)
}

fn end(window: &Profile) -> SystemTime {
    start(window) + Duration::from_nanos(window.duration_nanos)
}

fn are_seamless(windows: &[Profile]) -> bool {
    let follows = |pair: &[Profile]| match pair {
        [one, next] => start(next) <= end(one) + GAP,
        _ => true,
    };
    windows.windows(2).all(follows)
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
        for (seconds, expected) in
            [(&[0, 10, 20][..], true), (&[0, 10, 30], false), (&[7], true), (&[], true)]
        {
            assert_eq!(are_seamless(&windows(seconds)), expected, "{seconds:?}");
        }
    }
}
