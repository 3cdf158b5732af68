//! A pointer into kernel memory.

use aya_ebpf::helpers::bpf_probe_read_kernel;

/// Only ever read by `bpf_probe_read_kernel` (5.5), which checks the address and fails instead of faulting.
#[derive(Clone, Copy)]
pub struct KernelPointer(*const u8);

impl KernelPointer {
    /// To an address.
    #[inline(always)]
    pub fn new(address: u64) -> Self {
        Self(address as *const u8)
    }

    /// The address.
    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0 as u64
    }

    /// To what is so many bytes behind.
    #[inline(always)]
    pub fn at(self, offset: u32) -> Self {
        Self(self.0.wrapping_add(offset as usize))
    }

    /// Reads a field at an offset; the zero value where it cannot be read.
    #[inline(always)]
    pub fn field<T: Default>(self, offset: u32) -> T {
        // SAFETY: the helper checks the address and fails instead of faulting.
        unsafe { bpf_probe_read_kernel(self.0.wrapping_add(offset as usize).cast::<T>()) }.unwrap_or_default()
    }

    /// Reads the pointer that is there; a null pointer, from which all reads fail, where it cannot be read.
    #[inline(always)]
    pub fn target(self) -> Self {
        Self::new(self.field(0))
    }

    /// Reads a pointer; `None` where it is null.
    #[inline(always)]
    pub fn pointer(self, offset: u32) -> Option<Self> {
        let address = self.field::<u64>(offset);
        (address != 0).then_some(Self::new(address))
    }
}
