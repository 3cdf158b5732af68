//! Values that are a number in a file, with or without a point.

use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

/// Reads a number through the value's own parser.
pub fn deserialize<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    deserializer.deserialize_f64(Decimal(PhantomData)).map(Some)
}

/// Writes a number.
pub fn serialize<S, T>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    T: Copy + Into<f64>,
{
    match value {
        Some(value) => serializer.serialize_f64((*value).into()),
        None => serializer.serialize_none(),
    }
}

struct Decimal<T>(PhantomData<T>);

impl<T: FromStr<Err: Display>> Visitor<'_> for Decimal<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number")
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        number.to_string().parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        number.to_string().parse().map_err(E::custom)
    }
}
