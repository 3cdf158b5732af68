//! What the history answers, by cases and beside a small model of processes.

use super::{MAX_BYTES, MAX_BYTES_OF_ONE, MAX_PROCESSES, MappingHistory};
use crate::address::UserAddress;
use crate::object::FileOffset;
use crate::object::mapped::MappedFile;
use crate::process::comm::Comm;
use crate::process::event::{ProcessChange, ProcessEvent};
use crate::process::id::{BootTime, ProcessId, Tgid, ThreadId};
use crate::process::mapping::{Backing, MapsEntry};
use crate::process::mapping_record::{MappingChange, MappingRecord};
use crate::process::overlay::overlay;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert_eq, proptest};

/// What the history is told.
#[derive(Clone, Debug)]
enum Input {
    Record(MappingRecord),
    Event(ProcessEvent),
}

fn at(tenths: u64) -> BootTime {
    BootTime { nanos: tenths * 100_000_000 }
}

fn process(tgid: u32, start: u64) -> ProcessId {
    ProcessId { tgid: Tgid(tgid), start: at(start) }
}

fn mapping(page: u64, inode: u64, path: &[u8]) -> MapsEntry {
    let file = MappedFile { device: (8, 1), inode, path: path.into() };
    MapsEntry {
        range: UserAddress(page << 12)..UserAddress((page + 2) << 12),
        backing: Backing::File { file, offset: FileOffset(0) },
    }
}

fn record(tgid: u32, time: u64, change: MappingChange) -> Input {
    Input::Record(MappingRecord { time: at(time), tgid: Tgid(tgid), thread: ThreadId(tgid), change })
}

fn mapped(tgid: u32, time: u64, inode: u64) -> Input {
    record(tgid, time, MappingChange::Mapped(mapping(4 * inode, inode, b"/lib")))
}

fn replaced(tgid: u32, time: u64) -> Input {
    record(tgid, time, MappingChange::Replaced)
}

fn event(process: ProcessId, time: u64, change: ProcessChange) -> Input {
    Input::Event(ProcessEvent { time: at(time), process, comm: Comm::default(), change })
}

fn executed(process: ProcessId, time: u64) -> Input {
    event(process, time, ProcessChange::Exec)
}

fn forked(parent: ProcessId, process: ProcessId, time: u64) -> Input {
    event(process, time, ProcessChange::Fork { parent })
}

fn take(history: &mut MappingHistory, input: Input) {
    match input {
        Input::Record(record) => history.record(record),
        Input::Event(event) => history.apply(&event),
    }
}

fn history(inputs: &[Input]) -> MappingHistory {
    let mut history = MappingHistory::new();
    inputs.iter().for_each(|input| take(&mut history, input.clone()));
    history
}

fn inodes(history: &MappingHistory, process: ProcessId, time: u64) -> Option<Vec<u64>> {
    let inode = |mapping: MapsEntry| match mapping.backing {
        Backing::File { file, .. } => file.inode,
        other => panic!("{other:?}"),
    };
    Some(history.mappings_at(process, at(time))?.into_iter().map(inode).collect())
}

#[test]
fn a_program_maps_what_came_since_its_address_space_was_made() {
    let shell = process(7, 1);
    let inputs = [
        mapped(7, 1, 9),
        replaced(7, 10),
        mapped(7, 11, 1),
        mapped(7, 12, 2),
        executed(shell, 13),
        mapped(7, 14, 3),
        replaced(7, 20),
        mapped(7, 21, 4),
        executed(shell, 22),
        event(shell, 30, ProcessChange::Exit),
    ];
    let history = history(&inputs);
    for (time, expected) in [
        (9, None),
        (10, Some(vec![])),
        (11, Some(vec![1])),
        (12, Some(vec![1, 2])),
        (13, Some(vec![1, 2])),
        (19, Some(vec![1, 2, 3])),
        (20, Some(vec![])),
        (25, Some(vec![4])),
        (31, Some(vec![4])),
    ] {
        assert_eq!(inodes(&history, shell, time), expected, "at {time}");
    }
}

