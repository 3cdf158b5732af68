//! The best file to make an executable's debug file of.
//!
//! ```text
//! executable has DWARF -> it
//! else the first candidate that is its debug file and has DWARF
//! else what of all tells most ([`Quality`]); of equals the executable, then the first
//! ```
//! What a target controls can make another file be found, so a candidate counts only if its build id, or its checksum
//! where it has none, is that of the executable.

pub mod candidate;
pub mod crc;
pub mod quality;
pub mod refusal;

mod ask;
mod fit;
mod places;

use super::plan::{DebugLink, Extraction};
use super::stamp::Stamp;
use crate::metrics::{Counter, Exposition};
use crate::object::Unidentified;
use crate::object::build_id::BuildId;
use crate::object::open::OpenedObject;
use crate::process::id::ProcessId;
use crate::worker::supervisor::Supervisor;
use ask::{Asker, Unanswered};
use candidate::{Candidate, Named, Place, Sought, candidates};
use crc::{CrcError, MAX_SIZE, crc_of};
use fit::{Fit, fit};
use places::{Places, Unopened};
use quality::Quality;
use refusal::{Refusal, Refusals};
use rustix::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

/// How often an executable is looked at that is renamed or deleted meanwhile.
const TRIES: usize = 3;

/// An executable whose debug file is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// By what it is known.
    pub build_id: BuildId,
    /// Its path as a process mapped it.
    pub path: Box<[u8]>,
    /// A process that ran it; it may have ended.
    pub process: ProcessId,
    /// The executable, open for reading.
    pub file: Arc<OwnedFd>,
    /// What it was before it was identified.
    pub stamp: Stamp,
}

/// The file to make the debug file of.
#[derive(Clone, Debug)]
pub struct Found {
    /// Open for reading.
    pub file: Arc<OwnedFd>,
    /// What it was before it was looked at.
    pub stamp: Stamp,
    /// How to make the debug file.
    pub extraction: Extraction,
    /// Which file it is.
    pub origin: Origin,
}

/// Which file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The executable itself.
    Executable,
    /// One for debug information only, in a place.
    DebugFile(Place, Named),
}

impl Origin {
    /// Label values, as many as there are.
    const NAMES: [&str; 4] = ["executable", "target", "host", "directory"];

    /// As a metric's label value.
    pub fn name(self) -> &'static str {
        let [executable, target, host, directory] = Self::NAMES;
        match self {
            Self::Executable => executable,
            Self::DebugFile(Place::Target, _) => target,
            Self::DebugFile(Place::Host, _) => host,
            Self::DebugFile(Place::Directory(_), _) => directory,
        }
    }
}

/// Why nothing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NotFound {
    /// No file has anything that a server could use.
    #[error("no file has symbols or debug information")]
    Nothing,
    /// The executable is not any more what was sampled.
    #[error("the executable has changed")]
    Changed,
    /// There was no worker or no descriptor for it; later there may be.
    #[error("the worker has no time for it")]
    Busy,
    /// See [`Finder::stop`].
    #[error("stopped")]
    Stopped,
}

impl NotFound {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Nothing, Self::Changed, Self::Busy, Self::Stopped];

    /// As a metric's label value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Changed => "changed",
            Self::Busy => "busy",
            Self::Stopped => "stopped",
        }
    }
}

/// Finds debug files. It is for threads that may wait.
pub struct Finder {
    asker: Asker,
    host: Option<PathBuf>,
    directories: Vec<PathBuf>,
    refusals: Refusals,
    found: [Counter; Origin::NAMES.len()],
    not_found: [Counter; NotFound::ALL.len()],
}

/// What was done for one executable.
struct Search {
    /// Device and inode number of each file that was looked at.
    seen: Vec<Option<(u64, u64)>>,
    /// Bytes that may still be summed up: who makes many large files for it holds others up no longer than with one.
    left: u64,
}

/// Why a candidate is passed over.
enum Passed {
    /// There is none, or it was looked at already.
    Absent,
    Refused(Refusal),
    /// All others are, too.
    End(NotFound),
}

