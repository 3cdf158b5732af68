//! The books: every sample taken is somewhere, and short-lived processes get theirs.

use super::agent::{Agent, selector};
use super::process;
use super::program::{Program, unique};
use super::workload;
use std::time::{Duration, SystemTime};

#[test]
fn the_books_balance_at_every_scrape_and_short_lives_are_counted() {
    let agent = Agent::start(&["--profiling-duration=2s"]);
    let directory = tempfile::tempdir().unwrap();
    let child_name = unique("moment");
    let child = directory.path().join(&child_name);
    std::fs::copy(workload::build("moment"), &child).unwrap();

    let mut churn =
        Program::start_measured("churn", unique("churn"), &["8", "200", child.to_str().unwrap(), "2"]);
    let before = SystemTime::now();
    let (address, children) = (agent.address, selector(&child_name));
    let counting = std::thread::spawn(move || count_until_gone(address, &children));
    let mut taken = 0.0;
    for _ in 0..50 {
        let metrics = agent.metrics();
        metrics.assert_books_balance();
        assert_eq!(metrics.sum("samples_dropped_total"), 0.0, "{metrics:?}");
        let now = metrics.value("samples_taken_total");
        assert!(now >= taken, "{now} samples taken, after {taken}");
        taken = now;
        std::thread::sleep(Duration::from_millis(150));
    }
    let used = churn.end().as_secs_f64();
    let (samples, windows) = counting.join().unwrap();
    let counted = samples as f64 / 100.0;
    assert!(used > 0.5, "the children had only {used} s of CPU time since {before:?}");
    let ratio = counted / used;
    assert!((0.7..1.3).contains(&ratio), "children used {used} s, {counted} s are in {windows} profiles");
    let metrics = agent.metrics();
    metrics.assert_books_balance();
    let taken = metrics.value("samples_taken_total");
    assert!(taken >= samples as f64, "{taken} samples taken, {samples} of them in profiles");
    agent.stop();
}

/// The samples of a target in one window after another, until it has none any more; and how many windows.
fn count_until_gone(address: std::net::SocketAddr, selector: &str) -> (i64, usize) {
    let target = format!("/query?query={}", super::http::encode(selector));
    let (mut samples, mut windows, mut last_end) = (0, 0, None);
    loop {
        let response = super::http::get(address, &target).unwrap();
        if response.status == 404 {
            return (samples, windows);
        }
        let profile = super::profile::Profile::decode(response.expect_ok().body);
        if let Some(end) = last_end {
            let gap = profile.start().duration_since(end).unwrap_or_default();
            assert!(gap < Duration::from_millis(200), "a window is missing: {gap:?} lie between two");
        }
        last_end = Some(profile.end());
        samples += profile.total();
        windows += 1;
    }
}

#[test]
fn what_waits_is_bounded_by_the_length_of_a_window() {
    let agent = Agent::start(&["--profiling-duration=1s"]);
    let _spinner = Program::start_load();
    // A second of the window, as much while it closes, and what a loaded machine adds.
    let cpus = std::thread::available_parallelism().unwrap().get() as f64;
    let limit = cpus * 100.0 * 4.0;
    let mut written = 0.0;
    for _ in 0..30 {
        let metrics = agent.metrics();
        metrics.assert_books_balance();
        let queued = metrics.sum("samples_queued");
        assert!(queued <= limit, "{queued} samples wait: {metrics:?}");
        written = metrics.value("samples_written_total");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(written > 50.0, "{written} samples written");
    agent.stop();
}

#[test]
fn a_loaded_machine_is_profiled_by_both_objects_without_loss() {
    for object in ["modern", "baseline"] {
        let agent = Agent::start(&["--profiling-duration=1s", &format!("--force-object={object}")]);
        let _spinner = Program::start_load();
        process::eventually("two hundred samples are written", Duration::from_secs(10), || {
            agent.metrics().value("samples_written_total") > 200.0
        });
        let metrics = agent.metrics();
        metrics.assert_books_balance();
        assert_eq!(metrics.sum("samples_dropped_total"), 0.0, "{object}: {metrics:?}");
        agent.stop();
    }
}
