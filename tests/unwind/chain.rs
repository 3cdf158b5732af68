//! A chain of calls that a program is known to have, and a stack beside it.
//!
//! A chain is a list of links, the innermost function first. A link is
//!
//! | text | what it stands for |
//! |---|---|
//! | `NAME` | one frame in the program's own file, in the function of that name |
//! | `FILE!NAME` | one frame in another file, by its name without folders |
//! | `COUNT*LINK` | so many frames |
//! | `?LINK` | one frame or none |
//! | `~LINK` | any number of frames |
//!
//! In names, `%` stands for any text. Several files are separated by `|`.

/// One frame, as far as a chain looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NamedFrame {
    /// The file's name without folders; empty for the program's own.
    pub(crate) file: String,
    /// All names that the function has; none if no symbol covers the address.
    pub(crate) names: Vec<String>,
}

/// How a stack stands to a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// It is the chain.
    Whole,
    /// Its innermost functions are not called yet, or have returned: all others are there.
    Outer,
    /// It begins as the chain does, and its outermost frames are missing.
    Cut,
    /// A frame in it is none of the chain.
    Wrong,
}

/// A chain, the innermost link first.
#[derive(Clone, Debug)]
pub(crate) struct Chain(Vec<Link>);

#[derive(Clone, Debug)]
struct Link {
    file: String,
    name: String,
    /// There may be none.
    optional: bool,
    /// There may be more than one.
    repeated: bool,
}

impl Chain {
    /// Reads a chain.
    pub(crate) fn parse<'a>(links: impl IntoIterator<Item = &'a str>) -> Self {
        Self(links.into_iter().flat_map(Link::parse).collect())
    }

    /// How a stack, leaf first, stands to it.
    pub(crate) fn fit(&self, stack: &[NamedFrame]) -> Fit {
        let whole = self.end_of(stack, &[0]);
        if whole.contains(&self.0.len()) {
            return Fit::Whole;
        }
        // What may be anything says nothing of where in the chain a stack begins.
        let anywhere: Vec<usize> = (0..self.0.len()).filter(|position| !self.0[*position].optional).collect();
        let outer = self.end_of(stack, &anywhere);
        if outer.contains(&self.0.len()) {
            Fit::Outer
        } else if whole.is_empty() && outer.is_empty() {
            Fit::Wrong
        } else {
            Fit::Cut
        }
    }

    /// The positions between links that a stack may lead to from some others; sorted.
    fn end_of(&self, stack: &[NamedFrame], from: &[usize]) -> Vec<usize> {
        let mut at = self.with_skipped(from.to_vec());
        for frame in stack {
            let taken =
                at.iter().filter(|position| self.0.get(**position).is_some_and(|link| link.takes(frame)));
            let next = taken.flat_map(|position| {
                let again = self.0[*position].repeated.then_some(*position);
                again.into_iter().chain([position + 1])
            });
            at = self.with_skipped(next.collect());
        }
        at
    }

    /// Adds the positions behind links of which there may be none.
    fn with_skipped(&self, mut at: Vec<usize>) -> Vec<usize> {
        let mut next = 0;
        while let Some(&position) = at.get(next) {
            if self.0.get(position).is_some_and(|link| link.optional) && !at.contains(&(position + 1)) {
                at.push(position + 1);
            }
            next += 1;
        }
        at.sort_unstable();
        at.dedup();
        at
    }
}

impl Link {
    fn parse(text: &str) -> Vec<Self> {
        let (count, text) = match text.split_once('*') {
            Some((count, rest)) => (count.parse().unwrap(), rest),
            None => (1, text),
        };
        let (optional, repeated) = (text.starts_with(['?', '~']), text.starts_with('~'));
        let place = text.trim_start_matches(['?', '~']);
        let (file, name) = place.split_once('!').unwrap_or(("", place));
        vec![Self { file: file.to_owned(), name: name.to_owned(), optional, repeated }; count]
    }

    fn takes(&self, frame: &NamedFrame) -> bool {
        let named = frame.names.iter().any(|name| is_like(name, &self.name));
        let filed = self.file.split('|').any(|file| is_like(&frame.file, file));
        filed && (named || self.name == "%")
    }
}

/// Whether a text is like a pattern in which `%` stands for any text.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('%') else { return text == pattern };
    let Some(tail) = text.strip_prefix(head) else { return false };
    (0..=tail.len()).any(|at| tail.get(at..).is_some_and(|tail| is_like(tail, rest)))
}