impl From<Unanswered> for NotFound {
    fn from(reason: Unanswered) -> Self {
        match reason {
            Unanswered::Busy => Self::Busy,
            Unanswered::Stopped => Self::Stopped,
        }
    }
}

impl From<Unanswered> for Passed {
    fn from(reason: Unanswered) -> Self {
        Self::End(reason.into())
    }
}

impl From<Refusal> for Passed {
    fn from(reason: Refusal) -> Self {
        Self::Refused(reason)
    }
}

impl From<Unopened> for Passed {
    fn from(reason: Unopened) -> Self {
        match reason {
            Unopened::Absent => Self::Absent,
            Unopened::Refused(reason) => Self::Refused(reason),
        }
    }
}

impl Finder {
    /// Looks in the target's root, the host's, and these directories: absolute paths, as this process sees them.
    pub fn new(worker: Arc<Supervisor>, directories: Vec<PathBuf>) -> Self {
        Self {
            asker: Asker::new(worker),
            host: None,
            directories,
            refusals: Refusals::default(),
            found: Default::default(),
            not_found: Default::default(),
        }
    }

    /// Takes a directory for the host's root, instead of the root of the first process that this one sees.
    pub fn with_host_root(self, root: PathBuf) -> Self {
        Self { host: Some(root), ..self }
    }

    /// Finds the best file. Waits for the worker, and for the disk.
    pub fn find(&self, wanted: &Wanted) -> Result<Found, NotFound> {
        let result = self.search(wanted);
        let counter = match &result {
            Ok(found) => of(&Origin::NAMES, &self.found, found.origin.name()),
            Err(reason) => of(&NotFound::ALL, &self.not_found, *reason),
        };
        counter.into_iter().for_each(Counter::increment);
        result
    }

    /// Ends every search, now and later, with [`NotFound::Stopped`].
    pub fn stop(&self) {
        self.asker.stop();
    }

    /// Why files that were met did not count.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Writes the counters.
    pub fn collect(&self, exposition: &mut Exposition) {
        self.refusals.collect(exposition);
        let found = Origin::NAMES.iter().copied().zip(&self.found);
        let not_found = NotFound::ALL.iter().map(|reason| reason.name()).zip(&self.not_found);
        let results: Vec<_> =
            found.chain(not_found).map(|(name, counter)| ([("result", name)], counter.get())).collect();
        exposition.counter(
            "debuginfo_searches",
            "Executables for which the best debug file was looked for, by where it was, or why there is none.",
            results.iter().map(|(labels, value)| (&labels[..], *value)),
        );
    }

    fn search(&self, wanted: &Wanted) -> Result<Found, NotFound> {
        let mut best = self.executable(wanted)?;
        let link = best.as_ref().and_then(|found| found.extraction.content.debug_link.clone());
        if best.as_ref().is_none_or(|found| found.quality() < Quality::Dwarf) {
            let host = self.host.as_deref();
            let places = Places::new(wanted.process, &wanted.path, &wanted.file, host, &self.directories);
            let sought = Sought { build_id: &wanted.build_id, path: &wanted.path, link: link.as_ref() };
            let mut search = Search { seen: vec![which(&wanted.file)], left: MAX_SIZE };
            for candidate in candidates(sought, places.searched()) {
                match self.look(wanted, link.as_ref(), &candidate, &places, &mut search) {
                    Ok(found) => best = better(best, found),
                    Err(Passed::Absent) => {}
                    Err(Passed::Refused(reason)) => self.refusals.count(reason),
                    Err(Passed::End(reason)) => return Err(reason),
                }
                if best.as_ref().is_some_and(|found| found.quality() == Quality::Dwarf) {
                    break;
                }
            }
        }
        best.filter(|found| found.quality() > Quality::Nothing).ok_or(NotFound::Nothing)
    }

    /// The executable itself, unless nothing of it can be read.
    fn executable(&self, wanted: &Wanted) -> Result<Option<Found>, NotFound> {
        for _ in 0..TRIES {
            let stamp = self.identified(wanted)?;
            let extraction = self.asker.extraction(&wanted.file)?;
            if is_still(&wanted.file, stamp) {
                let file = Arc::clone(&wanted.file);
                let found = |extraction| Found { file, stamp, extraction, origin: Origin::Executable };
                return Ok(extraction.ok().map(found));
            }
        }
        Err(NotFound::Changed)
    }

