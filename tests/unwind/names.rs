//! Names of frames, by the symbols of the files that they are in.

use super::chain::NamedFrame;
use super::common::profile::Frame;
use super::common::symbols::Symbols;
use std::collections::HashMap;
use std::path::Path;

/// What the kernel's frames are said to be in.
const KERNEL: &str = "[kernel.kallsyms]";
const VDSO: &str = "[vdso]";
/// What a file that is gone has behind its name.
const DELETED: &str = " (deleted)";

/// Symbols of all files that stacks led to.
#[derive(Default)]
pub(crate) struct Names(HashMap<String, Symbols>);

impl Names {
    /// The user frames of a stack. `path` is what the program runs as; its functions are those of `own`.
    pub(crate) fn of(&mut self, stack: &[Frame<'_>], path: &str, own: &Symbols) -> Vec<NamedFrame> {
        let user = stack.iter().skip_while(|frame| frame.mapping == KERNEL);
        user.map(|frame| self.named(frame, path, own)).collect()
    }

    fn named(&mut self, frame: &Frame<'_>, path: &str, own: &Symbols) -> NamedFrame {
        let mapping = frame.mapping.strip_suffix(DELETED).unwrap_or(frame.mapping);
        if mapping == path {
            return NamedFrame { file: String::new(), names: own.names(frame.address).to_vec() };
        }
        let symbols = self.0.entry(mapping.to_owned()).or_insert_with(|| symbols_of(mapping));
        let file = mapping.rsplit('/').next().unwrap_or_default();
        // A frame in no file is in none of that name either.
        let file = if file.is_empty() { "[none]" } else { file };
        NamedFrame { file: file.to_owned(), names: symbols.names(frame.address).to_vec() }
    }
}

fn symbols_of(mapping: &str) -> Symbols {
    match mapping {
        VDSO => Symbols::of_vdso(),
        path if path.starts_with('/') && Path::new(path).is_file() => Symbols::of(Path::new(path)),
        _ => Symbols::default(),
    }
}
