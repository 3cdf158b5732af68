//! What a row of CFI says of the three things that matter: the CFA, the frame pointer and the return address.

use super::expression::{Shape, shape};
use gimli::{CfaRule, Register, RegisterRule, UnwindExpression, UnwindTableRow};
use parca_agent_common::unwind::rule::{Rule, SavedFp};

/// One row of CFI, the same for every architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The caller's stack pointer.
    pub(super) cfa: Shape,
    /// The caller's frame pointer.
    pub(super) fp: Saved,
    /// Where the caller goes on.
    pub(super) return_address: Saved,
}

/// Where a register of the caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saved {
    /// Nothing is said of it.
    Unsaid,
    /// It has no value: for the return address, there is no caller.
    Undefined,
    /// In its register.
    Same,
    /// At the CFA plus an offset, bytes.
    AtCfa(i64),
    /// At a register plus an offset, bytes.
    At {
        /// Which register.
        register: u16,
        /// Added to it.
        offset: i64,
    },
    /// In another register.
    Register(u16),
    /// It is computed.
    Other,
}

impl Frame {
    /// Reads a row of CFI. `section` holds the expressions; `fp` and `return_address` are DWARF's numbers.
    pub(super) fn of(row: &UnwindTableRow<usize>, section: &[u8], fp: u16, return_address: u16) -> Self {
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                Shape::Address { register: register.0, offset: *offset }
            }
            CfaRule::Expression(expression) => shape(bytes(*expression, section)),
        };
        let saved = |register| saved(row.register(Register(register)), section);
        Self { cfa, fp: saved(fp), return_address: saved(return_address) }
    }

    /// Where the frame pointer is, and its offset in words, by DWARF's numbers of frame pointer and stack pointer;
    /// `None` if no rule can say it.
    pub(super) fn saved_fp(&self, fp: u16, sp: u16) -> Option<(SavedFp, i16)> {
        match self.fp {
            // A register without a value is one that the caller does not use.
            Saved::Unsaid | Saved::Same | Saved::Undefined => Some((SavedFp::Same, 0)),
            Saved::AtCfa(offset) => Some((SavedFp::AtCfa, words(offset)?)),
            Saved::At { register, offset } if register == fp => Some((SavedFp::AtFp, words(offset)?)),
            Saved::At { register, offset } if register == sp => Some((SavedFp::AtSp, words(offset)?)),
            Saved::At { .. } | Saved::Register(_) | Saved::Other => None,
        }
    }
}

fn saved(rule: Option<RegisterRule<usize>>, section: &[u8]) -> Saved {
    match rule {
        None => Saved::Unsaid,
        Some(RegisterRule::Undefined) => Saved::Undefined,
        Some(RegisterRule::SameValue) => Saved::Same,
        Some(RegisterRule::Offset(offset)) => Saved::AtCfa(offset),
        Some(RegisterRule::Register(register)) => Saved::Register(register.0),
        Some(RegisterRule::Expression(expression)) => match shape(bytes(expression, section)) {
            Shape::Address { register, offset } => Saved::At { register, offset },
            Shape::Loaded { .. } | Shape::Plt { .. } | Shape::Other => Saved::Other,
        },
        Some(_) => Saved::Other,
    }
}

fn bytes(expression: UnwindExpression<usize>, section: &[u8]) -> &[u8] {
    let end = expression.offset.saturating_add(expression.length);
    section.get(expression.offset..end).unwrap_or_default()
}

/// An offset in words, if it is whole words and not too many.
pub(super) fn words(offset: i64) -> Option<i16> {
    (offset % 8 == 0).then(|| i16::try_from(offset / 8).ok()).flatten()
}

/// An offset of the CFA as a rule has it, [`Rule::cfa`] and its distance, if it is whole words and not too many.
pub(super) fn cfa_words(offset: i64) -> Option<(i16, u8)> {
    (offset % 8 == 0).then(|| Rule::split_words(offset / 8)).flatten()
}
