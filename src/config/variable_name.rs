//! Variables of the environment of a process, whose values rules may use.

use super::list::List;
use std::str::FromStr;

/// Longest name, bytes.
const MAX_LENGTH: usize = 255;

/// Names of variables that become labels `__meta_env_var_NAME`.
pub type VariableNames = List<VariableName>;

/// A name that can be the end of a label name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableName(String);

/// Not the name of a variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is no name of a variable: letters, digits and _ only, no digit first, at most {MAX_LENGTH}"
)]
pub struct VariableNameError {
    /// What was written.
    pub given: String,
}

impl FromStr for VariableName {
    type Err = VariableNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // What POSIX takes for a name is what Prometheus takes for a label name.
        if crate::label::is_label_name(text) && text.len() <= MAX_LENGTH {
            Ok(Self(text.into()))
        } else {
            Err(VariableNameError { given: text.into() })
        }
    }
}

impl AsRef<str> for VariableName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::VariableName;

    #[test]
    fn names_of_variables() {
        for text in ["PATH", "_", "a9", &"A".repeat(255)] {
            assert_eq!(text.parse::<VariableName>().unwrap().as_ref(), text);
        }
        for text in ["", "9A", "A-B", "A=B", "A.B", "é", "A B", &"A".repeat(256)] {
            assert!(text.parse::<VariableName>().is_err(), "{text:?}");
        }
    }
}