#[test]
fn a_lost_record_of_an_exec_makes_the_program_unknown() {
    let shell = process(7, 1);
    let before = [replaced(7, 10), mapped(7, 11, 1), executed(shell, 12)];
    let lost = [mapped(7, 21, 2), executed(shell, 22), mapped(7, 23, 3)];
    let after = [replaced(7, 30), mapped(7, 31, 4), executed(shell, 32)];
    let mut history = history(&[&before[..], &lost, &after].concat());
    for (time, expected) in [(12, Some(vec![1])), (22, None), (23, None), (31, Some(vec![4]))] {
        assert_eq!(inodes(&history, shell, time), expected, "at {time}");
    }
    history.purge(at(75));
    assert_eq!(inodes(&history, shell, 26), None, "settled between the two");
    assert_eq!(inodes(&history, shell, 40), Some(vec![4]));
}

#[test]
fn a_child_has_its_parents_mappings_until_it_executes() {
    let (parent, child, grandchild) = (process(7, 1), process(8, 20), process(9, 40));
    let inputs = [
        replaced(7, 10),
        mapped(7, 11, 1),
        executed(parent, 12),
        forked(parent, child, 21),
        mapped(7, 22, 2),
        mapped(8, 23, 3),
        forked(child, grandchild, 41),
        replaced(9, 50),
        mapped(9, 51, 4),
    ];
    let history = history(&inputs);
    assert_eq!(inodes(&history, child, 22), Some(vec![1]));
    assert_eq!(inodes(&history, child, 23), Some(vec![1, 3]));
    assert_eq!(inodes(&history, parent, 23), Some(vec![1, 2]));
    assert_eq!(inodes(&history, grandchild, 42), Some(vec![1, 3]));
    assert_eq!(inodes(&history, grandchild, 51), Some(vec![4]));
}

#[test]
fn a_child_keeps_what_its_dead_parent_mapped() {
    let (parent, child) = (process(7, 1), process(8, 20));
    let inputs = [
        replaced(7, 10),
        mapped(7, 11, 1),
        forked(parent, child, 21),
        event(parent, 22, ProcessChange::Exit),
    ];
    let mut history = history(&inputs);
    history.purge(at(71));
    assert_eq!(inodes(&history, parent, 21), Some(vec![1]), "the dead stay for late samples");
    history.purge(at(72));
    assert_eq!(inodes(&history, parent, 21), None);
    assert_eq!(inodes(&history, child, 21), Some(vec![1]));
    assert_eq!(history.len(), 1);
}

#[test]
fn a_process_id_used_again_is_another_process() {
    let (first, second) = (process(7, 1), process(7, 50));
    let inputs = [
        replaced(7, 10),
        mapped(7, 11, 1),
        event(first, 20, ProcessChange::Exit),
        mapped(7, 55, 2),
        replaced(7, 60),
        mapped(7, 61, 3),
    ];
    let mut history = history(&inputs);
    assert_eq!(inodes(&history, first, 19), Some(vec![1]));
    assert_eq!(inodes(&history, second, 56), None, "whose copy it is was not told");
    assert_eq!(inodes(&history, second, 61), Some(vec![3]));
    assert_eq!(inodes(&history, process(7, 0), 61), None, "a start that is not known");
    history.purge(at(80));
    assert_eq!(inodes(&history, second, 61), Some(vec![3]));
}

#[test]
fn the_bounds_drop_the_oldest_and_count() {
    let mut full = MappingHistory::new();
    for tgid in 1..=20_000 {
        take(&mut full, replaced(tgid, u64::from(tgid)));
    }
    assert!(full.len() <= MAX_PROCESSES);
    assert_eq!(full.dropped(), 20_000 - full.len() as u64);
    assert_eq!(inodes(&full, process(20_000, 1), 30_000), Some(vec![]));
    assert_eq!(inodes(&full, process(1, 1), 30_000), None);

    let long_path = || MappingChange::Mapped(mapping(1, 1, &[b'/'; 4096]));
    let mut full = MappingHistory::new();
    for tgid in 1..=4000 {
        take(&mut full, replaced(tgid, u64::from(tgid)));
        take(&mut full, record(tgid, u64::from(tgid), long_path()));
        assert!(full.bytes() <= MAX_BYTES, "{}", full.bytes());
    }
    assert_eq!(inodes(&full, process(4000, 1), 4000), Some(vec![1]));
    assert_eq!(full.dropped(), 4000 - full.len() as u64);

    let mut one = history(&[replaced(8, 1), mapped(8, 1, 1), replaced(7, 1)]);
    for time in 2..1000 {
        take(&mut one, record(7, time, long_path()));
        assert!(one.bytes() <= MAX_BYTES_OF_ONE + 4096, "{}", one.bytes());
    }
    assert!(one.dropped() > 0);
    assert_eq!(inodes(&one, process(7, 1), 1000), None);
    assert_eq!(inodes(&one, process(8, 1), 1000), Some(vec![1]), "others are not dropped for it");
}

