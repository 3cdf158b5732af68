//! What a function of a Go program needs: mostly how deep the stack pointer is, which Go's table tells at
//! every instruction.
//!
//! ```text
//! x86_64, depth > 0                      aarch64, depth > 0
//! CFA             caller's SP            CFA = SP + depth    caller's SP
//! CFA - 8         return address                 ...
//! CFA - 16        caller's frame pointer SP                  return address (LR)
//!         ...                            SP - 8              caller's frame pointer; FP points here
//! SP = CFA - 8 - depth
//! ```
//! At depth 0 the frame pointer is in its register, and on aarch64 so is the return address. On aarch64 the
//! frame pointer lies below SP, and FP + 16 is not the CFA: one frame found by [`Rule::FRAME_POINTER`] would
//! spoil those above it.
//!
//! For one instruction after SP has moved, the old frame pointer is not saved yet (aarch64, and x86_64 before
//! Go 1.21). The rules here say that it is; a row for each function would cost more than it gives.

use super::function::{Function, SP_WRITE, TOP_FRAME};
use crate::unwind::machine::Machine;
use parca_agent_common::unwind::rule::{Cfa, ReturnAddress, Rule, SavedFp};

const WORD: i64 = 8;

/// How a function is unwound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// By the depth of the stack pointer.
    ByDepth,
    /// It goes on on another stack, with the frame pointer of its own frame: `runtime.systemstack`,
    /// `runtime.asmcgocall`, `runtime.cgocallback`, and `runtime.nanotime1`, which calls the vDSO.
    ByFramePointer,
    /// It goes on on another stack, and the frame pointer there leads nowhere.
    Lost,
    /// By the depth of the stack pointer, until it is deeper than a frame without variables: then it is on
    /// the thread's own stack, and the goroutine may run elsewhere.
    Mcall,
    /// It has no caller, or forgets it.
    Outermost,
    /// A signal handler returns to it.
    SignalReturn,
}

impl Manner {
    /// By the function's name where the flags are not enough. The flags are those of Go 1.17 and later.
    pub(super) fn of(function: &Function<'_>, machine: Machine) -> Self {
        match function.name {
            // The kernel calls it, so it is a top frame for Go, but behind it is what the signal interrupted.
            b"runtime.sigtramp" => Self::ByDepth,
            // On aarch64 the kernel's own return code is in the vDSO.
            b"runtime.sigreturn__sigaction" if machine == Machine::X86_64 => Self::SignalReturn,
            b"runtime.mcall" => Self::Mcall,
            // They leave the goroutine for another, or for the thread's stack, without a frame. `gogo` is the
            // part of `runtime.gogo` that does it.
            b"runtime.morestack" | b"runtime.gogo" | b"gogo" => Self::Outermost,
            // Flagged since Go 1.17.
            b"runtime.goexit" | b"runtime.mstart" | b"runtime.rt0_go" => Self::Outermost,
            // Where the kernel starts the program; of a library, a function that the loader calls.
            name if name.starts_with(b"_rt0_") => {
                if name.windows(4).any(|part| part == b"_lib") {
                    Self::ByDepth
                } else {
                    Self::Outermost
                }
            }
            // Here it puts the frame pointer of the thread's stack in place of the goroutine's.
            b"runtime.asmcgocall" if machine == Machine::Aarch64 => Self::Lost,
            _ if function.flags & TOP_FRAME != 0 => Self::Outermost,
            _ if function.flags & SP_WRITE != 0 => Self::ByFramePointer,
            _ => Self::ByDepth,
        }
    }

    /// The rule while the stack pointer is some bytes below its place at the entry.
    pub(super) fn rule(self, machine: Machine, depth: i64) -> Rule {
        match self {
            Self::Outermost => Rule::OUTERMOST,
            Self::SignalReturn => Rule::SIGNAL,
            Self::ByFramePointer if depth > 0 => by_frame_pointer(machine, depth),
            Self::Lost if depth > 0 => Rule::UNSUPPORTED,
            Self::Mcall if depth > 0 => match machine {
                // The goroutine's frame pointer is saved, and later cleared.
                Machine::X86_64 if depth == WORD => Rule::FRAME_POINTER.on_other_stack(),
                Machine::X86_64 | Machine::Aarch64 => Rule::OUTERMOST,
            },
            Self::ByDepth | Self::ByFramePointer | Self::Lost | Self::Mcall => by_depth(machine, depth),
        }
    }
}

/// Bytes of code from the instruction that makes room for the frame pointer to the end of the one that sets it:
/// `mov %rsp, %rbp`, or a store and a subtraction.
pub(super) fn prologue_rest(machine: Machine) -> u64 {
    match machine {
        Machine::X86_64 => 3,
        Machine::Aarch64 => 8,
    }
}

/// The rule for a frame whose depth is known.
pub(super) fn by_depth(machine: Machine, depth: i64) -> Rule {
    let Some(words) = words(depth) else {
        // Assembly that has popped its own return address, or a frame of more than 256 KiB.
        let deep = depth > 0 && depth % WORD == 0 && machine == Machine::X86_64;
        return if deep { Rule::FRAME_POINTER } else { Rule::UNSUPPORTED };
    };
    let saved = words > 0;
    match machine {
        Machine::X86_64 => Rule {
            kind: Cfa::Sp as u8,
            saved: Rule::saved_byte(
                if saved { SavedFp::AtCfa } else { SavedFp::Same },
                ReturnAddress::Default,
            ),
            cfa: words + 1,
            fp: if saved { -2 } else { 0 },
            extra: 0,
        },
        Machine::Aarch64 if saved => Rule {
            kind: Cfa::Sp as u8,
            saved: Rule::saved_byte(SavedFp::AtSp, ReturnAddress::AtCfa),
            cfa: words,
            fp: -1,
            extra: (-words).cast_unsigned(),
        },
        Machine::Aarch64 => Rule {
            kind: Cfa::Sp as u8,
            saved: Rule::saved_byte(SavedFp::Same, ReturnAddress::Default),
            cfa: 0,
            fp: 0,
            extra: 0,
        },
    }
}

/// The rule for a frame whose frame pointer still points to it. On aarch64 it needs the depth too, for SP to
/// be right.
fn by_frame_pointer(machine: Machine, depth: i64) -> Rule {
    match (machine, words(depth)) {
        (Machine::X86_64, _) => Rule::FRAME_POINTER.on_other_stack(),
        (Machine::Aarch64, Some(words)) => Rule {
            kind: Cfa::Fp as u8,
            saved: Rule::saved_byte(SavedFp::AtFp, ReturnAddress::AtCfa),
            cfa: words + 1,
            fp: 0,
            extra: (-words).cast_unsigned(),
        }
        .on_other_stack(),
        (Machine::Aarch64, None) => Rule::UNSUPPORTED,
    }
}

/// A depth in words, if a rule has room for it and for one more.
fn words(depth: i64) -> Option<i16> {
    let words = i16::try_from(depth / WORD).ok()?;
    (depth >= 0 && depth % WORD == 0 && words < i16::MAX).then_some(words)
}
