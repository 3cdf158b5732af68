//! The object for kernel 4.18: loading it, and draining its maps.

use super::Record;
use super::btf;
use super::object::{self, CounterMap, ObjectError, ObjectKind, SAMPLE_PROGRAM};
use super::record::{RawSample, UserFrame};
use crate::address::{KernelAddress, UserAddress};
use crate::process::cgroup::CgroupId;
use crate::process::comm::Comm;
use crate::process::id::{BootTime, ProcessId, Tgid, ThreadId};
use crate::process::stat;
use aya::maps::{Array, HashMap, MapData, StackTraceMap};
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use parca_agent_common::limits::BASELINE_ENTRIES_MIN;
use parca_agent_common::record::{CountKey, FLAG_KERNEL_THREAD};
use parca_agent_common::unwind::StackEnd;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Time between two swaps of the maps. It bounds how stale the address space is that a stack is
/// resolved in.
const SWAP_INTERVAL: Duration = Duration::from_secs(1);
/// Time after a swap by which every program that read the old index has ended: each runs for microseconds
/// with interrupts off, but a virtual CPU may be kept waiting.
const SWAP_GRACE: Duration = Duration::from_millis(100);
/// Entries in each map for one sample expected between two swaps. Two stacks a sample, and as much
/// again so that few of them share a bucket.
const ENTRIES_PER_SAMPLE: usize = 8;
/// Most entries of a map: at 1040 bytes a stack, 17 MB for each of the two stack maps.
const ENTRIES_MAX: usize = 16 * 1024;

type Key = [u8; size_of::<CountKey>()];

/// One of the two sets of maps.
struct MapSet {
    counts: HashMap<MapData, Key, u64>,
    stacks: StackTraceMap<MapData>,
}

/// The object, loaded.
pub(super) struct Baseline {
    /// Holds the program; dropping it removes it from the kernel.
    bpf: Ebpf,
    sets: [MapSet; 2],
    active: Array<MapData, u32>,
    filling: usize,
    /// The set that the program has left, until it is drained.
    retired: Option<usize>,
    swapped: Instant,
}

impl Baseline {
    /// Loads the object and attaches nothing yet.
    pub(super) fn load(cpus: usize, frequency: u32) -> Result<(Self, CounterMap), ObjectError> {
        let entries = entries(cpus, frequency);
        let mut bpf = EbpfLoader::new()
            .btf(None)
            .verifier_log_level(VerifierLogLevel::DISABLE)
            .map_max_entries("COUNTS_0", entries)
            .map_max_entries("COUNTS_1", entries)
            .map_max_entries("STACKS_0", entries)
            .map_max_entries("STACKS_1", entries)
            .load(ObjectKind::Baseline.bytes())
            .map_err(|source| ObjectError::Load { kind: ObjectKind::Baseline, source })?;
        let sets = [
            MapSet {
                counts: object::take_map(&mut bpf, "COUNTS_0")?,
                stacks: object::take_map(&mut bpf, "STACKS_0")?,
            },
            MapSet {
                counts: object::take_map(&mut bpf, "COUNTS_1")?,
                stacks: object::take_map(&mut bpf, "STACKS_1")?,
            },
        ];
        let mut settings: Array<_, [u32; parca_agent_common::settings::Settings::WORDS]> =
            object::take_map(&mut bpf, "SETTINGS")?;
        // Without the offsets a sample has no start time, and the agent looks it up in /proc.
        if let Some(offsets) =
            std::fs::read(btf::KERNEL_BTF).ok().and_then(|btf| btf::task_offsets(&btf).ok())
        {
            settings
                .set(0, offsets.to_words(), 0)
                .map_err(|source| ObjectError::Load { kind: ObjectKind::Baseline, source: source.into() })?;
        }
        let active = object::take_map(&mut bpf, "ACTIVE")?;
        let counters = object::take_map(&mut bpf, "COUNTERS")?;
        object::load_sample_program(&mut bpf, SAMPLE_PROGRAM)?;
        Ok((Self { bpf, sets, active, filling: 0, retired: None, swapped: Instant::now() }, counters))
    }

    pub(super) fn bpf(&self) -> &Ebpf {
        &self.bpf
    }

    /// Once a second lets the program fill the other set of maps, and soon after empties the one it has
    /// filled; never both in one call, so that a cut can be seen to be whole. With `all`, which wants the
    /// timers stopped, empties both.
    pub(super) fn drain(&mut self, now: BootTime, all: bool, mut receive: impl FnMut(Record)) {
        if all {
            return self.sets.iter_mut().for_each(|set| set.drain(now, &mut receive));
        }
        match self.retired {
            Some(retired) if self.swapped.elapsed() >= SWAP_GRACE => {
                self.retired = None;
                if let Some(set) = self.sets.get_mut(retired) {
                    set.drain(now, &mut receive);
                }
            }
            None if self.swapped.elapsed() >= SWAP_INTERVAL => self.swap(),
            _ => {}
        }
    }

