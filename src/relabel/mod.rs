//! Relabelling: rules that keep, drop and rename what was discovered, with the semantics of Prometheus 3
//! and its `legacy` scheme of label names, which is what a Parca store takes.
//!
//! | action | what it does |
//! |---|---|
//! | `replace` | if `regex` matches the source, writes `replacement` to `target_label` |
//! | `keep`, `drop` | drops what `regex` does not match, what it matches |
//! | `keepequal`, `dropequal` | drops what differs from `target_label`, what equals it |
//! | `hashmod` | writes the source's MD5 modulo `modulus` to `target_label` |
//! | `lowercase`, `uppercase` | writes the source in one case to `target_label` |
//! | `labelmap` | copies each label whose name `regex` matches to the name that `replacement` gives |
//! | `labeldrop`, `labelkeep` | removes labels whose name `regex` matches, does not match |
//!
//! The source is the values of `source_labels`, joined by `separator`; a label that is not set has the empty
//! value, and a label that gets the empty value is removed.
//!
//! Where this is not what Prometheus does, it is less, and says so when the rules are read: expressions that
//! `pattern.rs` cannot give the meaning they have there are refused, but for two rare letters it names. And two
//! things are less in silence. A `labelmap` skips names that no label may have, for the store would refuse the
//! whole profile. The rules write at most [`MAX_WRITTEN`] bytes to one label set.
//!
//! Everything here is a function of its arguments. The configuration reads rules; discovery applies them.

mod action;
mod case;
mod draft;
mod error;
mod fields;
mod operation;
mod pattern;
mod rule;
mod source;
mod template;
#[cfg(test)]
mod tests;

pub use action::Action;
pub use draft::MAX_WRITTEN;
pub use error::{Reason, RuleError, TooManyRules};
pub use fields::{Field, Fields};
pub use pattern::PatternError;
pub use rule::Rule;
pub use template::TemplateError;

use crate::label::LabelSet;
use draft::Draft;
use std::sync::Arc;

/// Most rules of one configuration. Each is applied to each target once.
pub const MAX_RULES: usize = 256;

/// Rules in the order in which they are applied. A clone is the same rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Arc<[Rule]>);

/// What becomes of a label set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays, with the labels that the rules left.
    Kept,
    /// It goes. The labels are as they were when the rule dropped it.
    Dropped {
        /// The rule, for [`Rules::get`]: the first one is 0.
        rule: usize,
    },
}

impl Rules {
    /// Puts rules in order.
    pub fn new(rules: Vec<Rule>) -> Result<Self, TooManyRules> {
        if rules.len() <= MAX_RULES { Ok(Self(rules.into())) } else { Err(TooManyRules) }
    }

    /// Applies the rules in order, up to the first one that drops the label set.
    pub fn apply(&self, labels: &mut LabelSet) -> Verdict {
        let mut draft = Draft::new(labels);
        match self.0.iter().position(|rule| !rule.keeps(&mut draft)) {
            Some(rule) => Verdict::Dropped { rule },
            None => Verdict::Kept,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a rule may look at the value of a label: if not, the label need not be there.
    pub fn reads(&self, name: &str) -> bool {
        self.0.iter().any(|rule| rule.reads(name))
    }

    /// Whether a rule may look at the value of any label whose name begins so. True when in doubt.
    pub fn reads_prefix(&self, prefix: &str) -> bool {
        self.0.iter().any(|rule| rule.reads_prefix(prefix))
    }

    /// One rule, by the number of a verdict.
    pub fn get(&self, index: usize) -> Option<&Rule> {
        self.0.get(index)
    }

    /// Every rule, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }
}
