//! The registers of what the timer interrupted.

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::bpf_perf_event_data;
use aya_ebpf::programs::PerfEventContext;

/// Whether a program was interrupted, and not the kernel.
#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
pub fn is_user_mode(context: &PerfEventContext) -> bool {
    /// The bits of a code segment's selector that hold its privilege level, which is 0 for the kernel.
    const PRIVILEGE: u64 = 3;
    // SAFETY: such is the context of a perf_event program, and the verifier checks the access.
    let cs = unsafe { (*context.as_ptr().cast::<bpf_perf_event_data>()).regs.cs };
    cs & PRIVILEGE != 0
}

/// Whether a program was interrupted, and not the kernel.
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
pub fn is_user_mode(context: &PerfEventContext) -> bool {
    /// The exception level and stack pointer in the processor state, 0 for EL0 (`PSR_MODE_MASK`).
    const MODE: u64 = 0xf;
    // SAFETY: such is the context of a perf_event program, and the verifier checks the access.
    let pstate = unsafe { (*context.as_ptr().cast::<bpf_perf_event_data>()).regs.pstate };
    pstate & MODE == 0
}
