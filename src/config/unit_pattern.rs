//! Which units of systemd are profiled as such.

use super::list::List;
use std::str::FromStr;

/// Longest name of a unit, bytes (systemd's `UNIT_NAME_MAX`, less the zero byte).
const MAX_LENGTH: usize = 255;

/// The types of units (systemd.unit(5)).
const SUFFIXES: [&str; 11] = [
    ".service",
    ".scope",
    ".slice",
    ".socket",
    ".mount",
    ".swap",
    ".timer",
    ".target",
    ".device",
    ".path",
    ".automount",
];

/// Names of units, and patterns of names.
pub type UnitPatterns = List<UnitPattern>;

/// The whole name of a unit, or a pattern for whole names: `*` for any letters, `?` for one, `[a-z]` or
/// `[!a-z]` for one of some. A backslash stands for itself, for unit names have them: `dev-disk-by\x2did.swap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitPattern(String);

/// Not the name of a unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitPatternError {
    /// A letter that no unit has.
    #[error("{given:?} is no unit: {letter:?} is none of letters, digits and : - _ . \\ @ * ? [ ]")]
    Letter {
        /// What was written.
        given: String,
        /// The letter.
        letter: char,
    },
    /// Brackets that make no sense.
    #[error("{given:?} is no pattern of units: write [abc], [a-z] or [!a-z]")]
    Brackets {
        /// What was written.
        given: String,
    },
    /// Nothing before the type.
    #[error("{given:?} is no unit: it has no name")]
    Name {
        /// What was written.
        given: String,
    },
    /// Something of which units are made, but no unit.
    #[error("{given:?} is a template, which never runs itself: write {}", instances(given))]
    Template {
        /// The name with its type.
        given: String,
    },
    /// Longer than a unit can be.
    #[error("{given:?} is no unit: over {MAX_LENGTH} bytes")]
    TooLong {
        /// What was written.
        given: String,
    },
}

fn instances(template: &str) -> String {
    template.replacen('@', "@*", 1)
}

impl FromStr for UnitPattern {
    type Err = UnitPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let given = || text.to_owned();
        if text.len() > MAX_LENGTH {
            // Too long to be repeated whole.
            let begin = &text[..text.floor_char_boundary(MAX_LENGTH / 4)];
            return Err(UnitPatternError::TooLong { given: format!("{begin}…") });
        }
        if let Some(letter) =
            text.chars().find(|letter| !is_unit_letter(*letter) && !"*?[]!".contains(*letter))
        {
            return Err(UnitPatternError::Letter { given: given(), letter });
        }
        check_brackets(text).ok_or_else(|| UnitPatternError::Brackets { given: given() })?;
        let suffix = SUFFIXES.into_iter().find(|suffix| text.ends_with(suffix));
        let name = text.strip_suffix(suffix.unwrap_or_default()).unwrap_or(text);
        if name.is_empty() || name.starts_with('@') {
            return Err(UnitPatternError::Name { given: given() });
        }
        let whole = match suffix {
            None if !text.ends_with('*') => format!("{text}.service"),
            _ => given(),
        };
        if whole.len() > MAX_LENGTH {
            return Err(UnitPatternError::TooLong { given: given() });
        }
        if name.ends_with('@') {
            return Err(UnitPatternError::Template { given: whole });
        }
        Ok(Self(whole))
    }
}

/// Letters of names (systemd.unit(5)), with the one before an instance.
fn is_unit_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || r":-_.\@".contains(letter)
}

/// Whether each bracket has its other one, with letters in between, and ranges that are not empty.
fn check_brackets(text: &str) -> Option<()> {
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('[') {
        is_outside(before).then_some(())?;
        let (inner, behind) = behind.split_once(']')?;
        let members = inner.strip_prefix('!').unwrap_or(inner).as_bytes();
        let is_range = |range: &[u8]| matches!(range, [low, b'-', high] if low > high);
        let is_good = !members.is_empty()
            && members.iter().all(|byte| is_unit_letter(char::from(*byte)))
            && !members.windows(3).any(is_range);
        is_good.then_some(())?;
        rest = behind;
    }
    is_outside(rest).then_some(())
}

