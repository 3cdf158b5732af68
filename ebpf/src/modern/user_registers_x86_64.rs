//! The user registers of the current task, x86_64: as it was interrupted, or as it entered the kernel.

use parca_agent_common::unwind::StackEnd;
use parca_agent_common::unwind::x86_64::Registers;

/// `struct pt_regs` of the kernel's `arch/x86/include/asm/ptrace.h`.
#[repr(C)]
pub struct UserRegisters {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    rbp: u64,
    rbx: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rax: u64,
    rcx: u64,
    rdx: u64,
    rsi: u64,
    rdi: u64,
    orig_rax: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// `__USER_CS` and `__USER32_CS`: the code segments of 64-bit and 32-bit programs. Others are a user's own
/// (`modify_ldt`), or the kernel's, where a kernel thread has no user registers.
const USER_CS: u64 = 0x33;
const USER32_CS: u64 = 0x23;
/// Only the lower half holds the selector: later kernels keep flags of the entry in the upper.
const SELECTOR: u64 = 0xffff;

/// `orig_rax` of a task that an interrupt or a fault brought into the kernel.
const NO_SYSTEM_CALL: u64 = u64::MAX;

impl UserRegisters {
    /// The innermost user frame.
    #[inline(always)]
    pub fn innermost(&self, registers: &mut Registers, _pac_mask: u64) -> Result<(), StackEnd> {
        match self.cs & SELECTOR {
            USER_CS => {}
            USER32_CS => return Err(StackEnd::Compat),
            _ => return Err(StackEnd::NoRegisters),
        }
        registers.pc = self.rip;
        registers.sp = self.rsp;
        registers.fp = self.rbp;
        registers.innermost = true;
        // A thread in a system call goes on behind the instruction that called.
        registers.is_return = self.orig_rax != NO_SYSTEM_CALL;
        registers.general = [
            self.rax, self.rdx, self.rcx, self.rbx, self.rsi, self.rdi, self.rbp, self.rsp, self.r8, self.r9,
            self.r10, self.r11, self.r12, self.r13, self.r14, self.r15,
        ];
        Ok(())
    }
}
