//! The log: one line on standard error for each record, as logfmt or JSON.
//!
//! A line is one `write`, so lines of several threads never mix. Nothing is coloured, and no value can
//! forge a line or a terminal sequence. Level and format can change while the agent runs.

mod line;
mod timestamp;

use crate::choice::{self, NotAmong};
use ::log::{LevelFilter, Log, Metadata, Record, SetLoggerError};
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;
use timestamp::Timestamp;

/// The least serious record that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something that the agent was asked for does not work.
    Error,
    /// Something that an operator can act on.
    Warn,
    /// Start, stop, configuration and changes of state.
    Info,
    /// What helps to find a fault of the agent.
    Debug,
}

const LEVELS: [(&str, Level); 4] =
    [("error", Level::Error), ("warn", Level::Warn), ("info", Level::Info), ("debug", Level::Debug)];

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
        }
    }
}

impl FromStr for Level {
    type Err = NotAmong;

    fn from_str(text: &str) -> Result<Self, NotAmong> {
        choice::choose(text, &LEVELS)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(choice::word(*self, &LEVELS))
    }
}

/// How a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `key=value` pairs, with quotes where a value needs them.
    Logfmt,
    /// One JSON object a line.
    Json,
}

const FORMATS: [(&str, Format); 2] = [("logfmt", Format::Logfmt), ("json", Format::Json)];

impl FromStr for Format {
    type Err = NotAmong;

    fn from_str(text: &str) -> Result<Self, NotAmong> {
        choice::choose(text, &FORMATS)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(choice::word(*self, &FORMATS))
    }
}

struct Logger {
    json: AtomicBool,
}

static LOGGER: Logger = Logger { json: AtomicBool::new(false) };

/// Starts the log. Fails where another logger was set before.
pub fn start(level: Level, format: Format) -> Result<(), SetLoggerError> {
    ::log::set_logger(&LOGGER)?;
    set(level, format);
    Ok(())
}

/// Sets level and format of every record from now on.
pub fn set(level: Level, format: Format) {
    LOGGER.json.store(format == Format::Json, Ordering::Relaxed);
    ::log::set_max_level(level.into());
}

impl Logger {
    fn format(&self) -> Format {
        if self.json.load(Ordering::Relaxed) { Format::Json } else { Format::Logfmt }
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= ::log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = line::render(self.format(), Timestamp::from(SystemTime::now()), record);
            // There is no place left to tell that the log cannot be written.
            let _ = io::stderr().lock().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}
