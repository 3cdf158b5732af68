//! The text of a capture, as README.md describes it.

use parca_agent::unwind::machine::Machine;
use parca_agent_common::unwind::StackEnd;
use std::collections::BTreeMap;

/// Stacks of one program.
pub(crate) struct Capture {
    pub(crate) machine: Machine,
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) stops: Vec<Stop>,
}

/// Code in memory.
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Of its start in the file.
    pub(crate) offset: u64,
    /// The file, if it is among the captures.
    pub(crate) file: Option<String>,
}

/// One stack, and what gdb makes of it.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    /// Where in the text it begins, counted from 1.
    pub(crate) line: usize,
    pub(crate) registers: BTreeMap<String, u64>,
    /// Words by their addresses.
    pub(crate) stack: BTreeMap<u64, u64>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) end: Option<StackEnd>,
}

/// One function that has not returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Where it was interrupted, or goes on behind a call.
    pub(crate) pc: u64,
    /// Its name, if its file says it.
    pub(crate) function: Option<String>,
}

impl Capture {
    pub(crate) fn parse(text: &str) -> Self {
        let mut capture = Self { machine: Machine::X86_64, mappings: Vec::new(), stops: Vec::new() };
        for (number, line) in (1..).zip(text.lines()) {
            let fields: Vec<_> = line.split(' ').collect();
            match fields[..] {
                [""] => {}
                ["machine", name] => capture.machine = machine(name),
                ["mapping", start, end, offset, file] => capture.mappings.push(Mapping {
                    start: hex(start),
                    end: hex(end),
                    offset: hex(offset),
                    file: (file != "-").then(|| file.to_owned()),
                }),
                ["stop"] => {
                    // What it does not say is as it was.
                    let last = capture.stops.last().cloned().unwrap_or_default();
                    capture.stops.push(Stop { line: number, frames: Vec::new(), end: None, ..last });
                }
                _ => capture.stops.last_mut().unwrap().read(&fields),
            }
        }
        capture
    }
}

impl Stop {
    fn read(&mut self, fields: &[&str]) {
        match *fields {
            ["register", name, value] => {
                self.registers.insert(name.to_owned(), hex(value));
            }
            ["stack", address, bytes] => {
                let words = bytes.as_bytes().chunks_exact(16);
                for (address, word) in (hex(address)..).step_by(8).zip(words) {
                    let word = u64::from_str_radix(str::from_utf8(word).unwrap(), 16).unwrap();
                    self.stack.insert(address, word.swap_bytes());
                }
            }
            ["frame", pc, function] => {
                // The stubs of the linkage table have names in gdb only.
                let is_named = function != "?" && !function.ends_with("@plt");
                self.frames.push(Frame { pc: hex(pc), function: is_named.then(|| function.to_owned()) });
            }
            ["end", name] => {
                self.end = Some(StackEnd::ALL.into_iter().find(|end| end.name() == name).unwrap());
            }
            _ => panic!("no line of a capture: {fields:?}"),
        }
    }
}

fn machine(name: &str) -> Machine {
    match name {
        "x86_64" => Machine::X86_64,
        "aarch64" => Machine::Aarch64,
        _ => panic!("unknown machine {name}"),
    }
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}
