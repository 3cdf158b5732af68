//! Tables of real files beside gimli's evaluator: at the borders of each row of CFI and inside it, both are asked
//! for the caller of the same frame, in the same memory.
//!
//! `UNWIND_FILES` may name more files, separated by colons.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use gimli::{
    BaseAddresses, CfaRule, EhFrame, Encoding, EndianSlice, EvaluationResult, Expression, Format,
    LittleEndian, Location, Register, RegisterRule, UnwindContext, UnwindSection, Value, Vendor,
};
use object::read::elf::ElfFile64;
use object::read::{Object, ObjectSection, ObjectSegment};
use object::{LittleEndian as ElfEndian, SegmentFlags};
use parca_agent::unwind::machine::Machine;
use parca_agent::unwind::{Limits, Table, build};
use parca_agent_common::unwind::rule::{Cfa, PAGE_SHIFT, Row, Rule, RuleId};
use parca_agent_common::unwind::{ReadMemory, StackEnd, aarch64, x86_64};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Where both may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// CFI says that the frame pointer is in a slot that was popped. It is below SP, and the table takes the
    /// register, which has it.
    Popped,
    /// The same where the stack was realigned, and the slot is said to be where the frame pointer points to.
    PoppedOfRealigned,
    /// No rule says what CFI says.
    Unsupported,
    /// CFI puts the CFA where no caller can be: not above SP, or between two words.
    NoCallerThere,
    /// CFI wants a register of a frame that is not the innermost, which nobody has.
    NotKept,
    /// The frame pointer has no value, says CFI; the table leaves it.
    UndefinedFp,
    /// A signal handler returns here. The table begins one byte early, and takes the registers of the signal
    /// frame whatever CFI says.
    Signal,
    /// A later FDE describes the address, too.
    Overlap,
}

/// What a frame's caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Frame { pc: u64, sp: u64, fp: u64 },
    None,
}

const SP: u64 = 0x7ffc_0001_0000;

/// Every word of it is a different address above the frame, and a multiple of 8.
struct Memory;

impl ReadMemory for Memory {
    fn word(&mut self, address: u64) -> Option<u64> {
        let mixed = (address ^ 0x5bd1_e995_9d1b_54a5).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
        Some(SP + 0x10_0000 + mixed * 8)
    }
}

/// A register's value, by DWARF's number.
fn register(machine: Machine, number: u16, pc: u64) -> u64 {
    match (machine, number) {
        (Machine::X86_64, 7) | (Machine::Aarch64, 31) => SP,
        (Machine::X86_64, 6) | (Machine::Aarch64, 29) => SP + 0x4000,
        (Machine::X86_64, 16) => pc,
        _ => SP + 0x8000 + u64::from(number) * 0x100,
    }
}

/// Numbers of SP, FP and return address.
fn numbers(machine: Machine) -> (u16, u16, u16) {
    match machine {
        Machine::X86_64 => (7, 6, 16),
        Machine::Aarch64 => (31, 29, 30),
    }
}

/// One file.
struct File<'a> {
    machine: Machine,
    table: Table,
    /// Address, offset and size of executable segments.
    code: Vec<(u64, u64, u64)>,
    bases: BaseAddresses,
    section: EhFrame<Slice<'a>>,
}

