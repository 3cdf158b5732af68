//! The messages of pprof's `profile.proto`, with its field numbers and its words.
//!
//! Source: <https://github.com/google/pprof/blob/main/proto/profile.proto>. Index 0 of the string table is
//! the empty string, and every id starts at 1.

use prost::Message;

/// A set of samples, self-contained.
#[derive(Clone, PartialEq, Message)]
pub struct Profile {
    /// What each of a sample's values means.
    #[prost(message, repeated, tag = "1")]
    pub sample_type: Vec<ValueType>,
    /// The samples.
    #[prost(message, repeated, tag = "2")]
    pub sample: Vec<Sample>,
    /// Where locations lie.
    #[prost(message, repeated, tag = "3")]
    pub mapping: Vec<Mapping>,
    /// Places in code.
    #[prost(message, repeated, tag = "4")]
    pub location: Vec<Location>,
    /// Functions.
    #[prost(message, repeated, tag = "5")]
    pub function: Vec<Function>,
    /// Every string, once.
    #[prost(string, repeated, tag = "6")]
    pub string_table: Vec<String>,
    /// Start of the window, nanoseconds since 1970.
    #[prost(int64, tag = "9")]
    pub time_nanos: i64,
    /// Length of the window.
    #[prost(int64, tag = "10")]
    pub duration_nanos: i64,
    /// What lies between two samples.
    #[prost(message, optional, tag = "11")]
    pub period_type: Option<ValueType>,
    /// How much of it.
    #[prost(int64, tag = "12")]
    pub period: i64,
    /// Text for people, as indices in the string table.
    #[prost(int64, repeated, tag = "13")]
    pub comment: Vec<i64>,
}

/// A kind of value.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ValueType {
    /// Index in the string table.
    #[prost(int64, tag = "1")]
    pub r#type: i64,
    /// Index in the string table.
    #[prost(int64, tag = "2")]
    pub unit: i64,
}

/// One stack and its values.
#[derive(Clone, PartialEq, Message)]
pub struct Sample {
    /// Leaf first.
    #[prost(uint64, repeated, tag = "1")]
    pub location_id: Vec<u64>,
    /// One for each sample type.
    #[prost(int64, repeated, tag = "2")]
    pub value: Vec<i64>,
    /// What else is known.
    #[prost(message, repeated, tag = "3")]
    pub label: Vec<Label>,
}

/// A name with a text or a number.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Label {
    /// Index in the string table.
    #[prost(int64, tag = "1")]
    pub key: i64,
    /// Index in the string table.
    #[prost(int64, tag = "2")]
    pub str: i64,
    /// A number instead.
    #[prost(int64, tag = "3")]
    pub num: i64,
}

/// A range of addresses that one file stands behind.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Mapping {
    /// From 1.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// First address.
    #[prost(uint64, tag = "2")]
    pub memory_start: u64,
    /// First address behind it.
    #[prost(uint64, tag = "3")]
    pub memory_limit: u64,
    /// Where in the file the first address lies.
    #[prost(uint64, tag = "4")]
    pub file_offset: u64,
    /// Index in the string table.
    #[prost(int64, tag = "5")]
    pub filename: i64,
    /// Index in the string table.
    #[prost(int64, tag = "6")]
    pub build_id: i64,
    /// Its locations have lines with functions.
    #[prost(bool, tag = "7")]
    pub has_functions: bool,
}

/// A place in code.
#[derive(Clone, PartialEq, Message)]
pub struct Location {
    /// From 1.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// The mapping that holds it.
    #[prost(uint64, tag = "2")]
    pub mapping_id: u64,
    /// Its address, 0 where that must not or cannot be told.
    #[prost(uint64, tag = "3")]
    pub address: u64,
    /// The functions inlined there, the innermost first.
    #[prost(message, repeated, tag = "4")]
    pub line: Vec<Line>,
}

/// A function at a location.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Line {
    /// The function.
    #[prost(uint64, tag = "1")]
    pub function_id: u64,
    /// Line in its source.
    #[prost(int64, tag = "2")]
    pub line: i64,
}

/// A function.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Function {
    /// From 1.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Index in the string table.
    #[prost(int64, tag = "2")]
    pub name: i64,
    /// Index in the string table.
    #[prost(int64, tag = "3")]
    pub system_name: i64,
    /// Index in the string table.
    #[prost(int64, tag = "4")]
    pub filename: i64,
}
