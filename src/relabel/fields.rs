//! The fields of a rule, as they are written.

use super::action::Action;

/// A rule as it was written: what is `None` was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Labels whose values are looked at.
    pub source_labels: Option<Vec<String>>,
    /// What stands between two values; without it, a semicolon.
    pub separator: Option<String>,
    /// What the source, or the name of a label, must match as a whole; without it, `(.*)`.
    pub regex: Option<String>,
    /// What the hash is divided by.
    pub modulus: Option<u64>,
    /// The label to write or to compare with.
    pub target_label: Option<String>,
    /// What is written; without it, `$1`.
    pub replacement: Option<String>,
    /// What to do; without it, `replace`.
    pub action: Option<Action>,
}

/// The name of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `source_labels`
    SourceLabels,
    /// `separator`
    Separator,
    /// `regex`
    Regex,
    /// `modulus`
    Modulus,
    /// `target_label`
    TargetLabel,
    /// `replacement`
    Replacement,
    /// `action`
    Action,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 7] = [
        Self::SourceLabels,
        Self::Separator,
        Self::Regex,
        Self::Modulus,
        Self::TargetLabel,
        Self::Replacement,
        Self::Action,
    ];

    /// The name that Prometheus gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SourceLabels => "source_labels",
            Self::Separator => "separator",
            Self::Regex => "regex",
            Self::Modulus => "modulus",
            Self::TargetLabel => "target_label",
            Self::Replacement => "replacement",
            Self::Action => "action",
        }
    }

    /// Finds a field by its name; dashes may stand for underscores.
    pub fn find(name: &str) -> Option<Self> {
        let name = name.replace('-', "_");
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}
