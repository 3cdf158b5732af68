//! Files that the agent keeps: in directories that only it writes to, with regard for whoever else needs the disk, and
//! so that the log tells once when a disk stops to do what it should.

pub mod health;
pub mod private_directory;
pub mod space;
