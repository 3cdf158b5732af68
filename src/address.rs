//! Addresses as a sample holds them, each with its address space.

/// An address in the running kernel's own address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KernelAddress(pub u64);

/// An address in the address space of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserAddress(pub u64);
