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

    /// Takes in a signal. `is_news` says whether a state is not known yet.
    pub(super) fn add(&self, signal: Signal, is_news: impl Fn(&UnitName, Option<&str>, Option<u32>) -> bool) {
        let mut state = self.state();
        match signal {
            Signal::Loaded(unit) => state.changed.add(unit),
            Signal::State { unit, active_state, main_process } => {
                if !is_news(&unit, active_state.as_deref(), main_process) {
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

    /// Waits for the next change and those that follow at once.
    pub(super) async fn next(&self) -> Changed {
        // The sender lives as long as this does.
        let _ = self.woken.recv().await;
        Timer::after(PAUSE).await;
        std::mem::take(&mut self.state().changed)
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

    fn unit(name: &str) -> UnitName {
        UnitName::new(name).unwrap()
    }

    fn next(changes: &Changes) -> Changed {
        smol::block_on(changes.next())
    }

    #[test]
    fn changes_are_gathered() {
        let changes = Changes::new();
        for name in ["a.service", "b.service", "a.service"] {
            changes.add(Signal::Loaded(unit(name)), |_, _, _| false);
        }
        let units = [unit("a.service"), unit("b.service")].into();
        assert_eq!(next(&changes), Changed { units, ..Changed::default() });
        changes.add(Signal::Reloaded, |_, _, _| false);
        assert_eq!(next(&changes), Changed { everything: true, ..Changed::default() });
    }

    #[test]
    fn a_state_that_is_known_is_no_change() {
        let changes = Changes::new();
        let signal = |name: &str| Signal::State {
            unit: unit(name),
            active_state: Some("active".to_owned()),
            main_process: Some(7),
        };
        let is_news = |name: &UnitName, state: Option<&str>, process| {
            assert_eq!((state, process), (Some("active"), Some(7)));
            name.as_str() == "new.service"
        };
        changes.add(signal("old.service"), is_news);
        assert!(changes.woken.is_empty());
        changes.add(signal("new.service"), is_news);
        assert_eq!(next(&changes).units, [unit("new.service")].into());
    }

    #[test]
    fn too_many_changes_are_one() {
        let changes = Changes::new();
        for index in 0..=MAX_CHANGED {
            changes.add(Signal::Loaded(unit(&format!("{index}.scope"))), |_, _, _| true);
        }
        let changed = next(&changes);
        assert_eq!((changed.units.len(), changed.everything), (MAX_CHANGED, true));
    }

    #[test]
    fn systemd_may_become_another_connection() {
        let changes = Changes::new();
        changes.set_owner(":1.1".to_owned());
        changes.add(Signal::Owner(None), |_, _, _| false);
        assert_eq!((next(&changes).owner, changes.owner()), (true, None));
        changes.add(Signal::Owner(Some(":1.9".to_owned())), |_, _, _| false);
        assert_eq!((next(&changes).owner, changes.owner().as_deref()), (true, Some(":1.9")));
    }
}
