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

/// A program on the way through.
struct Walk<'program> {
    program: &'program [Instruction],
    states: Vec<State>,
    /// Instructions on all ways from each instruction to an end together.
    work: Vec<u64>,
    faults: Vec<(usize, Fault)>,
    /// Instructions on the current way, each with the successors not yet gone.
    way: Vec<(usize, Vec<i64>)>,
}

/// What a walk found.
pub(crate) struct Flow {
    /// Every fault, with the instruction where it lies.
    pub(crate) faults: Vec<(usize, Fault)>,
    /// Instructions on all ways together: most that the verifier looks at, for it leaves out a way only
    /// if it has been in the same state before. Means nothing where there are faults.
    pub(crate) work: u64,
}

/// Goes every way through a program.
pub(crate) fn walk(program: &[Instruction]) -> Flow {
    let mut walk = Walk {
        program,
        states: vec![State::Unseen; program.len()],
        work: vec![0; program.len()],
        faults: Vec::new(),
        way: Vec::new(),
    };
    walk.go(0, 0);
    while let Some((from, rest)) = walk.way.last_mut() {
        let from = *from;
        match rest.pop() {
            Some(to) => walk.go(from, to),
            None => walk.leave(from),
        }
    }
    let unseen = (0..program.len())
        .filter(|index| walk.states[*index] == State::Unseen && !is_second_half(program, *index))
        .map(|index| (index, Fault::Refused("is never reached, which no kernel takes".to_owned())));
    walk.faults.extend(unseen);
    Flow { faults: walk.faults, work: walk.work.first().copied().unwrap_or_default() }
}

impl Walk<'_> {
    fn go(&mut self, from: usize, to: i64) {
        let Some(to) = usize::try_from(to).ok().filter(|to| *to < self.program.len()) else {
            return self.refuse(from, format!("leads to {to}, outside the program"));
        };
        if is_second_half(self.program, to) {
            return self.refuse(from, format!("leads into the constant before {to}"));
        }
        match self.states[to] {
            State::Unseen => {
                self.states[to] = State::Entered;
                self.way.push((to, successors(self.program, to)));
            }
            State::Entered => {
                let what = format!("a loop, back to instruction {to},");
                self.faults.push((from, Fault::Newer { what, since: LOOPS }));
            }
            State::Left => (),
        }
    }

    fn leave(&mut self, from: usize) {
        self.states[from] = State::Left;
        self.way.pop();
        let rest = successors(self.program, from).into_iter().filter_map(|to| usize::try_from(to).ok());
        let rest =
            rest.filter_map(|to| self.work.get(to)).fold(0, |sum: u64, work| sum.saturating_add(*work));
        self.work[from] = rest.saturating_add(1);
    }

    fn refuse(&mut self, from: usize, what: String) {
        self.faults.push((from, Fault::Refused(what)));
    }
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
