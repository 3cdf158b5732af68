//! Closing the files of profiled processes.
//!
//! To close a file is to tell its file system, which may take for ever to hear: FUSE gets a FLUSH, and
//! with it every overlay on top of FUSE. So files are closed on a thread that may be lost to it.

use rustix::fd::{IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Files that wait for one thread. More mean that it is held up.
const MAX_WAITING: usize = 64;

/// Most threads, all but one held up.
const MAX_THREADS: usize = 8;

/// Closes files, on other threads.
#[derive(Debug, Default)]
pub(super) struct Closer {
    sender: Option<SyncSender<OwnedFd>>,
    /// Each thread holds one reference more.
    threads: Arc<()>,
}

impl Closer {
    /// Closes a file some time soon. False if every thread is held up; then the file stays open.
    pub(super) fn close(&mut self, file: OwnedFd) -> bool {
        let Err(file) = self.hand_over(file) else { return true };
        if Arc::strong_count(&self.threads) <= MAX_THREADS {
            self.sender = self.start();
        }
        let Err(file) = self.hand_over(file) else { return true };
        // Dropped, it would be closed here.
        let _ = file.into_raw_fd();
        false
    }

    /// Gives the file to the latest thread, if that has room.
    fn hand_over(&self, file: OwnedFd) -> Result<(), OwnedFd> {
        let Some(sender) = &self.sender else { return Err(file) };
        sender.try_send(file).map_err(|error| match error {
            TrySendError::Full(file) | TrySendError::Disconnected(file) => file,
        })
    }

    /// Starts a thread, which ends when it has closed what it was given before the next one started.
    fn start(&self) -> Option<SyncSender<OwnedFd>> {
        let (sender, files): (_, Receiver<OwnedFd>) = sync_channel(MAX_WAITING);
        let counted = Arc::clone(&self.threads);
        let run = move || {
            files.into_iter().for_each(drop);
            drop(counted);
        };
        std::thread::Builder::new().name("file-closer".to_owned()).spawn(run).ok().map(|_| sender)
    }
}

#[cfg(test)]
mod tests {
    use super::Closer;
    use std::io::Read;

    #[test]
    fn files_are_closed_on_a_thread_that_ends_with_the_closer() {
        let mut closer = Closer::default();
        let ends: Vec<_> = (0..1000)
            .map(|_| {
                let (reader, writer) = std::io::pipe().unwrap();
                assert!(closer.close(writer.into()));
                reader
            })
            .collect();
        for mut end in ends {
            // Ends when the other side is closed.
            assert_eq!(end.read(&mut [0]).unwrap(), 0);
        }
    }
}
