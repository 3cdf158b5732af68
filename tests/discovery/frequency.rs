//! A target that is sampled less often has the same CPU time.

use crate::common::agent::{Agent, selector};
use crate::common::program::{Program, unique};
use std::time::SystemTime;

#[test]
fn a_target_that_is_sampled_less_often_has_the_same_cpu_time() {
    let (whole, thinned) = (unique("whole"), unique("thinned"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agent.toml");
    let text = format!(
        "profiling-duration = \"4s\"\n\n[[relabel-configs]]\nsource_labels = [\"comm\"]\nregex = \"{thinned}\"\n\
         target_label = \"__profile_frequency__\"\nreplacement = \"10\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let agent = Agent::start(&["--config-path", file.to_str().unwrap()]);
    let _one = Program::start("chain", &whole, &[]);
    let other = Program::start("chain", &thinned, &[]);
    crate::common::process::eventually("the kernel was told", std::time::Duration::from_secs(30), || {
        agent.metrics().value("selection_decisions{of=\"process\"}") >= 1.0
    });
    let now = SystemTime::now();
    let profile = agent.profile_since(&thinned, now);
    for sample in &profile.message.sample {
        assert_eq!(sample.value[0] % 10, 0, "each sample stands for ten");
    }
    let seconds = profile.message.duration_nanos as f64 / 1e9;
    let other_total = agent.profile(&selector(&whole)).total() as f64;
    let total = profile.total() as f64;
    // Both loops have as much of the CPUs as the other.
    let share = total / other_total;
    assert!((0.5..2.0).contains(&share), "{total} of {thinned} in {seconds} s, {other_total} of {whole}");
    assert_eq!(profile.total_of_thread(other.id()), profile.total());
    agent.metrics().assert_books_balance();
    agent.stop();
}
