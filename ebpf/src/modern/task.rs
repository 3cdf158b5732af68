//! Fields of the kernel's `task_struct`, at the offsets that the running kernel's BTF gave.

use crate::kernel_pointer::KernelPointer;
use crate::user_registers::UserRegisters;
use aya_ebpf::helpers::bpf_get_current_task;
use aya_ebpf::helpers::generated::{
    bpf_get_current_task_btf, bpf_probe_read_kernel as read_kernel, bpf_task_pt_regs,
};
use parca_agent_common::limits::COMM_LENGTH;
use parca_agent_common::settings::Settings;

/// A task.
#[derive(Clone, Copy)]
pub struct Task(KernelPointer);

/// `PF_KTHREAD` of the kernel's `include/linux/sched.h`.
const PF_KTHREAD: u32 = 0x0020_0000;

impl Task {
    /// The task that was running.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: the helper takes no argument and always returns the current task.
        Self(KernelPointer::new(unsafe { bpf_get_current_task() }))
    }

    /// A task that a tracepoint passed.
    #[inline(always)]
    pub fn from_argument(argument: *const u8) -> Self {
        Self(KernelPointer::new(argument as u64))
    }

    /// The address space; `None` where the task has none of its own.
    #[inline(always)]
    pub fn memory(self, offset: u32) -> Option<KernelPointer> {
        self.0.pointer(offset)
    }

    /// The first thread of the task's process.
    #[inline(always)]
    pub fn group_leader(self, offset: u32) -> Self {
        Self(KernelPointer::new(self.0.field(offset)))
    }

    /// When the task started, nanoseconds since boot.
    #[inline(always)]
    pub fn start_boot_time(self, offset: u32) -> u64 {
        self.0.field(offset)
    }

    /// Whether it is a kernel thread.
    #[inline(always)]
    pub fn is_kernel_thread(self, offset: u32) -> bool {
        self.0.field::<u32>(offset) & PF_KTHREAD != 0
    }

    /// Its ids in all pid namespaces, a `struct pid`; nothing can be read there of a task that has given them up.
    #[inline(always)]
    pub fn numbers(self, offset: u32) -> KernelPointer {
        self.0.at(offset).target()
    }

    /// A process or thread id in the initial pid namespace.
    #[inline(always)]
    pub fn id(self, offset: u32) -> u32 {
        self.0.field(offset)
    }

    /// Its name.
    #[inline(always)]
    pub fn comm(self, offset: u32) -> [u8; COMM_LENGTH] {
        self.0.field(offset)
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
            self.0.field::<u64>(settings.task_stack) + u64::from(settings.user_registers)
        };
        let size = size_of::<UserRegisters>() as u32;
        // SAFETY: the size is that of the target; the helper checks the address and fails instead of faulting.
        unsafe { read_kernel((&raw mut *registers).cast(), size, address as *const _) == 0 }
    }
}
