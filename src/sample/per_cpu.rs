//! One thing for each online CPU; CPUs that come and go are followed.

use super::cpus;
use crate::sys::perf_event::CpuId;
use std::collections::BTreeMap;
use std::io;

/// The things of all online CPUs.
#[derive(Debug)]
pub(super) struct PerCpu<T>(BTreeMap<CpuId, T>);

/// What was found when the CPUs were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// CPUs that are online.
    pub online: usize,
    /// CPUs that have what each should have.
    pub attached: usize,
}

impl<T> PerCpu<T> {
    /// Has nothing for any CPU yet; [`Self::follow`] opens it.
    pub(super) fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Opens the thing for each CPU that came online, and gives away those of CPUs that left. An error means
    /// that no CPU at all has one.
    pub(super) fn follow(
        &mut self,
        mut open: impl FnMut(CpuId) -> io::Result<T>,
        leave: impl FnMut(T),
    ) -> io::Result<Attached> {
        let online = cpus::online()?;
        // The kernel turns the event of a CPU that goes offline off, and leaves it off.
        self.0.extract_if(.., |cpu, _| !online.contains(cpu)).map(|(_, thing)| thing).for_each(leave);
        let mut failure = None;
        for cpu in &online {
            if self.0.contains_key(cpu) {
                continue;
            }
            match open(*cpu) {
                Ok(thing) => drop(self.0.insert(*cpu, thing)),
                // A CPU that left since the list was read gives ENODEV; the next round sees it gone.
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if self.0.is_empty() => Err(error),
            _ => Ok(Attached { online: online.len(), attached: self.0.len() }),
        }
    }

    /// How many CPUs have one.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The things, by the number of the CPU.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.values_mut()
    }

    /// Gives up all of them.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
