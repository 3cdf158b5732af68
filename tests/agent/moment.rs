//! Processes that are gone before the agent would have looked by itself.

use super::agent::Agent;
use super::program::{Program, unique};
use std::path::Path;
use std::time::Duration;

/// A process lives for a few samples; the agent looks once a second while nothing happens.
const LIFE: Duration = Duration::from_millis(150);
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
    // By chance alone one in seven would be read.
    assert!(missed.len() <= 1, "without a mapping: {missed:?} of {all:?}");
    agent.stop();
}