fn is_outside(text: &str) -> bool {
    !text.contains([']', '!'])
}

impl AsRef<str> for UnitPattern {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{UnitPattern, UnitPatterns};

    #[test]
    fn a_name_without_a_type_is_a_service() {
        for (text, expected) in [
            ("nginx", "nginx.service"),
            ("nginx.service", "nginx.service"),
            ("init.scope", "init.scope"),
            ("user.slice", "user.slice"),
            ("-.slice", "-.slice"),
            ("-.mount", "-.mount"),
            ("a.automount", "a.automount"),
            ("php8.3-fpm", "php8.3-fpm.service"),
            ("a.Service", "a.Service.service"),
            ("getty@tty1", "getty@tty1.service"),
            ("getty@*", "getty@*"),
            ("getty@*.service", "getty@*.service"),
            ("*", "*"),
            ("nginx*", "nginx*"),
            ("nginx.*", "nginx.*"),
            ("*-worker", "*-worker.service"),
            ("worker-?", "worker-?.service"),
            ("worker-[0-9]", "worker-[0-9].service"),
            ("worker-[!a-z_].scope", "worker-[!a-z_].scope"),
            (r"dev-disk-by\x2did.swap", r"dev-disk-by\x2did.swap"),
            (r"a\x2db@c:d", r"a\x2db@c:d.service"),
            ("a@b@c.service", "a@b@c.service"),
            ("[a-]", "[a-].service"),
        ] {
            assert_eq!(text.parse::<UnitPattern>().unwrap().as_ref(), expected);
        }
    }

    #[test]
    fn what_cannot_be_a_unit_is_refused() {
        for (text, expected) in [
            ("a b", r#""a b" is no unit: ' ' is none of letters, digits and : - _ . \ @ * ? [ ]"#),
            (
                "/usr/bin/a",
                r#""/usr/bin/a" is no unit: '/' is none of letters, digits and : - _ . \ @ * ? [ ]"#,
            ),
            ("é", r#""é" is no unit: 'é' is none of letters, digits and : - _ . \ @ * ? [ ]"#),
            ("a[", r#""a[" is no pattern of units: write [abc], [a-z] or [!a-z]"#),
            ("a]", r#""a]" is no pattern of units: write [abc], [a-z] or [!a-z]"#),
            ("a[]", r#""a[]" is no pattern of units: write [abc], [a-z] or [!a-z]"#),
            ("a[!]", r#""a[!]" is no pattern of units: write [abc], [a-z] or [!a-z]"#),
            ("a!", r#""a!" is no pattern of units: write [abc], [a-z] or [!a-z]"#),
            ("[[a]]", r#""[[a]]" is no pattern of units: write [abc], [a-z] or [!a-z]"#),
            ("[a*]", r#""[a*]" is no pattern of units: write [abc], [a-z] or [!a-z]"#),
            ("[z-a]", r#""[z-a]" is no pattern of units: write [abc], [a-z] or [!a-z]"#),
            ("", r#""" is no unit: it has no name"#),
            (".service", r#"".service" is no unit: it has no name"#),
            ("@a.service", r#""@a.service" is no unit: it has no name"#),
            ("getty@", r#""getty@.service" is a template, which never runs itself: write getty@*.service"#),
            (
                "getty@.service",
                r#""getty@.service" is a template, which never runs itself: write getty@*.service"#,
            ),
        ] {
            assert_eq!(text.parse::<UnitPattern>().unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_name_has_at_most_255_bytes_with_its_type() {
        let name = |length| "x".repeat(length);
        assert_eq!(name(247).parse::<UnitPattern>().unwrap().as_ref().len(), 255);
        for length in [248, 255, 256, 100_000] {
            let error = name(length).parse::<UnitPattern>().unwrap_err().to_string();
            assert!(error.ends_with("is no unit: over 255 bytes") && error.len() < 300, "{error}");
        }
    }

    #[test]
    fn two_names_of_one_unit_are_one() {
        let units: UnitPatterns = "nginx,nginx.service,a*".parse().unwrap();
        assert_eq!(units.iter().collect::<Vec<_>>(), ["nginx.service", "a*"]);
    }
}
