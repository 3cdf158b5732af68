//! What the tables hold: rows, which say from which address on a rule is in force, and rules, which say
//! where the caller's registers are.
//!
//! A host has millions of rows and a few thousand different rules, so a row is 4 bytes and names a rule of
//! 8 bytes by its number.

/// Bytes of code that one page of rows covers.
pub const PAGE_BYTES: u64 = 1 << PAGE_SHIFT;
/// The exponent of [`PAGE_BYTES`]: a row holds the low 16 bits of an address.
pub const PAGE_SHIFT: u32 = 16;

/// From one address of a page on, one rule is in force, until the next row.
///
/// The address is in the upper half, so rows in the order of addresses are in the order of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Row(pub u32);

impl Row {
    /// A row at the low 16 bits of an address.
    #[inline(always)]
    pub fn new(low: u16, rule: RuleId) -> Self {
        Self((u32::from(low) << 16) | u32::from(rule.0))
    }

    /// Where in the page it begins.
    #[inline(always)]
    pub fn low(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The rule.
    #[inline(always)]
    pub fn rule(self) -> RuleId {
        RuleId(self.0 as u16)
    }
}

/// A rule's place in the table of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct RuleId(pub u16);

/// How the canonical frame address, the caller's stack pointer, is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Cfa {
    /// No table covers the address: the frame pointer is followed, which is a guess.
    Uncovered = 0,
    /// There is no caller: the function is where a thread or the process begins.
    Outermost = 1,
    /// SP + 8·cfa, changed along the row by the ramp.
    Sp = 2,
    /// FP + 8·cfa.
    Fp = 3,
    /// A stub of the procedure linkage table, 16 bytes long: SP + 8, and 8 more from the byte `extra` on.
    Plt = 4,
    /// \*(SP + 8·cfa) + 8·extra.
    DerefSp = 5,
    /// \*(FP + 8·cfa) + 8·extra.
    DerefFp = 6,
    /// Register `extra` + 8·cfa, by its DWARF number. Only the innermost frame has it.
    Register = 7,
    /// The kernel pushed all registers before it called a signal handler.
    Signal = 8,
    /// The table says something that no rule can express.
    Unsupported = 9,
}

impl Cfa {
    /// What a byte of a rule means; bytes that nobody writes are unsupported.
    #[inline(always)]
    pub fn of(byte: u8) -> Self {
        match byte {
            0 => Self::Uncovered,
            1 => Self::Outermost,
            2 => Self::Sp,
            3 => Self::Fp,
            4 => Self::Plt,
            5 => Self::DerefSp,
            6 => Self::DerefFp,
            7 => Self::Register,
            8 => Self::Signal,
            _ => Self::Unsupported,
        }
    }
}

/// Where the caller's frame pointer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SavedFp {
    /// Still in its register.
    Same = 0,
    /// At CFA + 8·fp. Along a ramp: only while that is at SP or above, else still in its register.
    AtCfa = 1,
    /// At FP + 8·fp.
    AtFp = 2,
    /// At SP + 8·fp.
    AtSp = 3,
}

/// Where the return address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ReturnAddress {
    /// x86_64: at CFA - 8. aarch64: in LR, which only the innermost frame has.
    Default = 0,
    /// At CFA + 8·extra, as a signed number (aarch64).
    AtCfa = 1,
    /// In register `extra`, by its DWARF number (x86_64). Only the innermost frame has it.
    InRegister = 2,
}

/// How to get from a frame to its caller. All offsets count words of 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct Rule {
    /// A [`Cfa`].
    pub kind: u8,
    /// Bits 0 and 1 a [`SavedFp`], 2 and 3 a [`ReturnAddress`], 4 and 5 the distance, 6 [`OTHER_STACK`], 7
    /// [`RAMP_DOWN`].
    pub saved: u8,
    /// Offset of the CFA, less 65 536 for each of the distance: see [`Rule::cfa_words`].
    pub cfa: i16,
    /// Offset of the saved frame pointer.
    pub fp: i16,
    /// By `kind` and `saved`; with [`Cfa::Sp`] and [`ReturnAddress::Default`] the ramp: bit *i* means that the
    /// CFA's offset grows by one word at the address *i* + 1 bytes behind the row's.
    pub extra: u16,
}

