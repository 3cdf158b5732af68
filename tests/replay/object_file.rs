//! The files of the captured programs: how to unwind them, and their functions.

use object::LittleEndian;
use object::read::elf::ElfFile64;
use object::read::{Object, ObjectSegment, ObjectSymbol};
use parca_agent::unwind::{Limits, NoTable, Table, build};
use parca_agent_common::unwind::rule::{PAGE_SHIFT, Row, Rule, RuleId};
use std::fs;
use std::path::Path;

pub(crate) struct ObjectFile {
    /// None of a file that says nothing of its code.
    table: Option<Table>,
    /// Address, offset and size of what is mapped.
    segments: Vec<(u64, u64, u64)>,
    functions: Vec<Function>,
}

struct Function {
    start: u64,
    size: u64,
    name: String,
}

impl ObjectFile {
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let table = match build(bytes.as_slice(), &Limits::default()) {
            Ok(table) => Some(table),
            Err(NoTable::NoUnwindInformation) => None,
            Err(reason) => panic!("{path:?}: {reason}"),
        };
        let elf = ElfFile64::<LittleEndian>::parse(bytes.as_slice()).unwrap();
        let segments = elf.segments().map(|segment| {
            let (offset, size) = segment.file_range();
            (segment.address(), offset, size)
        });
        let functions = elf.symbols().filter(|symbol| symbol.size() > 0).map(|symbol| Function {
            start: symbol.address(),
            size: symbol.size(),
            name: symbol.name().unwrap().to_owned(),
        });
        Self { table, segments: segments.collect(), functions: functions.collect() }
    }

    /// The rule in force, found as the kernel finds it, and the distance from the start of its row.
    pub(crate) fn rule(&self, offset: u64) -> (Rule, u32) {
        let Some(table) = &self.table else { return (Rule::UNCOVERED, 0) };
        let number = u32::try_from(offset >> PAGE_SHIFT).unwrap();
        let Ok(page) = table.pages.binary_search_by_key(&number, |page| page.number) else {
            return (Rule::UNCOVERED, 0);
        };
        let rows = &table.pages[page].rows;
        let low = (offset & 0xffff) as u16;
        let row = rows[rows.partition_point(|row| *row <= Row::new(low, RuleId(u16::MAX))) - 1];
        (table.rules[usize::from(row.rule().0)], u32::from(low - row.low()))
    }

    /// The function at an offset of the file.
    pub(crate) fn function(&self, offset: u64) -> Option<&str> {
        let segment = self.segments.iter().find(|(_, start, size)| (*start..start + size).contains(&offset));
        let (address, start, _) = segment?;
        let address = address + (offset - start);
        let is_there =
            |function: &&Function| (function.start..function.start + function.size).contains(&address);
        self.functions.iter().find(is_there).map(|function| function.name.as_str())
    }
}
