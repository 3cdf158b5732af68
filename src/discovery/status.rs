//! How a source does: shown on the page of targets and in the metrics, logged when it changes.

use crate::text::error_chain;
use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What a source is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not asked for, or there is nothing on this host that it could ask.
    Off,
    /// It has not answered yet.
    Starting,
    /// It is there, and is asked when there is something to ask.
    Waiting,
    /// It tells all it knows.
    Working,
    /// It cannot be asked at the moment. What it told before stays in force.
    Failing,
}

impl State {
    /// In the page and as a label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Starting => "starting",
            Self::Waiting => "waiting",
            Self::Working => "working",
            Self::Failing => "failing",
        }
    }
}

/// How a source does, at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its name.
    pub name: &'static str,
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// When it last told something.
    pub last_success: Option<Instant>,
    /// Why it is off or fails; what last went wrong if it works again.
    pub last_error: Option<String>,
    /// How often something went wrong.
    pub errors: u64,
}

/// How a source does. The source writes it, and all may read it.
#[derive(Debug)]
pub struct SourceStatus(Mutex<Snapshot>);

impl SourceStatus {
    /// A source that has not answered yet.
    pub fn new(name: &'static str) -> Self {
        let (state, since) = (State::Starting, Instant::now());
        Self(Mutex::new(Snapshot { name, state, since, last_success: None, last_error: None, errors: 0 }))
    }

    /// There is nothing to ask, and that is no fault.
    pub fn off(&self, reason: &str) {
        let mut snapshot = self.lock();
        if snapshot.enter(State::Off) {
            log::debug!(source = snapshot.name, reason = reason; "source of targets is off");
        }
        snapshot.last_error = Some(reason.to_owned());
    }

    /// It has not been asked yet, and need not be.
    pub fn waiting(&self, reason: &str) {
        let mut snapshot = self.lock();
        if snapshot.state == State::Starting {
            snapshot.enter(State::Waiting);
            snapshot.last_error = Some(reason.to_owned());
        }
    }

    /// It has just told something.
    pub fn working(&self) {
        let mut snapshot = self.lock();
        let had_failed = snapshot.state == State::Failing;
        if matches!(snapshot.state, State::Off | State::Waiting) {
            // That was a reason, no error.
            snapshot.last_error = None;
        }
        snapshot.last_success = Some(Instant::now());
        if snapshot.enter(State::Working) {
            let message =
                if had_failed { "source of targets works again" } else { "source of targets works" };
            log::info!(source = snapshot.name; "{message}");
        }
    }

    /// It cannot be asked. The first such error is logged, later ones only if they differ.
    pub fn failing(&self, error: &dyn Error) {
        self.failing_because(&error_chain(error));
    }

    /// The same, in words.
    pub fn failing_because(&self, error: &str) {
        let mut snapshot = self.lock();
        snapshot.errors += 1;
        let is_news = snapshot.enter(State::Failing) || snapshot.last_error.as_deref() != Some(error);
        if is_news {
            log::warn!(source = snapshot.name, error = error; "source of targets fails, what it told stays in force");
        }
        snapshot.last_error = Some(error.to_owned());
    }

    /// It goes on as it did, and something went wrong.
    pub fn mishap(&self, error: &dyn Error) {
        let mut snapshot = self.lock();
        snapshot.errors += 1;
        snapshot.last_error = Some(error_chain(error));
    }

    /// How it does now.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// Goes to a state. Returns whether that is another one.
    fn enter(&mut self, state: State) -> bool {
        let changes = self.state != state;
        if changes {
            (self.state, self.since) = (state, Instant::now());
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::{SourceStatus, State};

    #[test]
    fn a_mishap_is_counted_and_changes_no_state() {
        let status = SourceStatus::new("test");
        status.working();
        let before = status.snapshot();
        status.mishap(&std::io::Error::other("not this one"));
        let after = status.snapshot();
        assert_eq!(
            (after.state, after.since, after.last_success),
            (before.state, before.since, before.last_success)
        );
        assert_eq!((after.errors, after.last_error.as_deref()), (1, Some("not this one")));
    }

    #[test]
    fn a_reason_to_wait_goes_when_the_waiting_is_over() {
        let status = SourceStatus::new("test");
        status.waiting("not needed yet");
        let waiting = status.snapshot();
        assert_eq!((waiting.state, waiting.last_error.as_deref()), (State::Waiting, Some("not needed yet")));
        status.working();
        status.waiting("too late");
        let working = status.snapshot();
        assert_eq!((working.state, working.last_error), (State::Working, None));
    }

    #[test]
    fn an_error_stays_to_be_seen_when_all_is_well_again() {
        let status = SourceStatus::new("test");
        assert_eq!(status.snapshot().state, State::Starting);
        status.failing(&std::io::Error::other("no way"));
        status.failing_because("no way");
        let failing = status.snapshot();
        assert_eq!((failing.state, failing.errors, failing.last_success), (State::Failing, 2, None));
        status.working();
        let working = status.snapshot();
        assert_eq!((working.state, working.last_error.as_deref()), (State::Working, Some("no way")));
        assert!(working.last_success.is_some());
    }
}
