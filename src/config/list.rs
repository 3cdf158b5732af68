//! Settings with any number of entries: with commas on the command line, an array or a string in a file.

use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

/// Most entries of one list.
const MAX_ENTRIES: usize = 256;

/// Entries in the order in which they were given, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<E>(Vec<E>);

impl<E> Default for List<E> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Not a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError<F> {
    /// Nothing between two commas.
    #[error("{given:?} has an empty entry")]
    Empty {
        /// The list.
        given: String,
    },
    /// An entry that makes no sense.
    #[error(transparent)]
    Entry(F),
    /// Too many.
    #[error("has over {MAX_ENTRIES} entries")]
    TooMany,
}

impl<E: FromStr + PartialEq> List<E> {
    /// Adds what another list holds.
    pub fn extend(&mut self, other: Self) -> Result<(), ListError<E::Err>> {
        other.0.into_iter().try_for_each(|entry| self.push(entry))
    }

    fn push(&mut self, entry: E) -> Result<(), ListError<E::Err>> {
        if self.0.contains(&entry) {
            return Ok(());
        }
        if self.0.len() >= MAX_ENTRIES {
            return Err(ListError::TooMany);
        }
        self.0.push(entry);
        Ok(())
    }
}

impl<E: AsRef<str>> List<E> {
    /// Every entry as text.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl<E> List<E> {
    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<E: FromStr + PartialEq> FromStr for List<E> {
    type Err = ListError<E::Err>;

    /// An empty text is the empty list: so a flag can take back what a file says.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut list = Self::default();
        if text.trim().is_empty() {
            return Ok(list);
        }
        for entry in text.split(',').map(str::trim) {
            if entry.is_empty() {
                return Err(ListError::Empty { given: text.into() });
            }
            list.push(entry.parse().map_err(ListError::Entry)?)?;
        }
        Ok(list)
    }
}

/// Reads an array of strings, or a string; a file holds one list, the command line any number.
pub fn deserialize<'de, D, E>(deserializer: D) -> Result<Vec<List<E>>, D::Error>
where
    D: Deserializer<'de>,
    E: FromStr<Err: Display> + PartialEq,
{
    deserializer.deserialize_any(ArrayOrText(PhantomData)).map(|list| vec![list])
}

/// Writes an array of strings.
pub fn serialize<S, E>(lists: &[List<E>], serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    E: AsRef<str>,
{
    serializer.collect_seq(lists.iter().flat_map(List::iter))
}

struct ArrayOrText<E>(PhantomData<E>);

impl<'de, E: FromStr<Err: Display> + PartialEq> Visitor<'de> for ArrayOrText<E> {
    type Value = List<E>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of strings, or a string")
    }

    fn visit_str<F: de::Error>(self, text: &str) -> Result<List<E>, F> {
        text.parse().map_err(F::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<List<E>, A::Error> {
        let mut list = List::default();
        while array.next_element_seed(Entry(&mut list))?.is_some() {}
        Ok(list)
    }
}

/// Adds an entry while it is read, so that a fault gets its place.
struct Entry<'a, E>(&'a mut List<E>);

impl<'de, E: FromStr<Err: Display> + PartialEq> DeserializeSeed<'de> for Entry<'_, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<E: FromStr<Err: Display> + PartialEq> Visitor<'_> for Entry<'_, E> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<F: de::Error>(self, text: &str) -> Result<(), F> {
        let entry = text.parse().map_err(F::custom)?;
        self.0.push(entry).map_err(F::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{List, MAX_ENTRIES};
    use crate::config::variable_name::VariableName;

    type Names = List<VariableName>;

    #[test]
    fn entries_are_kept_in_order_and_once() {
        for (text, expected) in [("", vec![]), (" ", vec![]), ("B", vec!["B"]), ("B, A ,B", vec!["B", "A"])] {
            let names: Names = text.parse().unwrap();
            assert_eq!(names.iter().collect::<Vec<_>>(), expected, "{text}");
            assert_eq!(names.is_empty(), expected.is_empty());
        }
        let mut names: Names = "B,A".parse().unwrap();
        names.extend("A,C".parse().unwrap()).unwrap();
        assert_eq!(names.iter().collect::<Vec<_>>(), ["B", "A", "C"]);
    }

    #[test]
    fn an_entry_that_is_empty_or_wrong_is_named() {
        for text in [",", "A,", ",A", "A,,B"] {
            let error = text.parse::<Names>().unwrap_err().to_string();
            assert_eq!(error, format!("{text:?} has an empty entry"));
        }
        assert!("A,9".parse::<Names>().unwrap_err().to_string().starts_with("\"9\" is no"));
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let names = |count| (0..count).map(|index| format!("A{index}")).collect::<Vec<_>>().join(",");
        let mut most: Names = names(MAX_ENTRIES).parse().unwrap();
        assert_eq!(most.extend("A1".parse().unwrap()), Ok(()));
        assert_eq!(most.extend("B".parse().unwrap()).unwrap_err().to_string(), "has over 256 entries");
        assert!(names(MAX_ENTRIES + 1).parse::<Names>().is_err());
    }
}
