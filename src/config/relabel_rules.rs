//! Relabelling rules of a file: an array of tables.

use crate::choice;
use crate::relabel::{Field, Fields, Reason, Rule, RuleError, Rules};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A key of a rule that is no field, or one twice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum KeyError {
    /// Not the name of a field.
    #[error("rule {number}: unknown key {key:?}{}", choice::hint(nearest(key)))]
    Unknown { number: usize, key: String },
    /// With a dash and with an underscore.
    #[error("rule {number}: {} is given twice", field.name())]
    Twice { number: usize, field: Field },
}

fn nearest(key: &str) -> Option<&'static str> {
    choice::nearest(key, Field::ALL.map(Field::name))
}

/// Reads an array of tables.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Rules>, D::Error> {
    deserializer.deserialize_seq(AllRules).map(Some)
}

/// Writes what was written: fields that were left out stay so.
pub fn serialize<S: Serializer>(rules: &Option<Rules>, serializer: S) -> Result<S::Ok, S::Error> {
    match rules {
        Some(rules) => serializer.collect_seq(rules.iter().map(|rule| Written::of(rule.fields()))),
        None => serializer.serialize_none(),
    }
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    source_labels: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    separator: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    regex: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modulus: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replacement: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
}

impl<'a> Written<'a> {
    fn of(fields: &'a Fields) -> Self {
        Self {
            source_labels: fields.source_labels.as_deref(),
            separator: fields.separator.as_deref(),
            regex: fields.regex.as_deref(),
            modulus: fields.modulus,
            target_label: fields.target_label.as_deref(),
            replacement: fields.replacement.as_deref(),
            action: fields.action.map(|action| action.to_string()),
        }
    }
}

struct AllRules;

impl<'de> Visitor<'de> for AllRules {
    type Value = Rules;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of tables")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Rules, A::Error> {
        let mut rules = Vec::new();
        while let Some(rule) = array.next_element_seed(RuleTable { number: rules.len() + 1 })? {
            rules.push(rule);
        }
        Rules::new(rules).map_err(de::Error::custom)
    }
}

/// One table. `number` is the place of the rule, from 1.
struct RuleTable {
    number: usize,
}

impl<'de> DeserializeSeed<'de> for RuleTable {
    type Value = Rule;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Rule, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RuleTable {
    type Value = Rule;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Rule, A::Error> {
        let number = self.number;
        let mut fields = Fields::default();
        let mut seen = Vec::new();
        while let Some(field) = table.next_key_seed(Key { number, seen: &seen })? {
            seen.push(field);
            match field {
                Field::SourceLabels => fields.source_labels = Some(table.next_value()?),
                Field::Separator => fields.separator = Some(table.next_value()?),
                Field::Regex => fields.regex = Some(table.next_value()?),
                Field::Modulus => fields.modulus = Some(table.next_value_seed(Modulus { number })?),
                Field::TargetLabel => fields.target_label = Some(table.next_value()?),
                Field::Replacement => fields.replacement = Some(table.next_value()?),
                Field::Action => fields.action = Some(table.next_value_seed(ActionWord { number })?),
            }
        }
        Rule::new(number, fields).map_err(de::Error::custom)
    }
}

/// The key of a field; those that were there already are in `seen`.
struct Key<'a> {
    number: usize,
    seen: &'a [Field],
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        let key = String::deserialize(deserializer)?;
        let number = self.number;
        match Field::find(&key) {
            Some(field) if self.seen.contains(&field) => {
                Err(de::Error::custom(KeyError::Twice { number, field }))
            }
            Some(field) => Ok(field),
            None => Err(de::Error::custom(KeyError::Unknown { number, key })),
        }
    }
}

struct Modulus {
    number: usize,
}

impl<'de> DeserializeSeed<'de> for Modulus {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        let given = i64::deserialize(deserializer)?;
        let error = RuleError { number: self.number, field: Field::Modulus, reason: Reason::Modulus(given) };
        u64::try_from(given).map_err(|_| de::Error::custom(error))
    }
}

struct ActionWord {
    number: usize,
}

impl<'de> DeserializeSeed<'de> for ActionWord {
    type Value = crate::relabel::Action;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|error| {
            let reason = Reason::Action(error);
            de::Error::custom(RuleError { number: self.number, field: Field::Action, reason })
        })
    }
}
