//! The ways through a program, as `check_cfg` of the kernel's verifier goes them: from the first
//! instruction, every way to its end.

use crate::instruction::{Instruction, LOAD_CONSTANT};
use crate::release::{Fault, Release};

/// Bounded loops came with 5.3; before, a way back to where it came from ended the check. They stay
/// forbidden on every floor: programs in interrupts have no use for them.
const LOOPS: Release = Release(5, 3);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unseen,
    /// On the way that is being gone.
    Entered,
    /// All ways from here have been gone.
    Left,
}

/// Every fault in the flow of a program, with the instruction where it lies.
pub(crate) fn faults(program: &[Instruction]) -> Vec<(usize, Fault)> {
    let mut faults = Vec::new();
    let mut states = vec![State::Unseen; program.len()];
    // Instructions on the current way, each with the successors not yet gone.
    let mut way: Vec<(usize, Vec<i64>)> = Vec::new();
    let mut next = Some((0, 0));
    loop {
        match next.take() {
            Some((from, to)) => match usize::try_from(to).ok().filter(|to| *to < program.len()) {
                None => faults.push((from, Fault::Refused(format!("leads to {to}, outside the program")))),
                Some(to) if is_second_half(program, to) => {
                    faults.push((from, Fault::Refused(format!("leads into the constant before {to}"))));
                }
                Some(to) => match states[to] {
                    State::Unseen => {
                        states[to] = State::Entered;
                        way.push((to, successors(program, to)));
                    }
                    State::Entered => {
                        let what = format!("a loop, back to instruction {to},");
                        faults.push((from, Fault::Newer { what, since: LOOPS }));
                    }
                    State::Left => (),
                },
            },
            None => match way.last_mut() {
                None => break,
                Some((from, rest)) => match rest.pop() {
                    Some(to) => next = Some((*from, to)),
                    None => {
                        states[*from] = State::Left;
                        way.pop();
                    }
                },
            },
        }
    }
    let unseen = (0..program.len())
        .filter(|index| states[*index] == State::Unseen && !is_second_half(program, *index))
        .map(|index| (index, Fault::Refused("is never reached, which no kernel takes".to_owned())));
    faults.extend(unseen);
    faults
}

fn successors(program: &[Instruction], index: usize) -> Vec<i64> {
    let instruction = program[index];
    let length = if instruction.opcode == LOAD_CONSTANT { 2 } else { 1 };
    let behind = (!instruction.ends_flow()).then_some(index as i64 + length);
    let target = instruction.jump().map(|distance| index as i64 + 1 + distance);
    behind.into_iter().chain(target).collect()
}

fn is_second_half(program: &[Instruction], index: usize) -> bool {
    // Opcode 0 is no instruction, so the slot before is a constant's first half and never a second one.
    let before = index.checked_sub(1).and_then(|before| program.get(before));
    program[index].opcode == 0 && before.is_some_and(|before| before.opcode == LOAD_CONSTANT)
}
