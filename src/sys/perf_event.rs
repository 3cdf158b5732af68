//! `perf_event_open(2)`, for the one kind of event that the sampler uses.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A CPU by the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CpuId(pub u32);

/// `struct perf_event_attr` at its first published size, `PERF_ATTR_SIZE_VER0`: later fields are zero.
#[repr(C)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    config1: u64,
}

const _: () = assert!(size_of::<Attributes>() == 64);

const PERF_TYPE_SOFTWARE: u32 = 1;
const PERF_COUNT_SW_CPU_CLOCK: u64 = 0;
const FLAG_DISABLED: u64 = 1 << 0;
const FLAG_EXCLUDE_IDLE: u64 = 1 << 7;
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 1 << 3;
const PERF_EVENT_IOC_ENABLE: libc::Ioctl = 0x2400;
const PERF_EVENT_IOC_PERIOD: libc::Ioctl = 0x4008_2404;
const PERF_EVENT_IOC_SET_BPF: libc::Ioctl = 0x4004_2408;

/// Opens a software clock that fires on one CPU after each `period` of CPU time, whatever runs there but
/// the idle task, and runs a BPF program each time. It stops when the descriptor is closed.
pub fn sample_cpu(cpu: CpuId, period: Duration, program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let attributes = Attributes {
        kind: PERF_TYPE_SOFTWARE,
        size: size_of::<Attributes>() as u32,
        config: PERF_COUNT_SW_CPU_CLOCK,
        sample_period: nanos(period),
        sample_type: 0,
        read_format: 0,
        flags: FLAG_DISABLED | FLAG_EXCLUDE_IDLE,
        wakeup_events: 0,
        breakpoint_type: 0,
        config1: 0,
    };
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
    let event = unsafe { OwnedFd::from_raw_fd(descriptor) };
    control(&event, PERF_EVENT_IOC_SET_BPF, program.as_raw_fd())?;
    control(&event, PERF_EVENT_IOC_ENABLE, 0)?;
    Ok(event)
}

/// Gives a running clock another period, which begins anew.
pub fn set_period(event: BorrowedFd<'_>, period: Duration) -> io::Result<()> {
    let nanos = nanos(period);
    // SAFETY: the kernel reads the number, which lives until the call returns.
    let result = unsafe { libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_PERIOD, &raw const nanos) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A period as the kernel takes it, which has no use for its highest bit.
fn nanos(period: Duration) -> u64 {
    u64::try_from(period.as_nanos()).unwrap_or(u64::MAX >> 1)
}

fn control(event: &OwnedFd, request: libc::Ioctl, argument: i32) -> io::Result<()> {
    // SAFETY: both requests take a number, not a pointer.
    let result = unsafe { libc::ioctl(event.as_raw_fd(), request, argument) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
