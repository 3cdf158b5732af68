//! Process and thread ids, as the agent's `/proc` shows them. All that is sent, and every key of a map, has its
//! ids from here.
//!
//! The helper `bpf_get_ns_current_pid_tgid` (5.7) knows no task but the current one, and not even that where it is in
//! a namespace nested in the agent's. So the kernel's own structures are read.

use crate::maps::{pid_namespace, settings};
use crate::task::Task;
use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use parca_agent_common::pid_namespace::{MAX_PID_NAMESPACE_LEVEL, PidNamespace};

/// The ids of a task.
#[derive(Clone, Copy)]
pub struct Ids {
    /// Of its process; 0 where it has none.
    pub tgid: u32,
    /// Of the task itself; 0 where it has none.
    pub tid: u32,
}

impl Ids {
    /// Those of the current task.
    #[inline(always)]
    pub fn current() -> Self {
        match pid_namespace() {
            None => {
                let ids = bpf_get_current_pid_tgid();
                Self { tgid: (ids >> 32) as u32, tid: ids as u32 }
            }
            Some(namespace) => Self::inside(Task::current(), namespace),
        }
    }

    /// Those of any task.
    #[inline(always)]
    pub fn of(task: Task) -> Self {
        match pid_namespace() {
            None => {
                let settings = settings();
                Self { tgid: task.id(settings.task_tgid), tid: task.id(settings.task_pid) }
            }
            Some(namespace) => Self::inside(task, namespace),
        }
    }

    /// Whether `/proc` does not show the task: it is outside the namespace, as kernel threads are, or it has given
    /// up its ids in the last moment of its exit.
    #[inline(always)]
    pub fn are_outside(self) -> bool {
        // A constant where it cannot be so.
        pid_namespace().is_some() && (self.tgid == 0 || self.tid == 0)
    }

    #[inline(always)]
    fn inside(task: Task, namespace: PidNamespace) -> Self {
        let leader = task.group_leader(settings().task_group_leader);
        Self { tgid: id_in(leader, namespace), tid: id_in(task, namespace) }
    }
}

/// The id of a task in a namespace that is not the initial one; 0 where it has none.
///
/// The level of the namespace is not known, but as a rule it is the first one tried. It is not kept for the next task
/// either: the verifier would look at what follows once for each level.
#[inline(always)]
fn id_in(task: Task, namespace: PidNamespace) -> u32 {
    let numbers = task.numbers(namespace.task_thread_pid);
    let deepest: u32 = numbers.field(namespace.pid_level);
    let mut level = 1;
    while level <= MAX_PID_NAMESPACE_LEVEL && level <= deepest {
        let number = numbers.at(namespace.pid_numbers + level * namespace.number_bytes);
        let owner = number.at(namespace.number_namespace).target();
        if owner.field::<u32>(namespace.namespace_inode) == namespace.inode {
            return number.field(namespace.number_id);
        }
        level += 1;
    }
    0
}
