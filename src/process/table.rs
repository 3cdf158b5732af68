//! Who runs: every process that was sampled or forked lately, and what it runs.
//!
//! The table takes events and samples in and says which processes should be inspected; it does no I/O
//! and has no clock.

use super::cgroup::{CgroupId, Cgroups};
use super::comm::Comm;
use super::details::Details;
use super::event::{ProcessChange, ProcessEvent};
use super::id::{BootTime, ProcessId};
use super::image::{AddressSpace, Image, ImageId};
use super::mapping::Mappings;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Processes that are kept at most. What a fork bomb makes beyond that is not tracked until it is sampled
/// and room is made by the next purge.
const MAX_PROCESSES: usize = 16 * 1024;
/// Images kept of one process: the present one, and those that late samples may still belong to.
const MAX_IMAGES: usize = 3;
/// For how long the samples of a dead process may still arrive, and its children inherit from it.
const EXIT_GRACE: Duration = Duration::from_secs(5);
/// Wait before a process is read again because an address of it has no mapping, and how often it doubles: up
/// to seven minutes. A library that was just loaded is found at once; a broken stack asks in vain.
const FIRST_REREAD_WAIT: Duration = Duration::from_millis(100);
const MAX_DOUBLINGS: u32 = 12;
/// A process without samples is forgotten after this time, and read again should it wake up.
const IDLE_LIMIT: Duration = Duration::from_secs(120);

/// One process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Oldest first, never empty.
    images: Vec<Image>,
    /// Its cgroups, once it or its parent was inspected.
    cgroups: Option<Arc<Cgroups>>,
    /// Where the kernel had seen it, or its parent, when they were read.
    read_in: CgroupId,
    /// Where the kernel saw it last. Another one means that `cgroups` is out of date.
    cgroup: CgroupId,
    /// Where it was when it was asked for.
    requested_in: CgroupId,
    exited: Option<BootTime>,
    last_seen: BootTime,
    /// How often it was read again since that last brought new mappings.
    futile_rereads: u32,
}

/// What a sample belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The image that the process ran then.
    pub image: ImageId,
    /// The process should be inspected: [`ProcessTable::complete`] or [`ProcessTable::refuse`] must follow.
    pub inspect: bool,
}

/// What is known of one image when its samples are resolved.
#[derive(Clone, Debug)]
pub struct ImageInfo {
    /// Name of the process.
    pub comm: Comm,
    /// Its cgroups, if known.
    pub cgroups: Option<Arc<Cgroups>>,
    /// Where the kernel saw it, or the parent that it has them from, when they were read.
    pub read_in: CgroupId,
    /// What rules wanted read of it.
    pub details: Option<Arc<Details>>,
    /// Its mappings, or why there are none.
    pub address_space: AddressSpace,
}

/// What an inspection gave.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// Name of the process.
    pub comm: Comm,
    /// Its cgroups.
    pub cgroups: Option<Arc<Cgroups>>,
    /// What rules wanted read of it.
    pub details: Option<Arc<Details>>,
    /// Its mappings; `None` if they were not read because nobody wants its samples.
    pub mappings: Option<Arc<Mappings>>,
}

/// All processes that matter now.
#[derive(Debug)]
pub struct ProcessTable {
    processes: HashMap<ProcessId, Process>,
    next_image: u64,
    /// Mappings older than this are read again. Without process events it is the only way to see an exec.
    refresh: Duration,
    untracked: u64,
}

impl ProcessTable {
    /// An empty table that wants mappings read again when they are older than `refresh`.
    pub fn new(refresh: Duration) -> Self {
        Self { processes: HashMap::new(), next_image: 0, refresh, untracked: 0 }
    }

    /// How many processes are tracked.
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether no process is tracked.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// Whether a process is tracked.
    pub fn contains(&self, process: ProcessId) -> bool {
        self.processes.contains_key(&process)
    }

