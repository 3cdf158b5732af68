//! Names for the places in a profile, from the symbol tables of its files, which are read apart from the
//! agent.

use super::chain::FrameNames;
use super::profile::Frame;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSegment, ObjectSymbol, SectionKind, SymbolKind};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The kernel adds it to the path of a file that has no name any more.
const DELETED: &str = " (deleted)";

/// The functions of one file.
pub(crate) struct FileNames {
    /// By first address: size and names.
    functions: BTreeMap<u64, (u64, FrameNames)>,
    /// Sections of code: first address, size, name.
    sections: Vec<(u64, u64, String)>,
    /// Loaded parts: place in the file, size there, address.
    segments: Vec<(u64, u64, u64)>,
    file: String,
}

impl FileNames {
    /// `None` of a file that is no ELF file.
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::File::open(path).unwrap();
        let cache = object::ReadCache::new(file);
        let elf = ElfFile64::<Endianness, _>::parse(&cache).ok()?;
        let mut functions: BTreeMap<u64, (u64, FrameNames)> = BTreeMap::new();
        let symbols = elf.symbols().chain(elf.dynamic_symbols());
        for symbol in symbols.filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition()) {
            let (size, names) = functions.entry(symbol.address()).or_default();
            *size = symbol.size().max(*size);
            names.push(symbol.name().unwrap().to_owned());
        }
        let code = elf.sections().filter(|section| section.kind() == SectionKind::Text);
        let sections = code.map(|section| {
            (section.address(), section.size(), section.name().unwrap_or_default().to_owned())
        });
        let segments = elf.segments().map(|segment| {
            let (offset, size) = segment.file_range();
            (offset, size, segment.address())
        });
        Some(Self {
            functions,
            sections: sections.collect(),
            segments: segments.collect(),
            file: path.file_name()?.to_string_lossy().into_owned(),
        })
    }

    /// The names of the function at an address that the file states.
    pub(crate) fn at(&self, address: u64) -> FrameNames {
        if let Some((start, (size, names))) = self.functions.range(..=address).next_back()
            && (address - start < *size || *size == 0)
        {
            return names.clone();
        }
        let section = self.sections.iter().find(|(start, size, _)| address.wrapping_sub(*start) < *size);
        let name = section.map(|(_, _, name)| name).filter(|name| *name != ".text");
        vec![name.unwrap_or(&self.file).clone()]
    }

    /// The address that the file states for a place in it.
    pub(crate) fn address_of(&self, place: u64) -> u64 {
        let segment = self.segments.iter().find(|(offset, size, _)| place.wrapping_sub(*offset) < *size);
        segment.map_or(place, |(offset, _, address)| address + (place - offset))
    }
}

/// The files that a process maps.
#[derive(Default)]
pub(crate) struct Names {
    files: HashMap<PathBuf, Option<Rc<FileNames>>>,
}

impl Names {
    /// The names of a frame in a profile of `target`.
    pub(crate) fn of(&mut self, frame: &Frame<'_>, executable: &Executable) -> FrameNames {
        match self.file(frame.mapping, executable) {
            Some(file) => file.at(frame.address),
            None if executable.vdso.contains(&frame.address) => vec!["[vdso]".to_owned()],
            None => vec![frame.function.unwrap_or(frame.mapping).to_owned()],
        }
    }

    /// The file that a mapping names; `None` where it names none.
    pub(crate) fn file(&mut self, mapping: &str, executable: &Executable) -> Option<Rc<FileNames>> {
        let path = Path::new(mapping.strip_suffix(DELETED).unwrap_or(mapping));
        let own = path.file_name().is_some_and(|name| name == executable.comm.as_str());
        let path = if own { &executable.built } else { path };
        if !path.is_absolute() || !path.is_file() {
            return None;
        }
        let read = || FileNames::of(path).map(Rc::new);
        self.files.entry(path.to_owned()).or_insert_with(read).clone()
    }
}

/// What is needed to name the frames of one process.
pub(crate) struct Executable {
    /// Its command name, which is also the name of its file.
    pub(crate) comm: String,
    /// The file that it is a copy of: its own may be out of reach.
    pub(crate) built: PathBuf,
    /// Where the kernel's page of code is.
    pub(crate) vdso: std::ops::Range<u64>,
}