const _: () = assert!(size_of::<Rule>() == 8);

/// In [`Rule::saved`]: along the ramp the offset shrinks.
pub const RAMP_DOWN: u8 = 1 << 7;

/// In [`Rule::saved`]: the caller's frame may be on another stack, below this one.
pub const OTHER_STACK: u8 = 1 << 6;

/// In [`Rule::saved`]: the distance.
const FAR_MASK: u8 = 0b11 << FAR_SHIFT;
const FAR_SHIFT: u8 = 4;

/// Bytes of code along which a ramp can change the CFA.
pub const RAMP_BYTES: u32 = 16;

impl Rule {
    /// No table covers the address.
    pub const UNCOVERED: Self = Self::of_kind(Cfa::Uncovered);
    /// There is no caller.
    pub const OUTERMOST: Self = Self::of_kind(Cfa::Outermost);
    /// The registers are in a signal frame.
    pub const SIGNAL: Self = Self::of_kind(Cfa::Signal);
    /// What the table says cannot be expressed.
    pub const UNSUPPORTED: Self = Self::of_kind(Cfa::Unsupported);
    /// Code that keeps a frame pointer: it points to the caller's, and behind that is the return address. The
    /// same on x86_64 and aarch64.
    pub const FRAME_POINTER: Self =
        Self { kind: Cfa::Fp as u8, saved: FRAME_POINTER_SAVED, cfa: 2, fp: -2, extra: u16::MAX };

    const fn of_kind(kind: Cfa) -> Self {
        Self { kind: kind as u8, saved: 0, cfa: 0, fp: 0, extra: 0 }
    }

    /// How the CFA is found.
    #[inline(always)]
    pub fn cfa_kind(self) -> Cfa {
        Cfa::of(self.kind)
    }

    /// Where the frame pointer is.
    #[inline(always)]
    pub fn saved_fp(self) -> SavedFp {
        match self.saved & 3 {
            0 => SavedFp::Same,
            1 => SavedFp::AtCfa,
            2 => SavedFp::AtFp,
            _ => SavedFp::AtSp,
        }
    }

    /// Where the return address is.
    #[inline(always)]
    pub fn return_address(self) -> ReturnAddress {
        match (self.saved >> 2) & 3 {
            1 => ReturnAddress::AtCfa,
            2 => ReturnAddress::InRegister,
            _ => ReturnAddress::Default,
        }
    }

    /// The same rule, for code that goes from one stack to another.
    pub const fn on_other_stack(self) -> Self {
        Self { saved: self.saved | OTHER_STACK, ..self }
    }

    /// The offset of the CFA, in words, without the ramp. Frames have up to 1.8 MB: compilers give functions with large
    /// locals hundreds of KB.
    #[inline(always)]
    pub fn cfa_words(self) -> i64 {
        i64::from(self.cfa) + (i64::from((self.saved & FAR_MASK) >> FAR_SHIFT) << u16::BITS)
    }

    /// What [`Rule::cfa`] and the distance in [`Rule::saved`] are for an offset in words; `None` if it is too large.
    pub fn split_words(words: i64) -> Option<(i16, u8)> {
        let far = match i16::try_from(words) {
            Ok(_) => 0,
            Err(_) => words.checked_sub(i64::from(i16::MIN))? >> u16::BITS,
        };
        let low = i16::try_from(words - (far << u16::BITS)).ok()?;
        let far = u8::try_from(far).ok().filter(|far| far << FAR_SHIFT <= FAR_MASK)?;
        Some((low, far << FAR_SHIFT))
    }

