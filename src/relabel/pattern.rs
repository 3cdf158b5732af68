//! Expressions that must match a whole text, in the part of RE2's syntax that means the same here.
//!
//! Prometheus uses RE2, the agent a small engine that matches in time linear in the text as well. What the
//! engine does not know, it refuses, such as `\pL`; what it would take for something else is refused here.
//! Two differences stay: here `\s` matches a vertical tab, and `(?i)` takes no K for the kelvin sign.

use regex_lite::{Captures, Regex, RegexBuilder};

/// Largest compiled form of one expression, bytes: enough to list a few hundred names.
const MAX_SIZE: usize = 256 << 10;
/// Deepest nesting of one expression.
const MAX_NESTING: u32 = 64;

/// An expression that must match a whole text. Its dot matches line feeds too.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// What every text that it matches begins with.
    literal: String,
    /// Whether the literal is all that it matches.
    is_literal: bool,
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The engine does not take it.
    #[error("{given:?} is no regular expression: {reason}")]
    Syntax {
        /// What was written.
        given: String,
        /// What the engine says.
        reason: String,
    },
    /// Prometheus reads it otherwise than the engine.
    #[error("{found:?} in {given:?} is not known here: write {instead}")]
    Unclear {
        /// What was written.
        given: String,
        /// The part of it.
        found: &'static str,
        /// What to write.
        instead: &'static str,
    },
}

impl Pattern {
    /// Reads an expression.
    pub(super) fn new(text: &str) -> Result<Self, PatternError> {
        let syntax =
            |error: regex_lite::Error| PatternError::Syntax { given: text.into(), reason: error.to_string() };
        if let Some((found, instead)) = unclear(text) {
            return Err(PatternError::Unclear { given: text.into(), found, instead });
        }
        // Alone first: `a)|(b` is well formed inside the group, but does not mean what it seems to.
        compile(text).map_err(syntax)?;
        let regex = compile(&format!("^(?s:{text})$")).map_err(syntax)?;
        let (literal, is_literal) = literal_start(text);
        Ok(Self { regex, literal, is_literal })
    }

    /// Whether it matches a whole text.
    pub(super) fn is_match(&self, text: &str) -> bool {
        if self.is_literal { text == self.literal } else { self.begins(text) && self.regex.is_match(text) }
    }

    /// Matches a whole text, and says what the groups matched.
    pub(super) fn captures<'a>(&self, text: &'a str) -> Option<Captures<'a>> {
        if self.begins(text) { self.regex.captures(text) } else { None }
    }

    /// Cheaper than the engine: most names are none that a `labelmap` is after.
    fn begins(&self, text: &str) -> bool {
        text.starts_with(&self.literal)
    }

    /// Whether it may match a text that begins so. True when in doubt.
    pub(super) fn may_match_prefix(&self, prefix: &str) -> bool {
        self.literal.starts_with(prefix) || (!self.is_literal && prefix.starts_with(&self.literal))
    }
}

fn compile(pattern: &str) -> Result<Regex, regex_lite::Error> {
    RegexBuilder::new(pattern).size_limit(MAX_SIZE).nest_limit(MAX_NESTING).build()
}