/// A stack in a line; what is repeated is counted.
pub(crate) fn text(stack: &[NamedFrame]) -> String {
    let mut parts: Vec<(String, usize)> = Vec::new();
    for frame in stack {
        let name = frame.names.first().map_or("?", String::as_str);
        let part = if frame.file.is_empty() { name.to_owned() } else { format!("{}!{name}", frame.file) };
        match parts.last_mut() {
            Some((last, count)) if *last == part => *count += 1,
            _ => parts.push((part, 1)),
        }
    }
    let parts: Vec<String> = parts
        .into_iter()
        .map(|(part, count)| if count > 1 { format!("{count}*{part}") } else { part })
        .collect();
    if parts.is_empty() { "no user frames".to_owned() } else { parts.join(" < ") }
}

#[cfg(test)]
mod tests {
    use super::{Chain, Fit, NamedFrame, is_like, text};

    fn stack(frames: &str) -> Vec<NamedFrame> {
        let frame = |text: &str| {
            let (file, name) = text.split_once('!').unwrap_or(("", text));
            NamedFrame { file: file.to_owned(), names: vec![name.to_owned()] }
        };
        frames.split_whitespace().map(frame).collect()
    }

    #[test]
    fn stacks_stand_to_a_chain_as_they_should() {
        let cases = [
            ("leaf 2*down main libc.so.6!start%", "leaf down down main libc.so.6!start_main", Fit::Whole),
            ("leaf 2*down main", "leaf down main", Fit::Wrong),
            ("leaf 2*down main", "leaf down down down main", Fit::Wrong),
            ("leaf 2*down main", "down main", Fit::Outer),
            ("leaf 2*down main", "main", Fit::Outer),
            ("leaf 2*down main", "leaf down", Fit::Cut),
            ("leaf 2*down main", "down down", Fit::Cut),
            ("leaf 2*down main", "", Fit::Cut),
            ("leaf 2*down main", "leaf other down down main", Fit::Wrong),
            ("leaf 2*down main", "leaf down down main _start", Fit::Wrong),
            ("leaf main", "leaf lib.so!main", Fit::Wrong),
            ("leaf ?twice main", "leaf main", Fit::Whole),
            ("leaf ?twice main", "leaf twice main", Fit::Whole),
            ("leaf ?twice main", "leaf twice twice main", Fit::Wrong),
            ("leaf ~any main", "leaf any any any main", Fit::Whole),
            ("~%!% main", "a.so!x leaf b.so!y main", Fit::Whole),
            ("~%!% main", "a.so!x leaf b.so!y", Fit::Cut),
            ("leaf main ~%!%", "leaf", Fit::Cut),
            ("leaf main ~%!%", "main a.so!x", Fit::Outer),
            ("leaf main ~%!%", "a.so!x", Fit::Wrong),
            ("~a.so|b.so!% main", "b.so!x a.so!y main", Fit::Whole),
            ("~a.so|b.so!% main", "c.so!x main", Fit::Wrong),
        ];
        for (chain, frames, expected) in cases {
            let chain = Chain::parse(chain.split_whitespace());
            assert_eq!(chain.fit(&stack(frames)), expected, "{frames}");
        }
    }

    #[test]
    fn a_percent_sign_stands_for_any_text() {
        let cases = [
            ("a", "a", true),
            ("ab", "a", false),
            ("ab", "a%", true),
            ("a", "a%", true),
            ("_cgo_1f_work", "_cgo_%_work", true),
            ("_cgo_1f_works", "_cgo_%_work", false),
            ("ä", "%", true),
            ("", "%", true),
        ];
        for (name, pattern, expected) in cases {
            assert_eq!(is_like(name, pattern), expected, "{name} {pattern}");
        }
    }

    #[test]
    fn frames_without_a_symbol_match_only_where_any_name_does() {
        let bare = [NamedFrame { file: "lib.so".to_owned(), names: Vec::new() }];
        assert_eq!(Chain::parse(["lib.so!%"]).fit(&bare), Fit::Whole);
        assert_eq!(Chain::parse(["lib.so!work"]).fit(&bare), Fit::Wrong);
    }

    #[test]
    fn a_stack_is_shown_in_a_line() {
        assert_eq!(text(&stack("leaf down down libc.so.6!x")), "leaf < 2*down < libc.so.6!x");
        assert_eq!(text(&[]), "no user frames");
    }
}
