//! When decisions that the kernel obeys are made anew: no sample tells that one of them holds no more.

use crate::discovery::Discovery;
use crate::sample::selection::Selection;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A decision holds at most for so long. Children inherit decisions without our knowledge, and names change; each
/// process that is not wanted costs some samples and a look into `/proc` in this time, if it runs at all.
const HOLDS: Duration = Duration::from_secs(120);

/// Looks after the decisions.
pub(super) struct Reselection {
    discovery: Arc<Discovery>,
    selection: Option<Arc<Selection>>,
    /// Sources and terms of which the decisions are.
    revision: Option<[u64; 5]>,
    made: Instant,
}

impl Reselection {
    pub(super) fn new(discovery: Arc<Discovery>, selection: Option<Arc<Selection>>) -> Self {
        Self { discovery, selection, revision: None, made: Instant::now() }
    }

    /// To be called at the end of a window. True if all is decided anew from now on.
    pub(super) fn end_window(&mut self) -> bool {
        let revision = self.discovery.revision();
        let has_changed = self.revision != Some(revision) && self.discovery.reconsider();
        self.revision = Some(revision);
        if !has_changed && self.made.elapsed() < HOLDS {
            return false;
        }
        self.made = Instant::now();
        if let Some(selection) = &self.selection {
            selection.clear();
        }
        true
    }
}
