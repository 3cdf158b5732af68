//! What no line of the project may contain.

use std::path::Path;

use super::Finding;

/// Texts that are refused, and why. Each is in two halves, or this file would be refused.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("/wo", "rk/", "a path of one machine"),
    ("/fa", "rm/", "a path of one machine"),
    ("/tmp/", "wt/", "a path of one machine"),
    ("TO", "DO", "unfinished work belongs in an issue"),
    ("FIX", "ME", "unfinished work belongs in an issue"),
    ("todo", "!", "unfinished work belongs in an issue"),
    ("dbg", "!", "left over from debugging"),
];

/// Objects to forbidden words.
pub(super) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (first, second, why) in FORBIDDEN {
            let word = format!("{first}{second}");
            if contains_word(line, &word) {
                findings.push(Finding::new(path, index + 1, format!("contains `{word}`: {why}")));
            }
        }
    }
    findings
}

/// Whether a word stands in a line on its own, not as the end of a longer one, nor as its beginning if it
/// ends in a letter.
fn contains_word(line: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let open = word.ends_with(is_part) && after.is_some_and(is_part);
        !before.is_some_and(is_part) && !open
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_forbidden_word_is_found() {
        for (first, second, _) in FORBIDDEN {
            let text = format!("fine\nlet a = \"{first}{second}\";");
            let findings = check(Path::new("src/a.rs"), &text);
            assert_eq!(findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [2], "{text}");
        }
    }

    #[test]
    fn a_part_of_a_longer_word_is_not() {
        let cases = ["MAS\u{54}ODONS", "net/wo\u{72}k/", "/network/", "todo_list!()", "a homework/ folder"];
        for text in cases {
            assert_eq!(check(Path::new("src/a.rs"), text), [], "{text}");
        }
    }
}
