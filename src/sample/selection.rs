//! What is not wanted whole, told to the BPF programs: their maps of decisions, and what the agent put there.

use super::object::{ObjectError, take_map};
use crate::metrics::{Counter, Exposition};
use crate::process::cgroup::CgroupId;
use crate::process::id::{ProcessId, Tgid};
use aya::Ebpf;
use aya::maps::{Array, HashMap as BpfHashMap, MapData, MapError};
use parca_agent_common::limits::{DECIDED_CGROUPS, DECIDED_PROCESSES};
use parca_agent_common::selection::{Divisor, ProcessDecision};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Decisions of which the kernel side knows.
pub struct Selection {
    state: Mutex<State>,
    /// There is nothing in the maps.
    is_empty: AtomicBool,
    processes_full: Counter,
    cgroups_full: Counter,
}

struct State {
    maps: Maps,
    processes: HashMap<Tgid, (ProcessId, Holds)>,
    cgroups: HashMap<CgroupId, Divisor>,
}

struct Maps {
    processes: BpfHashMap<MapData, u32, KernelDecision>,
    cgroups: BpfHashMap<MapData, u64, u32>,
    is_selecting: Array<MapData, u32>,
}

/// A [`ProcessDecision`] as the loader's crate takes it.
type KernelDecision = [u64; 3];

/// For how long a decision holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Until the process runs another program.
    UntilExec,
    /// Until it exits.
    UntilExit,
}

impl Selection {
    /// Takes the maps of a loaded object.
    pub(super) fn take(bpf: &mut Ebpf) -> Result<Self, ObjectError> {
        let maps = Maps {
            processes: take_map(bpf, "PROCESS_DECISIONS")?,
            cgroups: take_map(bpf, "CGROUP_DECISIONS")?,
            is_selecting: take_map(bpf, "IS_SELECTING")?,
        };
        let state = State { maps, processes: HashMap::new(), cgroups: HashMap::new() };
        Ok(Self {
            state: Mutex::new(state),
            is_empty: AtomicBool::new(true),
            processes_full: Counter::default(),
            cgroups_full: Counter::default(),
        })
    }

    /// Whether every sample is wanted, as far as was decided.
    pub fn is_empty(&self) -> bool {
        self.is_empty.load(Ordering::Relaxed)
    }

    /// Keeps one of `divisor` samples of a process from now on, 0 for none, 1 for all, as long as it stays in its
    /// cgroup.
    pub fn decide_process(&self, process: ProcessId, cgroup: CgroupId, divisor: Divisor, holds: Holds) {
        let mut state = self.state();
        if divisor == 1 {
            if state.processes.get(&process.tgid).is_some_and(|(known, _)| *known == process) {
                state.forget_process(process.tgid);
                self.settle(&mut state);
            }
            return;
        }
        let until_exec = u32::from(holds == Holds::UntilExec);
        let decision =
            ProcessDecision { start: process.start.nanos, cgroup_id: cgroup.0, divisor, until_exec };
        if state.processes.len() >= DECIDED_PROCESSES as usize && !state.processes.contains_key(&process.tgid)
        {
            self.processes_full.increment();
            return;
        }
        // Written even if it is known: a program may have removed it.
        if state.maps.put_process(process.tgid, decision).is_ok() {
            state.processes.insert(process.tgid, (process, holds));
        } else {
            self.processes_full.increment();
        }
        self.settle(&mut state);
    }

    /// Takes in that a process executed another program, as the kernel tells some time later. The program has forgotten
    /// what was decided before; what was decided in between, by what was known of the old program, goes now.
    pub fn executed(&self, process: ProcessId) {
        if self.is_empty() {
            return;
        }
        let mut state = self.state();
        if state.processes.get(&process.tgid) == Some(&(process, Holds::UntilExec)) {
            state.forget_process(process.tgid);
            self.settle(&mut state);
        }
    }

