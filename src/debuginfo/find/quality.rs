//! How much a debug file tells.

use crate::debuginfo::plan::Content;

/// From the least to the most that a server can tell of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quality {
    /// Nothing.
    Nothing,
    /// Functions that other files call.
    DynamicSymbols,
    /// Functions, in Go's own tables or in a compressed symbol table.
    PackedSymbols,
    /// All functions.
    Symbols,
    /// All functions, the inlined ones too, and lines.
    Dwarf,
}

impl Quality {
    /// The best of what there is.
    pub fn of(content: &Content) -> Self {
        if content.has_dwarf {
            Self::Dwarf
        } else if content.has_symtab {
            Self::Symbols
        } else if content.has_go_tables || content.has_gnu_debugdata {
            Self::PackedSymbols
        } else if content.has_dynsym {
            Self::DynamicSymbols
        } else {
            Self::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Quality;
    use crate::debuginfo::plan::Content;

    #[test]
    fn the_best_of_what_there_is_counts() {
        let none = Content::default();
        let dynamic = Content { has_dynsym: true, ..none.clone() };
        let debugdata = Content { has_gnu_debugdata: true, ..dynamic.clone() };
        let go = Content { has_go_tables: true, ..none.clone() };
        let symbols = Content { has_symtab: true, ..debugdata.clone() };
        let dwarf = Content { has_dwarf: true, ..none.clone() };
        let ascending = [&none, &dynamic, &debugdata, &symbols, &dwarf].map(Quality::of);
        assert!(ascending.is_sorted_by(|worse, better| worse < better), "{ascending:?}");
        assert_eq!(Quality::of(&go), Quality::of(&debugdata));
    }
}
