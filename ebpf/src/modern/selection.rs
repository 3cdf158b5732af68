//! Which samples are wanted: decided by the agent, obeyed here before anything costly is done.
//!
//! The maps hold only what is not kept whole. A process or cgroup that is not in them is sampled, and the agent
//! then decides; so an entry that found no room costs time and changes no profile.

use crate::maps::{CGROUP_DECISIONS, IS_SELECTING, PROCESS_DECISIONS, settings};
use parca_agent_common::record::SampleHeader;
use parca_agent_common::selection::{Divisor, KEEP_NONE, ProcessDecision, is_kept};

/// How many samples this one stands for: 0 if it is not wanted.
#[inline(always)]
pub fn weight(header: &SampleHeader) -> u32 {
    if !is_selecting() {
        return 1;
    }
    let divisor = divisor(header);
    if divisor == KEEP_NONE || is_kept(header.boot_time, settings().period_nanos, header.cpu, divisor) {
        divisor
    } else {
        KEEP_NONE
    }
}

/// Whether any decision is in the maps.
#[inline(always)]
fn is_selecting() -> bool {
    IS_SELECTING.get(0).is_some_and(|selecting| *selecting != 0)
}

#[inline(always)]
fn divisor(header: &SampleHeader) -> Divisor {
    // SAFETY: an entry that is replaced meanwhile is another whole entry of the same process id, which the start
    // time tells apart.
    if let Some(decision) = unsafe { PROCESS_DECISIONS.get(header.tgid) }
        && decision.start == header.process_start
        && decision.cgroup_id == header.cgroup_id
    {
        return decision.divisor;
    }
    // SAFETY: the value is one word.
    unsafe { CGROUP_DECISIONS.get(header.cgroup_id) }.copied().unwrap_or(1)
}

/// A child is what its parent is, until it runs another program.
#[inline(always)]
pub fn inherit(parent: u32, parent_start: u64, child: u32, start: u64) {
    if !is_selecting() {
        return;
    }
    // SAFETY: as in `divisor`.
    let Some(decision) = (unsafe { PROCESS_DECISIONS.get(parent) }) else { return };
    if decision.start == parent_start {
        let inherited = ProcessDecision { start, ..*decision };
        // Where there is no room, the child is sampled and the agent decides.
        let _ = PROCESS_DECISIONS.insert(child, inherited, 0);
    }
}

/// The process runs another program, and may be another target by that.
#[inline(always)]
pub fn executed(tgid: u32) {
    if !is_selecting() {
        return;
    }
    // SAFETY: as in `divisor`.
    let Some(decision) = (unsafe { PROCESS_DECISIONS.get(tgid) }) else { return };
    if decision.until_exec != 0 {
        let _ = PROCESS_DECISIONS.remove(tgid);
    }
}

/// The process is no more.
#[inline(always)]
pub fn exited(tgid: u32) {
    if is_selecting() {
        // One that is not there needs no removal.
        let _ = PROCESS_DECISIONS.remove(tgid);
    }
}
