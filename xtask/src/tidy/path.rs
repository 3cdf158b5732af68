//! The paths that a file names: in its `use` declarations and in its code.

use std::collections::BTreeSet;

use super::source::{Source, Token};

/// One path, such as `crate::label::LabelSet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedPath {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
    /// Whether it starts with `::`, so that its first segment is a crate.
    pub(super) global: bool,
}

/// All paths of two or more segments, and single names that are imported.
pub(super) fn paths(source: &Source) -> Vec<NamedPath> {
    let tokens = &source.tokens;
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].word() == Some("use") && !follows_separator(tokens, at) {
            let mut tree = UseTree { tokens, at: at + 1, paths: &mut paths };
            let global = tree.separator();
            tree.read(&[], global);
            at = tree.at.max(at + 1);
        } else {
            at = inline(tokens, at, &mut paths);
        }
    }
    paths
}

/// The names of this crate's own that a file may use as if they were crates: modules it declares, and
/// what it imports from the crate.
pub(super) fn local_names(source: &Source, paths: &[NamedPath]) -> BTreeSet<String> {
    let imported = paths.iter().filter(|path| {
        let first = path.segments.first().map_or("", String::as_str);
        ["crate", "self", "super"].contains(&first)
    });
    let imported = imported.filter_map(|path| path.segments.last().cloned());
    let pairs = source.tokens.iter().zip(source.tokens.iter().skip(1));
    let declared = pairs.filter(|(keyword, _)| keyword.word() == Some("mod"));
    imported.chain(declared.filter_map(|(_, name)| name.word().map(str::to_owned))).collect()
}

fn is_separator(tokens: &[Token], at: usize) -> bool {
    tokens.get(at).is_some_and(|token| token.is(':')) && tokens.get(at + 1).is_some_and(|token| token.is(':'))
}

fn follows_separator(tokens: &[Token], at: usize) -> bool {
    at >= 2 && is_separator(tokens, at - 2)
}

/// Reads the path in code that starts at `at`, if one does; returns where to go on.
fn inline(tokens: &[Token], at: usize, paths: &mut Vec<NamedPath>) -> usize {
    let Some(first) = tokens[at].word() else { return at + 1 };
    let mut segments = vec![first.to_owned()];
    let mut next = at + 1;
    while is_separator(tokens, next) {
        let Some(word) = tokens.get(next + 2).and_then(Token::word) else { break };
        segments.push(word.to_owned());
        next += 3;
    }
    if segments.len() > 1 {
        let separated = follows_separator(tokens, at);
        // After `Type<T>::` or `<T as Trait>::` comes an item of a type, which names no module.
        let of_type = separated && at >= 3 && tokens[at - 3].is('>');
        if !of_type {
            paths.push(NamedPath { segments, line: tokens[at].line, global: separated });
        }
    }
    next
}

/// The tree of one `use` declaration.
struct UseTree<'a> {
    tokens: &'a [Token],
    at: usize,
    paths: &'a mut Vec<NamedPath>,
}

impl UseTree<'_> {
    /// Passes over `::`, if it comes next.
    fn separator(&mut self) -> bool {
        let there = is_separator(self.tokens, self.at);
        self.at += if there { 2 } else { 0 };
        there
    }

    /// Reads what follows `prefix` and records each path that ends in it.
    fn read(&mut self, prefix: &[String], global: bool) {
        let mut segments = prefix.to_vec();
        while let Some(token) = self.tokens.get(self.at) {
            let line = token.line;
            self.at += 1;
            if token.is('{') {
                return self.group(&segments, global);
            }
            match token.word() {
                // `use a::b::{self}` names `a::b`.
                Some("self") if !segments.is_empty() => {}
                Some(word) => segments.push(word.to_owned()),
                None if token.is('*') => {}
                None => return,
            }
            if !self.separator() {
                self.paths.push(NamedPath { segments, line, global });
                return;
            }
        }
    }

    fn group(&mut self, prefix: &[String], global: bool) {
        while let Some(token) = self.tokens.get(self.at) {
            if token.is('}') || token.is(';') {
                self.at += 1;
                return;
            }
            if token.is(',') {
                self.at += 1;
            } else if token.word() == Some("as") {
                self.at += 2;
            } else {
                let before = self.at;
                self.read(prefix, global);
                self.at = self.at.max(before + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(text: &str) -> Vec<String> {
        let source = Source::new(Path::new("src/a.rs"), text);
        let text =
            |path: &NamedPath| format!("{}{}", if path.global { "::" } else { "" }, path.segments.join("::"));
        paths(&source).iter().map(text).collect()
    }

    #[test]
    fn every_path_of_a_use_tree_is_read() {
        let cases = [
            ("use a::b;", vec!["a::b"]),
            ("use a;", vec!["a"]),
            ("use ::a::b;", vec!["::a::b"]),
            (
                "use crate::{a, b::{self, C as D, e::*}, F}; g::h();",
                vec!["crate::a", "crate::b", "crate::b::C", "crate::b::e", "crate::F", "g::h"],
            ),
            ("pub(crate) use a::{\n    b,\n    c,\n};", vec!["a::b", "a::c"]),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn paths_in_code_are_read_too() {
        let cases = [
            ("let a = b::c::d(e);", vec!["b::c::d"]),
            ("a: Vec<b::C>", vec!["b::C"]),
            ("::b::c()", vec!["::b::c"]),
            ("<T as U>::b::c()", vec![]),
            ("#[derive(a::B)] struct C;", vec!["a::B"]),
            ("a.b(c)", vec![]),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn own_modules_and_imports_are_local_names() {
        let source = Source::new(Path::new("src/a.rs"), "mod b; use crate::c::d; use e::f;");
        let names = local_names(&source, &paths(&source));
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["b", "d"]);
    }
}
