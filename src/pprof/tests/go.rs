//! The reader that everybody has.

use super::{Options, any, encode};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::fs;
use std::process::Command;

#[test]
fn go_tool_pprof_reads_any_window() {
    let installed = Command::new("go").arg("version").output().is_ok_and(|output| output.status.success());
    if !installed {
        eprintln!("go is not installed: skipped");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::deterministic();
    for index in 0..3 {
        let window = any::window().new_tree(&mut runner).unwrap().current();
        let profiles: Vec<_> = window.profiles.iter().collect();
        let path = directory.path().join(format!("{index}.pb.gz"));
        fs::write(&path, encode(&window, &profiles, Options { thread_labels: true })).unwrap();
        let output = Command::new("go").args(["tool", "pprof", "-raw"]).arg(&path).output().unwrap();
        let (text, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{errors}");
        for part in ["PeriodType: cpu nanoseconds", "samples/count cpu/nanoseconds", "Locations", "Mappings"]
        {
            assert!(text.contains(part), "{part}:\n{text}");
        }
        let samples: usize = profiles.iter().map(|profile| profile.samples.len()).sum();
        assert_eq!(text.matches("thread_id").count(), samples, "{text}");
    }
}
