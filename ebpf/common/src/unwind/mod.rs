//! From one frame to its caller: the step function, the same code in the kernel and on the host.
//!
//! ```text
//! pc --lookup--> Rule --step(Registers, Rule, ReadMemory)--> Registers of the caller, or a StackEnd
//! ```
//! The lookup differs (BPF maps in the kernel, a table in memory on the host); the step does not. What a
//! rule says is in [`rule`]; what it does to the registers is in [`x86_64`] and [`aarch64`], which hold the
//! same names.

pub mod aarch64;
pub mod rule;
pub mod x86_64;

use rule::Rule;

/// Memory of the process whose stack is being walked.
pub trait ReadMemory {
    /// The 64-bit word at an address; `None` where it cannot be read.
    fn word(&mut self, address: u64) -> Option<u64>;
}

/// Bytes of a word, in which rules count.
const WORD: u64 = 8;

#[inline(always)]
fn offset(address: u64, words: i64) -> u64 {
    address.wrapping_add_signed(words * WORD as i64)
}

/// The CFA that a word of the stack holds.
#[inline(always)]
fn load(address: u64, rule: Rule, memory: &mut impl ReadMemory) -> Result<u64, StackEnd> {
    let base = memory.word(address).ok_or(StackEnd::UnreadableStack)?;
    Ok(offset(base, i64::from(rule.extra as i16)))
}

/// Why a stack has no more frames. Every user stack ends with exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum StackEnd {
    /// There is no user stack: a thread of the kernel.
    NoUserStack = 0,
    /// The outermost function was reached, as its tables say.
    Complete = 1,
    /// A chain of frame pointers ended with 0, or a return address was 0: where no table says so, this is
    /// how a stack ends.
    ChainEnd = 2,
    /// There are more frames than are taken.
    DepthLimit = 3,
    /// A word of the stack could not be read: its page is not in memory, or the address is none.
    UnreadableStack = 4,
    /// An address is in no executable mapping that the agent knows of.
    NoMapping = 5,
    /// The tables describe the frame in a way that no rule can express.
    UnsupportedRule = 6,
    /// The caller's frame would not lie above its callee's: the stack or the guess is broken.
    NotAscending = 7,
    /// The rule wants a register that is known in the innermost frame only.
    RegisterLost = 8,
    /// The process runs 32-bit code.
    Compat = 9,
    /// The user registers of a thread in the kernel were not to be had.
    NoRegisters = 10,
    /// The kernel's own walk of frame pointers gave this stack; it does not tell how it ended.
    Unknown = 11,
    /// No table covers the code, not yet or not ever, and its frame pointer is none.
    NoTable = 12,
}

impl StackEnd {
    /// Number of variants.
    pub const COUNT: usize = 13;
}

#[cfg(feature = "user")]
impl StackEnd {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::NoUserStack,
        Self::Complete,
        Self::ChainEnd,
        Self::DepthLimit,
        Self::UnreadableStack,
        Self::NoMapping,
        Self::UnsupportedRule,
        Self::NotAscending,
        Self::RegisterLost,
        Self::Compat,
        Self::NoRegisters,
        Self::Unknown,
        Self::NoTable,
    ];

    /// As a metric's label value.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoUserStack => "no_user_stack",
            Self::Complete => "complete",
            Self::ChainEnd => "chain_end",
            Self::DepthLimit => "depth_limit",
            Self::UnreadableStack => "unreadable_stack",
            Self::NoMapping => "no_mapping",
            Self::UnsupportedRule => "unsupported_rule",
            Self::NotAscending => "not_ascending",
            Self::RegisterLost => "register_lost",
            Self::Compat => "compat_32_bit",
            Self::NoRegisters => "no_registers",
            Self::Unknown => "unknown",
            Self::NoTable => "no_table",
        }
    }

    /// The stack has all of its frames.
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Complete | Self::ChainEnd)
    }
}

#[cfg(feature = "user")]
impl TryFrom<u8> for StackEnd {
    type Error = u8;
    fn try_from(value: u8) -> Result<Self, u8> {
        Self::ALL.get(usize::from(value)).copied().ok_or(value)
    }
}

#[cfg(test)]
mod tests {
    use super::ReadMemory;

    /// A stack: words from an address on.
    pub(super) struct Stack(pub(super) u64, pub(super) Vec<u64>);

    impl ReadMemory for Stack {
        fn word(&mut self, address: u64) -> Option<u64> {
            self.1.get(usize::try_from(address.checked_sub(self.0)? / 8).ok()?).copied()
        }
    }

    #[cfg(feature = "user")]
    #[test]
    fn all_lists_every_reason_in_order() {
        use super::StackEnd;
        for (number, end) in StackEnd::ALL.iter().enumerate() {
            assert_eq!(*end as usize, number);
            assert_eq!(StackEnd::try_from(number as u8), Ok(*end));
        }
        assert_eq!(StackEnd::try_from(StackEnd::COUNT as u8), Err(StackEnd::COUNT as u8));
    }
}