    /// The same for all processes of a cgroup of which nothing is decided.
    pub fn decide_cgroup(&self, cgroup: CgroupId, divisor: Divisor) {
        let mut state = self.state();
        if state.cgroups.get(&cgroup).copied().unwrap_or(1) == divisor {
            return;
        }
        if divisor == 1 {
            state.forget_cgroup(cgroup);
        } else if state.cgroups.len() >= DECIDED_CGROUPS as usize && !state.cgroups.contains_key(&cgroup) {
            self.cgroups_full.increment();
        } else if state.maps.cgroups.insert(cgroup.0, divisor, 0).is_ok() {
            state.cgroups.insert(cgroup, divisor);
        } else {
            self.cgroups_full.increment();
        }
        self.settle(&mut state);
    }

    /// Forgets processes of which something does not hold, such as those that have ended: only the BPF programs know
    /// at once.
    pub fn retain(&self, holds: impl Fn(ProcessId) -> bool) {
        let mut state = self.state();
        let others: Vec<_> =
            state.processes.iter().filter(|(_, (id, _))| !holds(*id)).map(|(tgid, _)| *tgid).collect();
        for tgid in others {
            state.forget_process(tgid);
        }
        self.settle(&mut state);
    }

    /// Forgets all: every process is sampled, and decided on again.
    pub fn clear(&self) {
        let mut state = self.state();
        for tgid in state.processes.keys().copied().collect::<Vec<_>>() {
            state.forget_process(tgid);
        }
        for cgroup in state.cgroups.keys().copied().collect::<Vec<_>>() {
            state.forget_cgroup(cgroup);
        }
        self.settle(&mut state);
    }

    /// Writes the metrics.
    pub fn collect(&self, exposition: &mut Exposition) {
        let (processes, cgroups) = {
            let state = self.state();
            (state.processes.len(), state.cgroups.len())
        };
        exposition.gauge(
            "selection_decisions",
            "Processes and cgroups whose samples the BPF program drops or thins out.",
            [(&[("of", "process")][..], processes as f64), (&[("of", "cgroup")][..], cgroups as f64)],
        );
        exposition.counter(
            "selection_decisions_refused",
            "Decisions that found no room in the BPF maps. The agent drops such samples itself.",
            [
                (&[("of", "process")][..], self.processes_full.get()),
                (&[("of", "cgroup")][..], self.cgroups_full.get()),
            ],
        );
    }

    /// Spares the programs a look into maps that are empty. Children that inherited decisions of a process are
    /// forgotten with the last one.
    fn settle(&self, state: &mut State) {
        let is_empty = state.processes.is_empty() && state.cgroups.is_empty();
        if self.is_empty.swap(is_empty, Ordering::Relaxed) == is_empty {
            return;
        }
        if is_empty {
            state.maps.empty_processes();
        }
        // The index is within the map, so that it cannot fail.
        let _ = state.maps.is_selecting.set(0, u32::from(!is_empty), 0);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_process(&mut self, tgid: Tgid) {
        // A program may have removed it already.
        let _ = self.maps.processes.remove(&tgid.0);
        self.processes.remove(&tgid);
    }

    fn forget_cgroup(&mut self, cgroup: CgroupId) {
        let _ = self.maps.cgroups.remove(&cgroup.0);
        self.cgroups.remove(&cgroup);
    }
}

impl Maps {
    fn put_process(&mut self, tgid: Tgid, decision: ProcessDecision) -> Result<(), MapError> {
        let ProcessDecision { start, cgroup_id, divisor, until_exec } = decision;
        // Little-endian, as every supported CPU is.
        self.processes.insert(tgid.0, [start, cgroup_id, u64::from(divisor) | u64::from(until_exec) << 32], 0)
    }

    /// Also of what programs gave to children, which is in no list of ours.
    fn empty_processes(&mut self) {
        // Removing while iterating may begin again from the start; what is left is inherited by nobody.
        let keys: Vec<u32> = self.processes.keys().filter_map(Result::ok).collect();
        for key in keys {
            let _ = self.processes.remove(&key);
        }
    }
}
