//! One user frame as it leaves the kernel, in one word.
//!
//! ```text
//! bits 60..64  0: an address in the process     1: a place in an object file
//! bit  59      reached through a frame pointer where no table says so
//! 0: bits 0..57   the address
//! 1: bits 36..59  the object's slot,  bits 0..36  the offset in its file
//! ```

/// Bits of an offset in a file: 64 GiB, four times the largest file that is read.
const OFFSET_BITS: u32 = 36;
/// Bits of the number of an object's slot.
const SLOT_BITS: u32 = 23;
/// Bits of an address: user space ends below 2^57 with five levels of page tables.
const ADDRESS_BITS: u32 = 57;
const GUESSED: u64 = 1 << 59;
const KIND_SHIFT: u32 = 60;
const KIND_OBJECT: u64 = 1;

/// The word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct FrameWord(pub u64);

impl FrameWord {
    /// An address in the process.
    #[inline(always)]
    pub fn address(address: u64) -> Self {
        Self(address & ((1 << ADDRESS_BITS) - 1))
    }

    /// A place in the file of an object slot.
    #[inline(always)]
    pub fn object(slot: u32, offset: u64) -> Self {
        let slot = (u64::from(slot) & ((1 << SLOT_BITS) - 1)) << OFFSET_BITS;
        let offset = offset & ((1 << OFFSET_BITS) - 1);
        Self((KIND_OBJECT << KIND_SHIFT) | slot | offset)
    }

    /// The same, marked if it was reached through a frame pointer where no table says that there is one.
    #[inline(always)]
    pub fn marked(self, guessed: bool) -> Self {
        Self(self.0 | if guessed { GUESSED } else { 0 })
    }
}

/// What a [`FrameWord`] says.
#[cfg(feature = "user")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramePlace {
    /// An address in the process.
    Address(u64),
    /// A place in the file of an object slot.
    Object {
        /// The slot.
        slot: u32,
        /// Bytes from the start of the file.
        offset: u64,
    },
}

#[cfg(feature = "user")]
impl FrameWord {
    /// The place; `None` for a word that nobody writes.
    pub fn place(self) -> Option<FramePlace> {
        match self.0 >> KIND_SHIFT {
            0 => Some(FramePlace::Address(self.0 & ((1 << ADDRESS_BITS) - 1))),
            KIND_OBJECT => Some(FramePlace::Object {
                slot: ((self.0 >> OFFSET_BITS) & ((1 << SLOT_BITS) - 1)) as u32,
                offset: self.0 & ((1 << OFFSET_BITS) - 1),
            }),
            _ => None,
        }
    }

    /// The frame was reached through a frame pointer where no table says that there is one.
    pub fn is_guessed(self) -> bool {
        self.0 & GUESSED != 0
    }
}

#[cfg(all(test, feature = "user"))]
mod tests {
    use super::{FramePlace, FrameWord};

    #[test]
    fn a_word_says_what_was_put_in() {
        for guessed in [false, true] {
            let word = FrameWord::address(0x7fff_ffff_f123).marked(guessed);
            assert_eq!(
                (word.place(), word.is_guessed()),
                (Some(FramePlace::Address(0x7fff_ffff_f123)), guessed)
            );
            let (slot, offset) = ((1 << 23) - 1, (1 << 36) - 1);
            let word = FrameWord::object(slot, offset).marked(guessed);
            let place = FramePlace::Object { slot, offset };
            assert_eq!((word.place(), word.is_guessed()), (Some(place), guessed));
        }
        assert_eq!(FrameWord(2 << 60).place(), None);
    }
}
