//! Two processes that had the same id one after the other.

use super::agent::{Agent, selector};
use super::program::{Program, unique};
use super::{http, profile::Profile, workload};
use std::time::{Duration, SystemTime};

/// Other processes of the machine may take the id first.
const TRIES: usize = 200;

#[test]
fn a_reused_process_id_never_mixes_two_processes() {
    let agent = Agent::start(&["--profiling-duration=4s"]);
    let (first_name, second_name) = (unique("first"), unique("second"));
    // As much of a window as there can be.
    agent.next_window();
    let mut first = Program::start_measured("chain", &first_name, &[]);
    let (id, path) = (first.id(), first.path.clone());
    std::thread::sleep(Duration::from_millis(800));
    let first_used = first.kill();
    let Some(mut second) = start_with_id(id, &second_name) else { return };
    std::thread::sleep(Duration::from_millis(800));
    let second_path = second.path.clone();
    let second_used = second.kill();

    let both = format!("{{comm=~\"{first_name}|{second_name}\"}}");
    let window = agent.profile(&both);
    for (name, own, other, used) in
        [(&first_name, &path, &second_path, first_used), (&second_name, &second_path, &path, second_used)]
    {
        let latest = agent.get(&format!("/query?latest=true&query={}", http::encode(&selector(name))));
        let profile = Profile::decode(latest.expect_ok().body);
        assert_eq!(profile.start(), window.start(), "both in one window");
        let (total, expected) = (profile.total() as f64, used.as_secs_f64() * 100.0);
        assert!((0.7..1.3).contains(&(total / expected)), "{name}: {total} samples in {used:?}");
        assert_eq!(profile.total_of_thread(id), profile.total());
        let in_mapping = |path: &std::path::Path| {
            profile.count(|stack| stack.iter().any(|frame| std::path::Path::new(frame.mapping) == path))
        };
        assert!(in_mapping(own) as f64 > total * 0.9, "{name}: {} of {total}", in_mapping(own));
        assert_eq!(in_mapping(other), 0, "{name} has frames of the other process");
    }
    agent.stop();
}

/// Starts a program under an id that is free, by telling the kernel which one it gave last.
fn start_with_id(id: u32, name: &str) -> Option<Program> {
    // Building takes process ids, so it comes first.
    let executable = workload::build("deep");
    let begun = SystemTime::now();
    for _ in 0..TRIES {
        if let Err(error) = std::fs::write("/proc/sys/kernel/ns_last_pid", (id - 1).to_string()) {
            eprintln!("skipped: the kernel does not let us choose a process id: {error}");
            return None;
        }
        let program = Program::start_file_measured(&executable, name.as_ref(), &[]);
        if program.id() == id {
            return Some(program);
        }
    }
    panic!("no process got the id {id} in {TRIES} tries since {begun:?}");
}
