//! Whether a disk does what it should, as the log is told: once for each change.

use std::io;
use std::path::Path;

/// How some kind of work on a directory goes. Failures in a row are one line, unless what is wrong changes.
#[derive(Debug)]
pub struct Health {
    /// What is logged when it fails, and when it goes well again.
    failing: &'static str,
    working: &'static str,
    fault: Option<Fault>,
}

/// What is wrong, without what differs from one failure to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fault {
    kind: io::ErrorKind,
    code: Option<i32>,
}

impl Health {
    /// Of work that nothing is known to be wrong with, and what to log when it fails and goes well again.
    pub const fn new(failing: &'static str, working: &'static str) -> Self {
        Self { failing, working, fault: None }
    }

    /// It failed. Returns whether that is news.
    pub fn fails(&mut self, directory: &Path, error: &io::Error) -> bool {
        let fault = Fault { kind: error.kind(), code: error.raw_os_error() };
        let is_news = self.fault.replace(fault) != Some(fault);
        if is_news {
            log::warn!(directory:% = directory.display(), error:% = *error; "{}", self.failing);
        }
        is_news
    }

    /// It went well. Returns whether that is news.
    pub fn works(&mut self, directory: &Path) -> bool {
        let is_news = self.fault.take().is_some();
        if is_news {
            log::info!(directory:% = directory.display(); "{}", self.working);
        }
        is_news
    }

    /// Whether it failed the last time.
    pub fn is_failing(&self) -> bool {
        self.fault.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::Health;
    use rustix::io::Errno;
    use std::path::Path;

    #[test]
    fn each_change_is_news_once() {
        let mut health = Health::new("it fails", "it works");
        let cases = [
            (None, false),
            (Some(Errno::NOSPC), true),
            (Some(Errno::NOSPC), false),
            (Some(Errno::IO), true),
            (Some(Errno::NXIO), true),
            (None, true),
            (None, false),
            (Some(Errno::NXIO), true),
        ];
        for (step, (fault, expected)) in cases.into_iter().enumerate() {
            let is_news = match fault {
                Some(fault) => health.fails(Path::new("/spool"), &fault.into()),
                None => health.works(Path::new("/spool")),
            };
            assert_eq!((is_news, health.is_failing()), (expected, fault.is_some()), "step {step}");
        }
    }
}
