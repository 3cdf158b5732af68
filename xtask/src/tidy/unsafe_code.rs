//! Where unsafe code may stand, and that it says why it is sound.

use super::Finding;
use super::source::Source;

/// The only places for unsafe code.
const PLACES: &[&str] = &["src/sys", "ebpf"];

/// How many lines above the keyword its reason may stand: a comment of a few lines and attributes.
const REACH: usize = 8;

/// Objects to unsafe code elsewhere, and to unsafe code without a reason.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut findings = Vec::new();
    for token in source.tokens.iter().filter(|token| token.word() == Some("unsafe")) {
        let message = if !PLACES.iter().any(|place| source.path.starts_with(place)) {
            format!("unsafe code belongs in {}", PLACES.join(" or "))
        } else if !is_explained(&lines, token.line) {
            "unsafe code without a SAFETY comment".to_owned()
        } else {
            continue;
        };
        findings.push(Finding::new(&source.path, token.line, message));
    }
    findings
}

fn is_explained(lines: &[&str], line: usize) -> bool {
    let near = &lines[line.saturating_sub(REACH + 1)..line.min(lines.len())];
    near.iter().any(|line| {
        line.contains("// SAFETY:") || line.contains("/// # Safety") || line.contains("#[unsafe(")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn unsafe_code_has_its_places_and_its_reasons() {
        let explained = "// SAFETY: a is valid.\nunsafe { a() }";
        let cases = [
            ("src/sys/perf_event.rs", explained, 0),
            ("ebpf/src/modern.rs", explained, 0),
            ("src/sys/mod.rs", "/// # Safety\n/// a is valid.\npub unsafe fn a() {}", 0),
            ("src/sys/mod.rs", "unsafe { a() }", 1),
            ("src/http/mod.rs", explained, 1),
            ("src/http/mod.rs", "#![deny(unsafe_code)] // unsafe\nlet a = \"unsafe\";", 0),
            ("ebpf/src/modern.rs", "#[unsafe(no_mangle)]\nstatic A: u32 = 0;", 0),
        ];
        for (path, text, expected) in cases {
            let source = Source::new(Path::new(path), text);
            assert_eq!(check(&source).len(), expected, "{path}: {text}");
        }
    }

    #[test]
    fn a_reason_far_above_is_no_reason() {
        let text = format!("// SAFETY: a is valid.\n{}unsafe {{ a() }}", "b();\n".repeat(REACH - 1));
        assert_eq!(check(&Source::new(Path::new("src/sys/mod.rs"), &text)), []);
        let text = text.replacen("b();", "b();\nb();", 1);
        assert_eq!(check(&Source::new(Path::new("src/sys/mod.rs"), &text)).len(), 1);
    }
}
