//! The functions of a program, from its own symbol table.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::command;

/// Functions by address, in the address space of the ELF file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Symbols(Vec<Symbol>);

#[derive(Debug, PartialEq, Eq)]
struct Symbol {
    start: u64,
    end: u64,
    name: String,
}

impl Symbols {
    /// Asks `nm`, which every C compiler brings.
    pub(crate) fn of(program: &Path) -> Result<Self> {
        let mut nm = Command::new("nm");
        let text = command::output(nm.args(["--defined-only", "--print-size"]).arg(program))?;
        Ok(Self::parse(&text))
    }

    /// Reads the answer of `nm --print-size`.
    pub(crate) fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(symbol).collect())
    }

    /// The function that an address is in.
    pub(crate) fn name(&self, address: u64) -> Option<&str> {
        let symbol = self.0.iter().find(|symbol| (symbol.start..symbol.end).contains(&address))?;
        Some(&symbol.name)
    }
}

/// Reads a line of address, size, type and name; passes over what is no code.
fn symbol(line: &str) -> Option<Symbol> {
    let mut words = line.split_whitespace();
    let start = u64::from_str_radix(words.next()?, 16).ok()?;
    let size = u64::from_str_radix(words.next()?, 16).ok()?;
    let is_code = words.next()?.eq_ignore_ascii_case("t");
    let name = words.next()?.to_owned();
    is_code.then_some(Symbol { start, end: start.saturating_add(size), name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_told_from_data_and_from_symbols_without_a_size() {
        let main = Symbol { start: 0x1000, end: 0x1010, name: "main".to_owned() };
        let cases = [
            ("0000000000001000 0000000000000010 T main", Some(main)),
            ("0000000000002000 0000000000000010 D table", None),
            ("0000000000003000 T _start", None),
            ("                 U printf", None),
        ];
        for (line, expected) in cases {
            assert_eq!(symbol(line), expected, "{line}");
        }
    }

    #[test]
    fn an_address_belongs_to_the_function_around_it() {
        let symbols = Symbols::parse("1000 10 T main\n1010 20 t leaf\n");
        let cases = [
            (0xfff, None),
            (0x1000, Some("main")),
            (0x100f, Some("main")),
            (0x1010, Some("leaf")),
            (0x1030, None),
        ];
        for (address, expected) in cases {
            assert_eq!(symbols.name(address), expected, "{address:#x}");
        }
    }
}
