//! A window made by hand: several targets, some with names that want to be markup.

use parca_agent::address::{KernelAddress, UserAddress};
use parca_agent::discovery::target::{Source, Target};
use parca_agent::label::LabelSet;
use parca_agent::object::build_id::{BuildId, BuildIdKind};
use parca_agent::object::{
    FileOffset, LoadSegment, Object, ObjectAddress, ObjectId, ObjectInfo, Unidentified,
};
use parca_agent::process::comm::Comm;
use parca_agent::process::id::{BootTime, ProcessId, Tgid, ThreadId};
use parca_agent::profile::frame::{Frame, Unresolved};
use parca_agent::profile::stack::StackTable;
use parca_agent::profile::{Profile, Sample, SampleCount, Thread, Window};
use parca_agent::symbolize::kernel::KernelSymbol;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// Names of processes as an attacker would choose them.
pub(crate) const HOSTILE: [&str; 4] =
    ["<script>alert(1)</script>", "line\nfeed\" onload=\"x", r"invalid\xff", "q'uote\\&amp;"];

const KERNEL: [(&str, Option<&str>); 8] = [
    ("entry_SYSCALL_64_after_hwframe", None),
    ("do_syscall_64", None),
    ("ksys_read", None),
    ("vfs_read", None),
    ("ext4_file_read_iter", Some("ext4")),
    ("copy_page_to_iter", None),
    ("finish_task_switch.isra.0", None),
    ("nft_do_chain", Some("nf_tables")),
];

fn kernel(index: usize) -> Frame {
    Frame::Kernel(KernelAddress(0xffff_ffff_8100_0000 + index as u64 * 0x100))
}

fn user(object: u32, offset: u64) -> Frame {
    Frame::Object { object: ObjectId(object), offset: FileOffset(0x1000 + offset) }
}

fn object(id: u32, path: &[u8], info: Option<Unidentified>) -> (ObjectId, Arc<Object>) {
    let info = match info {
        Some(reason) => Err(reason),
        None => Ok(ObjectInfo {
            build_id: BuildId { kind: BuildIdKind::Gnu, bytes: [id as u8; 20].into() },
            elf_type: 3,
            machine: 62,
            making: Default::default(),
            segments: vec![LoadSegment {
                file_offset: FileOffset(0x1000),
                address: ObjectAddress(0x401000),
                file_size: 0x100_0000,
                memory_size: 0x100_0000,
                executable: true,
            }],
        }),
    };
    (ObjectId(id), Arc::new(Object { id: ObjectId(id), path: path.into(), info: OnceLock::from(info) }))
}

/// The labels of a target of the demonstration.
pub(crate) fn labels(comm: &str, cgroup: &str) -> LabelSet {
    [("__name__", "parca_agent_cpu"), ("node", "node-<1>"), ("comm", comm), ("cgroup", cgroup)]
        .into_iter()
        .collect()
}

/// A window that ended just now, with stacks that reach into shared code, the kernel and themselves.
pub(crate) fn demonstration() -> Window {
    let targets = [
        ("postgres", "/system.slice/postgresql.service", 700),
        ("node", "/system.slice/docker-3f2a9c.scope", 420),
        ("java", "/user.slice/user-1000.slice/session-3.scope", 260),
        ("postgres", "", 40),
        ("kworker", "", 12),
        (HOSTILE[0], "/user.slice", 9),
        (HOSTILE[1], "/user.slice", 6),
        (HOSTILE[2], "/user.slice", 4),
        (HOSTILE[3], "/user.slice", 2),
    ];
    let mut stacks = StackTable::default();
    let mut profiles: Vec<Profile> = targets
        .iter()
        .enumerate()
        .map(|(index, (comm, cgroup, samples))| Profile {
            target: Arc::new(Target { labels: labels(comm, cgroup), source: Source::Host }),
            samples: samples_of(&mut stacks, index as u32 + 1, comm, *samples),
        })
        .collect();
    profiles.sort_by(|a, b| a.target.cmp(&b.target));
    let symbol = |(index, (name, module)): (usize, &(&str, Option<&str>))| {
        let Frame::Kernel(address) = kernel(index) else { unreachable!() };
        (address, KernelSymbol { name: (*name).into(), module: module.map(Into::into), link_address: None })
    };
    Window {
        start: SystemTime::now() - Duration::from_secs(10),
        duration: Duration::from_secs(10),
        period: Duration::from_millis(10),
        stacks,
        objects: [
            object(1, b"/usr/lib/postgresql/16/bin/postgres", None),
            object(2, b"/usr/lib/x86_64-linux-gnu/libc.so.6", None),
            object(3, b"/usr/bin/node", None),
            object(4, b"/tmp/<img src=x>\n\xff.so", Some(Unidentified::Malformed)),
        ]
        .into(),
        kernel_symbols: KERNEL.iter().enumerate().map(symbol).collect(),
        profiles,
    }
}

/// Stacks of one process, leaf first, whose counts add up to `samples`.
fn samples_of(stacks: &mut StackTable, process: u32, comm: &str, samples: u64) -> Vec<Sample> {
    let id = ProcessId { tgid: Tgid(process), start: BootTime { nanos: 1 } };
    let anonymous = |address| Frame::Anonymous { process: id, address: UserAddress(address) };
    let (syscall, start) = ([kernel(1), kernel(0)], [user(2, 0x29d90)]);
    let recursive: Vec<Frame> = (0..6).map(|_| user(1, 0x3300)).collect();
    let read = [kernel(5), kernel(4), kernel(3), kernel(2)];
    let chosen: Vec<(Vec<Frame>, u64)> = match comm {
        "kworker" => vec![(vec![kernel(6)], 3), (vec![kernel(7), kernel(6)], 1)],
        "java" => {
            (0..40).map(|jit| (vec![anonymous(0x7f00_1000 + jit * 64), anonymous(0x7f00_0000)], 1)).collect()
        }
        "node" => vec![
            (vec![user(3, 0x10), user(3, 0x20), user(3, 0x30), start[0]], 6),
            (vec![anonymous(0x7e00_0010), user(3, 0x20), user(3, 0x30), start[0]], 3),
            (vec![Frame::Unresolved(Unresolved::ProcessExited)], 1),
        ],
        "postgres" => vec![
            ([&read[..], &syscall, &[user(2, 0x100), user(1, 0x10), user(1, 0x20)], &start].concat(), 8),
            ([&recursive[..], &[user(1, 0x20)], &start].concat(), 5),
            ([&[user(1, 0x999), user(1, 0x10), user(1, 0x20)], &start[..]].concat(), 3),
            (vec![user(1, 0x20), start[0]], 1),
        ],
        _ => vec![(vec![user(4, 0x40), user(4, 0x50)], 1)],
    };
    let thread = Thread { tgid: Tgid(process), tid: ThreadId(process), name: Comm::new(comm.as_bytes()) };
    let weights: u64 = chosen.iter().map(|(_, weight)| weight).sum();
    let mut left = samples;
    let last = chosen.len() - 1;
    chosen
        .into_iter()
        .enumerate()
        .map(|(index, (frames, weight))| {
            let count = if index == last { left } else { samples * weight / weights };
            left -= count;
            Sample { stack: stacks.intern(&frames).unwrap(), thread, count: SampleCount(count) }
        })
        .collect()
}
