//! Processes that live for two milliseconds.

use super::build::c;
use super::chain::{Chain, Fit, text};
use super::common::agent::Agent;
use super::common::program::{Program, unique};
use super::common::symbols::Symbols;
use super::names::Names;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Processes a second; together they take about half a CPU.
const RATE: &str = "200";

/// Share of samples whose stack must be whole, of those that have a user stack: before a program is loaded
/// and after it has given up its memory there is none.
const SHARE: f64 = 0.95;

#[test]
fn stacks_of_processes_that_live_for_two_milliseconds_are_whole() {
    let agent = Agent::start(&["--profiling-duration=3s", "--profiling-cpu-sampling-frequency=997"]);
    let moment = c(&["../../workloads/moment.c"], &["-static"]).executable("moment");
    let name = unique("moment");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(&name);
    std::fs::copy(&moment, &path).unwrap();
    let path = path.to_str().unwrap();
    let _churn = Program::start("churn", unique("churn"), &["60", RATE, path]);
    let since = SystemTime::now();
    // The first window may pass while the file is read.
    agent.profile_since(&name, since);
    let profile = agent.profile_since(&name, since);

    let (mut names, symbols, chain) =
        (Names::default(), Symbols::of(&moment), Chain::parse(["~%!%", "_start"]));
    let (mut with_user_stack, mut whole, mut others) = (0, 0, BTreeMap::<String, i64>::new());
    for sample in &profile.message.sample {
        let stack = names.of(&profile.stack(sample), path, &symbols);
        if stack.is_empty() {
            continue;
        }
        with_user_stack += sample.value[0];
        match chain.fit(&stack) {
            Fit::Whole => whole += sample.value[0],
            _ => *others.entry(text(&stack)).or_default() += sample.value[0],
        }
    }
    println!("{others:#?}");
    println!("{whole} of {with_user_stack} stacks are whole, and {} samples are there", profile.total());
    assert!(with_user_stack > 100, "only {with_user_stack} samples");
    let share = whole as f64 / with_user_stack as f64;
    assert!(share >= SHARE, "{whole} of {with_user_stack} stacks are whole: {others:#?}");
    agent.metrics().assert_books_balance();
    agent.stop();
}
