//! What the worker gives up before it reads its first byte.
//!
//! It keeps the socket to the agent, standard error for a panic's last words, memory up to a limit, and
//! the system calls to use these. It can open, create, execute, connect to and signal nothing.

use crate::sys;
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Address space of the worker, bytes. The largest job reads some megabytes of headers.
pub const MEMORY: u64 = 512 << 20;

/// CPU time of one worker over all its jobs, which the supervisor ends well before.
pub const CPU_TIME: Duration = Duration::from_secs(120);

/// Highest descriptor number, plus one: the standard three and a target's file, with a little room.
const DESCRIPTORS: u64 = 8;

/// How far behind the programs of the host the worker's priority stands.
const NICE: i32 = 10;

/// A right that the worker could not give up. It then refuses to work.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A call of the kernel failed.
    #[error("cannot {step}")]
    Call {
        /// What was to be done.
        step: &'static str,
        /// Why it was not.
        #[source]
        source: Errno,
    },
    /// The list of system calls could not be compiled.
    #[error("cannot compile the system call filter")]
    Compile(#[source] seccompiler::BackendError),
    /// The kernel refused the list of system calls.
    #[error("cannot install the system call filter")]
    Install(#[source] seccompiler::Error),
}

/// Gives up everything that a job does not need.
pub fn enter() -> Result<(), SandboxError> {
    let step = |step, result: Result<(), Errno>| result.map_err(|source| SandboxError::Call { step, source });
    step("close inherited descriptors", sys::descriptor::close_inherited())?;
    // If the agent is gone already, the socket says so at the first read.
    step("follow the agent in death", rustix::process::set_parent_process_death_signal(Some(Signal::KILL)))?;
    step("take a name", rustix::thread::set_name(c"parca-worker"))?;
    step("leave the directory", rustix::process::chdir("/"))?;
    // Priority is a courtesy, not a right to give up.
    let _ = rustix::process::setpriority_process(None, NICE);
    step("hide from debuggers", rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable))?;
    step("limit resources", limit_resources())?;
    step("drop capabilities", drop_capabilities())?;
    step("renounce privileges", rustix::thread::set_no_new_privs(true))?;
    let filter = system_calls().map_err(SandboxError::Compile)?;
    seccompiler::apply_filter(&filter).map_err(SandboxError::Install)
}

fn limit_resources() -> Result<(), Errno> {
    let limits = [
        (Resource::As, MEMORY),
        (Resource::Cpu, CPU_TIME.as_secs()),
        (Resource::Nofile, DESCRIPTORS),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Nproc, 0),
        (Resource::Memlock, 0),
    ];
    limits.into_iter().try_for_each(|(resource, value)| {
        rustix::process::setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
    })
}

fn drop_capabilities() -> Result<(), Errno> {
    for number in 0..u64::BITS {
        match rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(
            1 << number,
        )) {
            Ok(()) => {}
            // Past the kernel's last capability.
            Err(Errno::INVAL) => break,
            // An agent without CAP_SETPCAP cannot shrink the set, which then bounds nothing: it counts at
            // execve only, which the filter refuses.
            Err(Errno::PERM) => break,
            Err(error) => return Err(error),
        }
    }
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )
}

type Compiled<T> = Result<T, seccompiler::BackendError>;

/// The system calls that remain; any other ends the process at once.
fn system_calls() -> Compiled<BpfProgram> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ANYHOW_ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    for (call, conditions) in [
        (libc::SYS_recvmsg, vec![equals(0, libc::STDIN_FILENO)?]),
        (libc::SYS_sendto, vec![equals(0, libc::STDIN_FILENO)?]),
        (libc::SYS_write, vec![equals(0, libc::STDERR_FILENO)?]),
        (libc::SYS_writev, vec![equals(0, libc::STDERR_FILENO)?]),
        // Builds with debug assertions look whether a descriptor is open before they close it.
        (libc::SYS_fcntl, vec![equals(1, libc::F_GETFD)?]),
        (libc::SYS_mprotect, vec![without(2, libc::PROT_EXEC)?]),
        (libc::SYS_mmap, vec![without(2, libc::PROT_EXEC)?, with(3, libc::MAP_ANONYMOUS)?]),
    ] {
        rules.insert(call, vec![SeccompRule::new(conditions)?]);
    }
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, ARCHITECTURE)?.try_into()
}

/// Calls allowed with any argument: they read what is open, manage memory, or end the process. Both
/// musl's and glibc's ways to allocate, to lock and to end are among them.
const ANYHOW_ALLOWED: [i64; 20] = [
    libc::SYS_pread64,
    libc::SYS_fstat,
    libc::SYS_close,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;

fn equals(argument: u8, value: i32) -> Compiled<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, flags(value))
}

fn with(argument: u8, flag: i32) -> Compiled<SeccompCondition> {
    let operator = SeccompCmpOp::MaskedEq(flags(flag));
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, flags(flag))
}

fn without(argument: u8, flag: i32) -> Compiled<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(flags(flag)), 0)
}

/// Arguments and flags used here are small and positive.
fn flags(value: i32) -> u64 {
    u64::from(value.unsigned_abs())
}
