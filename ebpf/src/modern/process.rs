//! Exec, exit and fork, told to the agent as they happen.

use crate::maps::{PROCESS_EVENTS, PROCESSES, count, settings};
use crate::pid_namespace::Ids;
use crate::replacement;
use crate::selection;
use crate::task::Task;
use crate::wakeup;
use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use aya_ebpf::programs::RawTracePointContext;
use parca_agent_common::counter::Counter;
use parca_agent_common::record::{ProcessEvent, ProcessEventKind};
use parca_agent_common::table::ProcessEntry;

/// The current process runs another program now, of whose mappings nothing is known yet.
#[inline(always)]
pub fn executed() {
    let ids = Ids::current();
    if ids.are_outside() {
        return;
    }
    let tgid = ids.tgid;
    // One that is not there needs no removal.
    let _ = PROCESSES.remove(tgid);
    wakeup::forget(tgid);
    selection::executed(tgid);
    send_current(ProcessEventKind::Exec, tgid);
}

/// The current process is about to exit. Only its thread group leader tells: it is the process in
/// `/proc`, and stays a zombie while other threads go on.
#[inline(always)]
pub fn exited() {
    let ids = Ids::current();
    if ids.tgid == ids.tid && !ids.are_outside() {
        selection::exited(ids.tgid);
        send_current(ProcessEventKind::Exit, ids.tgid);
    }
}

/// The current task created another: `TP_PROTO(struct task_struct *parent, struct task_struct *child)`.
/// A new thread is of no interest.
///
/// A new process has its parent's mappings, so its first sample can be unwound like its parent's.
#[inline(always)]
pub fn forked(context: &RawTracePointContext) {
    let settings = settings();
    let child = Task::from_argument(context.arg::<*const u8>(1));
    let ids = Ids::of(child);
    if ids.tgid != ids.tid || ids.are_outside() {
        return;
    }
    let tgid = ids.tgid;
    // One that is outside has the id 0, under which no process is known.
    let parent_tgid = Ids::current().tgid;
    let process_start = child.start_boot_time(settings.task_start_boot_time);
    let parent_start = current_process_start();
    inherit(parent_tgid, parent_start, tgid, process_start);
    selection::inherit(parent_tgid, parent_start, tgid, process_start);
    send(&ProcessEvent {
        boot_time: now(),
        process_start,
        parent_start,
        kind: ProcessEventKind::Fork as u32,
        tgid,
        parent_tgid,
        reserved: 0,
        comm: child.comm(settings.task_comm),
    });
}

/// Gives a child its parent's mappings. The agent keeps a run until it has seen all who share it end.
#[inline(always)]
fn inherit(parent: u32, parent_start: u64, child: u32, start: u64) {
    // SAFETY: as in `Unwinder::begin`.
    let Some(entry) = (unsafe { PROCESSES.get(parent) }) else { return };
    if entry.start == parent_start && replacement::is_current(entry, parent) {
        let replaced = replacement::count_of(child);
        let inherited = ProcessEntry { start, mappings: entry.mappings, owner: entry.owner, replaced };
        // Where there is no room, the child is met by its first sample.
        let _ = PROCESSES.insert(child, inherited, 0);
    }
}

#[inline(always)]
fn send_current(kind: ProcessEventKind, tgid: u32) {
    send(&ProcessEvent {
        boot_time: now(),
        process_start: current_process_start(),
        parent_start: 0,
        kind: kind as u32,
        tgid,
        parent_tgid: 0,
        reserved: 0,
        comm: Task::current().comm(settings().task_comm),
    });
}

#[inline(always)]
fn send(event: &ProcessEvent) {
    if PROCESS_EVENTS.output::<ProcessEvent>(event, wakeup::for_event()).is_err() {
        count(Counter::EventRingFull);
    }
}

#[inline(always)]
fn current_process_start() -> u64 {
    let settings = settings();
    Task::current().group_leader(settings.task_group_leader).start_boot_time(settings.task_start_boot_time)
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper takes no argument.
    unsafe { bpf_ktime_get_boot_ns() }
}
