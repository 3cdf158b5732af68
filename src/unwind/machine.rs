//! The architectures that have tables, and what differs between them.

use super::frame::{Frame, Saved};
use super::{aarch64, x86_64};
use parca_agent_common::unwind::rule::Rule;

/// An architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Machine {
    /// `EM_X86_64`.
    X86_64,
    /// `EM_AARCH64`.
    Aarch64,
}

/// Code that is known by its bytes, and how calls are told from returns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Landmarks {
    /// What a signal handler returns to: it calls `rt_sigreturn`.
    pub(super) signal_return: &'static [u8],
    /// Where musl's `__clone` has become the new thread.
    pub(super) thread_start: &'static [u8],
    /// How far before a return address a frame is looked up, bytes. The kernel lets a handler return to the
    /// start of the code above, so its row begins this much earlier.
    pub(super) early: u64,
}

impl Machine {
    /// By `e_machine`.
    pub fn of(number: u16) -> Option<Self> {
        match number {
            62 => Some(Self::X86_64),
            183 => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// `e_machine`.
    pub fn number(self) -> u16 {
        match self {
            Self::X86_64 => 62,
            Self::Aarch64 => 183,
        }
    }

    /// The unit in which Go counts code, bytes: the shortest instruction.
    pub(super) fn quantum(self) -> u8 {
        match self {
            Self::X86_64 => 1,
            Self::Aarch64 => 4,
        }
    }

    /// The DWARF numbers of frame pointer and return address.
    pub(super) fn registers(self) -> (u16, u16) {
        match self {
            Self::X86_64 => (x86_64::FP, x86_64::RETURN_ADDRESS),
            Self::Aarch64 => (aarch64::FP, aarch64::RETURN_ADDRESS),
        }
    }

    /// The rule that says what a row of CFI says.
    pub(super) fn rule(self, frame: &Frame) -> Rule {
        if frame.return_address == Saved::Undefined {
            return Rule::OUTERMOST;
        }
        let rule = match self {
            Self::X86_64 => x86_64::rule(frame),
            Self::Aarch64 => aarch64::rule(frame),
        };
        rule.unwrap_or(Rule::UNSUPPORTED)
    }

    /// Code that is known by its bytes.
    pub(super) fn landmarks(self) -> Landmarks {
        match self {
            Self::X86_64 => x86_64::LANDMARKS,
            Self::Aarch64 => aarch64::LANDMARKS,
        }
    }
}
