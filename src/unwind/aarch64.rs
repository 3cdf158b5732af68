//! From a row of CFI to a rule on aarch64, by the AAPCS64: the return address is in LR until it is saved.

use super::frame::{CfaAt, Frame, Saved, words};
use super::machine::Landmarks;
use parca_agent_common::unwind::rule::{Cfa, ReturnAddress, Rule, SavedFp};

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

/// The rule for a row of CFI.
pub(super) fn rule(frame: &Frame) -> Rule {
    if frame.return_address == Saved::Undefined {
        return Rule::OUTERMOST;
    }
    expressible(frame).unwrap_or(Rule::UNSUPPORTED)
}

fn expressible(frame: &Frame) -> Option<Rule> {
    let (saved_fp, fp) = match frame.fp {
        // A register without a value is one that the caller does not use.
        Saved::Unsaid | Saved::Same | Saved::Undefined => (SavedFp::Same, 0),
        Saved::AtCfa(offset) => (SavedFp::AtCfa, words(offset)?),
        Saved::At { register: FP, offset } => (SavedFp::AtFp, words(offset)?),
        Saved::At { register: SP, offset } => (SavedFp::AtSp, words(offset)?),
        Saved::At { .. } | Saved::Register(_) | Saved::Other => return None,
    };
    let (return_address, slot) = match frame.return_address {
        Saved::Unsaid | Saved::Same => (ReturnAddress::Default, 0),
        Saved::AtCfa(offset) => (ReturnAddress::AtCfa, words(offset)?.cast_unsigned()),
        _ => return None,
    };
    let (kind, cfa, addend) = match frame.cfa {
        CfaAt::Register { register: SP, offset } => (Cfa::Sp, words(offset)?, None),
        CfaAt::Register { register: FP, offset } => (Cfa::Fp, words(offset)?, None),
        CfaAt::Loaded { register: SP, offset, addend } => {
            (Cfa::DerefSp, words(offset)?, Some(words(addend)?))
        }
        CfaAt::Loaded { register: FP, offset, addend } => {
            (Cfa::DerefFp, words(offset)?, Some(words(addend)?))
        }
        CfaAt::Register { .. } | CfaAt::Loaded { .. } | CfaAt::Plt { .. } | CfaAt::Other => return None,
    };
    // There is one place for both.
    if return_address == ReturnAddress::AtCfa && addend.is_some_and(|addend| addend.cast_unsigned() != slot) {
        return None;
    }
    let extra = addend.map_or(slot, i16::cast_unsigned);
    Some(Rule { kind: kind as u8, saved: Rule::saved_byte(saved_fp, return_address), cfa, fp, extra })
}
