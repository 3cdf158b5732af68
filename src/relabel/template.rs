//! Texts with references to what an expression has captured, as Go's `regexp.Expand` reads them.
//!
//! `$1` and `${1}` are groups by number, `$name` and `${name}` by name, `$$` is a dollar sign. A name without
//! braces is as long as it can be: `$1x` is the group called `1x`. A group that does not exist or took no part
//! is empty. A dollar sign that begins none of these stands for itself.

use regex_lite::Captures;

/// A text with references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Number(usize),
    Name(String),
}

/// A reference that cannot be read as Go reads it.
///
/// For Go every letter and digit of Unicode is part of a name, though no group can be called so; rather than to
/// carry its tables along, the unclear cases are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{letter:?} behind {before:?} is unclear: write ${{NAME}} in braces, with ASCII letters alone")]
pub struct TemplateError {
    /// The letter beyond ASCII.
    pub letter: char,
    /// The reference before it.
    pub before: String,
}

impl Template {
    /// Reads a text.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            push_text(&mut parts, before);
            if let Some(behind) = after.strip_prefix('$') {
                push_text(&mut parts, "$");
                rest = behind;
            } else if let Some((name, behind)) = reference(after)? {
                parts.push(part(name));
                rest = behind;
            } else {
                push_text(&mut parts, "$");
                rest = after;
            }
        }
        push_text(&mut parts, rest);
        Ok(Self(parts))
    }

    /// The text for one match; `None` if it were longer than `most` bytes.
    pub(super) fn expand(&self, captures: &Captures<'_>, most: usize) -> Option<String> {
        let mut text = String::new();
        for part in &self.0 {
            let piece = match part {
                Part::Text(text) => text.as_str(),
                Part::Number(number) => captures.get(*number).map_or("", |group| group.as_str()),
                Part::Name(name) => captures.name(name).map_or("", |group| group.as_str()),
            };
            if text.len() + piece.len() > most {
                return None;
            }
            text.push_str(piece);
        }
        Some(text)
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Text(last)) => last.push_str(text),
        _ if text.is_empty() => (),
        _ => parts.push(Part::Text(text.into())),
    }
}

/// The name at the beginning of what follows a dollar sign, and what follows the name.
fn reference(after: &str) -> Result<Option<(&str, &str)>, TemplateError> {
    let (open, close) = if after.starts_with('{') { ("{", "}") } else { ("", "") };
    let inner = &after[open.len()..];
    let length = inner.find(|letter| !is_word(letter)).unwrap_or(inner.len());
    let (name, behind) = inner.split_at(length);
    if let Some(letter) =
        behind.chars().next().filter(|letter| !letter.is_ascii() && letter.is_alphanumeric())
    {
        return Err(TemplateError { letter, before: format!("${open}{name}") });
    }
    Ok(behind.strip_prefix(close).filter(|_| !name.is_empty()).map(|behind| (name, behind)))
}

fn is_word(letter: char) -> bool {
    letter == '_' || letter.is_ascii_alphanumeric()
}

/// A group is called by number if its name is one in its shortest form.
fn part(name: &str) -> Part {
    let is_number = name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
    match name.parse() {
        Ok(number) if is_number => Part::Number(number),
        _ => Part::Name(name.into()),
    }
}

/// Whether a text can become a label name: a name in which references may stand for letters. Digits may not
/// come first, and braces must be closed.
pub(super) fn may_be_label_name(text: &str) -> bool {
    let mut rest = text;
    let mut is_first = true;
    while let Some(letter) = rest.chars().next() {
        let behind = &rest[letter.len_utf8()..];
        rest = match letter {
            '$' => match reference(behind) {
                Ok(Some((_, behind))) => behind,
                _ => return false,
            },
            _ if is_word(letter) && !(is_first && letter.is_ascii_digit()) => behind,
            _ => return false,
        };
        is_first = false;
    }
    !is_first
}

#[cfg(test)]
mod tests {
    use super::{Template, may_be_label_name};
    use regex_lite::Regex;

    fn expanded(template: &str) -> String {
        let captures = Regex::new("(a)(?P<two>b)(x)?").unwrap().captures("ab").unwrap();
        Template::parse(template).unwrap().expand(&captures, 100).unwrap()
    }

    #[test]
    fn references_are_read_as_go_reads_them() {
        for (template, expected) in [
            ("", ""),
            ("x", "x"),
            ("$1", "a"),
            ("${1}", "a"),
            ("$0$1$2", "abab"),
            ("$two", "b"),
            ("${two}x", "bx"),
            ("$twox", ""),
            ("$1x", ""),
            ("${1}x", "ax"),
            ("$1-x", "a-x"),
            ("$1_", ""),
            ("$3", ""),
            ("$4", ""),
            ("$99999999999999999999", ""),
            ("$01", ""),
            ("$00", ""),
            ("${01}", ""),
            ("$$", "$"),
            ("$$1", "$1"),
            ("$$$1", "$a"),
            ("$", "$"),
            ("x$", "x$"),
            ("$-", "$-"),
            ("${", "${"),
            ("${}", "${}"),
            ("${1", "${1"),
            ("${1-}", "${1-}"),
            ("${ 1}", "${ 1}"),
            ("$ 1", "$ 1"),
            ("${$1}", "${a}"),
            ("é$1", "éa"),
            ("$1→", "a→"),
            ("{$1}", "{a}"),
        ] {
            assert_eq!(expanded(template), expected, "{template}");
        }
    }

    #[test]
    fn letters_that_only_go_would_take_for_a_name_are_refused() {
        for template in ["$1é", "$é", "${é}", "${twoé}", "$1\u{663}"] {
            let error = Template::parse(template).unwrap_err().to_string();
            assert!(error.contains("is unclear: write ${NAME} in braces"), "{error}");
        }
        assert_eq!(expanded("${1}é"), "aé");
    }

    #[test]
    fn a_text_that_would_be_too_long_is_not_made() {
        let captures = Regex::new("(.*)").unwrap().captures("12345").unwrap();
        let template = Template::parse("$1$1").unwrap();
        assert_eq!(template.expand(&captures, 10).as_deref(), Some("1234512345"));
        assert_eq!(template.expand(&captures, 9), None);
    }

    #[test]
    fn what_may_become_a_label_name() {
        for (text, expected) in [
            ("a", true),
            ("_a9", true),
            ("$1", true),
            ("${1}", true),
            ("${1}9", true),
            ("$1_x", true),
            ("a${b}c$d", true),
            ("$a$b", true),
            ("", false),
            ("9", false),
            ("9$1", false),
            ("$", false),
            ("$$", false),
            ("a$", false),
            ("${a", false),
            ("${}", false),
            ("a-$1", false),
            ("$1-", false),
            ("é$1", false),
            ("a b", false),
        ] {
            assert_eq!(may_be_label_name(text), expected, "{text}");
        }
    }
}
