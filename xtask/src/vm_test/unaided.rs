//! The programs without frame pointers, whose stacks are whole where the agent unwinds by tables, and nowhere
//! else.

use anyhow::Result;

use super::chain::{Chain, Link, begins_with, is_whole, text};
use super::check::{WHOLE_STACKS, ratio};
use super::initramfs::{Contents, DEPTH};
use crate::pprof::{Profile, Sample};
use crate::symbols::Symbols;

/// The object that has tables. The other follows frame pointers, so of its profiles nothing is asked but that
/// they are there.
const WITH_TABLES: &str = "modern";

/// Fewest samples of a program. It may share a processor with another, and wait for it at first.
const SAMPLES: u64 = 30;

/// Share of the samples that have the first chain of their program.
const FIRST_CHAIN: f64 = 0.5;

/// One program.
#[derive(Debug)]
struct Program {
    /// What is checked of it.
    what: &'static str,
    name: &'static str,
    /// The first has most of the time.
    chains: &'static [Chain],
    /// Stacks are judged that have this function innermost; all of them, where none is named.
    innermost: Option<&'static str>,
}

const PROGRAMS: [Program; 4] = [
    Program {
        what: "stacks without frame pointers",
        name: "nofp",
        chains: &[
            &[Link::One("leaf"), Link::One("middle"), Link::One("outer"), Link::One("main")],
            &[Link::One("brief"), Link::One("outer"), Link::One("main")],
        ],
        innermost: None,
    },
    Program {
        what: "deep stacks without frame pointers",
        name: "deep-nofp",
        chains: &[&[Link::One("bottom"), Link::Many(DEPTH, "descend"), Link::One("main")]],
        innermost: None,
    },
    Program {
        what: "stacks of a signal handler without frame pointers",
        name: "signal",
        chains: &[
            &[
                Link::One("handle"),
                Link::One("handler"),
                Link::Any,
                Link::One("interrupted"),
                Link::One("outer"),
                Link::One("main"),
            ],
            // It sets the timer for the next signal.
            &[
                Link::Any,
                Link::One("handler"),
                Link::Any,
                Link::One("interrupted"),
                Link::One("outer"),
                Link::One("main"),
            ],
            // The first signal comes as `main` sets the timer, and so may all others on a slow machine.
            &[Link::One("handle"), Link::One("handler"), Link::Any, Link::Any, Link::One("main")],
            &[Link::Any, Link::One("handler"), Link::Any, Link::Any, Link::One("main")],
            // From one signal to the next.
            &[Link::One("interrupted"), Link::One("outer"), Link::One("main")],
        ],
        innermost: None,
    },
    // Each process is gone before the agent has read it. To start it takes an emulated machine as long as it lives.
    Program {
        what: "stacks of processes that live for a moment",
        name: "moment-nofp",
        chains: &[&[Link::One("instant"), Link::One("main")]],
        innermost: Some("instant"),
    },
];

/// The programs with their symbols.
pub(super) struct Programs(Vec<(Program, Symbols)>);

impl Programs {
    pub(super) fn of(contents: &Contents) -> Result<Self> {
        let with_symbols = |program: Program| Ok((contents.symbols(program.name)?, program));
        let programs = PROGRAMS.into_iter().map(with_symbols);
        programs.map(|it| it.map(|(symbols, program)| (program, symbols))).collect::<Result<_>>().map(Self)
    }

