use super::{Registers, SIGNAL_FP, SIGNAL_LR, SIGNAL_PC, SIGNAL_SP};
use crate::unwind::StackEnd;
use crate::unwind::rule::{Cfa, ReturnAddress, Rule, SavedFp};
use crate::unwind::tests::Stack;

const SP: u64 = 0x7fff_0000;

fn frame() -> Registers {
    Registers { pc: 0x1004, sp: SP, fp: SP + 16, lr: 0x5000, innermost: true, ..Registers::default() }
}

/// CFA = SP + 8·words, the pair of FP and LR at its bottom.
fn pair(words: i16) -> Rule {
    Rule {
        kind: Cfa::Sp as u8,
        saved: Rule::saved_byte(SavedFp::AtCfa, ReturnAddress::AtCfa),
        cfa: words,
        fp: -words,
        extra: (1 - words) as u16,
    }
}

#[test]
fn a_leaf_returns_by_its_register_once() {
    let rule = Rule { kind: Cfa::Sp as u8, saved: 0, cfa: 0, fp: 0, extra: 0 };
    let mut registers = frame();
    registers.step(rule, 0, &mut Stack(SP, vec![])).unwrap();
    assert_eq!((registers.pc, registers.sp, registers.lookup_pc()), (0x5000, SP, 0x4ffc));
    assert_eq!(registers.step(rule, 0, &mut Stack(SP, vec![])), Err(StackEnd::RegisterLost));
}

#[test]
fn the_pair_of_frame_pointer_and_return_address_is_found() {
    let mut registers = frame();
    registers.step(pair(4), 0, &mut Stack(SP, vec![0xfb, 0x2000, 0, 0])).unwrap();
    assert_eq!((registers.pc, registers.sp, registers.fp), (0x2000, SP + 32, 0xfb));
    let mut by_fp = frame();
    by_fp.step(Rule::FRAME_POINTER, 0, &mut Stack(SP, vec![0, 0, 0xfc, 0x3000])).unwrap();
    assert_eq!((by_fp.pc, by_fp.sp, by_fp.fp), (0x3000, SP + 32, 0xfc));
}

#[test]
fn authentication_bits_are_no_part_of_an_address() {
    let mut registers = Registers { pac_mask: 0xff7f_0000_0000_0000, ..frame() };
    registers.step(pair(2), 0, &mut Stack(SP, vec![0xfb, 0x3a55_0000_0000_2000])).unwrap();
    assert_eq!(registers.pc, 0x2000);
}

#[test]
fn a_signal_frame_gives_back_the_return_register_too() {
    let mut stack = vec![0; 80];
    for (at, value) in [(SIGNAL_FP, 1), (SIGNAL_LR, 0x6000), (SIGNAL_SP, SP - 4096), (SIGNAL_PC, 0x4000)] {
        stack[at as usize / 8] = value;
    }
    let mut registers = Registers { is_return: true, innermost: false, ..frame() };
    registers.step(Rule::SIGNAL, 0, &mut Stack(SP, stack)).unwrap();
    assert_eq!((registers.pc, registers.sp, registers.fp, registers.lr), (0x4000, SP - 4096, 1, 0x6000));
    assert!(registers.innermost && registers.lookup_pc() == 0x4000);
}

#[test]
fn a_stack_ends_with_a_reason() {
    let leaf = Rule { kind: Cfa::Sp as u8, saved: 0, cfa: 0, fp: 0, extra: 0 };
    for (rule, registers, end) in [
        (Rule::OUTERMOST, frame(), StackEnd::Complete),
        (Rule::UNSUPPORTED, frame(), StackEnd::UnsupportedRule),
        (Rule::FRAME_POINTER, Registers { fp: 0, ..frame() }, StackEnd::ChainEnd),
        (leaf, Registers { lr: 0, ..frame() }, StackEnd::ChainEnd),
        (pair(0), frame(), StackEnd::NotAscending),
        (pair(2), frame(), StackEnd::UnreadableStack),
    ] {
        let mut registers = registers;
        assert_eq!(registers.step(rule, 0, &mut Stack(SP, vec![])), Err(end), "{rule:?}");
    }
}
