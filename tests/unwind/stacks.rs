//! The programs of the table, all in the same windows of one agent.

use super::cases::{Case, IN_STEPS, REMAPPED, WITH_FRAME_POINTERS, WITHOUT_FRAME_POINTERS, selected};
use super::common::agent::Agent;
use super::names::Names;
use super::target::{Target, latest};
use super::verdict::Verdict;
use std::fmt::Write;
use std::time::SystemTime;

/// Windows in which a program must once be as it should. The first ones pass while files are read.
const WINDOWS: usize = 10;

#[test]
fn stacks_of_programs_with_frame_pointers_are_whole() {
    assert_whole(WITH_FRAME_POINTERS);
}

#[test]
fn stacks_of_programs_without_frame_pointers_are_whole() {
    assert_whole(WITHOUT_FRAME_POINTERS);
}

#[test]
fn stacks_of_programs_that_map_other_files_where_one_was_are_whole() {
    assert_whole(REMAPPED);
}

#[test]
fn stacks_that_are_walked_in_steps_are_whole() {
    assert_whole_by("modern-in-steps", IN_STEPS);
}

/// Runs programs together, and asserts that each is profiled as it is in one window at least.
fn assert_whole(cases: &'static [Case]) {
    assert_whole_by("modern", cases);
}

/// The same with one BPF object, and one way to walk.
fn assert_whole_by(object: &str, cases: &'static [Case]) {
    let cases = selected(cases);
    let executables: Vec<_> = cases.iter().map(|case| case.build.executable(case.name)).collect();
    let agent = Agent::start(&[
        "--profiling-duration=3s",
        "--profiling-cpu-sampling-frequency=997",
        &format!("--force-object={object}"),
    ]);
    let started = cases.iter().zip(&executables).enumerate();
    let targets: Vec<_> = started.map(|(number, (case, path))| Target::start(case, path, number)).collect();
    let all_run_since = SystemTime::now();
    let mut names = Names::default();
    let mut open: Vec<&Target> = targets.iter().collect();
    let mut report = String::new();
    for _ in 0..WINDOWS {
        agent.favour_worker();
        // Waits until a window is closed.
        agent.next_window();
        report.clear();
        open.retain(|target| {
            let Some(profile) = latest(&agent, &target.comm).filter(|it| it.start() >= all_run_since) else {
                return true;
            };
            let verdict = Verdict::of(&profile, target, &mut names);
            let holds = verdict.holds(target);
            if holds {
                println!("{}: {verdict}", target.case.name);
            } else {
                writeln!(report, "    {}: {verdict}", target.case.name).unwrap();
            }
            !holds
        });
        if open.is_empty() {
            break;
        }
    }
    let failed: Vec<_> = open.iter().map(|target| target.case.name).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:?}\n{report}", failed.len(), targets.len());
    agent.metrics().assert_books_balance();
    agent.stop();
}
