//! Code that a process maps after it was first seen.

use super::agent::Agent;
use super::program::{Program, compile, unique};
use super::symbols::Symbols;
use std::path::Path;
use std::time::SystemTime;

#[test]
fn a_library_loaded_late_has_its_own_mapping() {
    let library = compile("late_library.c", "late_library.so", &["-shared", "-fPIC"]);
    let late = compile("late.c", "late", &["-ldl"]);
    for object in ["modern", "baseline"] {
        let agent = Agent::start(&["--profiling-duration=1s", &format!("--force-object={object}")]);
        let name = unique("late");
        let mut program = Program::start_file(&late, name.as_ref(), &[library.to_str().unwrap()]);
        let early = agent.profile_since(&name, SystemTime::UNIX_EPOCH);
        assert_eq!(samples_in(&early, &library), 0);
        assert!(early.total() > 5, "the program has not been seen before it loads the library");
        assert!(!program.line().is_empty(), "the program did not load the library");
        let profile = agent.identified(&name, &library, SystemTime::now());
        let (inside, total) = (samples_in(&profile, &library), profile.total());
        assert!(inside * 10 > total * 9, "{object}: {inside} of {total} samples are in the library");
        agent.stop();
    }
}

/// Samples whose leaf is the library's function.
fn samples_in(profile: &super::profile::Profile, library: &Path) -> i64 {
    let symbols = Symbols::of(library);
    profile.count(|stack| {
        stack
            .iter()
            .any(|frame| Path::new(frame.mapping) == library && symbols.name(frame.address) == "late_work")
    })
}