impl<'a> File<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let elf = ElfFile64::<ElfEndian>::parse(bytes).ok()?;
        let machine = match elf.architecture() {
            object::Architecture::X86_64 => Machine::X86_64,
            object::Architecture::Aarch64 => Machine::Aarch64,
            _ => return None,
        };
        let code = elf.segments().filter(
            |segment| matches!(segment.flags(), SegmentFlags::Elf { p_flags, .. } if p_flags.0 & 1 != 0),
        );
        let code = code.map(|segment| {
            let (offset, size) = segment.file_range();
            (segment.address(), offset, size)
        });
        let section = elf.section_by_name(".eh_frame")?;
        let mut bases = BaseAddresses::default().set_eh_frame(section.address());
        if let Some(text) = elf.section_by_name(".text") {
            bases = bases.set_text(text.address());
        }
        let mut frames = EhFrame::new(section.data().ok()?, LittleEndian);
        if machine == Machine::Aarch64 {
            frames.set_vendor(Vendor::AArch64);
        }
        let table = build(bytes, &Limits::default()).ok()?;
        Some(Self { machine, table, code: code.collect(), bases, section: frames })
    }

    fn offset(&self, address: u64) -> Option<u64> {
        let (start, offset, _) =
            self.code.iter().find(|(start, _, size)| (*start..start + size).contains(&address))?;
        Some(address - start + offset)
    }

    /// The rule in force, found as the kernel finds it, and the distance from the start of its row.
    fn rule(&self, offset: u64) -> (Rule, u32) {
        let number = u32::try_from(offset >> PAGE_SHIFT).unwrap();
        let Ok(page) = self.table.pages.binary_search_by_key(&number, |page| page.number) else {
            return (Rule::UNCOVERED, 0);
        };
        let rows = &self.table.pages[page].rows;
        let low = (offset & 0xffff) as u16;
        let index = rows.partition_point(|row| *row <= Row::new(low, RuleId(u16::MAX))) - 1;
        let row = rows[index];
        (self.table.rules[usize::from(row.rule().0)], u32::from(low - row.low()))
    }

    /// The caller, by the agent's own step.
    fn step(&self, rule: Rule, distance: u32, pc: u64) -> Result<Caller, StackEnd> {
        let (sp, fp, link) = numbers(self.machine);
        let value = |number| register(self.machine, number, pc);
        let end = match self.machine {
            Machine::X86_64 => {
                let mut registers =
                    x86_64::Registers { pc, sp: value(sp), fp: value(fp), ..Default::default() };
                registers.innermost = true;
                (0..16).zip(&mut registers.general).for_each(|(number, general)| *general = value(number));
                let end = registers.step(rule, distance, &mut Memory);
                end.map(|()| Caller::Frame { pc: registers.pc, sp: registers.sp, fp: registers.fp })
            }
            Machine::Aarch64 => {
                let (sp, fp, lr) = (value(sp), value(fp), value(link));
                let mut registers =
                    aarch64::Registers { pc, sp, fp, lr, innermost: true, ..Default::default() };
                let end = registers.step(rule, distance, &mut Memory);
                end.map(|()| Caller::Frame { pc: registers.pc, sp: registers.sp, fp: registers.fp })
            }
        };
        match end {
            Err(StackEnd::Complete) => Ok(Caller::None),
            other => other,
        }
    }

    fn evaluate(&self, expression: Expression<Slice<'a>>, pc: u64, initial: Option<u64>) -> Option<u64> {
        let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 4 };
        let mut evaluation = expression.evaluation(encoding);
        if let Some(initial) = initial {
            evaluation.set_initial_value(initial);
        }
        let mut result = evaluation.evaluate().ok()?;
        loop {
            result = match result {
                EvaluationResult::Complete => break,
                EvaluationResult::RequiresRegister { register: Register(number), .. } => {
                    let value = register(self.machine, number, pc);
                    evaluation.resume_with_register(Value::Generic(value)).ok()?
                }
                EvaluationResult::RequiresMemory { address, .. } => {
                    let value = Memory.word(address).unwrap();
                    evaluation.resume_with_memory(Value::Generic(value)).ok()?
                }
                other => panic!("{other:?}"),
            };
        }
        match evaluation.result().first()?.location {
            Location::Address { address } => Some(address),
            _ => None,
        }
    }

    /// The caller, as CFI says; and where CFI has saved the frame pointer.
    fn reference(
        &self,
        row: &gimli::UnwindTableRow<usize>,
        pc: u64,
    ) -> Option<(Caller, Option<RegisterRule<usize>>, u64)> {
        let (_, fp, return_address) = numbers(self.machine);
        let value = |number| register(self.machine, number, pc);
        let cfa = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => value(register.0).wrapping_add_signed(*offset),
            CfaRule::Expression(expression) => {
                self.evaluate(expression.get(&self.section).ok()?, pc, None)?
            }
        };
        let find = |number: u16| {
            Some(match row.register(Register(number)) {
                None | Some(RegisterRule::SameValue) => value(number),
                Some(RegisterRule::Offset(offset)) => Memory.word(cfa.wrapping_add_signed(offset))?,
                Some(RegisterRule::ValOffset(offset)) => cfa.wrapping_add_signed(offset),
                Some(RegisterRule::Register(other)) => value(other.0),
                Some(RegisterRule::Expression(expression)) => {
                    Memory.word(self.evaluate(expression.get(&self.section).ok()?, pc, Some(cfa))?)?
                }
                Some(RegisterRule::ValExpression(expression)) => {
                    self.evaluate(expression.get(&self.section).ok()?, pc, Some(cfa))?
                }
                _ => value(number),
            })
        };
        if row.register(Register(return_address)) == Some(RegisterRule::Undefined) {
            return Some((Caller::None, None, cfa));
        }
        let caller = Caller::Frame { pc: find(return_address)?, sp: cfa, fp: find(fp)? };
        Some((caller, row.register(Register(fp)), cfa))
    }

    /// What stands between the two answers.
    fn compare(
        &self,
        row: &gimli::UnwindTableRow<usize>,
        pc: u64,
        overlapped: bool,
    ) -> Result<Option<Difference>, String> {
        let Some(offset) = self.offset(pc) else { return Ok(None) };
        let (rule, distance) = self.rule(offset);
        let found = self.step(rule, distance, pc);
        let reference = self.reference(row, pc);
        if let (Ok(found), Some((expected, ..))) = (found, reference.clone())
            && found == expected
        {
            return Ok(None);
        }
        let message = || format!("{pc:#x}: {rule:?} at {distance} gives {found:x?}, CFI {reference:x?}");
        let kind = rule.cfa_kind();
        if kind == Cfa::Signal {
            return Ok(Some(Difference::Signal));
        }
        if overlapped {
            return Ok(Some(Difference::Overlap));
        }
        if kind == Cfa::Unsupported {
            return Ok(Some(Difference::Unsupported));
        }
        let Some((expected, saved, cfa)) = reference.clone() else { return Err(message()) };
        match (found, expected) {
            (Err(StackEnd::NotAscending), _) if cfa <= SP || cfa % 8 != 0 => {
                Ok(Some(Difference::NoCallerThere))
            }
            (Err(StackEnd::RegisterLost), _) => Ok(Some(Difference::NotKept)),
            (
                Ok(Caller::Frame { pc: found_pc, sp, fp }),
                Caller::Frame { pc: wanted_pc, sp: wanted_sp, .. },
            ) if (found_pc, sp) == (wanted_pc, wanted_sp) => {
                let kept = fp == register(self.machine, numbers(self.machine).1, pc);
                match saved {
                    Some(RegisterRule::Undefined) if kept => Ok(Some(Difference::UndefinedFp)),
                    Some(RegisterRule::Offset(offset))
                        if kept && kind == Cfa::Sp && cfa.wrapping_add_signed(offset) < SP =>
                    {
                        Ok(Some(Difference::Popped))
                    }
                    Some(RegisterRule::Expression(_)) if kept && kind == Cfa::Sp && cfa == SP + 8 => {
                        Ok(Some(Difference::PoppedOfRealigned))
                    }
                    _ => Err(message()),
                }
            }
            _ => Err(message()),
        }
    }
}

