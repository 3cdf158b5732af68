//! From a row of CFI to a rule on x86_64, by the System V ABI: the return address lies below the CFA.

use super::expression::Shape;
use super::frame::{Frame, Saved, cfa_words, words};
use super::machine::Landmarks;
use parca_agent_common::unwind::rule::{Cfa, ReturnAddress, Rule, SavedFp};

/// `rbp`, by DWARF's number.
pub(super) const FP: u16 = 6;
/// `rsp`.
const SP: u16 = 7;
/// The column of the return address.
pub(super) const RETURN_ADDRESS: u16 = 16;

/// Registers that a rule can name as another base of the CFA, or as the place of the return address.
const GENERAL_REGISTERS: u16 = 16;

/// Where the ABI has the return address, from the CFA.
const RETURN_SLOT: i64 = -8;

/// The CFA before the first push and after the last pop.
const ONLY_RETURN_ADDRESS: Shape = Shape::Address { register: SP, offset: -RETURN_SLOT };

/// Code that is known by its bytes.
pub(super) const LANDMARKS: Landmarks = Landmarks {
    // mov $15, %rax; syscall
    signal_return: &[0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05],
    // xor %ebp, %ebp; pop %rdi; call *%r9; mov %eax, %edi; xor %eax, %eax; mov $60, %al; syscall
    thread_start: &[0x31, 0xed, 0x5f, 0x41, 0xff, 0xd1, 0x89, 0xc7, 0x31, 0xc0, 0xb0, 0x3c, 0x0f, 0x05],
    early: 1,
};

/// Of a rule: the frame pointer is at an offset from the CFA, the return address where the ABI has it.
const SAVED_AT_CFA: u8 = Rule::saved_byte(SavedFp::AtCfa, ReturnAddress::Default);

/// The rule for a row of CFI that has a caller; `None` if no rule can say it.
pub(super) fn rule(frame: &Frame) -> Option<Rule> {
    let (saved_fp, fp) = match frame.saved_fp(FP, SP)? {
        // Where gcc realigned the stack, it does not take back that FP was saved. When nothing but the return
        // address is left of the frame, FP is the caller's, and what it points to is no slot of this one.
        (SavedFp::AtFp, _) if frame.cfa == ONLY_RETURN_ADDRESS => (SavedFp::Same, 0),
        saved => saved,
    };
    let (return_address, register) = match frame.return_address {
        Saved::AtCfa(RETURN_SLOT) => (ReturnAddress::Default, 0),
        Saved::Register(register) if register < GENERAL_REGISTERS => (ReturnAddress::InRegister, register),
        _ => return None,
    };
    let near = |offset| Some((words(offset)?, 0));
    let (kind, (cfa, far), extra) = match frame.cfa {
        Shape::Address { register: SP, offset } => (Cfa::Sp, cfa_words(offset)?, 0),
        Shape::Address { register: FP, offset } => (Cfa::Fp, cfa_words(offset)?, 0),
        Shape::Address { register, offset } if register < GENERAL_REGISTERS => {
            (Cfa::Register, cfa_words(offset)?, register)
        }
        Shape::Loaded { register: SP, offset, addend } => {
            (Cfa::DerefSp, near(offset)?, words(addend)?.cast_unsigned())
        }
        Shape::Loaded { register: FP, offset, addend } => {
            (Cfa::DerefFp, near(offset)?, words(addend)?.cast_unsigned())
        }
        Shape::Plt { threshold } => (Cfa::Plt, (0, 0), u16::from(threshold)),
        Shape::Address { .. } | Shape::Loaded { .. } | Shape::Other => return None,
    };
    let extra = match return_address {
        ReturnAddress::InRegister if !matches!(kind, Cfa::Sp | Cfa::Fp) => return None,
        ReturnAddress::InRegister => register,
        ReturnAddress::Default | ReturnAddress::AtCfa => extra,
    };
    let saved = Rule::saved_byte(saved_fp, return_address) | far;
    let rule = Rule { kind: kind as u8, saved, cfa, fp, extra };
    // Go's tables and guesses have the same rule in another form, which holds for both architectures.
    let is_frame_pointer = (kind, saved, cfa, fp) == (Cfa::Fp, SAVED_AT_CFA, 2, -2);
    Some(if is_frame_pointer { Rule::FRAME_POINTER } else { rule })
}

#[cfg(test)]
mod tests {
    use super::{FP, RETURN_SLOT, SP, rule};
    use crate::unwind::expression::Shape;
    use crate::unwind::frame::{Frame, Saved};
    use parca_agent_common::unwind::rule::SavedFp;

    /// Where FP is, by a CFA and the slot that CFI has for it.
    fn saved_fp(register: u16, offset: i64, fp: Saved) -> SavedFp {
        let cfa = Shape::Address { register, offset };
        rule(&Frame { cfa, fp, return_address: Saved::AtCfa(RETURN_SLOT) }).unwrap().saved_fp()
    }

    #[test]
    fn the_return_of_a_realigned_frame_has_the_frame_pointer_of_its_caller() {
        let in_frame = Saved::At { register: FP, offset: 0 };
        for (register, offset, saved, expected) in [
            (SP, 8, in_frame, SavedFp::Same),
            (SP, 16, in_frame, SavedFp::AtFp),
            (10, 0, in_frame, SavedFp::AtFp),
            (SP, 8, Saved::AtCfa(-16), SavedFp::AtCfa),
        ] {
            assert_eq!(saved_fp(register, offset, saved), expected, "{register}{offset:+} {saved:?}");
        }
    }
}