    /// How many processes were not tracked because the table was full.
    pub fn untracked(&self) -> u64 {
        self.untracked
    }

    /// Takes in a change.
    pub fn apply(&mut self, event: &ProcessEvent) {
        match event.change {
            ProcessChange::Fork { parent } => self.fork(event, parent),
            ProcessChange::Exec => self.exec(event),
            ProcessChange::Exit => {
                if let Some(process) = self.processes.get_mut(&event.process) {
                    process.exited = Some(event.time);
                }
            }
        }
    }

    /// A forked process starts as a copy of its parent: the same mappings and the same cgroups.
    fn fork(&mut self, event: &ProcessEvent, parent_id: ProcessId) {
        let Some(parent) = self.processes.get(&parent_id) else { return };
        let (cgroups, cgroup, read_in) = (parent.cgroups.clone(), parent.cgroup, parent.read_in);
        let inherited = parent.images.last().map(|image| image.address_space.clone());
        let details = parent.images.last().and_then(|image| image.details.as_deref());
        let details =
            details.map(|details| Arc::new(Details { parent: Some(parent_id.tgid), ..details.clone() }));
        let address_space = match inherited {
            Some(known @ AddressSpace::Known { .. }) => known,
            _ => AddressSpace::Unread,
        };
        let Some(id) = self.new_image_id() else { return };
        let image = Image { id, since: event.time, comm: event.comm, details, address_space };
        self.insert(event.process, image, cgroups, event.time);
        if let Some(child) = self.processes.get_mut(&event.process) {
            (child.cgroup, child.read_in, child.requested_in) = (cgroup, read_in, cgroup);
        }
    }

    fn exec(&mut self, event: &ProcessEvent) {
        let Some(id) = self.new_image_id() else { return };
        // The process may have been read between its exec and now: then that was the new program.
        let mut image = Image {
            id,
            since: event.time,
            comm: event.comm,
            details: None,
            address_space: AddressSpace::Unread,
        };
        let Some(process) = self.processes.get_mut(&event.process) else {
            return self.insert(event.process, image, None, event.time);
        };
        process.last_seen = event.time;
        if let Some(last) = process.images.last_mut()
            && let AddressSpace::Known { read_at, .. } = last.address_space
            && read_at >= event.time
        {
            image.address_space = std::mem::replace(&mut last.address_space, AddressSpace::Gone);
            image.details = last.details.take();
        }
        if process.images.len() >= MAX_IMAGES {
            process.images.remove(0);
        }
        process.images.push(image);
    }

    /// Takes in that a thread was sampled. `leader_comm` is the thread's name if it is the first thread,
    /// for that is the name of the process.
    pub fn observe(
        &mut self,
        id: ProcessId,
        time: BootTime,
        cgroup: CgroupId,
        leader_comm: Option<Comm>,
    ) -> Option<Observed> {
        if !self.processes.contains_key(&id) {
            let image = Image {
                id: self.new_image_id()?,
                since: BootTime::default(),
                comm: leader_comm.unwrap_or_default(),
                details: None,
                address_space: AddressSpace::Unread,
            };
            self.insert(id, image, None, time);
        }
        self.follow_cgroup(id, time, cgroup);
        let oldest = BootTime {
            nanos: time.nanos.saturating_sub(u64::try_from(self.refresh.as_nanos()).unwrap_or(u64::MAX)),
        };
        let process = self.processes.get_mut(&id)?;
        process.last_seen = process.last_seen.max(time);
        let last = process.images.len() - 1;
        let index = process.images.iter().rposition(|image| image.since <= time).unwrap_or(0);
        let image = process.images.get_mut(index)?;
        if let Some(comm) = leader_comm {
            image.comm = comm;
        }
        // What an earlier program mapped, or a dead process, can no longer be read.
        let readable = index == last && process.exited.is_none();
        if !readable && matches!(image.address_space, AddressSpace::Unread) {
            image.address_space = AddressSpace::Gone;
        }
        let inspect = readable && image.address_space.wants_reading(oldest);
        if inspect {
            process.requested_in = process.cgroup;
        }
        if inspect && !matches!(image.address_space, AddressSpace::Known { .. }) {
            image.address_space = AddressSpace::Requested;
        }
        if inspect && let AddressSpace::Known { read_at, .. } = &mut image.address_space {
            *read_at = time; // asked for; the old mappings serve until the new ones come
        }
        Some(Observed { image: image.id, inspect })
    }

