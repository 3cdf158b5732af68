//! One step up the stack on x86_64, by the System V ABI: the stack grows down, a call pushes the return
//! address, and the caller's stack pointer, the CFA, is the address above that.

use super::rule::{Cfa, ReturnAddress, Rule, SavedFp};
use super::{ReadMemory, StackEnd, load, offset};

/// General registers, by their DWARF numbers: rax 0, rdx 1, rcx 2, rbx 3, rsi 4, rdi 5, rbp 6, rsp 7, r8
/// to r15.
pub const GENERAL_REGISTERS: usize = 16;

/// What is known of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Registers {
    /// Where it goes on: the instruction that was interrupted, or the one after a call.
    pub pc: u64,
    /// `rsp`.
    pub sp: u64,
    /// `rbp`.
    pub fp: u64,
    /// All general registers of the innermost frame.
    pub general: [u64; GENERAL_REGISTERS],
    /// [`Registers::general`] are this frame's: it is the innermost.
    pub innermost: bool,
    /// `pc` is behind a call, so the instruction to look up is the one before it.
    pub is_return: bool,
    /// Zero.
    pub reserved: [u8; 6],
}

/// The `sigcontext` that the kernel pushes: above it lie flags, link and `stack_t` of the `ucontext`
/// (`arch/x86/include/uapi/asm/sigcontext.h`). SP of the trampoline points to the `ucontext`.
const SIGNAL_RBP: u64 = 120;
const SIGNAL_RSP: u64 = 160;
const SIGNAL_RIP: u64 = 168;

/// A stub of the procedure linkage table is this long, a power of two.
const PLT_STUB_BYTES: u64 = 16;

impl Registers {
    /// The address to look up: inside the call, for a call may be the last instruction of its function.
    #[inline(always)]
    pub fn lookup_pc(&self) -> u64 {
        if self.is_return { self.pc.wrapping_sub(1) } else { self.pc }
    }

    /// Replaces a frame's registers by its caller's. `distance` counts the bytes from the start of the row
    /// to [`Registers::lookup_pc`].
    #[inline(always)]
    pub fn step(&mut self, rule: Rule, distance: u32, memory: &mut impl ReadMemory) -> Result<(), StackEnd> {
        let cfa = match rule.cfa_kind() {
            Cfa::Sp => offset(self.sp, rule.sp_words(distance)),
            // The ABI wants 0 in the frame pointer where there is no caller.
            Cfa::Fp if self.fp == 0 => return Err(StackEnd::ChainEnd),
            Cfa::Fp => offset(self.fp, rule.cfa_words()),
            Cfa::Plt => {
                let pushed = self.pc & (PLT_STUB_BYTES - 1) >= u64::from(rule.extra);
                offset(self.sp, 1 + i64::from(pushed))
            }
            Cfa::DerefSp => load(offset(self.sp, i64::from(rule.cfa)), rule, memory)?,
            Cfa::DerefFp => load(offset(self.fp, i64::from(rule.cfa)), rule, memory)?,
            Cfa::Register => offset(self.register(rule.extra)?, rule.cfa_words()),
            Cfa::Signal => return self.leave_signal(memory),
            Cfa::Outermost => return Err(StackEnd::Complete),
            Cfa::Uncovered | Cfa::Unsupported => return Err(StackEnd::UnsupportedRule),
        };
        let in_register = rule.return_address() == ReturnAddress::InRegister;
        if !rule.may_ascend(self.sp, cfa, in_register) {
            return Err(StackEnd::NotAscending);
        }
        let fp_slot = match rule.saved_fp() {
            SavedFp::Same => None,
            SavedFp::AtCfa => {
                let slot = offset(cfa, i64::from(rule.fp));
                // Pushed or popped along the ramp: below SP it is not there yet, or no more.
                (rule.ramp() == 0 || slot >= self.sp).then_some(slot)
            }
            SavedFp::AtFp => Some(offset(self.fp, i64::from(rule.fp))),
            SavedFp::AtSp => Some(offset(self.sp, i64::from(rule.fp))),
        };
        // The frame pointer first: it lies below the return address, and memory is read upwards.
        let fp = match fp_slot {
            Some(slot) => memory.word(slot).ok_or(StackEnd::UnreadableStack)?,
            None => self.fp,
        };
        let pc = match rule.return_address() {
            ReturnAddress::InRegister => self.register(rule.extra)?,
            ReturnAddress::Default | ReturnAddress::AtCfa => {
                memory.word(offset(cfa, -1)).ok_or(StackEnd::UnreadableStack)?
            }
        };
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
        let fp = word(SIGNAL_RBP)?;
        let sp = word(SIGNAL_RSP)?;
        let pc = word(SIGNAL_RIP)?;
        if pc == 0 {
            return Err(StackEnd::ChainEnd);
        }
        self.pc = pc;
        self.sp = sp;
        self.fp = fp;
        self.innermost = false;
        self.is_return = false;
        Ok(())
    }

    #[inline(always)]
    fn register(&self, number: u16) -> Result<u64, StackEnd> {
        if !self.innermost {
            return Err(StackEnd::RegisterLost);
        }
        let index = usize::from(number) & (GENERAL_REGISTERS - 1);
        Ok(self.general[index])
    }
}

#[cfg(test)]
#[path = "x86_64_tests.rs"]
mod tests;
