//! The names of functions in ELF files and in the kernel, read apart from the agent.
#![allow(dead_code, reason = "shared by test programs, of which each uses a part")]

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSymbol, SymbolKind};
use std::collections::BTreeMap;
use std::path::Path;

/// Functions by their first address.
pub(crate) struct Symbols(BTreeMap<u64, String>);

impl Symbols {
    /// Those of an executable or library, at the addresses that the file itself states.
    pub(crate) fn of(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let file = ElfFile64::<Endianness>::parse(&*bytes).unwrap();
        let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
        Self(functions.map(|symbol| (symbol.address(), symbol.name().unwrap().to_owned())).collect())
    }

    /// The function that holds an address.
    pub(crate) fn name(&self, address: u64) -> &str {
        self.0.range(..=address).next_back().map_or("", |(_, name)| name)
    }
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