    /// Takes in where a process was sampled. If that is another cgroup than before, it is read again: engines and
    /// managers move processes, though mostly before these execute anything.
    fn follow_cgroup(&mut self, id: ProcessId, time: BootTime, cgroup: CgroupId) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        if process.cgroup == cgroup {
            return;
        }
        let is_first = process.cgroup == CgroupId::UNKNOWN;
        if let Some(AddressSpace::Known { read_at, .. } | AddressSpace::Unwanted { read_at }) =
            process.images.last_mut().map(|image| &mut image.address_space)
            && !is_first
        {
            // What is read too often is read later.
            if time.since(*read_at) < FIRST_REREAD_WAIT {
                return;
            }
            *read_at = BootTime::default();
        }
        process.cgroup = cgroup;
    }

    /// Takes in what an inspection gave; `None` if the process was gone. `read_at` is a moment before it
    /// was read.
    pub fn complete(&mut self, id: ProcessId, read_at: BootTime, inspected: Option<Inspected>) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        let Some(index) = process.images.iter().rposition(|image| image.since <= read_at) else { return };
        let Some(image) = process.images.get_mut(index) else { return };
        match inspected {
            Some(inspected) => {
                image.comm = inspected.comm;
                image.details = inspected.details;
                if let (AddressSpace::Known { mappings, .. }, Some(new)) =
                    (&image.address_space, &inspected.mappings)
                    && mappings != new
                {
                    process.futile_rereads = 0;
                }
                image.address_space = match inspected.mappings {
                    Some(mappings) => AddressSpace::Known { mappings, read_at },
                    None => AddressSpace::Unwanted { read_at },
                };
                if inspected.cgroups.is_some() {
                    (process.cgroups, process.read_in) = (inspected.cgroups, process.requested_in);
                }
                // It was moved while it was read: what was read may be of before.
                if process.cgroup != process.requested_in
                    && let AddressSpace::Known { read_at, .. } | AddressSpace::Unwanted { read_at } =
                        &mut image.address_space
                {
                    *read_at = BootTime::default();
                }
            }
            None if matches!(image.address_space, AddressSpace::Requested) => {
                image.address_space = AddressSpace::Gone;
            }
            None => {}
        }
    }

    /// Takes in that a wanted inspection was not made, because too many waited.
    pub fn refuse(&mut self, id: ProcessId) {
        if let Some(image) = self.processes.get_mut(&id).and_then(|process| process.images.last_mut())
            && matches!(image.address_space, AddressSpace::Requested)
        {
            image.address_space = AddressSpace::Refused;
        }
    }

    /// Makes the next sample of a process ask for an inspection, for a sample taken at `time` met an address in
    /// none of its mappings. Each time that brings nothing new doubles the wait until the next.
    pub fn expire(&mut self, id: ProcessId, time: BootTime) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        let wait = FIRST_REREAD_WAIT * 2_u32.pow(process.futile_rereads.min(MAX_DOUBLINGS));
        if let Some(image) = process.images.last_mut()
            && let AddressSpace::Known { read_at, .. } = &mut image.address_space
            && time.since(*read_at) >= wait
        {
            *read_at = BootTime::default();
            process.futile_rereads += 1;
        }
    }

    /// Takes in that whose samples are wanted is decided anew.
    pub fn forget_unwanted(&mut self) {
        for image in self.processes.values_mut().filter_map(|process| process.images.last_mut()) {
            if matches!(image.address_space, AddressSpace::Unwanted { .. }) {
                image.address_space = AddressSpace::Unread;
            }
        }
    }

    /// The cgroup in which what was read of a process at `read_at` holds; `None` if it runs another program by now, or
    /// is elsewhere.
    pub fn still_in(&self, id: ProcessId, read_at: BootTime) -> Option<CgroupId> {
        let process = self.processes.get(&id)?;
        let is_last = process.images.last()?.since <= read_at;
        let is_there = process.cgroup == process.requested_in && process.cgroup != CgroupId::UNKNOWN;
        (is_last && is_there && process.exited.is_none()).then_some(process.cgroup)
    }

    /// Whether a process still runs this image, as far as the kernel has told.
    pub fn still_runs(&self, id: ProcessId, image: ImageId) -> bool {
        let process = self.processes.get(&id);
        process.is_some_and(|process| {
            process.exited.is_none() && process.images.last().is_some_and(|last| last.id == image)
        })
    }

    /// What is known of an image; `None` if it was forgotten.
    pub fn image(&self, id: ProcessId, image: ImageId) -> Option<ImageInfo> {
        let process = self.processes.get(&id)?;
        let image = process.images.iter().find(|candidate| candidate.id == image)?;
        Some(ImageInfo {
            comm: image.comm,
            cgroups: process.cgroups.clone(),
            read_in: process.read_in,
            details: image.details.clone(),
            address_space: image.address_space.clone(),
        })
    }

    /// Forgets who is dead or has long been idle. To be called when all earlier samples were resolved.
    pub fn purge(&mut self, now: BootTime) {
        self.processes.retain(|_, process| match process.exited {
            Some(exited) => now.since(exited) < EXIT_GRACE,
            None => now.since(process.last_seen) < IDLE_LIMIT,
        });
        // A burst of processes must not hold its memory for ever.
        self.processes.shrink_to(2 * self.processes.len());
    }

    fn new_image_id(&mut self) -> Option<ImageId> {
        self.next_image = self.next_image.checked_add(1)?;
        Some(ImageId(self.next_image))
    }

    fn insert(&mut self, id: ProcessId, image: Image, cgroups: Option<Arc<Cgroups>>, now: BootTime) {
        if self.processes.len() >= MAX_PROCESSES {
            self.untracked += 1;
            return;
        }
        let process = Process {
            images: vec![image],
            cgroups,
            read_in: CgroupId::UNKNOWN,
            cgroup: CgroupId::UNKNOWN,
            requested_in: CgroupId::UNKNOWN,
            exited: None,
            last_seen: now,
            futile_rereads: 0,
        };
        self.processes.insert(id, process);
    }
}

