//! An object as its ELF file states it, and the whole check of it.

use crate::instruction::{self, CALL, Instruction, LOAD_CONSTANT};
use crate::map::Map;
use crate::release::{Fault, Floor, Release, Violation};
use crate::{flow, helper};
use object::elf::RelocationType;
use object::read::elf::ElfFile64;
use object::{
    LittleEndian, Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionFlags,
    SectionIndex,
};

type File<'data> = ElfFile64<'data, LittleEndian>;

/// Holds the definitions of maps, one symbol each.
const MAPS: &str = "maps";
/// Functions that programs call. Nothing calls one, so nothing in it reaches a kernel: the compiler
/// leaves its own there.
const FUNCTIONS: &str = ".text";
/// Not loaded, but read by the loader.
const LICENSE: &str = "license";

/// Sections that the loader makes a map of, whose value the program addresses.
const DATA_SECTIONS: [(&str, &str); 3] =
    [(".rodata", "read-only data"), (".data", "global data"), (".bss", "global data")];
/// The first release with such maps.
const DATA: Release = Release(5, 2);
/// Sections that mean something only together with the kernel's own type information.
const TYPE_SECTIONS: [&str; 6] = [".BTF", ".BTF.ext", ".maps", ".ksyms", ".kconfig", ".struct_ops"];

/// `SHF_ALLOC` and `SHF_EXECINSTR`.
const ALLOCATED: u64 = 2;
const EXECUTABLE: u64 = 4;

/// `R_BPF_64_64`, a map's address in a constant.
const ADDRESS_OF: RelocationType = RelocationType(1);

/// Everything that keeps the object from running on its floor.
pub(crate) fn check(bytes: &[u8], floor: &Floor) -> object::Result<Vec<Violation>> {
    let file = File::parse(bytes)?;
    let mut violations = Vec::new();
    let mut programs = 0;
    for section in file.sections().filter(|section| section.size() > 0) {
        let name = section.name()?;
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
        if is_program(name, floor) {
            programs += 1;
            let symbol = file.symbols().find(|symbol| {
                symbol.section_index() == Some(section.index()) && symbol.address() == 0 && symbol.size() > 0
            });
            let program = symbol.map_or(Ok(name), |symbol| symbol.name())?;
            let faults = program_faults(&instruction::decode(section.data()?), floor);
            violations.extend(named(program, faults));
            violations.extend(named(program, relocation_faults(&file, section, floor)?));
        } else if let Some(fault) = section_fault(name, sh_flags.0, floor) {
            violations.push(Violation { part: name.to_owned(), instruction: None, fault });
        }
    }
    if programs == 0 {
        let fault = Fault::Refused("holds no program".to_owned());
        violations.push(Violation { part: "object".to_owned(), instruction: None, fault });
    }
    violations.extend(map_violations(&file, floor)?);
    Ok(violations)
}

fn is_program(section: &str, floor: &Floor) -> bool {
    let kind = section.split('/').next().unwrap_or(section);
    floor.programs.contains(&kind)
}

fn named(part: &str, faults: Vec<(Option<usize>, Fault)>) -> impl Iterator<Item = Violation> {
    faults.into_iter().map(move |(instruction, fault)| Violation {
        part: part.to_owned(),
        instruction,
        fault,
    })
}

/// Everything wrong with the instructions of a program.
pub(crate) fn program_faults(program: &[Instruction], floor: &Floor) -> Vec<(Option<usize>, Fault)> {
    let mut faults = Vec::new();
    if program.len() > floor.instructions {
        let what = format!("a program of {} instructions, more than {},", program.len(), floor.instructions);
        faults.push((None, Fault::Newer { what, since: Release(5, 2) }));
    }
    let mut index = 0;
    while let Some(instruction) = program.get(index) {
        let fault = instruction.fault(floor.release).or_else(|| call_fault(instruction, floor));
        faults.extend(fault.map(|fault| (Some(index), fault)));
        index += if instruction.opcode == LOAD_CONSTANT { 2 } else { 1 };
    }
    faults.extend(flow::faults(program).into_iter().map(|(index, fault)| (Some(index), fault)));
    faults
}

fn call_fault(instruction: &Instruction, floor: &Floor) -> Option<Fault> {
    match (instruction.opcode, instruction.source) {
        (CALL, 0) => helper::fault(instruction.immediate, floor),
        // 4.16 has them, but not together with tail calls, and this check does not follow them.
        (CALL, _) => Some(Fault::Refused("a call of an own function: inline it".to_owned())),
        _ => None,
    }
}

/// A relocation puts the address of a map, or since 5.2 of data, in a constant.
fn relocation_faults<'data>(
    file: &File<'data>,
    section: impl ObjectSection<'data>,
    floor: &Floor,
) -> object::Result<Vec<(Option<usize>, Fault)>> {
    let mut faults = Vec::new();
    for (offset, relocation) in section.relocations() {
        let RelocationTarget::Symbol(symbol) = relocation.target() else { continue };
        let symbol = file.symbol_by_index(symbol)?;
        let target = symbol.section_index().map(|index| section_name(file, index)).transpose()?;
        let address = matches!(relocation.flags(), RelocationFlags::Elf { r_type } if r_type == ADDRESS_OF);
        let fault = match target {
            Some(MAPS) if address => None,
            Some(section) if address && data(section).is_some() => {
                let what = format!("the address of {} in {section}", symbol.name()?);
                Fault::unless_known(floor.release, DATA, what)
            }
            _ => Some(Fault::Refused(format!("a reference to {}, no map and no data", symbol.name()?))),
        };
        faults.extend(fault.map(|fault| (Some(offset as usize / size_of::<u64>()), fault)));
    }
    Ok(faults)
}

fn section_name<'data>(file: &File<'data>, index: SectionIndex) -> object::Result<&'data str> {
    file.section_by_index(index)?.name()
}

/// What a section of data holds; `None` for other sections.
fn data(section: &str) -> Option<&'static str> {
    let known = |prefix: &str| {
        section.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    DATA_SECTIONS.iter().find(|(prefix, _)| known(prefix)).map(|(_, what)| *what)
}

fn section_fault(name: &str, flags: u64, floor: &Floor) -> Option<Fault> {
    if let Some(what) = data(name) {
        return Fault::unless_known(floor.release, DATA, what);
    }
    let what = match name {
        MAPS | FUNCTIONS | LICENSE => return None,
        _ if TYPE_SECTIONS.contains(&name) => "type information, which the kernel may be built without",
        _ if flags & EXECUTABLE != 0 => "no kind of program that is in use",
        _ if flags & ALLOCATED != 0 => "no section that the loader knows",
        _ => return None,
    };
    Some(Fault::Refused(what.to_owned()))
}

fn map_violations(file: &File<'_>, floor: &Floor) -> object::Result<Vec<Violation>> {
    let Some(section) = file.section_by_name(MAPS) else { return Ok(Vec::new()) };
    let data = section.data()?;
    let mut violations = Vec::new();
    for symbol in file.symbols().filter(|symbol| symbol.section_index() == Some(section.index())) {
        let definition =
            data.get(symbol.address() as usize..).and_then(|rest| rest.get(..symbol.size() as usize));
        let fault = match definition.and_then(Map::decode) {
            Some(map) => map.fault(floor),
            None => Some(Fault::Refused("is no definition of a map".to_owned())),
        };
        let part = format!("map {}", symbol.name()?);
        violations.extend(fault.map(|fault| Violation { part, instruction: None, fault }));
    }
    Ok(violations)
}