    /// Checks the profile of each.
    pub(super) fn check(
        &self,
        object: &str,
        profile: impl Fn(&str) -> Result<Profile, String>,
        add: &mut impl FnMut(&'static str, Result<(), String>),
    ) {
        for (program, symbols) in &self.0 {
            let result = profile(program.name).and_then(|profile| {
                enough(&profile)?;
                if object == WITH_TABLES { program.stacks(&profile, symbols) } else { Ok(()) }
            });
            add(program.what, result);
        }
    }
}

fn enough(profile: &Profile) -> Result<(), String> {
    let total = profile.total();
    if total < SAMPLES { Err(format!("{total} samples are too few to judge by")) } else { Ok(()) }
}

impl Program {
    /// Nearly all stacks are chains of the program, and most are the first.
    fn stacks(&self, profile: &Profile, symbols: &Symbols) -> Result<(), String> {
        let (mut first, mut whole, mut total, mut other) = (0, 0, 0, None);
        let is_judged =
            |sample: &&Sample| self.innermost.is_none_or(|name| begins_with(sample, symbols, &[name]));
        for sample in profile.samples.iter().filter(is_judged) {
            total += sample.count;
            match self.chains.iter().position(|chain| is_whole(sample, symbols, chain)) {
                Some(0) => first += sample.count,
                Some(_) => {}
                None => {
                    other.get_or_insert(sample);
                    continue;
                }
            }
            whole += sample.count;
        }
        let example = || other.map(|sample| text(sample, symbols)).unwrap_or_default();
        if ratio(whole, total) < WHOLE_STACKS {
            Err(format!("{whole} of {total} stacks are whole; another is {}", example()))
        } else if ratio(first, total) < FIRST_CHAIN {
            Err(format!("{first} of {total} stacks are those that have most of the time"))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pprof::Frame;

    const SYMBOLS: &str = "1000 10 T main\n1010 10 T outer\n1020 10 T work\n";

    const PROGRAM: Program = Program {
        what: "stacks",
        name: "program",
        chains: &[
            &[Link::One("work"), Link::One("outer"), Link::One("main")],
            &[Link::One("outer"), Link::One("main")],
        ],
        innermost: None,
    };

    /// Each stack as the addresses of its frames.
    fn profile(stacks: &[(u64, &[u64])]) -> Profile {
        let frame = |address: &u64| Frame { address: *address, ..Frame::default() };
        let sample = |(count, addresses): &(u64, &[u64])| Sample {
            count: *count,
            frames: addresses.iter().map(frame).collect(),
            ..Sample::default()
        };
        Profile { samples: stacks.iter().map(sample).collect(), ..Profile::default() }
    }

    #[test]
    fn nearly_all_stacks_are_chains_and_most_are_the_first() {
        const FIRST: &[u64] = &[0x1028, 0x1018, 0x1008];
        const SECOND: &[u64] = &[0x1018, 0x1008];
        const CUT: &[u64] = &[0x1028, 0x1018];
        let cases = [
            (profile(&[(90, FIRST), (6, SECOND), (4, CUT)]), None),
            (profile(&[(100, FIRST)]), None),
            (
                profile(&[(90, FIRST), (4, SECOND), (6, CUT)]),
                Some("94 of 100 stacks are whole; another is work < outer"),
            ),
            (profile(&[(40, FIRST), (60, SECOND)]), Some("40 of 100 stacks are those")),
            (profile(&[]), Some("0 of 0 stacks are whole")),
        ];
        for (profile, reason) in cases {
            let result = PROGRAM.stacks(&profile, &Symbols::parse(SYMBOLS));
            match reason {
                None => assert_eq!(result, Ok(())),
                Some(reason) => assert!(result.as_ref().unwrap_err().contains(reason), "{result:?}"),
            }
        }
    }

    #[test]
    fn only_stacks_with_the_innermost_function_are_judged() {
        let program = Program { innermost: Some("work"), ..PROGRAM };
        let profile = profile(&[(10, &[0x1028, 0x1018, 0x1008]), (90, &[0x1008])]);
        assert_eq!(program.stacks(&profile, &Symbols::parse(SYMBOLS)), Ok(()));
    }

    #[test]
    fn stacks_are_judged_only_where_there_are_tables() {
        let programs = Programs(vec![(PROGRAM, Symbols::parse(SYMBOLS))]);
        let cut: &[u64] = &[0x1028];
        let cases = [("modern", 100, false), ("baseline", 100, true), ("baseline", 29, false)];
        for (object, count, expected) in cases {
            let mut results = Vec::new();
            let found = |name: &str| {
                if name == "program" { Ok(profile(&[(count, cut)])) } else { Err(String::new()) }
            };
            programs.check(object, found, &mut |what, result| results.push((what, result.is_ok())));
            assert_eq!(results, [("stacks", expected)], "{object} {count}");
        }
    }
}