#[cfg(test)]
mod tests {
    use super::{Inspected, ProcessTable};
    use crate::process::cgroup::CgroupId;
    use crate::process::comm::Comm;
    use crate::process::event::{ProcessChange, ProcessEvent};
    use crate::process::id::{BootTime, ProcessId, Tgid};
    use crate::process::image::AddressSpace;
    use crate::process::mapping::Mappings;
    use std::sync::Arc;
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;

    fn at(seconds: u64) -> BootTime {
        BootTime { nanos: seconds * SECOND }
    }

    fn process(tgid: u32, start: u64) -> ProcessId {
        ProcessId { tgid: Tgid(tgid), start: at(start) }
    }

    fn table() -> ProcessTable {
        ProcessTable::new(Duration::from_secs(60))
    }

    fn event(process: ProcessId, time: u64, comm: &str, change: ProcessChange) -> ProcessEvent {
        ProcessEvent { time: at(time), process, comm: Comm::new(comm.as_bytes()), change }
    }

    fn inspected(comm: &str) -> Option<Inspected> {
        let mappings = Arc::new(Mappings::default());
        Some(Inspected {
            comm: Comm::new(comm.as_bytes()),
            cgroups: None,
            details: None,
            mappings: Some(mappings),
        })
    }

    const HOME: CgroupId = CgroupId(1);
    const ELSEWHERE: CgroupId = CgroupId(2);

