//! Processes whose names and paths try to break whoever shows them.

use super::agent::{Agent, selector};
use super::program::{Program, bytes};
use super::readers::{assert_all_agree, script};
use std::process::Command;
use std::time::SystemTime;

#[test]
fn hostile_names_are_shown_as_text_everywhere() {
    let agent = Agent::start(&["--profiling-duration=2s", "--log-level=debug"]);
    // What the kernel keeps of each name is at most 15 bytes.
    let kinds = ["newline", "markup", "quote", "control", "invalid", "empty"];
    let by_name = kinds.map(|kind| Program::start("hostile", "hostile", &["60", kind]));
    let path = bytes(b"with space\n\xff\xfe/a b\n\xc3\x28<i>");
    let by_path = Program::start("chain", path, &[]);
    agent.next_window();
    agent.next_window();

    let listed = agent.targets();
    for program in by_name.iter().chain([&by_path]) {
        assert_found_by_displayed_name(&agent, &listed, program);
    }
    let selector = "{comm=~\"(?s).*\"}";
    let profile = agent.profile(selector);
    assert_all_agree(&profile);
    let shown = by_path.path.parent().unwrap().file_name().unwrap();
    // The kernel itself writes a line feed so, which would end the line of its list.
    let escaped = "with space\\012\\xff\\xfe";
    let holds = profile.message.mapping.iter().any(|row| profile.text(row.filename).contains(escaped));
    assert!(holds, "no mapping shows {shown:?} as {escaped:?}");

    for page in ["/", "/query?debug=1&query=%7b%7d"] {
        assert_html_is_harmless(&agent, page);
    }
    agent.metrics();
    for line in agent.stop() {
        assert!(
            line.starts_with("ts=") && line.contains(" level=") && !line.contains("level=error"),
            "{line:?}"
        );
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

/// The name that the kernel keeps, as the agent is to show it.
fn displayed(program: &Program) -> String {
    let name = std::fs::read(format!("/proc/{}/comm", program.id())).unwrap();
    let name = name.strip_suffix(b"\n").unwrap();
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

fn assert_found_by_displayed_name(agent: &Agent, listed: &serde_json::Value, program: &Program) {
    let name = displayed(program);
    let targets = listed["targets"].as_array().unwrap();
    // A label without a value is no label.
    let is_listed =
        |target: &serde_json::Value| target["labels"]["comm"].as_str().unwrap_or_default() == name;
    assert!(targets.iter().any(is_listed), "{name:?} is not in {listed}");
    let profile = agent.profile_since(&name, SystemTime::UNIX_EPOCH);
    let own = profile.total_of_thread(program.id());
    assert!(own > 0, "{} found no sample of process {}", selector(&name), program.id());
}

fn assert_html_is_harmless(agent: &Agent, page: &str) {
    let answer = agent.get(page).expect_ok();
    let text = answer.text();
    for raw in ["<script>x", "\u{1b}", "a b\n"] {
        assert!(!text.contains(raw), "{page} holds {raw:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.html");
    std::fs::write(&file, text).unwrap();
    let output = Command::new("python3").arg(script("html_page.py")).arg(file).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{page}: {error}");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("<script>x"), "{page} does not show the name");
}