    /// Separates the samples taken so far from those to come. Returns false while an earlier set of maps is
    /// not drained, for those samples belong before the cut, too.
    pub(super) fn cut(&mut self) -> bool {
        if self.retired.is_some() {
            return false;
        }
        self.swap();
        true
    }

    /// Whether all samples before the last cut were handed over.
    pub(super) fn is_whole(&self) -> bool {
        self.retired.is_none()
    }

    /// Lets the program fill the other set. Where the index cannot be written the same set goes on filling:
    /// nothing is lost while it has room.
    fn swap(&mut self) {
        let other = 1 - self.filling;
        if self.active.set(0, other as u32, 0).is_ok() {
            self.swapped = Instant::now();
            self.retired = Some(self.filling);
            self.filling = other;
        }
    }
}

impl MapSet {
    /// Hands over and removes everything.
    fn drain(&mut self, now: BootTime, receive: &mut impl FnMut(Record)) {
        let keys: Vec<Key> = self.counts.keys().filter_map(Result::ok).collect();
        let mut stack_ids = BTreeSet::new();
        let mut starts = BTreeMap::new();
        for key in keys {
            let (Ok(count), Some(fields)) = (self.counts.get(&key, 0), CountKey::decode(&key)) else {
                receive(Record::Undecodable);
                continue;
            };
            stack_ids
                .extend([fields.user_stack, fields.kernel_stack].map(u32::try_from).into_iter().flatten());
            let start = match fields.process_start {
                0 => *starts.entry(fields.tgid).or_insert_with(|| start_in_proc(fields.tgid)),
                nanos => BootTime { nanos },
            };
            receive(Record::Sample(self.sample(&fields, start, count, now)));
            // A key that cannot be removed would be counted twice; its value starts again at zero.
            if self.counts.remove(&key).is_err() {
                let _ = self.counts.insert(key, 0, 0);
            }
        }
        for id in stack_ids {
            // A stack that stays is found again by the same stack only.
            let _ = self.stacks.remove(&id);
        }
    }

    fn sample(&self, key: &CountKey, start: BootTime, count: u64, now: BootTime) -> RawSample {
        RawSample {
            time: now,
            process: ProcessId { tgid: Tgid(key.tgid), start },
            thread: ThreadId(key.tid),
            comm: Comm::new(&key.comm),
            cgroup: CgroupId(key.cgroup_id),
            kernel_thread: key.flags & FLAG_KERNEL_THREAD != 0,
            kernel_stack: self.stack(key.kernel_stack, KernelAddress),
            user_stack: user_frames(self.stack(key.user_stack, UserAddress)),
            user_end: if key.user_stack < 0 { StackEnd::UnreadableStack } else { StackEnd::Unknown },
            guessed: false,
            unknown_process: false,
            count,
            weight: 1,
        }
    }

    /// The addresses of a stack; none for a negative errno in place of its id.
    fn stack<A>(&self, id: i32, address: impl Fn(u64) -> A) -> Vec<A> {
        let stack = u32::try_from(id).ok().and_then(|id| self.stacks.get(&id, 0).ok());
        stack.map_or_else(Vec::new, |stack| stack.frames().iter().map(|frame| address(frame.ip)).collect())
    }
}

/// The kernel's walk by frame pointers gives the addresses to return to; a frame names the call.
fn user_frames(addresses: Vec<UserAddress>) -> Vec<UserFrame> {
    let call = |(depth, address): (usize, UserAddress)| {
        UserFrame::Address(UserAddress(address.0.saturating_sub(u64::from(depth > 0))))
    };
    addresses.into_iter().enumerate().map(call).collect()
}

/// When a process started, for kernels that tell no offsets: to the clock tick, and 0 for one that is gone.
fn start_in_proc(tgid: u32) -> BootTime {
    let ticks = std::fs::read(format!("/proc/{tgid}/stat")).ok().and_then(|stat| stat::start_ticks(&stat));
    ticks.map_or_else(BootTime::default, |ticks| BootTime::from_shown(BootTime::from_clock_ticks(ticks)))
}

/// Entries of each map, a power of two.
fn entries(cpus: usize, frequency: u32) -> u32 {
    let samples = cpus * frequency as usize * SWAP_INTERVAL.as_secs() as usize;
    let wanted = (samples * ENTRIES_PER_SAMPLE).clamp(BASELINE_ENTRIES_MIN as usize, ENTRIES_MAX);
    wanted.next_power_of_two() as u32
}

#[cfg(test)]
mod tests {
    use super::entries;

    #[test]
    fn maps_hold_a_second_of_samples_within_bounds() {
        for (cpus, frequency, expected) in
            [(1, 1, 2048), (2, 100, 2048), (4, 100, 4096), (8192, 10_000, 16384)]
        {
            assert_eq!(entries(cpus, frequency), expected, "{cpus} CPUs at {frequency} Hz");
        }
    }
}