/// A few processes, what they really map, and what the kernel tells of it.
#[derive(Debug)]
struct World {
    time: u64,
    alive: Vec<(ProcessId, Option<Vec<MapsEntry>>)>,
    told: Vec<Input>,
    /// What each process mapped at each moment of its life.
    truth: Vec<(ProcessId, u64, Option<Vec<MapsEntry>>)>,
}

impl World {
    /// What was there before anybody listened is not known.
    fn new() -> Self {
        Self { time: 1, alive: vec![(process(1, 1), None)], told: vec![], truth: vec![] }
    }

    fn tell(&mut self, input: Input) {
        self.told.push(input);
        self.truth.extend(self.alive.iter().map(|(id, mappings)| (*id, self.time, mappings.clone())));
        self.time += 1;
    }

    fn act(&mut self, action: u8, who: usize, page: u64) {
        self.time += 1;
        let who = who % self.alive.len();
        let (id, mappings) = self.alive[who].clone();
        match action {
            0 | 1 => {
                let Some(tgid) = (1..5).find(|tgid| self.alive.iter().all(|(id, _)| id.tgid.0 != *tgid))
                else {
                    return;
                };
                let child = process(tgid, self.time);
                self.alive.push((child, mappings));
                self.tell(forked(id, child, self.time));
            }
            2 | 3 => {
                self.alive[who].1 = Some(Vec::new());
                self.tell(replaced(id.tgid.0, self.time));
                self.map(who, page);
                self.tell(executed(id, self.time));
            }
            4 | 5 => self.map(who, page),
            _ if who > 0 => {
                self.alive.remove(who);
                self.tell(event(id, self.time, ProcessChange::Exit));
            }
            _ => {}
        }
    }

    fn map(&mut self, who: usize, page: u64) {
        let new = mapping(page, self.time, b"/lib");
        if let Some(mappings) = &mut self.alive[who].1 {
            overlay(mappings, new.clone());
        }
        let tgid = self.alive[who].0.tgid.0;
        self.tell(record(tgid, self.time, MappingChange::Mapped(new)));
    }
}

fn world() -> impl Strategy<Value = World> {
    vec((0..7_u8, 0..4_usize, 0..8_u64), 0..60).prop_map(|actions| {
        let mut world = World::new();
        actions.into_iter().for_each(|(action, who, page)| world.act(action, who, page));
        world
    })
}

proptest! {
    #[test]
    fn the_order_in_which_it_is_told_does_not_matter(
        (world, told) in world().prop_flat_map(|world| {
            let told = Just(world.told.clone()).prop_shuffle();
            (Just(std::rc::Rc::new(world)), told)
        }),
    ) {
        let history = history(&told);
        for (id, time, expected) in &world.truth {
            prop_assert_eq!(&history.mappings_at(*id, at(*time)), expected, "{:?} at {}", id, time);
        }
    }

    #[test]
    fn a_purge_takes_nothing_that_is_asked_for_in_time(world in world(), every in 1..40_u64) {
        let mut history = MappingHistory::new();
        let mut purged = 0;
        for input in world.told {
            let time = match &input {
                Input::Record(record) => record.time,
                Input::Event(event) => event.time,
            };
            take(&mut history, input);
            if time > at(purged + every) {
                purged = time.nanos / at(1).nanos;
                history.purge(time);
            }
        }
        for (id, time, expected) in world.truth.iter().filter(|(_, time, _)| *time + 50 >= purged) {
            prop_assert_eq!(&history.mappings_at(*id, at(*time)), expected, "{:?} at {}", id, time);
        }
        history.purge(at(world.time + 51));
        prop_assert_eq!(history.len(), world.alive.iter().filter(|(_, mappings)| mappings.is_some()).count());
    }
}