    /// Whether a frame with the stack pointer `sp` may have the CFA `cfa`: there is a return address between
    /// them, unless it is in a register.
    #[inline(always)]
    pub(super) fn may_ascend(self, sp: u64, cfa: u64, return_in_register: bool) -> bool {
        let ascends = cfa > sp || (cfa == sp && return_in_register) || self.saved & OTHER_STACK != 0;
        ascends && cfa.is_multiple_of(super::WORD)
    }

    /// The byte `saved` of a rule without a ramp.
    pub const fn saved_byte(fp: SavedFp, return_address: ReturnAddress) -> u8 {
        fp as u8 | (return_address as u8) << 2
    }

    /// The bits of the ramp; 0 where `extra` means something else.
    #[inline(always)]
    pub fn ramp(self) -> u16 {
        let is_ramp = self.kind == Cfa::Sp as u8 && self.saved & 0b1100 == 0;
        if is_ramp { self.extra } else { 0 }
    }

    /// The offset of the CFA from SP, in words, some bytes behind the start of the row.
    #[inline(always)]
    pub fn sp_words(self, distance: u32) -> i64 {
        let passed = if distance < RAMP_BYTES { (1 << distance) - 1 } else { (1 << RAMP_BYTES) - 1 };
        let steps = i64::from((u32::from(self.ramp()) & passed).count_ones());
        let words = self.cfa_words();
        if self.saved & RAMP_DOWN != 0 { words - steps } else { words + steps }
    }
}

/// As for every frame pointer chain: the pointer at CFA - 16, the return address at CFA - 8, which `extra`
/// says for aarch64 and x86_64 takes for granted.
const FRAME_POINTER_SAVED: u8 = Rule::saved_byte(SavedFp::AtCfa, ReturnAddress::AtCfa);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_sort_by_address() {
        let row = Row::new(0x1234, RuleId(0xfffe));
        assert_eq!((row.low(), row.rule()), (0x1234, RuleId(0xfffe)));
        assert!(Row::new(1, RuleId(9)) > Row::new(0, RuleId(65535)));
    }

    #[test]
    fn a_ramp_moves_the_cfa_at_the_byte_after_each_bit() {
        // push r15 (2 bytes), push r14 (2), push rbx (1): CFA = SP + 8, + 16, + 24, + 32.
        let rule = Rule { kind: Cfa::Sp as u8, saved: 0, cfa: 1, fp: 0, extra: 0b1_1010 };
        for (distance, words) in [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (15, 4), (16, 4), (4000, 4)]
        {
            assert_eq!(rule.sp_words(distance), words, "{distance}");
        }
        let down = Rule { saved: RAMP_DOWN, cfa: 4, ..rule };
        assert_eq!([down.sp_words(0), down.sp_words(2), down.sp_words(99)], [4, 3, 1]);
    }

    #[test]
    fn offsets_of_large_frames_come_back_as_they_were() {
        for words in [0, 1, -1, 32_767, 32_768, -32_768, 67_509, 98_304, 131_072, 229_375] {
            let (cfa, far) = Rule::split_words(words).unwrap();
            let rule = Rule { kind: Cfa::Sp as u8, saved: far | 0b1100_0101, cfa, fp: 0, extra: 0 };
            assert_eq!(rule.cfa_words(), words);
        }
        for words in [229_376, -32_769, i64::MAX, i64::MIN] {
            assert_eq!(Rule::split_words(words), None, "{words}");
        }
    }

    #[test]
    fn what_extra_means_otherwise_is_no_ramp() {
        let rule = Rule { kind: Cfa::Sp as u8, saved: 2 << 2, cfa: 0, fp: 0, extra: 5 };
        assert_eq!((rule.ramp(), rule.return_address()), (0, ReturnAddress::InRegister));
        assert_eq!(Rule::FRAME_POINTER.ramp(), 0);
    }
}