/// How often the answers were the same, and where not, how they differ.
#[derive(Debug, Default)]
struct Outcome {
    same: u64,
    differences: BTreeMap<Difference, u64>,
}

/// Every row of every FDE.
fn check(path: &Path) -> Option<Outcome> {
    let bytes = fs::read(path).ok()?;
    let file = File::new(&bytes)?;
    let mut context = UnwindContext::new();
    let mut outcome = Outcome::default();
    let mut functions = Vec::new();
    let mut entries = file.section.entries(&file.bases);
    while let Ok(Some(entry)) = entries.next() {
        let gimli::CieOrFde::Fde(partial) = entry else { continue };
        functions.extend(partial.parse(EhFrame::cie_from_offset));
    }
    let mut starts: Vec<_> =
        functions.iter().filter(|fde| fde.len() > 0).map(|fde| fde.initial_address()).collect();
    starts.sort_unstable();
    for fde in &functions {
        // Twice the same start, or one inside: the later one is in force from there on.
        let first = starts.partition_point(|start| *start < fde.initial_address());
        let next = starts.get(first + 1).copied().unwrap_or(u64::MAX);
        let mut rows = fde.rows(&file.section, &file.bases, &mut context).unwrap();
        while let Ok(Some(row)) = rows.next_row() {
            let (start, end) = (row.start_address(), row.end_address().min(fde.end_address()));
            if start >= end {
                continue;
            }
            let step = if file.machine == Machine::X86_64 { 1 } else { 4 };
            let mut probes = vec![start, start + (end - start) / 2 / step * step, end - step];
            probes.dedup();
            for pc in probes {
                match file.compare(row, pc, pc >= next) {
                    Ok(None) => outcome.same += 1,
                    Ok(Some(difference)) => *outcome.differences.entry(difference).or_default() += 1,
                    Err(message) => panic!("{path:?}: {message}"),
                }
            }
        }
    }
    starts.dedup();
    check_gaps(&file, &functions, path);
    Some(outcome)
}

