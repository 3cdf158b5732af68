//! The log as a process writes it: the test starts itself again, and reads its standard error.

use parca_agent::log::{self, Format, Level};
use std::process::Command;

/// Set in the process that logs.
const CHILD: &str = "LOG_TEST_CHILD";

#[test]
fn level_and_format_change_while_running() {
    if std::env::var_os(CHILD).is_some() {
        write_log();
        return;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "level_and_format_change_while_running", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
    let text = String::from_utf8(child.stderr).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| line.contains("msg")).collect();
    let [first, second, third] = lines.as_slice() else { panic!("three records: {text}") };
    let (time, rest) = first.split_once(' ').unwrap();
    assert!(time.starts_with("ts=2") && time.ends_with('Z') && time.len() == 27, "{time}");
    assert_eq!(rest, r#"level=info msg="sampler attached" cpus=4 path="/a b""#);
    assert!(second.ends_with(r#" level=debug msg="seen""#), "{second}");
    let third: serde_json::Value = serde_json::from_str(third).unwrap();
    assert_eq!((&third["level"], &third["msg"]), (&"error".into(), &"in the format\nof now".into()));
    assert_eq!(third["comm"], "a\u{1b}[0m");
}

fn write_log() {
    assert!(log::start(Level::Info, Format::Logfmt).is_ok());
    assert!(log::start(Level::Info, Format::Logfmt).is_err());
    ::log::info!(cpus = 4, path = "/a b"; "sampler attached");
    ::log::debug!("hidden");
    log::set(Level::Debug, Format::Logfmt);
    ::log::debug!("seen");
    log::set(Level::Error, Format::Json);
    ::log::warn!("hidden");
    ::log::error!(comm = "a\u{1b}[0m"; "in the format\nof now");
}
