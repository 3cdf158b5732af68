//! One step up the stack on aarch64, by the AAPCS64: a call puts the return address into LR, and a function
//! that calls others saves it, mostly beside the frame pointer.

use super::rule::{Cfa, ReturnAddress, Rule, SavedFp};
use super::{ReadMemory, StackEnd, WORD, load, offset};

/// What is known of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Registers {
    /// Where it goes on: the instruction that was interrupted, or the one after a call.
    pub pc: u64,
    /// `sp`.
    pub sp: u64,
    /// `x29`.
    pub fp: u64,
    /// `x30`.
    pub lr: u64,
    /// Bits of an address that pointer authentication may have changed, from `NT_ARM_PAC_MASK`.
    pub pac_mask: u64,
    /// `lr` is this frame's: it is the innermost, or a signal interrupted it.
    pub innermost: bool,
    /// `pc` is behind a call, so the instruction to look up is the one before it.
    pub is_return: bool,
    /// Zero.
    pub reserved: [u8; 6],
}

/// From SP of the trampoline: `siginfo_t`, then in the `ucontext` flags, link, `stack_t` and signal mask, then
/// `sigcontext` (`arch/arm64/include/uapi/asm/sigcontext.h`) with the fault address before the registers.
const SIGNAL_X0: u64 = 312;
const SIGNAL_FP: u64 = SIGNAL_X0 + 29 * WORD;
const SIGNAL_LR: u64 = SIGNAL_X0 + 30 * WORD;
const SIGNAL_SP: u64 = SIGNAL_X0 + 31 * WORD;
const SIGNAL_PC: u64 = SIGNAL_X0 + 32 * WORD;

/// Length of an instruction.
const INSTRUCTION: u64 = 4;

impl Registers {
    /// The address to look up: inside the call, for a call may be the last instruction of its function.
    #[inline(always)]
    pub fn lookup_pc(&self) -> u64 {
        if self.is_return { self.pc.wrapping_sub(INSTRUCTION) } else { self.pc }
    }

    /// Replaces a frame's registers by its caller's. `_distance` is for ramps, which this architecture has
    /// not.
    #[inline(always)]
    pub fn step(&mut self, rule: Rule, _distance: u32, memory: &mut impl ReadMemory) -> Result<(), StackEnd> {
        let cfa = match rule.cfa_kind() {
            Cfa::Sp => offset(self.sp, rule.cfa_words()),
            // The ABI wants 0 in the frame pointer where there is no caller.
            Cfa::Fp if self.fp == 0 => return Err(StackEnd::ChainEnd),
            Cfa::Fp => offset(self.fp, rule.cfa_words()),
            Cfa::DerefSp => load(offset(self.sp, i64::from(rule.cfa)), rule, memory)?,
            Cfa::DerefFp => load(offset(self.fp, i64::from(rule.cfa)), rule, memory)?,
            Cfa::Signal => return self.leave_signal(memory),
            Cfa::Outermost => return Err(StackEnd::Complete),
            Cfa::Uncovered | Cfa::Plt | Cfa::Register | Cfa::Unsupported => {
                return Err(StackEnd::UnsupportedRule);
            }
        };
        // A function that has not moved SP has the CFA there, and then the return address in LR.
        let in_lr = rule.return_address() != ReturnAddress::AtCfa;
        if !rule.may_ascend(self.sp, cfa, in_lr) {
            return Err(StackEnd::NotAscending);
        }
        let fp_slot = match rule.saved_fp() {
            SavedFp::Same => None,
            SavedFp::AtCfa => Some(offset(cfa, i64::from(rule.fp))),
            SavedFp::AtFp => Some(offset(self.fp, i64::from(rule.fp))),
            SavedFp::AtSp => Some(offset(self.sp, i64::from(rule.fp))),
        };
        let fp = match fp_slot {
            Some(slot) => memory.word(slot).ok_or(StackEnd::UnreadableStack)?,
            None => self.fp,
        };
        let pc = if in_lr {
            if !self.innermost {
                return Err(StackEnd::RegisterLost);
            }
            self.lr
        } else {
            let slot = offset(cfa, i64::from(rule.extra as i16));
            memory.word(slot).ok_or(StackEnd::UnreadableStack)?
        };
        let pc = pc & !self.pac_mask;
        if pc == 0 {
            return Err(StackEnd::ChainEnd);
        }
        self.pc = pc;
        self.sp = cfa;
        self.fp = fp;
        self.innermost = false;
        self.is_return = true;
        Ok(())
    }

    /// Back to what a signal interrupted. The handler may have had a stack of its own, so SP may go down.
    #[inline(always)]
    fn leave_signal(&mut self, memory: &mut impl ReadMemory) -> Result<(), StackEnd> {
        let mut word = |at: u64| memory.word(self.sp.wrapping_add(at)).ok_or(StackEnd::UnreadableStack);
        let fp = word(SIGNAL_FP)?;
        let lr = word(SIGNAL_LR)?;
        let sp = word(SIGNAL_SP)?;
        let pc = word(SIGNAL_PC)?;
        if pc == 0 {
            return Err(StackEnd::ChainEnd);
        }
        self.pc = pc;
        self.sp = sp;
        self.fp = fp;
        self.lr = lr;
        self.innermost = true;
        self.is_return = false;
        Ok(())
    }
}

#[cfg(test)]
#[path = "aarch64_tests.rs"]
mod tests;
