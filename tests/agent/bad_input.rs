//! What is wrong is named, and nothing is half started.

use super::agent::{Agent, refused};
use super::bpf::BpfObjects;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = refused(&[&format!("--http-address={address}")]);
    assert_eq!(refused.code, Some(1), "{}", refused.error);
    assert!(refused.error.contains(&address) && refused.error.contains("in use"), "{}", refused.error);
    assert!(!refused.error.contains("sampling"), "it sampled before it failed: {}", refused.error);
}

#[test]
fn a_second_agent_does_not_disturb_the_first() {
    let agent = Agent::start(&["--profiling-duration=1s"]);
    let objects = BpfObjects::of(agent.id());
    let second = refused(&[&format!("--http-address={}", agent.address)]);
    assert_eq!(second.code, Some(1), "{}", second.error);
    assert_eq!(objects.left(), objects);
    agent.next_window();
    agent.stop();
}

#[test]
fn a_temporary_directory_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let missing = directory.path().join("missing");
    for place in [missing.to_str().unwrap(), file.to_str().unwrap(), "/proc/self"] {
        let refused = refused(&["--temp-dir", place]);
        assert_eq!(refused.code, Some(1), "{}", refused.error);
        assert!(refused.error.contains(place), "{}", refused.error);
    }
}

#[test]
fn what_others_planted_in_the_temporary_directory_is_left_alone() {
    let shared = tempfile::tempdir().unwrap();
    std::fs::set_permissions(shared.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
    let victim = tempfile::tempdir().unwrap();
    let planted = ["parca-agent", "parca-agent-", "parca-agent-aaaaaa"].map(|name| shared.path().join(name));
    symlink(victim.path(), &planted[0]).unwrap();
    symlink(victim.path(), &planted[1]).unwrap();
    std::fs::create_dir(&planted[2]).unwrap();
    std::os::unix::fs::chown(&planted[2], Some(65534), Some(65534)).unwrap();

    let agent = Agent::start(&["--profiling-duration=1s", "--temp-dir", shared.path().to_str().unwrap()]);
    agent.next_window();
    let own: Vec<_> = std::fs::read_dir(shared.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !planted.contains(path))
        .collect();
    let [own] = &own[..] else { panic!("not one directory of its own: {own:?}") };
    let status = std::fs::symlink_metadata(own).unwrap();
    assert!(status.is_dir() && status.uid() == 0, "{status:?}");
    assert_eq!(status.mode() & 0o777, 0o700);
    agent.stop();
    assert!(!own.exists());
    assert_eq!(std::fs::read_dir(victim.path()).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(&planted[2]).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(shared.path()).unwrap().count(), planted.len());
}

#[test]
fn bad_flags_are_errors_of_usage() {
    for (flag, word) in [
        ("--no-such-flag", "--no-such-flag"),
        ("--profiling-duration=0s", "profiling-duration"),
        ("--profiling-duration=soon", "profiling-duration"),
        ("--profiling-cpu-sampling-frequency=0", "profiling-cpu-sampling-frequency"),
        ("--http-address=nonsense", "http-address"),
        ("--force-object=newest", "force-object"),
        ("extra", "extra"),
    ] {
        let refused = refused(&[flag]);
        assert_eq!(refused.code, Some(2), "{flag}: {}", refused.error);
        assert!(refused.error.contains(word), "{flag}: {}", refused.error);
    }
}

#[test]
fn a_bad_configuration_is_named_with_line_and_column() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agent.toml");
    for (text, place, word) in [
        ("log-level = \"info\"\nprofiling-duratoin = \"1s\"\n", ":2:1", "profiling-duration"),
        ("log-level = \"loud\"\n", ":1:13", "loud"),
        ("log-level = \n", ":1:", ""),
    ] {
        std::fs::write(&file, text).unwrap();
        let refused = refused(&["--config-path", file.to_str().unwrap()]);
        assert_eq!(refused.code, Some(78), "{text:?}: {}", refused.error);
        let named = format!("{}{place}", file.display());
        assert!(
            refused.error.contains(&named) && refused.error.contains(word),
            "{text:?}: {}",
            refused.error
        );
    }
    let missing = directory.path().join("missing.toml");
    let refused = refused(&["--config-path", missing.to_str().unwrap()]);
    assert_eq!(refused.code, Some(78), "{}", refused.error);
    assert!(refused.error.contains("missing.toml"), "{}", refused.error);
}
