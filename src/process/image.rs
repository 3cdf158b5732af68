//! What a process runs between two execs.

use super::comm::Comm;
use super::details::Details;
use super::id::BootTime;
use super::mapping::Mappings;
use std::sync::Arc;

/// One image of one process; ids are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId(pub u64);

/// A program in a process, from one exec to the next.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// When the process began to run it.
    pub since: BootTime,
    /// Name of the process meanwhile.
    pub comm: Comm,
    /// What rules wanted read of it.
    pub details: Option<Arc<Details>>,
    /// Its mappings.
    pub address_space: AddressSpace,
}

/// What is known of an image's mappings.
#[derive(Clone, Debug)]
pub enum AddressSpace {
    /// Nobody asked yet.
    Unread,
    /// They are being read.
    Requested,
    /// They were read, or copied from the parent at fork.
    Known {
        /// The mappings.
        mappings: Arc<Mappings>,
        /// When.
        read_at: BootTime,
    },
    /// They were not read, for nobody wants the samples of the process.
    Unwanted {
        /// When that was decided.
        read_at: BootTime,
    },
    /// The process was gone before they could be read.
    Gone,
    /// Too many processes waited to be read.
    Refused,
}

impl AddressSpace {
    /// Whether the mappings should be (re-)read, if they may be at most as old as `oldest`.
    pub fn wants_reading(&self, oldest: BootTime) -> bool {
        match self {
            Self::Unread | Self::Refused => true,
            Self::Requested | Self::Gone => false,
            Self::Known { read_at, .. } | Self::Unwanted { read_at } => *read_at < oldest,
        }
    }
}
