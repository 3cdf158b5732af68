//! One rule: its fields, and what they mean together.

use super::action::Action;
use super::draft::Draft;
use super::error::{Reason, RuleError};
use super::fields::{Field, Fields};
use super::operation::Operation;
use super::pattern::Pattern;
use super::source::Source;
use super::template::{self, Template};
use crate::label::is_label_name;
use std::fmt;
use std::num::NonZeroU64;

const SEPARATOR: &str = ";";
const REGEX: &str = "(.*)";
const REPLACEMENT: &str = "$1";
/// Most labels that one rule joins.
const MAX_SOURCE_LABELS: usize = 256;

/// A rule that makes sense.
#[derive(Clone, Debug)]
pub struct Rule {
    fields: Fields,
    operation: Operation,
}

impl Rule {
    /// Makes a rule of its fields. `number` is its place among the rules, from 1, for errors alone.
    pub fn new(number: usize, fields: Fields) -> Result<Self, RuleError> {
        match operation(&fields) {
            Ok(operation) => Ok(Self { fields, operation }),
            Err((field, reason)) => Err(RuleError { number, field, reason }),
        }
    }

    /// Its fields, as they were written.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Applies it. Returns whether the label set is kept.
    pub(super) fn keeps(&self, draft: &mut Draft<'_>) -> bool {
        self.operation.apply(draft)
    }

    pub(super) fn reads(&self, name: &str) -> bool {
        self.operation.reads(name)
    }

    pub(super) fn reads_prefix(&self, prefix: &str) -> bool {
        self.operation.reads_prefix(prefix)
    }
}

/// The operation is made of the fields.
impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

impl Eq for Rule {}

/// In one line: the action, and the fields that were written.
impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fields { source_labels, separator, regex, modulus, target_label, replacement, action } =
            &self.fields;
        write!(formatter, "{}", action.unwrap_or_default())?;
        if let Some(names) = source_labels {
            write!(formatter, " source_labels=[{}]", names.join(","))?;
        }
        if let Some(modulus) = modulus {
            write!(formatter, " modulus={modulus}")?;
        }
        let texts = [
            (Field::Separator, separator),
            (Field::Regex, regex),
            (Field::TargetLabel, target_label),
            (Field::Replacement, replacement),
        ];
        for (field, text) in texts {
            let Some(text) = text else { continue };
            let is_plain =
                !text.is_empty() && !text.contains(|letter: char| letter == '"' || !is_visible(letter));
            if is_plain {
                write!(formatter, " {}={text}", field.name())?;
            } else {
                write!(formatter, " {}={text:?}", field.name())?;
            }
        }
        Ok(())
    }
}

fn is_visible(letter: char) -> bool {
    !letter.is_whitespace() && !letter.is_control()
}

type Fault = (Field, Reason);

fn operation(fields: &Fields) -> Result<Operation, Fault> {
    let action = fields.action.unwrap_or_default();
    check_unwanted(action, fields)?;
    let source = source(fields)?;
    let regex = fields.regex.as_deref().unwrap_or(REGEX);
    let pattern = Pattern::new(regex).map_err(|error| (Field::Regex, Reason::Pattern(error)))?;
    let replacement = fields.replacement.as_deref().unwrap_or(REPLACEMENT);
    let template = |field, text| Template::parse(text).map_err(|error| (field, Reason::Template(error)));
    Ok(match action {
        Action::Keep => Operation::Keep { source, pattern },
        Action::Drop => Operation::Drop { source, pattern },
        Action::KeepEqual => Operation::KeepEqual { source, target: target_name(action, fields)? },
        Action::DropEqual => Operation::DropEqual { source, target: target_name(action, fields)? },
        Action::Lowercase => Operation::Lowercase { source, target: target_name(action, fields)? },
        Action::Uppercase => Operation::Uppercase { source, target: target_name(action, fields)? },
        Action::HashMod => Operation::HashMod {
            source,
            modulus: NonZeroU64::new(fields.modulus.ok_or((Field::Modulus, Reason::Missing(action)))?)
                .ok_or((Field::Modulus, Reason::Modulus(0)))?,
            target: target_name(action, fields)?,
        },
        Action::Replace => {
            let target = template(Field::TargetLabel, target_template(action, fields)?)?;
            Operation::Replace {
                source,
                pattern,
                target,
                replacement: template(Field::Replacement, replacement)?,
            }
        }
        Action::LabelMap => {
            let template = template(Field::Replacement, replacement)?;
            if !template::may_be_label_name(replacement) {
                return Err((Field::Replacement, Reason::NameTemplate(replacement.into())));
            }
            Operation::LabelMap { pattern, replacement: template }
        }
        Action::LabelDrop => Operation::LabelDrop { pattern },
        Action::LabelKeep => Operation::LabelKeep { pattern },
    })
}

