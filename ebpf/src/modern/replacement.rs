//! Mappings that take the place of others, such as a library that is loaded where another one was: what the agent
//! has read of the process holds no more.
//!
//! Each is counted when the kernel chooses its place, which is before it is there. The agent notes the count before
//! it reads a process, so whatever is replaced while it reads makes what it read void. A place that the program
//! demands itself (`MAP_FIXED`) is not seen here; the dynamic linker does so only within what it was given before.

use crate::kernel_pointer::KernelPointer;
use crate::lookup::{Search, has_mapping_in, is_owned};
use crate::maps::{PROCESSES, REPLACEMENT_SEARCH, REPLACEMENTS, settings};
use crate::pid_namespace::Ids;
use crate::wakeup;
use aya_ebpf::programs::RawTracePointContext;
use parca_agent_common::limits::REPLACEMENT_COUNTS;
use parca_agent_common::table::ProcessEntry;

/// The kernel has chosen the place of a new mapping of the current process:
/// `TP_PROTO(unsigned long addr, struct vm_unmapped_area_info *info)`.
#[inline(always)]
pub fn placed(context: &RawTracePointContext) {
    if settings().unmapped_area_length == 0 {
        return;
    }
    let tgid = Ids::current().tgid;
    // SAFETY: as in `Unwinder::begin`.
    let Some(process) = (unsafe { PROCESSES.get(tgid) }) else { return };
    if !is_owned(process.mappings, process.owner) {
        return;
    }
    let address = context.arg::<u64>(0);
    let info = KernelPointer::new(context.arg::<u64>(1));
    let length: u64 = info.field(settings().unmapped_area_length);
    let Some(search) = REPLACEMENT_SEARCH.get_ptr_mut(0) else { return };
    // SAFETY: it is this CPU's own. Should another task get in between, one of the two overlooks a replacement.
    let search: &mut Search = unsafe { &mut *search };
    if has_mapping_in(search, process.mappings, address, length) {
        if let Some(count) = REPLACEMENTS.get_ptr_mut(tgid % REPLACEMENT_COUNTS) {
            // SAFETY: the pointer is not null. Threads that place mappings at once may count as one, which is
            // another number all the same.
            unsafe { *count += 1 }
        }
        wakeup::forget(tgid);
    }
}

/// How many mappings of a process were replaced by now.
#[inline(always)]
pub fn count_of(tgid: u32) -> u64 {
    REPLACEMENTS.get(tgid % REPLACEMENT_COUNTS).copied().unwrap_or_default()
}

/// Whether what the agent read of a process still holds.
#[inline(always)]
pub fn is_current(process: &ProcessEntry, tgid: u32) -> bool {
    is_owned(process.mappings, process.owner) && process.replaced == count_of(tgid)
}