    fn comm_at(table: &mut ProcessTable, id: ProcessId, time: u64) -> String {
        let observed = table.observe(id, at(time), HOME, None).unwrap();
        table.image(id, observed.image).unwrap().comm.to_string()
    }

    #[test]
    fn a_process_is_inspected_once() {
        let (mut table, id) = (table(), process(7, 1));
        assert!(table.observe(id, at(2), HOME, None).unwrap().inspect);
        assert!(!table.observe(id, at(2), HOME, None).unwrap().inspect);
        table.complete(id, at(3), inspected("a"));
        assert!(!table.observe(id, at(4), HOME, None).unwrap().inspect);
    }

    #[test]
    fn mappings_are_read_again_when_old_and_when_expired() {
        let (mut table, id) = (table(), process(7, 1));
        table.observe(id, at(2), HOME, None);
        table.complete(id, at(2), inspected("a"));
        assert!(!table.observe(id, at(62), HOME, None).unwrap().inspect);
        assert!(table.observe(id, at(63), HOME, None).unwrap().inspect);
        assert!(!table.observe(id, at(64), HOME, None).unwrap().inspect);
        table.complete(id, at(64), inspected("a"));
        table.expire(id, at(64));
        assert!(!table.observe(id, at(64), HOME, None).unwrap().inspect, "read after the sample was taken");
        table.expire(id, at(65));
        assert!(table.observe(id, at(65), HOME, None).unwrap().inspect);
        table.complete(id, at(65), inspected("a"));
        table.expire(id, BootTime { nanos: 65 * SECOND + 150_000_000 });
        assert!(!table.observe(id, at(65), HOME, None).unwrap().inspect, "the wait has doubled");
    }

    #[test]
    fn a_process_id_used_again_is_another_process() {
        let (mut table, first, second) = (table(), process(7, 1), process(7, 50));
        table.observe(first, at(2), HOME, None);
        table.complete(first, at(2), inspected("first"));
        table.observe(second, at(51), HOME, None);
        table.complete(second, at(51), inspected("second"));
        assert_eq!(comm_at(&mut table, first, 49), "first");
        assert_eq!(comm_at(&mut table, second, 51), "second");
    }

    #[test]
    fn samples_from_before_an_exec_belong_to_the_earlier_program() {
        let (mut table, id) = (table(), process(7, 1));
        table.observe(id, at(2), HOME, None);
        table.complete(id, at(2), inspected("shell"));
        table.apply(&event(id, 10, "tool", ProcessChange::Exec));
        assert_eq!(comm_at(&mut table, id, 9), "shell");
        assert_eq!(comm_at(&mut table, id, 10), "tool");
        assert!(!table.observe(id, at(9), HOME, None).unwrap().inspect, "its mappings are gone");
    }

    #[test]
    fn mappings_read_after_an_exec_that_is_told_late_belong_to_the_new_program() {
        let (mut table, id) = (table(), process(7, 1));
        table.observe(id, at(2), HOME, None);
        table.complete(id, at(11), inspected("tool"));
        table.apply(&event(id, 10, "tool", ProcessChange::Exec));
        let old = table.observe(id, at(9), HOME, None).unwrap().image;
        let new = table.observe(id, at(12), HOME, None).unwrap().image;
        assert!(matches!(table.image(id, old).unwrap().address_space, AddressSpace::Gone));
        assert!(matches!(table.image(id, new).unwrap().address_space, AddressSpace::Known { .. }));
    }

