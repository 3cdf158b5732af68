//! Closing the files of profiled processes.
//!
//! To close a file is to tell its file system, which may take for ever to hear: FUSE gets a FLUSH, and
//! with it every overlay on top of FUSE. So files are closed on threads that may be lost to it.

use super::queue::{Queue, Urgency};
use rustix::fd::{IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Files that wait for a thread. More mean that all are held up.
const MAX_WAITING: usize = 64;

/// Most threads, all but one held up.
const MAX_THREADS: usize = 8;

/// How long a file waits before the threads there are count as held up.
const PATIENCE: Duration = Duration::from_millis(100);

/// Closes files, on other threads.
#[derive(Debug)]
pub(super) struct Closer {
    files: Arc<Queue<OwnedFd>>,
    /// How many were started. None ends before the closer does.
    threads: usize,
}

impl Closer {
    /// The first file starts the first thread.
    pub(super) fn new() -> Self {
        Self { files: Arc::new(Queue::new(MAX_WAITING)), threads: 0 }
    }

    /// Closes a file some time soon. False if every thread is held up; then the file stays open.
    pub(super) fn close(&mut self, file: OwnedFd) -> bool {
        if self.threads == 0 {
            self.start();
        }
        let Err(file) = self.files.push(file, Urgency::High) else { return true };
        self.settle();
        let Err(file) = self.files.push(file, Urgency::High) else { return true };
        // Dropped, it would be closed here.
        let _ = file.into_raw_fd();
        false
    }

    /// Waits until a thread has taken every file, and starts more as long as none does. A file that was
    /// taken leaves the table of descriptors at once, however long its file system holds the thread.
    pub(super) fn settle(&mut self) {
        let mut begun = Instant::now();
        loop {
            // Also where none waits: the last one may have been taken a moment ago.
            std::thread::sleep(Duration::from_millis(1));
            if self.files.is_empty() {
                return;
            }
            if begun.elapsed() >= PATIENCE {
                if !self.start() {
                    return;
                }
                begun = Instant::now();
            }
        }
    }

    /// Starts another thread, if there may be one more.
    fn start(&mut self) -> bool {
        if self.threads == MAX_THREADS {
            return false;
        }
        let files = Arc::clone(&self.files);
        let run = move || {
            while let Some((file, _)) = files.pop() {
                drop(file);
            }
        };
        let started = std::thread::Builder::new().name("file-closer".to_owned()).spawn(run).is_ok();
        self.threads += usize::from(started);
        started
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.settle();
        // What no thread took would be closed here.
        for file in self.files.close() {
            let _ = file.into_raw_fd();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Closer;
    use std::io::Read;

    #[test]
    fn files_are_closed_on_other_threads() {
        let mut closer = Closer::new();
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
