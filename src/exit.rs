//! Exit codes: what a service manager and a script learn from the end of the agent.

use std::process::ExitCode;

/// Why the agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked to do.
    Clean = 0,
    /// It failed while it ran; a restart may help.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A privilege or a feature of the kernel is missing; a restart does not help (`EX_NOPERM` of
    /// sysexits.h).
    Unsupported = 77,
    /// The configuration is wrong; a restart does not help (`EX_CONFIG` of sysexits.h).
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
