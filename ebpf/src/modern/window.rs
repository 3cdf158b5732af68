//! The stack, read a window at a time: a read costs by the call, not by the byte.

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use core::hint::black_box;
use parca_agent_common::unwind::ReadMemory;

/// Bytes of the window, a part of a memory page. On stacks of 5 to 60 frames, samples cost a third more with 4 KiB,
/// most of it cold memory that no frame is in; with 256 bytes they cost a twentieth more.
const WINDOW_BYTES: usize = 1024;
const WORD: u64 = 8;
/// Keeps an offset within the window, and a multiple of a word, in a way that the verifier can follow.
const OFFSET_MASK: u64 = WINDOW_BYTES as u64 - WORD;

/// A copy of a piece of the stack.
#[repr(C)]
pub struct Window {
    /// Address of its first byte.
    start: u64,
    /// Bytes that were read, 0 if none.
    length: u64,
    bytes: [u8; WINDOW_BYTES],
}

impl Window {
    /// Forgets what was read of another stack.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Reads the window from an address on, or less where the next memory page is not there: to the next multiple
    /// of the window's size, which is in the same page.
    #[inline(always)]
    fn fill(&mut self, address: u64) -> bool {
        self.start = address;
        let bytes = self.bytes.as_mut_ptr().cast();
        // SAFETY: the length is the window's; the helper checks the address and fails instead of faulting.
        if unsafe { bpf_probe_read_user(bytes, WINDOW_BYTES as u32, address as *const _) } == 0 {
            self.length = WINDOW_BYTES as u64;
            return true;
        }
        let to_multiple = WINDOW_BYTES as u64 - (address & (WINDOW_BYTES as u64 - 1));
        let length = black_box(to_multiple as u32) & (WINDOW_BYTES as u32 - 1);
        // SAFETY: the mask keeps the length within the window; the helper checks the address.
        let is_read = unsafe { bpf_probe_read_user(bytes, length, address as *const _) } == 0;
        self.length = if is_read { u64::from(length) } else { 0 };
        is_read
    }
}

impl ReadMemory for Window {
    #[inline(always)]
    fn word(&mut self, address: u64) -> Option<u64> {
        let mut offset = address.wrapping_sub(self.start);
        if offset.wrapping_add(WORD) > self.length || offset > OFFSET_MASK {
            if address & (WORD - 1) != 0 || !self.fill(address) || self.length < WORD {
                return None;
            }
            offset = 0;
        }
        let offset = black_box(offset) & OFFSET_MASK;
        // SAFETY: the mask leaves room for a word behind the offset.
        Some(unsafe { self.bytes.as_ptr().add(offset as usize).cast::<u64>().read_unaligned() })
    }
}
