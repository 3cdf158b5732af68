//! The stacks of all programs of the table, each under the agent's eyes at the same time.

use super::agent::{Agent, selector};
use super::http;
use super::judge::{Judge, is_identified};
use super::profile::Profile;
use super::table::{Case, cases};
use super::target::Target;
use std::time::SystemTime;

/// Samples of each program that are judged, at least.
const ENOUGH: i64 = 150;
/// Windows of a program, with all of its files known, before the first that is judged: tables reach the
/// kernel a little after a file is known.
const SETTLING: usize = 2;
/// Windows until every program must have been judged.
const LIMIT: usize = 30;

/// A program and its samples.
struct Trial {
    target: Target,
    judge: Judge,
    last: SystemTime,
    settled: usize,
}

#[test]
fn every_stack_is_whole_and_right() {
    judge_all("modern", &cases());
}

#[test]
fn a_walk_of_frame_pointers_passes_with_them_and_fails_without() {
    let all = cases();
    let (with, without): (Vec<_>, Vec<_>) = all.iter().copied().partition(|case| case.has_frame_pointers);
    judge_all("baseline", &with);
    let deep = without.into_iter().find(|case| case.name == "deep60");
    if let Some(deep) = deep {
        assert_eq!(objections("baseline", &[deep]).len(), 1, "a stack without frame pointers passed");
    }
}

fn judge_all(object: &str, cases: &[&'static Case]) {
    let objections = objections(object, cases);
    assert!(
        objections.is_empty(),
        "{} of {} cases:\n{}",
        objections.len(),
        cases.len(),
        objections.join("\n")
    );
}

/// Runs programs under an agent, and says what is wrong with the stacks of which.
fn objections(object: &str, cases: &[&'static Case]) -> Vec<String> {
    // Some run before the agent does, and some it sees start.
    let (early, late) = cases.split_at(cases.len() / 2);
    let mut targets: Vec<Target> = early.iter().copied().map(Target::start).collect();
    let agent = Agent::start(&[
        "--profiling-duration=2s",
        "--profiling-cpu-sampling-frequency=499",
        &format!("--force-object={object}"),
    ]);
    targets.extend(late.iter().copied().map(Target::start));
    let begin = |target: Target| Trial {
        last: target.began + Target::WARM_UP,
        target,
        judge: Judge::default(),
        settled: 0,
    };
    let mut trials: Vec<Trial> = targets.into_iter().map(begin).collect();
    for _ in 0..LIMIT {
        agent.profile("{}");
        trials.iter_mut().for_each(|trial| trial.look(&agent));
        if trials.iter().all(|trial| trial.judge.total() >= ENOUGH) {
            break;
        }
    }
    let metrics = agent.metrics();
    metrics.assert_books_balance();
    agent.stop();
    trials.iter().filter_map(Trial::objection).collect()
}

impl Trial {
    /// Takes the latest window, unless it was taken before.
    fn look(&mut self, agent: &Agent) {
        if self.judge.total() >= ENOUGH {
            return;
        }
        let comm = http::encode(&selector(&self.target.executable.comm));
        let answer = agent.get(&format!("/query?latest=1&query={comm}"));
        if answer.status != 200 {
            return;
        }
        let profile = Profile::decode(answer.body);
        if profile.start() <= self.last {
            return;
        }
        self.last = profile.start();
        if !is_identified(&profile) {
            self.settled = 0;
            return;
        }
        self.settled += 1;
        if self.settled > SETTLING {
            self.judge.add(&profile, &self.target);
        }
    }

    fn objection(&self) -> Option<String> {
        let total = self.judge.total();
        if total < ENOUGH {
            let name = self.target.case.name;
            let settled = self.settled;
            return Some(format!("{name}: {total} samples; files known in the last {settled} windows"));
        }
        self.judge.objection(&self.target)
    }
}