    #[test]
    fn a_child_has_its_parents_mappings_until_it_executes() {
        let (mut table, parent, child) = (table(), process(7, 1), process(8, 5));
        table.observe(parent, at(2), HOME, None);
        table.complete(parent, at(2), inspected("server"));
        table.apply(&event(child, 5, "server", ProcessChange::Fork { parent }));
        let observed = table.observe(child, at(6), HOME, None).unwrap();
        assert!(!observed.inspect);
        assert!(matches!(
            table.image(child, observed.image).unwrap().address_space,
            AddressSpace::Known { .. }
        ));
        table.apply(&event(child, 7, "tool", ProcessChange::Exec));
        assert!(table.observe(child, at(8), HOME, None).unwrap().inspect);
    }

    #[test]
    fn the_dead_stay_for_late_samples_and_then_go() {
        let (mut table, id) = (table(), process(7, 1));
        table.observe(id, at(2), HOME, Some(Comm::new(b"a")));
        table.apply(&event(id, 3, "a", ProcessChange::Exit));
        table.purge(at(4));
        assert_eq!(comm_at(&mut table, id, 3), "a");
        assert!(!table.observe(id, at(3), HOME, None).unwrap().inspect, "it cannot be read any more");
        table.purge(at(9));
        assert!(table.is_empty());
    }

    #[test]
    fn a_process_that_died_before_its_first_sample_was_read_is_gone() {
        let (mut table, parent, child) = (table(), process(7, 1), process(8, 5));
        table.observe(parent, at(2), HOME, None);
        table.apply(&event(child, 5, "server", ProcessChange::Fork { parent }));
        table.apply(&event(child, 6, "server", ProcessChange::Exit));
        let observed = table.observe(child, at(5), HOME, None).unwrap();
        assert!(!observed.inspect);
        assert!(matches!(table.image(child, observed.image).unwrap().address_space, AddressSpace::Gone));
    }

    #[test]
    fn a_full_table_refuses_and_counts() {
        let mut table = table();
        for tgid in 0..20_000 {
            table.observe(process(tgid, 1), at(2), HOME, None);
        }
        assert_eq!(table.len(), super::MAX_PROCESSES);
        assert_eq!(table.untracked(), 20_000 - super::MAX_PROCESSES as u64);
    }

    #[test]
    fn a_process_that_was_moved_to_another_cgroup_is_read_again() {
        let (mut table, id) = (table(), process(7, 1));
        let soon = |millis: u64| BootTime { nanos: 200 * SECOND + millis * 1_000_000 };
        assert!(table.observe(id, at(200), HOME, None).unwrap().inspect);
        table.complete(id, at(200), inspected("a"));
        assert!(!table.observe(id, soon(10), ELSEWHERE, None).unwrap().inspect, "it was read just now");
        assert!(table.observe(id, soon(200), ELSEWHERE, None).unwrap().inspect);
        table.complete(id, soon(200), inspected("a"));
        assert!(!table.observe(id, soon(900), ELSEWHERE, None).unwrap().inspect);
    }

    #[test]
    fn what_was_read_of_a_process_that_moved_or_executed_meanwhile_decides_nothing() {
        let (mut table, id) = (table(), process(7, 1));
        let soon = |millis: u64| BootTime { nanos: 200 * SECOND + millis * 1_000_000 };
        let image = table.observe(id, at(200), HOME, None).unwrap().image;
        table.observe(id, soon(1), ELSEWHERE, None);
        table.complete(id, soon(2), inspected("a"));
        assert_eq!(table.still_in(id, soon(2)), None, "it was elsewhere when it was asked for");
        assert!(table.observe(id, soon(3), ELSEWHERE, None).unwrap().inspect, "it is read again");
        table.complete(id, soon(900), inspected("a"));
        assert_eq!(table.still_in(id, soon(900)), Some(ELSEWHERE));
        assert!(table.still_runs(id, image));
        table.apply(&event(id, 202, "tool", ProcessChange::Exec));
        assert_eq!(table.still_in(id, soon(900)), None, "it runs another program");
        assert!(!table.still_runs(id, image));
    }
}
