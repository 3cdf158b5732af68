//! External labels of a file: a table of strings.

use super::labels::ExternalLabels;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::ser::Serializer;
use std::fmt;

/// Reads a table; a file holds one, the command line any number.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ExternalLabels>, D::Error> {
    deserializer.deserialize_map(LabelTable).map(|labels| vec![labels])
}

/// Writes one table.
pub fn serialize<S: Serializer>(labels: &[ExternalLabels], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(labels.iter().flat_map(|set| set.get().iter()))
}

struct LabelTable;

impl<'de> Visitor<'de> for LabelTable {
    type Value = ExternalLabels;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a table of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<ExternalLabels, A::Error> {
        let mut labels = ExternalLabels::default();
        while let Some(name) = table.next_key()? {
            table.next_value_seed(LabelValue { labels: &mut labels, name })?;
        }
        Ok(labels)
    }
}

/// Adds a label while its value is read, so that a fault gets the place of the value.
struct LabelValue<'a> {
    labels: &'a mut ExternalLabels,
    name: String,
}

impl<'de> DeserializeSeed<'de> for LabelValue<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let value = String::deserialize(deserializer)?;
        self.labels.add(&self.name, &value).map_err(de::Error::custom)
    }
}
