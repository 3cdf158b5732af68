use super::{Registers, SIGNAL_RBP, SIGNAL_RIP, SIGNAL_RSP};
use crate::unwind::StackEnd;
use crate::unwind::rule::{Cfa, RAMP_DOWN, ReturnAddress, Rule, SavedFp};
use crate::unwind::tests::Stack;

const SP: u64 = 0x7fff_0000;

fn frame() -> Registers {
    Registers { pc: 0x1005, sp: SP, fp: SP + 16, innermost: true, ..Registers::default() }
}

fn sp_rule(words: i16, fp: Option<i16>) -> Rule {
    let saved = if fp.is_some() { SavedFp::AtCfa } else { SavedFp::Same };
    Rule {
        kind: Cfa::Sp as u8,
        saved: Rule::saved_byte(saved, ReturnAddress::Default),
        cfa: words,
        fp: fp.unwrap_or_default(),
        extra: 0,
    }
}

/// The caller's pc, SP and FP.
fn step(registers: Registers, rule: Rule, distance: u32, stack: &[u64]) -> Result<(u64, u64, u64), StackEnd> {
    let mut registers = registers;
    registers.step(rule, distance, &mut Stack(SP, stack.to_vec()))?;
    Ok((registers.pc, registers.sp, registers.fp))
}

#[test]
fn the_caller_is_found_from_sp() {
    let stack = [7, 0xf0, 0x2000];
    assert_eq!(step(frame(), sp_rule(3, None), 0, &stack), Ok((0x2000, SP + 24, SP + 16)));
    assert_eq!(step(frame(), sp_rule(3, Some(-2)), 0, &stack), Ok((0x2000, SP + 24, 0xf0)));
}

#[test]
fn a_frame_pointer_saved_along_a_ramp_is_read_only_where_it_was_pushed() {
    // push rbx (1 byte); push rbp (1); push r12 (2).
    let rule = Rule { extra: 0b1011, ..sp_rule(1, Some(-3)) };
    assert_eq!(step(frame(), rule, 0, &[0x2000]), Ok((0x2000, SP + 8, SP + 16)));
    assert_eq!(step(frame(), rule, 1, &[1, 0x2000]), Ok((0x2000, SP + 16, SP + 16)));
    assert_eq!(step(frame(), rule, 2, &[0xfb, 1, 0x2000]), Ok((0x2000, SP + 24, 0xfb)));
    assert_eq!(step(frame(), rule, 9, &[2, 0xfb, 1, 0x2000]), Ok((0x2000, SP + 32, 0xfb)));
    // pop r12; pop rbp; pop rbx: what is below SP may be overwritten, and the register holds it already.
    let pops = Rule { saved: rule.saved | RAMP_DOWN, cfa: 4, extra: 0b111, ..rule };
    assert_eq!(step(frame(), pops, 1, &[0xfb, 1, 0x2000]), Ok((0x2000, SP + 24, 0xfb)));
    assert_eq!(step(frame(), pops, 2, &[1, 0x2000]), Ok((0x2000, SP + 16, SP + 16)));
}

#[test]
fn a_chain_of_frame_pointers_ends_with_zero() {
    let stack = [0, 0, SP + 40, 0x2000, 0, 0, 0x3000];
    assert_eq!(step(frame(), Rule::FRAME_POINTER, 0, &stack), Ok((0x2000, SP + 32, SP + 40)));
    let end = Registers { fp: 0, ..frame() };
    assert_eq!(step(end, Rule::FRAME_POINTER, 0, &stack), Err(StackEnd::ChainEnd));
    let below = Registers { fp: SP - 64, ..frame() };
    assert_eq!(step(below, Rule::FRAME_POINTER, 0, &stack), Err(StackEnd::NotAscending));
}

#[test]
fn only_code_that_changes_stacks_may_go_down() {
    let stack = [1, 2, 0xfb, 0x2000];
    let on_another = Registers { sp: SP + 1024, fp: SP + 16, ..frame() };
    assert_eq!(step(on_another, Rule::FRAME_POINTER, 0, &stack), Err(StackEnd::NotAscending));
    let rule = Rule::FRAME_POINTER.on_other_stack();
    assert_eq!(step(on_another, rule, 0, &stack), Ok((0x2000, SP + 32, 0xfb)));
    let odd = Registers { fp: SP + 17, ..on_another };
    assert_eq!(step(odd, rule, 0, &stack), Err(StackEnd::NotAscending));
}

