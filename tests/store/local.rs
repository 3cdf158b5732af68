//! Profiles as files, beside the store and alone.

use crate::account::{PATIENCE, parts, start};
use crate::common::agent::refused;
use crate::common::peer::Peer;
use crate::common::process::eventually;
use crate::common::program::{Program, unique};
use std::fs;
use std::process::Command;

#[test]
fn each_profile_is_a_file_while_the_store_gets_it_too() {
    let directory = tempfile::tempdir().unwrap();
    let profiles = directory.path().join("profiles");
    let peer = Peer::start(&[]);
    let name = unique("busy");
    let _program = Program::start("chain", &name, &[]);
    let agent = start(&peer, &[&format!("--local-store-directory={}", profiles.display())]);
    let files = || -> Vec<_> {
        let Ok(entries) = fs::read_dir(&profiles) else { return vec![] };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.to_string_lossy().contains(&format!("_{name}_"))).collect()
    };
    eventually("files are written", PATIENCE, || files().len() >= 3);
    eventually("the store has profiles", PATIENCE, || parts(&agent)[0] > 100.0);
    eventually("the books of files balance", PATIENCE, || {
        let metrics = agent.metrics();
        let accounted = ["samples_written_total", "samples_queued", "samples_dropped_total"];
        let accounted = accounted.map(|name| metrics.sum(&format!("local_store_{name}")));
        metrics.sum("samples_written_total") == accounted.iter().sum::<f64>()
    });
    // Half a window, so that the program is in the last one.
    let now = files().len();
    eventually("a window has just ended", PATIENCE, || files().len() > now);
    std::thread::sleep(std::time::Duration::from_millis(400));
    let before = files().len();
    agent.stop();
    assert!(files().len() > before, "the last window is written, too");
    for file in files() {
        assert!(file.to_string_lossy().ends_with(".pb.gz"), "nothing is half written: {}", file.display());
    }
    let pprof = Command::new("go")
        .args(["tool", "pprof", "-symbolize=none", "-top"])
        .arg(&files()[0])
        .output()
        .unwrap();
    assert!(pprof.status.success(), "{}", String::from_utf8_lossy(&pprof.stderr));
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let refused = refused(&["--local-store-directory=/proc/none"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.error.contains("/proc/none"), "{}", refused.error);
}
