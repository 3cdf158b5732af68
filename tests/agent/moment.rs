//! Processes that are gone before the agent would have looked by itself.

use super::agent::Agent;
use super::program::{Program, unique};
use std::path::Path;
use std::time::Duration;

/// Longer than the kernel side may put off waking the agent, for it did so for another process a moment ago.
const LIFE: Duration = Duration::from_millis(350);
/// Long enough that the agent, which looks more often after it met a process, looks seldom again.
const QUIET: Duration = Duration::from_millis(1500);
const PROCESSES: usize = 6;

#[test]
fn a_process_that_lives_for_a_moment_is_read_while_it_lives() {
    let agent = Agent::start(&["--profiling-duration=15s", "--force-object=modern"]);
    agent.next_window();
    let programs: Vec<_> = (0..PROCESSES)
        .map(|number| {
            std::thread::sleep(QUIET);
            let name = unique(&format!("m{number}"));
            let mut program = Program::start_measured("chain", &name, &[]);
            std::thread::sleep(LIFE);
            program.kill();
            (name, program)
        })
        .collect();
    let all: Vec<&str> = programs.iter().map(|(name, _)| name.as_str()).collect();
    let profile = agent.profile(&format!("{{comm=~\"{}\"}}", all.join("|")));
    let read =
        |path: &Path| profile.count(|stack| stack.iter().any(|frame| Path::new(frame.mapping) == path)) > 0;
    let missed: Vec<&str> =
        programs.iter().filter(|(_, program)| !read(&program.path)).map(|(name, _)| name.as_str()).collect();
    // The agent looks once a second while nothing happens: by chance, one in three would be read.
    assert!(missed.is_empty(), "without a mapping: {missed:?} of {all:?}");
    agent.stop();
}
