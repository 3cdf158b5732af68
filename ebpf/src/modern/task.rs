//! Fields of the kernel's `task_struct`, at the offsets that the running kernel's BTF gave.

use crate::user_registers::UserRegisters;
use aya_ebpf::helpers::generated::{
    bpf_get_current_task_btf, bpf_probe_read_kernel as read_kernel, bpf_task_pt_regs,
};
use aya_ebpf::helpers::{bpf_get_current_task, bpf_probe_read_kernel};
use parca_agent_common::limits::COMM_LENGTH;
use parca_agent_common::settings::Settings;

/// A pointer into kernel memory that is only ever read by `bpf_probe_read_kernel` (5.5).
#[derive(Clone, Copy)]
pub struct Task(*const u8);

/// `PF_KTHREAD` of the kernel's `include/linux/sched.h`.
const PF_KTHREAD: u32 = 0x0020_0000;

impl Task {
    /// The task that was running.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: the helper takes no argument and always returns the current task.
        Self(unsafe { bpf_get_current_task() } as *const u8)
    }

    /// A task that a tracepoint passed.
    #[inline(always)]
    pub fn from_argument(argument: *const u8) -> Self {
        Self(argument)
    }

    /// Reads a field; the zero value where it cannot be read.
    #[inline(always)]
    fn field<T: Default>(self, offset: u32) -> T {
        // SAFETY: the helper checks the address and fails instead of faulting.
        unsafe { bpf_probe_read_kernel(self.0.wrapping_add(offset as usize).cast::<T>()) }.unwrap_or_default()
    }

    /// The first thread of the task's process.
    #[inline(always)]
    pub fn group_leader(self, offset: u32) -> Self {
        Self(self.field::<u64>(offset) as *const u8)
    }

    /// When the task started, nanoseconds since boot.
    #[inline(always)]
    pub fn start_boot_time(self, offset: u32) -> u64 {
        self.field(offset)
    }

    /// Whether it is a kernel thread.
    #[inline(always)]
    pub fn is_kernel_thread(self, offset: u32) -> bool {
        self.field::<u32>(offset) & PF_KTHREAD != 0
    }

    /// A process or thread id.
    #[inline(always)]
    pub fn id(self, offset: u32) -> u32 {
        self.field(offset)
    }

    /// Its name.
    #[inline(always)]
    pub fn comm(self, offset: u32) -> [u8; COMM_LENGTH] {
        self.field(offset)
    }

    /// Reads the registers with which the current task was interrupted in user space or entered the kernel.
    /// False if it has none.
    #[inline(always)]
    pub fn user_registers(self, settings: Settings, registers: &mut UserRegisters) -> bool {
        let address = if settings.user_registers == 0 {
            // SAFETY: the helpers take and return the kernel's own pointers (5.15). Where the kernel has them
            // not, the verifier sees that this branch is never taken, for the setting is a constant.
            unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) as u64 }
        } else {
            self.field::<u64>(settings.task_stack) + u64::from(settings.user_registers)
        };
        let size = size_of::<UserRegisters>() as u32;
        // SAFETY: the size is that of the target; the helper checks the address and fails instead of faulting.
        unsafe { read_kernel((&raw mut *registers).cast(), size, address as *const _) == 0 }
    }
}
