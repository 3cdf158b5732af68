//! A chain of calls that a program is known to have, and a stack beside it.

use crate::pprof::{Frame, Sample};
use crate::symbols::Symbols;

/// From the inside out to `main`.
pub(super) type Chain = &'static [Link];

/// A part of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// One frame in the program's own function of that name.
    One(&'static str),
    /// So many.
    Many(usize, &'static str),
    /// One frame of the C library or the kernel, whatever its name is. What a signal handler returns to is
    /// the vDSO's on some machines, and on others has a name without a size.
    Any,
}

/// What all functions between the start of a program and `main` have in their names, in every C library.
const START: &str = "start";

/// Whether the user part of a stack is the chain and, at its outer end, what starts `main`.
pub(super) fn is_whole(sample: &Sample, symbols: &Symbols, chain: Chain) -> bool {
    let frames: Vec<&Frame> = user_frames(sample).collect();
    let rest = chain.iter().try_fold(&frames[..], |rest, link| link.strip(rest, symbols));
    rest.is_some_and(|rest| {
        rest.iter().all(|frame| symbols.name(frame.address).is_some_and(|name| name.contains(START)))
    })
}

/// Whether the user part of a stack begins with these functions, the innermost first.
pub(super) fn begins_with(sample: &Sample, symbols: &Symbols, expected: &[&str]) -> bool {
    let mut frames = user_frames(sample).map(|frame| symbols.name(frame.address));
    expected.iter().all(|expected| frames.next() == Some(Some(*expected)))
}

/// The kernel's frames of an interrupt that the sample's own timer brought may stand before them.
fn user_frames(sample: &Sample) -> impl Iterator<Item = &Frame> {
    sample.frames.iter().filter(|frame| !is_kernel(frame))
}

pub(super) fn is_kernel(frame: &Frame) -> bool {
    frame.mapping == "[kernel.kallsyms]"
}

impl Link {
    /// The frames without those of the link, which are at their start; `None` if they are not.
    fn strip<'a, 'b>(self, frames: &'a [&'b Frame], symbols: &Symbols) -> Option<&'a [&'b Frame]> {
        let (count, name) = match self {
            Self::One(name) => (1, name),
            Self::Many(count, name) => (count, name),
            Self::Any => return frames.split_first().map(|(_, rest)| rest),
        };
        let (own, rest) = frames.split_at_checked(count)?;
        own.iter().all(|frame| symbols.name(frame.address) == Some(name)).then_some(rest)
    }
}

/// A stack for people to read, the innermost function first; what is repeated is counted.
pub(super) fn text(sample: &Sample, symbols: &Symbols) -> String {
    let mut parts: Vec<(String, usize)> = Vec::new();
    for frame in &sample.frames {
        let name = frame.functions.first().map(String::as_str).or_else(|| symbols.name(frame.address));
        let name = name.map_or_else(|| format!("{:#x} in `{}`", frame.address, frame.mapping), str::to_owned);
        match parts.last_mut() {
            Some((last, count)) if *last == name => *count += 1,
            _ => parts.push((name, 1)),
        }
    }
    let part = |(name, count)| if count > 1 { format!("{count} {name}") } else { name };
    parts.into_iter().map(part).collect::<Vec<_>>().join(" < ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Functions of 16 bytes, from 0x1000 on.
    const NAMES: [&str; 7] = ["_start", "__libc_start_main", "main", "down", "leaf", "handle", "exit"];

    fn symbols() -> Symbols {
        let lines =
            NAMES.iter().enumerate().map(|(index, name)| format!("{:x} 10 T {name}", 0x1000 + index * 16));
        Symbols::parse(&lines.collect::<Vec<_>>().join("\n"))
    }

    /// Names beginning with a slash are functions of the kernel; `?` is code without a symbol.
    fn sample(names: &str) -> Sample {
        let frame = |name: &str| {
            if let Some(name) = name.strip_prefix('/') {
                let functions = vec![name.to_owned()];
                return Frame { address: 0, mapping: "[kernel.kallsyms]".to_owned(), functions };
            }
            let address = NAMES.iter().position(|known| *known == name);
            let address = address.map_or(0x10, |index| 0x1008 + index as u64 * 16);
            Frame { address, mapping: "/bin/chain".to_owned(), functions: vec![] }
        };
        Sample { count: 1, frames: names.split_whitespace().map(frame).collect(), ..Sample::default() }
    }

    const DEEP: Chain = &[Link::One("leaf"), Link::Many(3, "down"), Link::One("main")];
    const SIGNAL: Chain = &[Link::One("handle"), Link::Any, Link::One("leaf"), Link::One("main")];

    #[test]
    fn a_whole_stack_has_every_frame_of_its_chain_and_then_the_start() {
        let cases = [
            (DEEP, "leaf down down down main", true),
            (DEEP, "leaf down down down main __libc_start_main _start", true),
            (DEEP, "/interrupt leaf down down down main", true),
            (DEEP, "leaf down down main", false),
            (DEEP, "leaf down down down down main", false),
            (DEEP, "leaf down down down", false),
            (DEEP, "down down down main", false),
            (DEEP, "leaf down down down main exit", false),
            (DEEP, "leaf down down down main ?", false),
            (DEEP, "", false),
            (SIGNAL, "handle ? leaf main", true),
            (SIGNAL, "handle exit leaf main", true),
            (SIGNAL, "handle leaf main", false),
            (SIGNAL, "handle ?", false),
            (SIGNAL, "handle", false),
        ];
        for (chain, names, expected) in cases {
            assert_eq!(is_whole(&sample(names), &symbols(), chain), expected, "{names}");
        }
    }

    #[test]
    fn a_stack_begins_with_what_is_called_last() {
        let cases = [
            ("leaf down main", true),
            ("/interrupt leaf down main", true),
            ("leaf down exit", true),
            ("leaf", false),
            ("down leaf", false),
            ("", false),
        ];
        for (names, expected) in cases {
            assert_eq!(begins_with(&sample(names), &symbols(), &["leaf", "down"]), expected, "{names}");
        }
    }

    #[test]
    fn a_stack_is_shown_in_a_line() {
        let shown = text(&sample("/interrupt leaf down down main ?"), &symbols());
        assert_eq!(shown, "interrupt < leaf < 2 down < main < 0x10 in `/bin/chain`");
    }
}
