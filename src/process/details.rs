//! What else `/proc` tells of a process. It is read only where a rule asks for it: a command line or an
//! environment may hold secrets, and each costs a system call or three.

use super::id::Tgid;
use crate::object::ObjectId;

/// What is to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DetailsWanted {
    /// The parent's id and the path of the executable.
    pub origin: bool,
    /// The command line.
    pub command_line: bool,
    /// Which object file the executable is.
    pub executable: bool,
    /// These variables of the environment with which the process was started.
    pub environment: Vec<String>,
}

impl DetailsWanted {
    /// Whether anything is.
    pub fn is_any(&self) -> bool {
        self.origin || self.command_line || self.executable || !self.environment.is_empty()
    }
}

/// What was read, as far as it was wanted and there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Details {
    /// The parent, 0 if it has none in this pid namespace.
    pub parent: Option<Tgid>,
    /// Path of the executable, as the process sees it.
    pub executable: Option<Box<[u8]>>,
    /// Arguments, each followed by NUL, at most 4 KiB.
    pub command_line: Option<Box<[u8]>>,
    /// Variables that were wanted, in that order.
    pub environment: Vec<(String, Box<[u8]>)>,
    /// The executable as an object file.
    pub object: Option<ObjectId>,
}

/// Bytes of a command line that are read.
pub(super) const MAX_COMMAND_LINE: u64 = 4096;
/// Bytes of an environment that are read.
pub(super) const MAX_ENVIRONMENT: u64 = 128 << 10;

/// Bytes of one variable that are kept: as many as a label takes.
const MAX_VALUE: usize = 2048;

/// The wanted variables in the bytes of `/proc/PID/environ`: `NAME=VALUE`, each followed by NUL.
pub fn variables(environment: &[u8], wanted: &[String]) -> Vec<(String, Box<[u8]>)> {
    let value_of = |name: &String| {
        environment
            .split(|byte| *byte == 0)
            .find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
            .map(|value| (name.clone(), value[..value.len().min(MAX_VALUE)].into()))
    };
    wanted.iter().filter_map(value_of).collect()
}

#[cfg(test)]
mod tests {
    use super::variables;

    #[test]
    fn only_what_is_wanted_is_taken() {
        let environment = b"PATH=/bin\0SECRET=x\0STAGE=a=b\0EMPTY=\0STAGE=second\0\xff\xfe";
        let wanted = ["STAGE", "EMPTY", "ABSENT", "PAT"].map(str::to_owned);
        let found = variables(environment, &wanted);
        let expected = [("STAGE", "a=b"), ("EMPTY", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.as_bytes().into()));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_long_value_is_cut() {
        let environment = [b"STAGE=".as_slice(), &[b'x'; 100_000]].concat();
        let found = variables(&environment, &["STAGE".to_owned()]);
        assert_eq!(found[0].1.len(), super::MAX_VALUE);
    }
}
