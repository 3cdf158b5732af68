//! Files that the agent keeps: in directories that only it writes to, with regard for whoever else needs the disk, and
//! so that the log tells once when a disk stops to do what it should; and files of others that it reads.

pub mod health;
pub mod private_directory;
pub mod small_file;
pub mod space;
