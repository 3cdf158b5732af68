//! From frame to frame, as the kernel goes, but with captured registers, memory and mappings.

use super::capture::{Capture, Frame, Stop};
use super::object_file::ObjectFile;
use parca_agent::unwind::machine::Machine;
use parca_agent_common::unwind::rule::{Cfa, Rule};
use parca_agent_common::unwind::{ReadMemory, StackEnd, aarch64, x86_64};
use std::collections::{BTreeMap, BTreeSet};

/// Most frames: more than any captured stack has.
const DEPTH: usize = 64;

/// By DWARF's numbers.
const GENERAL: [&str; x86_64::GENERAL_REGISTERS] = [
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];

/// A stack, unwound.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) frames: Vec<Frame>,
    pub(crate) end: StackEnd,
    /// Kinds of the rules that were applied.
    pub(crate) kinds: BTreeSet<Cfa>,
}

/// What was captured of the stack.
pub(crate) struct Memory<'stop> {
    words: &'stop BTreeMap<u64, u64>,
    /// From here on nothing can be read.
    end: u64,
}

impl<'stop> Memory<'stop> {
    pub(crate) fn of(stop: &'stop Stop) -> Self {
        Self { words: &stop.stack, end: u64::MAX }
    }

    /// The same, as if the stack's pages ended at an address.
    pub(crate) fn until(stop: &'stop Stop, end: u64) -> Self {
        Self { words: &stop.stack, end }
    }
}

impl ReadMemory for Memory<'_> {
    fn word(&mut self, address: u64) -> Option<u64> {
        self.words.get(&address).copied().filter(|_| address < self.end)
    }
}

enum Registers {
    X86_64(x86_64::Registers),
    Aarch64(aarch64::Registers),
}

impl Registers {
    fn of(stop: &Stop, machine: Machine) -> Self {
        let value = |name: &str| stop.registers[name];
        match machine {
            Machine::X86_64 => Self::X86_64(x86_64::Registers {
                pc: value("rip"),
                sp: value("rsp"),
                fp: value("rbp"),
                general: GENERAL.map(value),
                innermost: true,
                ..x86_64::Registers::default()
            }),
            Machine::Aarch64 => Self::Aarch64(aarch64::Registers {
                pc: value("pc"),
                sp: value("sp"),
                fp: value("x29"),
                lr: value("x30"),
                pac_mask: stop.registers.get("pac_mask").copied().unwrap_or_default(),
                innermost: true,
                ..aarch64::Registers::default()
            }),
        }
    }

    fn pc(&self) -> u64 {
        match self {
            Self::X86_64(registers) => registers.pc,
            Self::Aarch64(registers) => registers.pc,
        }
    }

    fn lookup_pc(&self) -> u64 {
        match self {
            Self::X86_64(registers) => registers.lookup_pc(),
            Self::Aarch64(registers) => registers.lookup_pc(),
        }
    }

    fn step(&mut self, rule: Rule, distance: u32, memory: &mut Memory<'_>) -> Result<(), StackEnd> {
        match self {
            Self::X86_64(registers) => registers.step(rule, distance, memory),
            Self::Aarch64(registers) => registers.step(rule, distance, memory),
        }
    }
}

/// The frames of a stop.
pub(crate) fn walk(
    capture: &Capture,
    files: &BTreeMap<String, ObjectFile>,
    stop: &Stop,
    mut memory: Memory<'_>,
) -> Walked {
    let mut registers = Registers::of(stop, capture.machine);
    let mut walked = Walked { frames: Vec::new(), end: StackEnd::DepthLimit, kinds: BTreeSet::new() };
    while walked.frames.len() < DEPTH {
        let lookup = registers.lookup_pc();
        let mapping = capture.mappings.iter().find(|mapping| (mapping.start..mapping.end).contains(&lookup));
        let file = mapping.and_then(|mapping| Some((mapping, files.get(mapping.file.as_ref()?)?)));
        let Some((mapping, file)) = file else {
            walked.frames.push(Frame { pc: registers.pc(), function: None });
            walked.end = StackEnd::NoMapping;
            break;
        };
        let offset = |address: u64| address - mapping.start + mapping.offset;
        let (rule, distance) = file.rule(offset(lookup));
        // What a handler returns to was not called.
        let place = if rule.cfa_kind() == Cfa::Signal { registers.pc() } else { lookup };
        let function = file.function(offset(place)).map(str::to_owned);
        walked.frames.push(Frame { pc: registers.pc(), function });
        walked.kinds.insert(rule.cfa_kind());
        let rule = if rule == Rule::UNCOVERED { Rule::FRAME_POINTER } else { rule };
        if let Err(end) = registers.step(rule, distance, &mut memory) {
            walked.end = end;
            break;
        }
    }
    walked
}
