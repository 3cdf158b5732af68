//! Labels that the operator adds to every profile.

use crate::label::{LabelSet, is_label_name};
use std::str::FromStr;

/// Names that the agent itself gives to every profile; one value for all would hide what they tell.
const OWN_NAMES: [&str; 3] = ["node", "comm", "cgroup"];

/// Labels of `--external-label`, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalLabels(LabelSet);

/// Not a label that can be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalLabelError {
    /// No equals sign.
    #[error("{given:?} is no label: write NAME=VALUE;NAME=VALUE")]
    Syntax {
        /// The part between two semicolons.
        given: String,
    },
    /// Not what Prometheus takes for a label name.
    #[error("{name:?} is no label name: letters, digits and _ only, no digit first")]
    Name {
        /// The name.
        name: String,
    },
    /// A name that the agent uses.
    #[error("label {name:?} is reserved: the agent itself sets {}, and names beginning with __", OWN_NAMES.join(", "))]
    Reserved {
        /// The name.
        name: String,
    },
    /// An empty value, which is the same as no label.
    #[error("label {name:?} has no value")]
    Empty {
        /// The name.
        name: String,
    },
    /// One name, two values.
    #[error("label {name:?} is given twice")]
    Twice {
        /// The name.
        name: String,
    },
}

impl ExternalLabels {
    /// Adds one label.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), ExternalLabelError> {
        let name = name.to_owned();
        if !is_label_name(&name) {
            Err(ExternalLabelError::Name { name })
        } else if name.starts_with("__") || OWN_NAMES.contains(&name.as_str()) {
            Err(ExternalLabelError::Reserved { name })
        } else if value.is_empty() {
            Err(ExternalLabelError::Empty { name })
        } else if self.0.get(&name).is_some() {
            Err(ExternalLabelError::Twice { name })
        } else {
            self.0.set(name, value);
            Ok(())
        }
    }

    /// Adds every label of another set.
    pub fn extend(&mut self, other: &Self) -> Result<(), ExternalLabelError> {
        other.0.iter().try_for_each(|(name, value)| self.add(name, value))
    }

    /// The labels.
    pub fn get(&self) -> &LabelSet {
        &self.0
    }
}

impl From<LabelSet> for ExternalLabels {
    fn from(labels: LabelSet) -> Self {
        Self(labels)
    }
}

impl FromStr for ExternalLabels {
    type Err = ExternalLabelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut labels = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let syntax = || ExternalLabelError::Syntax { given: part.into() };
            let (name, value) = part.split_once('=').ok_or_else(syntax)?;
            labels.add(name, value)?;
        }
        Ok(labels)
    }
}

#[cfg(test)]
mod tests {
    use super::ExternalLabels;

    #[test]
    fn labels() {
        for (text, expected) in [
            ("", "{}"),
            ("region=eu-1", r#"{region="eu-1"}"#),
            ("a=1;b=2;", r#"{a="1",b="2"}"#),
            (" b=2 ; a=x=y ", r#"{a="x=y",b="2"}"#),
        ] {
            assert_eq!(text.parse::<ExternalLabels>().unwrap().get().to_string(), expected);
        }
    }

    #[test]
    fn no_labels() {
        let reserved = "is reserved: the agent itself sets node, comm, cgroup, and names beginning with __";
        for (text, expected) in [
            ("a", r#""a" is no label: write NAME=VALUE;NAME=VALUE"#.to_owned()),
            ("=1", r#""" is no label name: letters, digits and _ only, no digit first"#.into()),
            ("a-b=1", r#""a-b" is no label name: letters, digits and _ only, no digit first"#.into()),
            ("9=1", r#""9" is no label name: letters, digits and _ only, no digit first"#.into()),
            ("node=1", format!(r#"label "node" {reserved}"#)),
            ("__name__=x", format!(r#"label "__name__" {reserved}"#)),
            ("a=", r#"label "a" has no value"#.into()),
            ("a=1;a=2", r#"label "a" is given twice"#.into()),
        ] {
            assert_eq!(text.parse::<ExternalLabels>().unwrap_err().to_string(), expected);
        }
    }
}