/// Refuses fields that an action has no use for, where Prometheus does. It lets the others stand.
fn check_unwanted(action: Action, fields: &Fields) -> Result<(), Fault> {
    let Fields { source_labels, separator, regex, modulus, target_label, replacement, action: _ } = fields;
    let has_replacement = replacement.as_deref().is_some_and(|text| text != REPLACEMENT);
    // What is the same as if it were left out may stand, as in Prometheus.
    let others = [
        (Field::Separator, separator.as_deref().is_some_and(|text| text != SEPARATOR)),
        (Field::Modulus, modulus.is_some_and(|number| number != 0)),
        (Field::Replacement, has_replacement),
    ];
    let (takes, own) = match action {
        Action::KeepEqual | Action::DropEqual => {
            ("source_labels and target_label", [(Field::Regex, regex.is_some()), (Field::Regex, false)])
        }
        Action::LabelDrop | Action::LabelKeep => (
            "regex",
            [
                (Field::SourceLabels, source_labels.is_some()),
                (Field::TargetLabel, target_label.as_deref().is_some_and(|text| !text.is_empty())),
            ],
        ),
        Action::Lowercase | Action::Uppercase if has_replacement => {
            return Err((Field::Replacement, Reason::NoReplacement(action)));
        }
        _ => return Ok(()),
    };
    match own.into_iter().chain(others).find(|(_, is_there)| *is_there) {
        Some((field, _)) => Err((field, Reason::Unwanted { action, takes })),
        None => Ok(()),
    }
}

fn source(fields: &Fields) -> Result<Source, Fault> {
    let names = fields.source_labels.clone().unwrap_or_default();
    if names.len() > MAX_SOURCE_LABELS {
        return Err((Field::SourceLabels, Reason::TooManyLabels { most: MAX_SOURCE_LABELS }));
    }
    if let Some(name) = names.iter().find(|name| !is_label_name(name)) {
        return Err((Field::SourceLabels, Reason::Name(name.clone())));
    }
    Ok(Source::new(names, fields.separator.clone().unwrap_or_else(|| SEPARATOR.into())))
}

fn target_label(action: Action, fields: &Fields) -> Result<&str, Fault> {
    let given = fields.target_label.as_deref().filter(|text| !text.is_empty());
    given.ok_or((Field::TargetLabel, Reason::Missing(action)))
}

fn target_name(action: Action, fields: &Fields) -> Result<String, Fault> {
    let name = target_label(action, fields)?;
    if is_label_name(name) { Ok(name.into()) } else { Err((Field::TargetLabel, Reason::Name(name.into()))) }
}

fn target_template(action: Action, fields: &Fields) -> Result<&str, Fault> {
    let text = target_label(action, fields)?;
    let reason = if !text.contains('$') { Reason::Name } else { Reason::NameTemplate };
    if template::may_be_label_name(text) { Ok(text) } else { Err((Field::TargetLabel, reason(text.into()))) }
}
