//! The perf side-band: what every process of the host maps and executes, told by the kernel as it happens.
//!
//! `/proc` tells the mappings of a process only while it lives. A program that runs for a few milliseconds is
//! gone before anybody reads them, but what it mapped waits in a ring here.
//!
//! Each CPU has a ring of its own, and a process that moves from one to another leaves records in both:
//! records of one ring come in the order of their times, those of two rings do not.
//!
//! Process ids are those of the pid namespace in which [`Sideband::open`] was called, while BPF programs give
//! those of the first one. Both are the same where the agent runs in the host's pid namespace, which it needs
//! for `/proc` anyway.

use super::per_cpu::{Attached, PerCpu};
use super::sideband_record::SidebandRecord;
use crate::process::mapping_record::MappingRecord;
use crate::sys::perf_event::CpuId;
use crate::sys::perf_ring::PerfRing;
use rustix::event::epoll;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The rings of all CPUs. Dropping it closes them.
#[derive(Debug)]
pub struct Sideband {
    rings: PerCpu<PerfRing>,
    /// Rings of CPUs that are offline: nothing is written to them any more, but they may not be empty.
    leaving: Vec<PerfRing>,
    wakeup: OwnedFd,
    counts: SidebandCounts,
}

/// What was read from all rings so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SidebandCounts {
    /// Records of any kind.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Records that the kernel could not write because a ring was full.
    pub lost: u64,
    /// Records that could not be decoded.
    pub undecodable: u64,
    /// Records of processes outside the agent's pid namespace.
    pub outside: u64,
}

impl Sideband {
    /// Opens a ring on each CPU. Needs `CAP_PERFMON`, or `CAP_SYS_ADMIN` before Linux 5.8.
    pub fn open() -> io::Result<Self> {
        let wakeup = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let counts = SidebandCounts::default();
        let mut sideband = Self { rings: PerCpu::new(), leaving: Vec::new(), wakeup, counts };
        sideband.follow_cpus()?;
        Ok(sideband)
    }

    /// Opens a ring on each CPU that came online, and leaves those that went. An error means that no CPU at
    /// all has one.
    pub fn follow_cpus(&mut self) -> io::Result<Attached> {
        let Self { rings, leaving, wakeup, .. } = self;
        rings.follow(|cpu| open_ring(cpu, wakeup.as_fd()), |ring| leaving.push(ring))
    }

    /// Becomes readable when a ring is a quarter full. It is a hint, for a ring says so once, and rings that
    /// fill slowly should be read all the same.
    pub fn wakeup(&self) -> BorrowedFd<'_> {
        self.wakeup.as_fd()
    }

    /// Hands over what the kernel wrote, at most about `budget` records. Returns whether that was all.
    pub fn drain(&mut self, budget: usize, mut receive: impl FnMut(MappingRecord)) -> bool {
        let Self { rings, leaving, counts, .. } = self;
        // No CPU may keep the reader from the others.
        let share = (budget / (rings.len() + leaving.len()).max(1)).max(1);
        let mut drain = |ring: &mut PerfRing| {
            let read = ring.read(share, |bytes| counts.take(bytes).into_iter().for_each(&mut receive));
            counts.undecodable += u64::from(read.broken);
            read.emptied
        };
        leaving.retain_mut(|ring| !drain(ring));
        let emptied = rings.iter_mut().map(drain).fold(true, |all, emptied| all && emptied);
        emptied && leaving.is_empty()
    }

    /// What was read so far.
    pub fn counts(&self) -> SidebandCounts {
        self.counts
    }
}

fn open_ring(cpu: CpuId, wakeup: BorrowedFd<'_>) -> io::Result<PerfRing> {
    let ring = PerfRing::open(cpu)?;
    let number = epoll::EventData::new_u64(u64::from(cpu.0));
    // The kernel takes a descriptor off the list when it is closed.
    epoll::add(wakeup, &ring, number, epoll::EventFlags::IN)?;
    Ok(ring)
}

impl SidebandCounts {
    fn take(&mut self, bytes: &[u8]) -> Option<MappingRecord> {
        self.records += 1;
        self.bytes += bytes.len() as u64;
        match SidebandRecord::decode(bytes) {
            Some(SidebandRecord::Mapping(record)) => return Some(record),
            Some(SidebandRecord::Lost(lost)) => self.lost = self.lost.saturating_add(lost),
            Some(SidebandRecord::Outside) => self.outside += 1,
            Some(SidebandRecord::Other) => {}
            None => self.undecodable += 1,
        }
        None
    }
}
