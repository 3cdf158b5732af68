//! `perf_event_open(2)`, for the two kinds of event that the agent uses: a clock that runs a BPF program, and
//! a ring of what the kernel tells of address spaces ([`super::perf_ring`]).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A CPU by the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CpuId(pub u32);

/// `struct perf_event_attr` at its size of Linux 4.1, `PERF_ATTR_SIZE_VER5`: later fields are zero.
#[repr(C)]
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) kind: u32,
    pub(super) size: u32,
    pub(super) config: u64,
    pub(super) sample_period: u64,
    pub(super) sample_type: u64,
    pub(super) read_format: u64,
    pub(super) flags: u64,
    /// Bytes instead of events under the flag `watermark`.
    pub(super) wakeup: u32,
    pub(super) breakpoint_type: u32,
    pub(super) config1: u64,
    pub(super) config2: u64,
    pub(super) branch_sample_type: u64,
    pub(super) sample_regs_user: u64,
    pub(super) sample_stack_user: u32,
    pub(super) clock: i32,
    pub(super) sample_regs_intr: u64,
    pub(super) aux_watermark: u32,
    pub(super) sample_max_stack: u16,
    pub(super) reserved: u16,
}

const _: () = assert!(size_of::<Attributes>() == 112);

pub(super) const PERF_TYPE_SOFTWARE: u32 = 1;
const PERF_COUNT_SW_CPU_CLOCK: u64 = 0;
const FLAG_DISABLED: u64 = 1 << 0;
const FLAG_EXCLUDE_IDLE: u64 = 1 << 7;
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 1 << 3;
const PERF_EVENT_IOC_ENABLE: libc::Ioctl = 0x2400;
const PERF_EVENT_IOC_SET_BPF: libc::Ioctl = 0x4004_2408;

/// Opens a software clock that fires on one CPU after each `period` of CPU time, whatever runs there but
/// the idle task, and runs a BPF program each time. It stops when the descriptor is closed.
pub fn sample_cpu(cpu: CpuId, period: Duration, program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let attributes = Attributes {
        kind: PERF_TYPE_SOFTWARE,
        config: PERF_COUNT_SW_CPU_CLOCK,
        sample_period: u64::try_from(period.as_nanos()).unwrap_or(u64::MAX >> 1),
        flags: FLAG_DISABLED | FLAG_EXCLUDE_IDLE,
        ..Attributes::default()
    };
    let event = open_on_cpu(attributes, cpu)?;
    control(&event, PERF_EVENT_IOC_SET_BPF, program.as_raw_fd())?;
    control(&event, PERF_EVENT_IOC_ENABLE, 0)?;
    Ok(event)
}

/// Opens an event for whatever runs on one CPU.
pub(super) fn open_on_cpu(mut attributes: Attributes, cpu: CpuId) -> io::Result<OwnedFd> {
    attributes.size = size_of::<Attributes>() as u32;
    let (every_process, no_group) = (-1, -1);
    // SAFETY: the kernel reads `size` bytes of the attributes, which live until the call returns.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            every_process,
            cpu.0,
            no_group,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    let descriptor =
        i32::try_from(descriptor).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn control(event: &OwnedFd, request: libc::Ioctl, argument: i32) -> io::Result<()> {
    // SAFETY: both requests take a number, not a pointer.
    let result = unsafe { libc::ioctl(event.as_raw_fd(), request, argument) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
