//! The user registers of the current task, aarch64: as it was interrupted, or as it entered the kernel.

use parca_agent_common::unwind::StackEnd;
use parca_agent_common::unwind::aarch64::Registers;

/// `struct user_pt_regs` of the kernel's `arch/arm64/include/uapi/asm/ptrace.h`, with which `pt_regs` begins.
#[repr(C)]
pub struct UserRegisters {
    x: [u64; 31],
    sp: u64,
    pc: u64,
    pstate: u64,
}

/// Bits of `pstate`: the exception level and stack pointer, 0 in user space; and 32-bit mode.
const MODE: u64 = 0x0f;
const MODE32: u64 = 0x10;

impl UserRegisters {
    /// The innermost user frame.
    #[inline(always)]
    pub fn innermost(&self, registers: &mut Registers, pac_mask: u64) -> Result<(), StackEnd> {
        if self.pstate & MODE32 != 0 {
            return Err(StackEnd::Compat);
        }
        if self.pstate & MODE != 0 {
            return Err(StackEnd::NoRegisters);
        }
        registers.pc = self.pc;
        registers.sp = self.sp;
        registers.fp = self.x[29];
        registers.lr = self.x[30];
        registers.pac_mask = pac_mask;
        registers.innermost = true;
        registers.is_return = false;
        Ok(())
    }
}
