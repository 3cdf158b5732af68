//! From a row of CFI to a rule on aarch64, by the AAPCS64: the return address is in LR until it is saved.

use super::expression::Shape;
use super::frame::{Frame, Saved, cfa_words, words};
use super::machine::Landmarks;
use parca_agent_common::unwind::rule::{Cfa, ReturnAddress, Rule};

/// `x29`, by DWARF's number.
pub(super) const FP: u16 = 29;
/// `sp`.
const SP: u16 = 31;
/// `x30`, and the column of the return address.
pub(super) const RETURN_ADDRESS: u16 = 30;

/// Code that is known by its bytes.
pub(super) const LANDMARKS: Landmarks = Landmarks {
    // mov x8, #139; svc #0
    signal_return: &[0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4],
    // ldp x1, x0, [sp], #16; blr x1; mov x8, #93; svc #0
    thread_start: &[0xe1, 0x03, 0xc1, 0xa8, 0x20, 0x00, 0x3f, 0xd6, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0, 0, 0xd4],
    early: 4,
};

/// The rule for a row of CFI that has a caller; `None` if no rule can say it.
pub(super) fn rule(frame: &Frame) -> Option<Rule> {
    let (saved_fp, fp) = frame.saved_fp(FP, SP)?;
    let (return_address, slot) = match frame.return_address {
        Saved::Unsaid | Saved::Same => (ReturnAddress::Default, 0),
        Saved::AtCfa(offset) => (ReturnAddress::AtCfa, words(offset)?.cast_unsigned()),
        _ => return None,
    };
    let near = |offset| Some((words(offset)?, 0));
    let (kind, (cfa, far), addend) = match frame.cfa {
        Shape::Address { register: SP, offset } => (Cfa::Sp, cfa_words(offset)?, None),
        Shape::Address { register: FP, offset } => (Cfa::Fp, cfa_words(offset)?, None),
        Shape::Loaded { register: SP, offset, addend } => (Cfa::DerefSp, near(offset)?, Some(words(addend)?)),
        Shape::Loaded { register: FP, offset, addend } => (Cfa::DerefFp, near(offset)?, Some(words(addend)?)),
        Shape::Address { .. } | Shape::Loaded { .. } | Shape::Plt { .. } | Shape::Other => return None,
    };
    // There is one place for both.
    if return_address == ReturnAddress::AtCfa && addend.is_some_and(|addend| addend.cast_unsigned() != slot) {
        return None;
    }
    let extra = addend.map_or(slot, i16::cast_unsigned);
    let saved = Rule::saved_byte(saved_fp, return_address) | far;
    Some(Rule { kind: kind as u8, saved, cfa, fp, extra })
}
