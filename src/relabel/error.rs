//! Why rules are refused.

use super::MAX_RULES;
use super::action::Action;
use super::fields::Field;
use super::pattern::PatternError;
use super::template::TemplateError;
use crate::choice::NotAmong;

/// A rule that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {number}: {}: {reason}", field.name())]
pub struct RuleError {
    /// Which rule; the first one is 1.
    pub number: usize,
    /// The field that is wrong.
    pub field: Field,
    /// Why.
    pub reason: Reason,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No such action.
    #[error(transparent)]
    Action(NotAmong),
    /// The action needs a field that is not there.
    #[error("the action {0} needs one")]
    Missing(Action),
    /// The action has no use for a field.
    #[error("the action {action} takes {takes} alone")]
    Unwanted {
        /// The action.
        action: Action,
        /// The fields that it takes.
        takes: &'static str,
    },
    /// The action has no use for a replacement.
    #[error("the action {0} takes none")]
    NoReplacement(Action),
    /// Not what Prometheus takes for a label name.
    #[error("{0:?} is no label name: letters, digits and _ only, no digit first")]
    Name(String),
    /// Nothing that it could become is a label name.
    #[error(
        "{0:?} cannot become a label name: letters, digits, _ and references like ${{1}} only, no digit first"
    )]
    NameTemplate(String),
    /// Nothing can be divided by it.
    #[error("{0:?} is no whole number from 1 on")]
    Modulus(i64),
    /// Too many labels.
    #[error("has over {most} labels")]
    TooManyLabels {
        /// How many it may have.
        most: usize,
    },
    /// A bad expression.
    #[error(transparent)]
    Pattern(PatternError),
    /// A bad text with references.
    #[error(transparent)]
    Template(TemplateError),
}

/// More rules than are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("has over {MAX_RULES} rules")]
pub struct TooManyRules;