#[test]
fn stubs_of_the_linkage_table_push_in_their_second_half() {
    let rule = Rule { kind: Cfa::Plt as u8, extra: 11, ..Rule::UNSUPPORTED };
    for (pc, expected) in [(0x1000, 0xa), (0x100a, 0xa), (0x100b, 0xb), (0x100f, 0xb)] {
        let registers = Registers { pc, ..frame() };
        assert_eq!(step(registers, rule, 0, &[0xa, 0xb]).unwrap().0, expected, "{pc:#x}");
    }
}

#[test]
fn a_realigned_stack_holds_its_cfa() {
    // As gcc does it: lea 8(%rsp),%r10; and $-32,%rsp; push -8(%r10); push %rbp; mov %rsp,%rbp; push %r10.
    let rule = Rule {
        kind: Cfa::DerefFp as u8,
        saved: Rule::saved_byte(SavedFp::AtFp, ReturnAddress::Default),
        cfa: -1,
        fp: 0,
        extra: 0,
    };
    let stack = [0, SP + 48, 0xfb, 9, 9, 0x2000];
    assert_eq!(step(frame(), rule, 0, &stack), Ok((0x2000, SP + 48, 0xfb)));
}

#[test]
fn general_registers_are_known_in_the_innermost_frame_only() {
    let mut registers = frame();
    registers.general[10] = SP + 16;
    let rule = Rule { kind: Cfa::Register as u8, extra: 10, ..Rule::UNSUPPORTED };
    assert_eq!(step(registers, rule, 0, &[0, 0x2000]), Ok((0x2000, SP + 16, SP + 16)));
    registers.innermost = false;
    assert_eq!(step(registers, rule, 0, &[0, 0x2000]), Err(StackEnd::RegisterLost));
}

#[test]
fn a_return_address_in_a_register_leaves_nothing_on_the_stack() {
    // glibc's vfork pops it, for the child will overwrite the stack.
    let saved = Rule::saved_byte(SavedFp::Same, ReturnAddress::InRegister);
    let rule = Rule { kind: Cfa::Sp as u8, saved, cfa: 0, fp: 0, extra: 5 };
    let mut registers = frame();
    registers.general[5] = 0x2000;
    assert_eq!(step(registers, rule, 0, &[]), Ok((0x2000, SP, SP + 16)));
}

#[test]
fn a_signal_frame_gives_back_what_was_interrupted() {
    let mut stack = vec![0; 30];
    for (at, value) in [(SIGNAL_RBP, 0xfb), (SIGNAL_RSP, SP - 4096), (SIGNAL_RIP, 0x4000)] {
        stack[at as usize / 8] = value;
    }
    let mut registers = Registers { is_return: true, ..frame() };
    registers.step(Rule::SIGNAL, 0, &mut Stack(SP, stack)).unwrap();
    assert_eq!((registers.pc, registers.sp, registers.fp), (0x4000, SP - 4096, 0xfb));
    assert_eq!(registers.lookup_pc(), 0x4000, "the interrupted instruction itself");
}

#[test]
fn a_stack_ends_with_a_reason() {
    for (rule, stack, end) in [
        (Rule::OUTERMOST, &[][..], StackEnd::Complete),
        (Rule::UNSUPPORTED, &[], StackEnd::UnsupportedRule),
        (sp_rule(1, None), &[], StackEnd::UnreadableStack),
        (sp_rule(1, None), &[0], StackEnd::ChainEnd),
        (sp_rule(0, None), &[1], StackEnd::NotAscending),
        (sp_rule(-3, None), &[1], StackEnd::NotAscending),
    ] {
        assert_eq!(step(frame(), rule, 0, stack), Err(end), "{rule:?}");
    }
}

#[test]
fn hostile_numbers_wrap_and_do_not_panic() {
    let extremes = [0, 1, u64::MAX, u64::MAX - 7, 1 << 63];
    for kind in 0..=10 {
        for saved in 0..=u8::MAX {
            for at in extremes {
                let rule = Rule { kind, saved, cfa: i16::MIN, fp: i16::MAX, extra: u16::MAX };
                let mut registers = Registers { sp: at, fp: at, ..frame() };
                let _ = registers.step(rule, u32::MAX, &mut Stack(0, vec![u64::MAX; 8]));
            }
        }
    }
}