/// Code that no FDE describes has no rule, but for what is known by its bytes.
fn check_gaps(file: &File<'_>, functions: &[gimli::FrameDescriptionEntry<Slice<'_>>], path: &Path) {
    if file.table.source != parca_agent::unwind::Source::EhFrame {
        return;
    }
    let mut ranges: Vec<_> = functions.iter().map(|fde| (fde.initial_address(), fde.end_address())).collect();
    ranges.sort_unstable();
    let mut end = 0;
    for (start, next) in ranges {
        if start.saturating_sub(end) > 15 && end > 0 {
            // Up to 15 bytes may be padding of the function before.
            for pc in [end + 15, start - 2] {
                let Some(offset) = file.offset(pc) else { continue };
                let (rule, _) = file.rule(offset);
                let kinds = [Cfa::Uncovered, Cfa::Outermost, Cfa::Signal];
                assert!(kinds.contains(&rule.cfa_kind()), "{path:?} {pc:#x}: {rule:?} in a gap");
            }
        }
        end = end.max(next);
    }
}

/// What a host may have: C, C++, Rust, JavaScript's and Java's runtimes, static and dynamic, other compilers.
fn files() -> Vec<PathBuf> {
    let named = [
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib/x86_64-linux-gnu/libcrypto.so.3",
        "/lib/x86_64-linux-gnu/libm.so.6",
        "/lib64/ld-linux-x86-64.so.2",
        "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
        "/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0",
        "/lib/aarch64-linux-gnu/libc.so.6",
        "/lib/ld-linux-aarch64.so.1",
        "/usr/aarch64-linux-gnu/lib/libc.so.6",
        "/usr/bin/bash",
        "/usr/bin/git",
        "/usr/bin/perl",
        "/usr/bin/busybox",
        "/usr/sbin/ldconfig",
    ];
    let mut files: Vec<_> = named.iter().map(PathBuf::from).collect();
    files.push(std::env::current_exe().unwrap());
    if let Some(more) = std::env::var_os("UNWIND_FILES") {
        files.extend(std::env::split_paths(&more));
    }
    files.retain(|path| path.is_file());
    files
}

#[test]
fn every_row_gives_the_caller_that_cfi_gives() {
    let mut total = Outcome::default();
    let mut seen = 0;
    for path in files() {
        let Some(outcome) = check(&path) else { continue };
        println!("{}: {} same, {:?}", path.display(), outcome.same, outcome.differences);
        assert!(outcome.same > 0, "{path:?}: {outcome:?}");
        seen += 1;
        total.same += outcome.same;
        for (difference, count) in outcome.differences {
            *total.differences.entry(difference).or_default() += count;
        }
    }
    assert!(seen >= 3, "only {seen} files");
    let count = |difference| total.differences.get(&difference).copied().unwrap_or_default();
    assert!(count(Difference::Popped) > 0, "no ramp was met: {total:?}");
    let few = total.same / 1000;
    for difference in [
        Difference::PoppedOfRealigned,
        Difference::Unsupported,
        Difference::NoCallerThere,
        Difference::NotKept,
        Difference::UndefinedFp,
        Difference::Signal,
        Difference::Overlap,
    ] {
        assert!(count(difference) <= few, "{difference:?} is not rare: {total:?}");
    }
}
