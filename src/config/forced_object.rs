//! Which BPF object takes the samples, where a test wants to say it.

use crate::choice::{self, NotAmong};
use std::fmt;
use std::str::FromStr;

/// A BPF object that is loaded without a probe, to test it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForcedObject {
    /// Ring buffer and raw samples.
    Modern,
    /// The same, with stacks walked as where the kernel has no `bpf_loop`.
    ModernInSteps,
    /// What kernel 4.18 can run.
    Baseline,
}

const OBJECTS: [(&str, ForcedObject); 3] = [
    ("modern", ForcedObject::Modern),
    ("modern-in-steps", ForcedObject::ModernInSteps),
    ("baseline", ForcedObject::Baseline),
];

impl FromStr for ForcedObject {
    type Err = NotAmong;

    fn from_str(text: &str) -> Result<Self, NotAmong> {
        choice::choose(text, &OBJECTS)
    }
}

impl fmt::Display for ForcedObject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(choice::word(*self, &OBJECTS))
    }
}
