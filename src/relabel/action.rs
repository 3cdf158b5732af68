//! What a rule does.

use crate::choice::{self, NotAmong};
use std::fmt;
use std::str::FromStr;

/// What a rule does with a label set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Writes a label if the expression matches the source.
    #[default]
    Replace,
    /// Drops the set if the expression does not match the source.
    Keep,
    /// Drops the set if the expression matches the source.
    Drop,
    /// Drops the set if the source differs from a label.
    KeepEqual,
    /// Drops the set if the source equals a label.
    DropEqual,
    /// Writes a hash of the source.
    HashMod,
    /// Copies labels whose name matches.
    LabelMap,
    /// Removes labels whose name matches.
    LabelDrop,
    /// Removes labels whose name does not match.
    LabelKeep,
    /// Writes the source in lower case.
    Lowercase,
    /// Writes the source in upper case.
    Uppercase,
}

const ACTIONS: [(&str, Action); 11] = [
    ("replace", Action::Replace),
    ("keep", Action::Keep),
    ("drop", Action::Drop),
    ("keepequal", Action::KeepEqual),
    ("dropequal", Action::DropEqual),
    ("hashmod", Action::HashMod),
    ("labelmap", Action::LabelMap),
    ("labeldrop", Action::LabelDrop),
    ("labelkeep", Action::LabelKeep),
    ("lowercase", Action::Lowercase),
    ("uppercase", Action::Uppercase),
];

impl FromStr for Action {
    type Err = NotAmong;

    /// In any case: Prometheus had some of the names with capitals once.
    fn from_str(text: &str) -> Result<Self, NotAmong> {
        let not_among = |error| NotAmong { given: text.into(), ..error };
        choice::choose(&text.to_lowercase(), &ACTIONS).map_err(not_among)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(choice::word(*self, &ACTIONS))
    }
}

#[cfg(test)]
mod tests {
    use super::{ACTIONS, Action};

    #[test]
    fn actions_are_words_in_any_case() {
        for (word, action) in ACTIONS {
            assert_eq!(word.parse(), Ok(action));
            assert_eq!(word.to_uppercase().parse(), Ok(action));
            assert_eq!(action.to_string(), word);
        }
        assert_eq!("LabelMap".parse(), Ok(Action::LabelMap));
        for text in ["", "label_map", " keep"] {
            let error = text.parse::<Action>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text:?} is none of replace, keep, ")), "{error}");
        }
    }
}