/// The first part of an expression that the engine would take for something else than RE2 does, and what to
/// write in its place.
fn unclear(text: &str) -> Option<(&'static str, &'static str)> {
    let mut rest = text;
    let (mut ignores_case, mut is_ascii) = (false, text.is_ascii());
    while let Some(letter) = rest.chars().next() {
        let behind = &rest[letter.len_utf8()..];
        rest = match letter {
            '\\' => {
                match behind.chars().next() {
                    // The beginning and the end of a word for the engine, a sign for RE2.
                    Some('<') => return Some((r"\<", "[<]")),
                    Some('>') => return Some((r"\>", "[>]")),
                    // A letter by its number, which case may mean as well.
                    Some('x') => is_ascii &= !behind.starts_with("x{"),
                    _ => (),
                }
                behind_escape(behind)
            }
            '[' => {
                let inner = behind.strip_prefix('^').unwrap_or(behind);
                // For RE2 the beginning of a range.
                if inner.starts_with("--") || (inner.starts_with("]-") && !inner.starts_with("]-]")) {
                    return Some(("-", r"\- in the brackets"));
                }
                behind_class(inner)
            }
            '{' if !is_repetition(behind) => return Some(("{", r"\{")),
            '*' | '+' | '?' | '{' => {
                let behind = if letter == '{' {
                    behind.split_once('}').map_or("", |(_, behind)| behind)
                } else {
                    behind
                };
                let behind = behind.strip_prefix('?').unwrap_or(behind);
                if let Some(found) = ["*", "+", "?"].into_iter().find(|operator| behind.starts_with(operator))
                {
                    return Some((found, "the repetition before it in (?:)"));
                }
                if behind.starts_with('{') {
                    return Some(("{", r"\{, or the repetition before it in (?:)"));
                }
                behind
            }
            '(' if behind.starts_with('?') => {
                let flags = behind[1..].split([':', ')', '<']).next().unwrap_or_default();
                ignores_case |= flags.contains('i');
                behind
            }
            _ => behind,
        };
    }
    // RE2 ignores the case of every letter, the engine that of ASCII.
    (ignores_case && !is_ascii).then_some(("(?i)", "both cases of letters beyond ASCII"))
}

/// What follows an escape, its braces included; the backslash is gone already.
fn behind_escape(text: &str) -> &str {
    let mut letters = text.chars();
    let is_braced = matches!(letters.next(), Some('x' | 'p' | 'P')) && letters.as_str().starts_with('{');
    match letters.as_str().split_once('}') {
        Some((_, behind)) if is_braced => behind,
        _ => letters.as_str(),
    }
}

/// Whether a brace opens `{2}`, `{2,}` or `{2,3}`; RE2 takes all others for themselves.
fn is_repetition(behind: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((inner, _)) = behind.split_once('}') else { return false };
    match inner.split_once(',') {
        Some((least, most)) => is_number(least) && (most.is_empty() || is_number(most)),
        None => is_number(inner),
    }
}

/// What follows the bracket that ends a class.
fn behind_class(inner: &str) -> &str {
    // Its first letter is a member even if it is a bracket.
    let mut is_first = true;
    let mut rest = inner;
    while let Some(letter) = rest.chars().next() {
        let behind = &rest[letter.len_utf8()..];
        rest = match letter {
            ']' if !is_first => return behind,
            '\\' => behind_escape(behind),
            '[' if behind.starts_with(':') => behind.split_once(":]").map_or("", |(_, behind)| behind),
            _ => behind,
        };
        is_first = false;
    }
    rest
}

/// What all that an expression matches begins with, and whether that is all.
fn literal_start(text: &str) -> (String, bool) {
    let is_meta = |letter: char| r"\.+*?()|[]{}^$".contains(letter);
    let Some(end) = text.find(is_meta) else { return (text.to_owned(), true) };
    // An alternative may begin otherwise. One inside a group may not, but it takes a parser to tell them apart.
    if text.contains('|') && !has_one_branch(text) {
        return (String::new(), false);
    }
    let mut literal = text[..end].to_owned();
    if text[end..].starts_with(['*', '?', '{']) {
        literal.pop();
    }
    (literal, false)
}

