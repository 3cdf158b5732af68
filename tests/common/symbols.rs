//! The names of functions in ELF files and in the kernel, read apart from the agent.

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Where the distribution's packages put the symbols that they take out of programs.
const DEBUG_FILES: &str = "/usr/lib/debug/.build-id";

/// Functions by their first address.
#[derive(Default)]
pub(crate) struct Symbols(BTreeMap<u64, Function>);

/// What begins at one address.
#[derive(Default)]
struct Function {
    /// 0 where the file tells none: it ends where the next begins.
    size: u64,
    names: Vec<String>,
}

impl Symbols {
    /// Those of an executable or library, at the addresses that the file itself states. If its symbols were
    /// taken out, those of its debug file too, where one is installed.
    pub(crate) fn of(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut symbols = Self::parse(&bytes);
        let file = ElfFile64::<Endianness>::parse(&*bytes).unwrap();
        let debug = debug_file(&file).filter(|_| file.symbol_table().is_none());
        if let Some(bytes) = debug.and_then(|path| std::fs::read(path).ok()) {
            symbols.add(&ElfFile64::parse(&*bytes).unwrap());
        }
        symbols
    }

    /// Those of the library that the kernel maps into every process.
    pub(crate) fn of_vdso() -> Self {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let range = maps.lines().find(|line| line.ends_with("[vdso]")).unwrap().split(' ').next().unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
        memory.seek(SeekFrom::Start(start)).unwrap();
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        memory.read_exact(&mut bytes).unwrap();
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Self {
        let file = ElfFile64::<Endianness>::parse(bytes).unwrap();
        let mut symbols = Self::default();
        symbols.add(&file);
        for section in file.sections() {
            if section.name().is_ok_and(|name| name.starts_with(".plt")) {
                symbols.insert(section.address(), section.size(), "[plt]");
            }
        }
        if !symbols.0.contains_key(&file.entry()) {
            symbols.insert(file.entry(), 0, "_start");
        }
        symbols
    }

    fn add(&mut self, file: &ElfFile64<'_, Endianness>) {
        let defined = file.symbols().chain(file.dynamic_symbols()).filter(|symbol| symbol.is_definition());
        for symbol in defined.filter(|symbol| symbol.kind() == SymbolKind::Text) {
            self.insert(symbol.address(), symbol.size(), symbol.name().unwrap());
        }
    }

    fn insert(&mut self, address: u64, size: u64, name: &str) {
        let function = self.0.entry(address).or_default();
        function.size = function.size.max(size);
        function.names.push(name.to_owned());
    }

    /// The function that holds an address, or the last before it.
    pub(crate) fn name(&self, address: u64) -> &str {
        let before = self.0.range(..=address).next_back();
        before.and_then(|(_, function)| function.names.first()).map_or("", String::as_str)
    }

    /// All names of the function that holds an address; none if none does.
    pub(crate) fn names(&self, address: u64) -> &[String] {
        // A function may lie within another.
        let mut before = self.0.range(..=address).rev().take(4);
        let holds =
            |(start, function): &(&u64, &Function)| function.size == 0 || address - **start < function.size;
        before.find(holds).map_or(&[], |(_, function)| &function.names)
    }

    /// All names of the function that has one of them.
    pub(crate) fn aliases(&self, name: &str) -> Option<&[String]> {
        let function = self.0.values().find(|function| function.names.iter().any(|known| known == name))?;
        Some(&function.names)
    }
}

fn debug_file(file: &ElfFile64<'_, Endianness>) -> Option<PathBuf> {
    let id = file.build_id().ok()??;
    let text: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let (folder, name) = text.split_at_checked(2)?;
    Some(Path::new(DEBUG_FILES).join(folder).join(format!("{name}.debug")))
}

/// The running kernel's functions; several may share an address.
pub(crate) struct KernelSymbols(BTreeMap<u64, Vec<String>>);

impl KernelSymbols {
    /// Reads `/proc/kallsyms`.
    pub(crate) fn read() -> Self {
        let mut symbols: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for line in std::fs::read_to_string("/proc/kallsyms").unwrap().lines() {
            let mut fields = line.split_whitespace();
            let (address, kind, name) =
                (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap());
            if matches!(kind, "t" | "T" | "w" | "W") {
                symbols.entry(u64::from_str_radix(address, 16).unwrap()).or_default().push(name.to_owned());
            }
        }
        Self(symbols)
    }

    /// The address of a function.
    pub(crate) fn address(&self, name: &str) -> u64 {
        let found = self.0.iter().find(|(_, names)| names.iter().any(|known| known == name));
        *found.unwrap_or_else(|| panic!("the kernel has no {name}")).0
    }

    /// Whether a function of that name holds an address.
    pub(crate) fn is_in(&self, address: u64, name: &str) -> bool {
        // A symbol inside a function, or the padding before it, may stand between.
        self.0.range(..=address).rev().take(3).any(|(_, names)| names.iter().any(|known| known == name))
    }

    /// Whether there is a function of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.values().flatten().any(|known| known == name)
    }
}
