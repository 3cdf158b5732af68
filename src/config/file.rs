//! The configuration file: read with care, as TOML, with the place of each fault.

use crate::choice;
use crate::text;
use rustix::fs::{FileType, Mode, OFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// Longest file that is read, in bytes: far more than all settings together need.
const MAX_BYTES: u64 = 1 << 20;

/// What a file may say: its keys, and those that only a flag or a variable can set.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// Keys of the file.
    pub known: &'a [&'a str],
    /// Other names of keys, and the keys.
    pub aliases: &'a [(&'a str, &'a str)],
    /// Names of flags that are no keys.
    pub flags_only: &'a [&'a str],
}

/// A fault of a configuration file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", Place { path, position: *position })]
pub struct FileError {
    path: PathBuf,
    position: Option<Position>,
    #[source]
    problem: Problem,
}

/// What is wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The system does not give it.
    #[error("cannot be read: {0}")]
    Read(#[source] std::io::Error),
    /// A directory, a FIFO, a device.
    #[error("is no regular file")]
    NotRegular,
    /// Too long.
    #[error("has over {} bytes", MAX_BYTES)]
    TooLong,
    /// Another encoding.
    #[error("is not UTF-8 text; it looks like UTF-16, save it as UTF-8")]
    Utf16,
    /// A mark that TOML does not know.
    #[error("begins with a byte order mark; save it as UTF-8 without one")]
    ByteOrderMark,
    /// Bytes that are no text.
    #[error("is not UTF-8 text")]
    NotUtf8,
    /// Not TOML.
    #[error("{0}")]
    Syntax(String),
    /// A key that means nothing.
    #[error("unknown key {key:?}{}", choice::hint(.nearest.as_deref()))]
    UnknownKey {
        /// The key.
        key: String,
        /// The key that was most likely meant.
        nearest: Option<String>,
    },
    /// A key that is a flag, but makes no sense in a file.
    #[error("key {key:?} cannot be set in a file, only by a flag or a variable")]
    FlagOnly {
        /// The key.
        key: String,
    },
    /// A key by two of its names.
    #[error("key {alias:?} is another name of {key:?}, which is set too")]
    Alias {
        /// The other name.
        alias: String,
        /// The key.
        key: String,
    },
    /// A value that its key does not take.
    #[error("{key}: {reason}")]
    Value {
        /// The key.
        key: String,
        /// Why not; names the value.
        reason: String,
    },
}

/// Line and column, from 1; a column is a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    line: usize,
    column: usize,
}

impl Position {
    fn of(text: &str, offset: usize) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

struct Place<'a> {
    path: &'a Path,
    position: Option<Position>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&display_path(self.path))?;
        match self.position {
            Some(Position { line, column }) => write!(formatter, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// A path as one line of text.
pub fn display_path(path: &Path) -> String {
    let text = text::display(path.as_os_str().as_bytes()).to_string();
    text.chars()
        .flat_map(|letter| {
            let escaped = letter.is_control().then(|| letter.escape_default());
            let plain = if escaped.is_some() { None } else { Some(letter) };
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// Reads a file whole. It never waits for a writer of a FIFO, and never reads a device.
pub fn read(path: &Path) -> Result<String, FileError> {
    read_text(path).map_err(|(problem, position)| FileError { path: path.into(), position, problem })
}

fn read_text(path: &Path) -> Result<String, (Problem, Option<Position>)> {
    let failed = |error: rustix::io::Errno| (Problem::Read(error.into()), None);
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let descriptor = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    let status = rustix::fs::fstat(&descriptor).map_err(failed)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err((Problem::NotRegular, None));
    }
    let mut bytes = Vec::new();
    // One byte more, so that a file that grows meanwhile is noticed too.
    let mut file = File::from(descriptor).take(MAX_BYTES + 1);
    file.read_to_end(&mut bytes).map_err(|error| (Problem::Read(error), None))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err((Problem::TooLong, None));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err((Problem::Utf16, None));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err((Problem::ByteOrderMark, None));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        (Problem::NotUtf8, Some(Position::of(&String::from_utf8_lossy(valid), valid.len())))
    })
}

/// Parses the text of a file. `path` is for errors only.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str, keys: Keys<'_>) -> Result<T, FileError> {
    let error = |problem: Problem, span: Option<Range<usize>>| FileError {
        path: path.into(),
        position: span.map(|span| Position::of(text, span.start)),
        problem,
    };
    let syntax = |fault: toml::de::Error| {
        let span = fault.span();
        error(Problem::Syntax(one_line(fault.message())), span)
    };
    let (table, faults) = DeTable::parse_recoverable(text);
    // The parser goes on behind a fault, and may stumble over what it left.
    let first = faults.into_iter().min_by_key(|fault| fault.span().map_or(0, |span| span.start));
    if let Some(fault) = first {
        return Err(syntax(fault));
    }
    // In the order of the file, so that the first fault of the file is told first.
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, _) in &entries {
        let name = key.get_ref().as_ref();
        if let Some(problem) = bad_key(name, table.get_ref(), keys) {
            return Err(error(problem, Some(key.span())));
        }
    }
    T::deserialize(toml::Deserializer::from(table.clone())).map_err(|fault| {
        let span = fault.span();
        let start = span.as_ref().map_or(0, |span| span.start);
        // The span of a table is its header alone, so the key of a fault is the last before it.
        let last_begin = |(key, value): &(&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
            let begins =
                [key.span().start.min(value.span().start)].into_iter().chain(elements(value.get_ref()));
            begins.filter(|begin| *begin <= start).max()
        };
        let key = entries
            .iter()
            .filter_map(|entry| Some((last_begin(entry)?, entry.0)))
            .max_by_key(|(begin, _)| *begin);
        let reason = one_line(fault.message());
        let problem = match key {
            Some((_, key)) => Problem::Value { key: key.get_ref().to_string(), reason },
            None => Problem::Syntax(reason),
        };
        error(problem, span)
    })
}

/// Where the elements of an array begin: those of an array of tables may have other keys between them.
fn elements<'a>(value: &'a DeValue<'_>) -> impl Iterator<Item = usize> + 'a {
    value.as_array().into_iter().flat_map(|array| array.iter()).map(|element| element.span().start)
}

fn bad_key(name: &str, table: &DeTable<'_>, keys: Keys<'_>) -> Option<Problem> {
    if let Some((alias, key)) = keys.aliases.iter().find(|(alias, _)| *alias == name) {
        let both = table.contains_key(*key);
        return both.then(|| Problem::Alias { alias: (*alias).into(), key: (*key).into() });
    }
    if keys.known.contains(&name) {
        return None;
    }
    if keys.flags_only.contains(&name) {
        return Some(Problem::FlagOnly { key: name.into() });
    }
    let nearest = choice::nearest(name, keys.known.iter().copied()).map(str::to_owned);
    Some(Problem::UnknownKey { key: name.into(), nearest })
}

/// Settings that TOML cannot hold.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RenderError(#[from] toml::ser::Error);

/// Writes settings as the text of a file.
pub fn render<T: Serialize>(settings: &T) -> Result<String, RenderError> {
    Ok(toml::to_string(settings)?)
}

/// Each key of settings, with its value as text: without the quotes of a string.
pub fn values<T: Serialize>(settings: &T) -> Result<Vec<(String, String)>, RenderError> {
    let table = toml::Table::try_from(settings)?;
    let plain = |value: toml::Value| match value {
        toml::Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(table.into_iter().map(|(key, value)| (key, plain(value))).collect())
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
