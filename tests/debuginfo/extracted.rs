//! A file and the debug file that was made of it.

use parca_agent::debuginfo::plan::{Content, Extraction, NoExtraction};
use parca_agent::debuginfo::reader::PlanReader;
use parca_agent::debuginfo::stamp::Stamp;
use parca_agent::worker::supervisor::{Options, Supervisor};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Longer than anything here takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A supervisor of workers that are the real program.
pub(crate) fn supervisor() -> Supervisor {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_parca-agent"));
    Supervisor::start(Options { program, deadline: PATIENCE, ..Options::default() }).unwrap()
}

/// What the worker says of a file.
pub(crate) fn extract(supervisor: &Supervisor, file: impl Into<OwnedFd>) -> Result<Extraction, NoExtraction> {
    let (sender, receiver) = channel();
    supervisor.extract(file.into(), move |outcome| sender.send(outcome).unwrap());
    receiver.recv_timeout(PATIENCE).unwrap()
}

/// Both files.
pub(crate) struct Extracted {
    pub(crate) original: PathBuf,
    pub(crate) debug_file: PathBuf,
    pub(crate) content: Content,
}

impl Extracted {
    /// Makes the debug file of a file, in a folder.
    pub(crate) fn new(supervisor: &Supervisor, original: &Path, folder: &Path) -> Self {
        let file = File::open(original).unwrap();
        let stamp = Stamp::of(&file).unwrap();
        let extraction = extract(supervisor, file.try_clone().unwrap())
            .unwrap_or_else(|reason| panic!("{}: {reason}", original.display()));
        let size = extraction.plan.size();
        let name = format!("{}.extracted", original.file_name().unwrap().to_str().unwrap());
        let debug_file = folder.join(name);
        let mut reader = PlanReader::new(&file, stamp, extraction.plan).unwrap();
        let written = io::copy(&mut reader, &mut File::create(&debug_file).unwrap()).unwrap();
        assert_eq!(written, size);
        Self { original: original.to_owned(), debug_file, content: extraction.content }
    }
}
