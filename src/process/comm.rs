//! Names of threads and processes, as the kernel keeps them.

use crate::text;
use parca_agent_common::limits::COMM_LENGTH;
use std::fmt;

/// The kernel's name of a thread, at most 15 bytes, in no particular encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Comm([u8; COMM_LENGTH]);

impl Comm {
    /// Takes the kernel's array, or the start of longer text; what follows the first NUL is dropped, so
    /// that equal names are equal arrays.
    pub fn new(bytes: &[u8]) -> Self {
        let mut name = [0; COMM_LENGTH];
        for (to, from) in
            name.iter_mut().zip(bytes.iter().take(COMM_LENGTH - 1).take_while(|byte| **byte != 0))
        {
            *to = *from;
        }
        Self(name)
    }

    /// The name, without NUL.
    pub fn as_bytes(&self) -> &[u8] {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(COMM_LENGTH);
        self.0.get(..length).unwrap_or_default()
    }

    /// The name that the workers of one kernel thread pool share: `kworker/0:1-events` is `kworker`.
    pub fn kernel_thread_family(&self) -> Self {
        Self::new(self.as_bytes().split(|byte| *byte == b'/').next().unwrap_or_default())
    }
}

impl fmt::Display for Comm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::display(self.as_bytes()).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::Comm;

    #[test]
    fn names_end_at_nul_and_at_fifteen_bytes() {
        assert_eq!(Comm::new(b"cat\0leftover\0\0\0\0"), Comm::new(b"cat"));
        assert_eq!(Comm::new(b"sixteen-bytes-xx").as_bytes(), b"sixteen-bytes-x");
    }

    #[test]
    fn kernel_threads_of_one_pool_share_a_family() {
        for (name, family) in
            [("kworker/0:1-ev", "kworker"), ("ksoftirqd/1", "ksoftirqd"), ("kswapd0", "kswapd0")]
        {
            assert_eq!(Comm::new(name.as_bytes()).kernel_thread_family().to_string(), family);
        }
    }
}
