//! Normalised flags and words to settings, by argh.

use super::settings::Settings;
use super::{Error, UsageError};
use argh::FromArgs;

/// Names that a word may have where a subcommand is expected; the worker's is for the agent itself.
const SUBCOMMANDS: [&str; 3] = ["config", "config check", "config print"];

/// What argh refuses.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A value of a flag.
    Value {
        /// Name without dashes.
        flag: &'static str,
        /// Why; names the value.
        reason: String,
    },
    /// Anything else.
    Usage(UsageError),
}

impl Refusal {
    /// Why, without the name of the flag.
    pub(super) fn reason(self) -> String {
        match self {
            Self::Value { reason, .. } => reason,
            Self::Usage(error) => error.to_string(),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Value { flag, reason } => Self::Flag { flag: flag.into(), reason },
            Refusal::Usage(error) => Self::Usage(error),
        }
    }
}

/// Parses flags and the words of a subcommand.
pub(super) fn settings(flags: &[(&'static str, String)], words: &[String]) -> Result<Settings, Refusal> {
    let dashed: Vec<String> = flags.iter().map(|(name, _)| format!("--{name}")).collect();
    let pairs = dashed.iter().zip(flags).flat_map(|(name, (_, value))| [name.as_str(), value.as_str()]);
    let arguments: Vec<&str> = pairs.chain(words.iter().map(String::as_str)).collect();
    Settings::from_args(&["parca-agent"], &arguments).map_err(|exit| refusal(&exit.output, flags, words))
}

/// Takes argh's sentence apart: it is built of the flag and the value that stand in `flags`.
fn refusal(output: &str, flags: &[(&'static str, String)], words: &[String]) -> Refusal {
    for (flag, value) in flags {
        let prefix = format!("Error parsing option '--{flag}' with value '{value}': ");
        if let Some(reason) = output.strip_prefix(&prefix) {
            let reason = match reason.trim_end() {
                "duplicate values provided" => "given twice".to_owned(),
                other => other.to_owned(),
            };
            return Refusal::Value { flag, reason };
        }
    }
    let plain: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "--").collect();
    Refusal::Usage(match plain.as_slice() {
        ["config"] => UsageError::NoAction,
        _ => UsageError::Words { words: plain.join(" "), known: &SUBCOMMANDS },
    })
}