/// Whether every `|` is inside a group; false when in doubt.
fn has_one_branch(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '[' => return false,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return false,
            _ => (),
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn an_expression_matches_the_whole_text() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("a", "ba", false),
            ("a|b", "b", true),
            ("a|b", "ab", false),
            (".*", "a\nb", true),
            ("a.b", "a\nb", true),
            ("a$", "a\n", false),
            ("(?-s).*", "a\nb", false),
            ("(?i)abc", "aBC", true),
            ("[[:alpha:]]+", "abC", true),
            ("[]a]+", "]a", true),
            (r"\w+", "é", false),
            (r"[^a]", "é", true),
            (".", "é", true),
            ("a{2}", "aa", true),
            ("a{1,}", "aaa", true),
            (r"a\{,2}", "a{,2}", true),
            (r"\x41\x{4a}\.", "AJ.", true),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().is_match(text), expected, "{pattern} {text:?}");
        }
    }

    #[test]
    fn what_the_engine_does_not_know_is_refused() {
        for (pattern, reason) in [
            ("(", "found open group without closing ')'"),
            ("a)|(?:b", "found closing ')' without matching '('"),
            ("*", "uncounted repetition operator must be applied to a sub-expression"),
            (r"\p{Greek}", "Unicode character classes are not supported"),
            (r"\pL", "Unicode character classes are not supported"),
            (r"(a)\1", "backreferences are not supported"),
            ("(?=a)", "look-around is not supported"),
            ("(?P<1x>a)", "invalid group name"),
            (r"\Qa\E", "unrecognized escape sequence"),
            ("(?:x{1000}){1000}", "regex exceeded size limit"),
        ] {
            let error = Pattern::new(pattern).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{pattern:?} is no regular expression: ")), "{error}");
            assert!(error.ends_with(reason), "{error}");
        }
        assert!(Pattern::new(&"(".repeat(100_000)).is_err());
    }

    #[test]
    fn what_prometheus_reads_otherwise_is_refused() {
        for (pattern, found) in [
            (r"a\<b", r"\\<"),
            (r"a\>b", r"\\>"),
            ("a{", "{"),
            ("{", "{"),
            ("a{,2}", "{"),
            ("a{ 2}", "{"),
            ("a{2,x}", "{"),
            (r"\b{start}", "{"),
            ("a**", "*"),
            ("a+?+", "+"),
            ("a???", "?"),
            ("a{2}{3}", "{"),
            ("(a)*{", "{"),
            ("[--a]", "-"),
            ("[^--a]", "-"),
            ("[]-a]", "-"),
            ("(?i)é", "(?i)"),
            ("a(?si:é)", "(?i)"),
            (r"(?i)\x{e9}", "(?i)"),
        ] {
            let error = Pattern::new(pattern).unwrap_err().to_string();
            assert!(error.starts_with(&format!("\"{found}\" in ")), "{pattern}: {error}");
        }
        for pattern in [
            r"\\<",
            "[<]",
            r"[{]",
            r"[^]{]",
            r"\{",
            "[]-]",
            "é",
            "(?s)é",
            "(?P<i>é)",
            "[[:alpha:]{]",
            "(?:a*)*",
            "a{2}?b",
            r"\**",
            "[*]*",
        ] {
            assert!(Pattern::new(pattern).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn a_prefix_that_cannot_match_is_told_from_one_that_may() {
        for (pattern, prefix, expected) in [
            ("__meta_(.+)", "__meta_pod_", true),
            ("__meta_pod_label_(.+)", "__meta_pod_", true),
            ("__meta_pod_label_(.+)", "__meta_env_", false),
            ("__meta_pod_labels?", "__meta_pod_label", true),
            ("__meta_pod_labels?", "__meta_pod_labels", true),
            ("__meta_pod_labels?x", "__meta_pod_labelx", true),
            ("__meta_a{0,1}", "__meta_b", true),
            ("__meta_a", "__meta_", true),
            ("__meta_a", "__meta_a_", false),
            ("__meta_a", "", true),
            (".*", "x", true),
            ("a|__meta_b", "__meta_", true),
            ("a(b|c)", "__meta_", false),
            ("a(b)|c", "c", true),
            ("a[(]|c", "c", true),
            (r"a\(|c", "c", true),
            ("a|b", "zzz", true),
            ("(?i)ABC", "abc", true),
            ("", "a", false),
        ] {
            assert_eq!(
                Pattern::new(pattern).unwrap().may_match_prefix(prefix),
                expected,
                "{pattern} {prefix}"
            );
        }
    }
}
