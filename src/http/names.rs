//! Names, interned: the frames of a report are compared by name, and names are long.

use super::frame_name::FrameName;
use crate::profile::Window;
use crate::profile::frame::Frame;
use std::collections::HashMap;

/// A name of one [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NameId(usize);

/// The different names of one report.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<FrameName>,
    ids: HashMap<FrameName, NameId>,
    frames: HashMap<Frame, NameId>,
}

impl Names {
    /// The id of a frame's name.
    pub(super) fn of_frame(&mut self, window: &Window, frame: &Frame) -> NameId {
        if let Some(id) = self.frames.get(frame) {
            return *id;
        }
        let id = self.intern(FrameName::of(window, frame));
        self.frames.insert(*frame, id);
        id
    }

    /// The id of a name.
    pub(super) fn intern(&mut self, name: FrameName) -> NameId {
        if let Some(id) = self.ids.get(&name) {
            return *id;
        }
        let id = NameId(self.names.len());
        self.names.push(name.clone());
        self.ids.insert(name, id);
        id
    }

    /// The name of an id.
    pub(super) fn get(&self, id: NameId) -> Option<&FrameName> {
        self.names.get(id.0)
    }
}
