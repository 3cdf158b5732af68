//! How long a file may be. Tests do not count, neither files of them nor the modules at the end of one.

use super::Finding;
use super::source::Source;

/// More than this is worth a look.
const LONG: usize = 500;
/// More than this is two files in one.
const TOO_LONG: usize = 800;
/// `main.rs` shows the course of the program on one screen.
const MAIN: usize = 60;

/// Objects to files that are too long.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    if source.is_test() {
        return Vec::new();
    }
    let is_main = source.path.ends_with("src/main.rs");
    let (long, too_long) = if is_main { (MAIN, MAIN) } else { (LONG, TOO_LONG) };
    if source.lines <= long {
        return Vec::new();
    }
    let message = format!("{} lines without tests, more than {long}", source.lines);
    let mut finding = Finding::new(&source.path, 0, message);
    finding.warning = source.lines <= too_long;
    vec![finding]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn long_files_are_a_question_and_longer_ones_a_fault() {
        let cases = [
            ("src/a.rs", 500, None),
            ("src/a.rs", 501, Some(true)),
            ("src/a.rs", 801, Some(false)),
            ("src/main.rs", 60, None),
            ("src/main.rs", 61, Some(false)),
            ("tests/a.rs", 900, None),
        ];
        for (path, lines, expected) in cases {
            let source = Source::new(Path::new(path), &"a();\n".repeat(lines));
            let warning = check(&source).first().map(|finding| finding.warning);
            assert_eq!(warning, expected, "{path} with {lines} lines");
        }
    }

    #[test]
    fn a_module_of_tests_does_not_count() {
        let text = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "a();\n".repeat(900));
        assert_eq!(check(&Source::new(Path::new("src/a.rs"), &text)), []);
    }
}
