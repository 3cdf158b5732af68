//! What systemd has said and nobody has looked after yet.
//!
//! Signals are taken from the connection at once, because answers come the same way; what they are about is asked
//! a little later, so that a unit which changes ten times in a moment is asked about once.

use super::signal::Signal;
use super::unit::UnitName;
use smol::Timer;
use smol::channel::{Receiver, Sender, bounded};
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Units that are told apart; if more have changed, all are asked about.
const MAX_CHANGED: usize = 1024;
/// How long further changes are waited for.
const PAUSE: Duration = Duration::from_millis(100);

/// What has to be asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    /// These units.
    pub(super) units: HashSet<UnitName>,
    /// All of them.
    pub(super) everything: bool,
    /// systemd was started anew, or has gone.
    pub(super) owner: bool,
}

/// Changes on their way from who hears of them to who asks.
#[derive(Debug)]
pub(super) struct Changes {
    state: Mutex<State>,
    wake: Sender<()>,
    woken: Receiver<()>,
}

#[derive(Debug, Default)]
struct State {
    changed: Changed,
    owner: Option<String>,
    /// Whether who asks is waiting for a change, and all answers are taken in.
    is_waiting: bool,
}

impl Changes {
    /// None yet.
    pub(super) fn new() -> Self {
        // One that is not taken yet wakes for all.
        let (wake, woken) = bounded(1);
        Self { state: Mutex::default(), wake, woken }
    }

    /// The connection that speaks for systemd.
    pub(super) fn owner(&self) -> Option<String> {
        self.state().owner.clone()
    }

    /// Takes in which connection speaks for systemd.
    pub(super) fn set_owner(&self, owner: String) {
        self.state().owner = Some(owner);
    }

    /// Takes in a signal. `is_news` says whether one about a unit tells what is wanted and not known yet.
    ///
    /// While something is being asked all of them count: what is known then is older than the answer that is on its
    /// way, and the answer may be older than the signal.
    pub(super) fn add(&self, signal: Signal, is_news: impl Fn(&Signal) -> bool) {
        let mut state = self.state();
        let is_wanted = !state.is_waiting || is_news(&signal);
        match signal {
            Signal::Loaded(unit) | Signal::State { unit, .. } => {
                if !is_wanted {
                    return;
                }
                state.changed.add(unit);
            }
            Signal::Reloaded => state.changed.everything = true,
            Signal::Owner(owner) => {
                state.owner = owner;
                state.changed.owner = true;
            }
        }
        // Full: who waits will wake.
        let _ = self.wake.try_send(());
    }

    /// Waits for the next change and those that follow at once. Who calls has taken in all that was answered before.
    pub(super) async fn next(&self) -> Changed {
        self.state().is_waiting = true;
        // The sender lives as long as this does.
        let _ = self.woken.recv().await;
        Timer::after(PAUSE).await;
        let mut state = self.state();
        state.is_waiting = false;
        std::mem::take(&mut state.changed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changed {
    fn add(&mut self, unit: UnitName) {
        if self.units.len() < MAX_CHANGED {
            self.units.insert(unit);
        } else {
            self.everything = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Changed, Changes, MAX_CHANGED};
    use crate::discovery::systemd::signal::Signal;
    use crate::discovery::systemd::unit::UnitName;
    use crate::net::deadline::within;
    use smol::future;
    use std::time::Duration;

    fn unit(name: &str) -> UnitName {
        UnitName::new(name).unwrap()
    }

    fn next(changes: &Changes) -> Changed {
        smol::block_on(within(Duration::from_secs(20), changes.next())).unwrap()
    }

    #[test]
    fn changes_are_gathered() {
        let changes = Changes::new();
        for name in ["a.service", "b.service", "a.service"] {
            changes.add(Signal::Loaded(unit(name)), |_| false);
        }
        let units = [unit("a.service"), unit("b.service")].into();
        assert_eq!(next(&changes), Changed { units, ..Changed::default() });
        changes.add(Signal::Reloaded, |_| false);
        assert_eq!(next(&changes), Changed { everything: true, ..Changed::default() });
    }

    fn state(name: &str) -> Signal {
        Signal::State { unit: unit(name), active_state: Some("active".to_owned()), main_process: Some(7) }
    }

    /// Waits for a change that does not come, as who asks does between questions.
    fn wait(changes: &Changes) {
        assert_eq!(smol::block_on(future::poll_once(changes.next())), None);
    }

    #[test]
    fn what_is_known_or_not_wanted_is_no_change() {
        let changes = Changes::new();
        let is_news = |signal: &Signal| *signal == state("new.service");
        wait(&changes);
        changes.add(state("old.service"), is_news);
        changes.add(Signal::Loaded(unit("other.service")), is_news);
        assert!(changes.woken.is_empty());
        changes.add(state("new.service"), is_news);
        assert_eq!(next(&changes).units, [unit("new.service")].into());
    }

    #[test]
    fn what_changes_while_something_is_asked_is_asked_about_again() {
        // The state is that of before the question, and the answer is of a moment between.
        let changes = Changes::new();
        changes.add(state("first.service"), |_| false);
        assert_eq!(next(&changes).units, [unit("first.service")].into(), "before anything was asked");
        changes.add(state("once.service"), |_| false);
        changes.add(Signal::Loaded(unit("alias.service")), |_| false);
        assert_eq!(next(&changes).units, [unit("once.service"), unit("alias.service")].into());
    }

    #[test]
    fn too_many_changes_are_one() {
        let changes = Changes::new();
        for index in 0..=MAX_CHANGED {
            changes.add(Signal::Loaded(unit(&format!("{index}.scope"))), |_| true);
        }
        let changed = next(&changes);
        assert_eq!((changed.units.len(), changed.everything), (MAX_CHANGED, true));
    }

    #[test]
    fn systemd_may_become_another_connection() {
        let changes = Changes::new();
        changes.set_owner(":1.1".to_owned());
        changes.add(Signal::Owner(None), |_| false);
        assert_eq!((next(&changes).owner, changes.owner()), (true, None));
        changes.add(Signal::Owner(Some(":1.9".to_owned())), |_| false);
        assert_eq!((next(&changes).owner, changes.owner().as_deref()), (true, Some(":1.9")));
    }
}