    /// What the executable is now, if it is still what was identified. It may have been deleted since, which changes
    /// its stamp, and is then identified anew.
    fn identified(&self, wanted: &Wanted) -> Result<Stamp, NotFound> {
        let now = Stamp::of(&wanted.file).map_err(|_| NotFound::Changed)?;
        let is_same = now == wanted.stamp
            || now.seems_same(&wanted.stamp)
                && self
                    .asker
                    .identification(&wanted.file)?
                    .is_ok_and(|info| info.build_id == wanted.build_id);
        if is_same { Ok(now) } else { Err(NotFound::Changed) }
    }

    /// Whatever is in a candidate's place, if it is the wanted file's.
    fn look(
        &self,
        wanted: &Wanted,
        link: Option<&DebugLink>,
        candidate: &Candidate,
        places: &Places<'_>,
        search: &mut Search,
    ) -> Result<Found, Passed> {
        if self.asker.is_stopped() {
            return Err(Passed::End(NotFound::Stopped));
        }
        let OpenedObject { file, .. } = places.open(candidate)?;
        let this = which(&file);
        if search.seen.contains(&this) {
            return Err(Passed::Absent);
        }
        let stamp = Stamp::of(&file).map_err(|_| Refusal::Refused)?;
        let build_id = match self.asker.identification(&file)? {
            Ok(info) => Some(info.build_id),
            Err(Unidentified::KilledWorker) => return Err(Refusal::Malformed.into()),
            // A debug file without a note has no code to be named by, and so no name.
            Err(_) => None,
        };
        match fit(&wanted.build_id, build_id.as_ref(), candidate.named) {
            Fit::Same => {}
            Fit::Other => return Err(Refusal::BuildId.into()),
            Fit::Unknown => self.check_sum(&file, stamp, link, search)?,
        }
        // A file that did not fit its place may fit another.
        search.seen.push(this);
        let extraction = self.asker.extraction(&file)?.map_err(|_| Refusal::Malformed)?;
        if !is_still(&file, stamp) {
            return Err(Refusal::Changed.into());
        }
        let origin = Origin::DebugFile(candidate.place, candidate.named);
        Ok(Found { file: Arc::new(file), stamp, extraction, origin })
    }

    fn check_sum(
        &self,
        file: &OwnedFd,
        stamp: Stamp,
        link: Option<&DebugLink>,
        search: &mut Search,
    ) -> Result<(), Passed> {
        search.left = search.left.checked_sub(stamp.size).ok_or(Refusal::TooLarge)?;
        let sum = crc_of(file, stamp, || self.asker.is_stopped()).map_err(|reason| match reason {
            CrcError::TooLarge(_) => Passed::Refused(Refusal::TooLarge),
            CrcError::Changed => Passed::Refused(Refusal::Changed),
            CrcError::Unreadable(_) => Passed::Refused(Refusal::Refused),
            CrcError::Stopped => Passed::End(NotFound::Stopped),
        })?;
        if link.is_some_and(|link| link.crc == sum) { Ok(()) } else { Err(Refusal::Checksum.into()) }
    }
}

impl Found {
    /// How much it tells.
    pub fn quality(&self) -> Quality {
        Quality::of(&self.extraction.content)
    }
}

/// The second only if it tells more.
fn better(best: Option<Found>, found: Found) -> Option<Found> {
    Some(best.filter(|best| best.quality() >= found.quality()).unwrap_or(found))
}

fn is_still(file: &OwnedFd, stamp: Stamp) -> bool {
    Stamp::of(file).is_ok_and(|now| now == stamp)
}

/// Device and inode number.
fn which(file: &OwnedFd) -> Option<(u64, u64)> {
    rustix::fs::fstat(file).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

fn of<'a, T: PartialEq, const N: usize>(
    all: &[T; N],
    counters: &'a [Counter; N],
    wanted: T,
) -> Option<&'a Counter> {
    all.iter().zip(counters).find_map(|(each, counter)| (*each == wanted).then_some(counter))
}
