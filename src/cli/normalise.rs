//! The command line in one form: of all ways to write a flag, only name and value are left.
//!
//! `--name=value` and `--name value` are the same; a flag of truth is `--name`, `--no-name` or
//! `--name=false`. Flags may stand before, between and behind the words of a subcommand. Behind `--`
//! stand words only.

use super::UsageError;
use super::flag::{self, Flag};
use crate::choice;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CommandLine {
    /// The help text.
    Help,
    /// The version.
    Version,
    /// Something with these flags and words.
    Plain {
        /// Names without dashes, and values.
        flags: Vec<(&'static str, String)>,
        /// The words of a subcommand; `--` is kept.
        words: Vec<String>,
    },
}

/// Normalises the arguments behind the program's name.
pub(super) fn normalise(arguments: &[OsString]) -> Result<CommandLine, UsageError> {
    let texts = arguments.iter().map(text_of).collect::<Result<Vec<_>, _>>()?;
    let (mut flags, mut words) = (Vec::new(), Vec::new());
    let mut rest = texts.into_iter();
    while let Some(argument) = rest.next() {
        match argument {
            "-h" | "--help" => return Ok(CommandLine::Help),
            "-V" | "--version" => return Ok(CommandLine::Version),
            "help" if words.is_empty() => return Ok(CommandLine::Help),
            "--" => {
                words.push(argument.to_owned());
                words.extend(rest.by_ref().map(str::to_owned));
            }
            "-" => words.push(argument.to_owned()),
            _ if argument.starts_with('-') => flags.push(flag_and_value(argument, &mut rest)?),
            _ => words.push(argument.to_owned()),
        }
    }
    Ok(CommandLine::Plain { flags, words })
}

fn text_of(argument: &OsString) -> Result<&str, UsageError> {
    argument
        .to_str()
        .ok_or_else(|| UsageError::NotUtf8 { argument: argument.as_bytes().escape_ascii().to_string() })
}

fn flag_and_value<'a>(
    argument: &str,
    rest: &mut (impl Iterator<Item = &'a str> + Clone),
) -> Result<(&'static str, String), UsageError> {
    let (written, value) = match argument.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (argument, None),
    };
    let unknown = || UsageError::UnknownFlag { flag: written.into(), nearest: nearest_flag(written) };
    let name = written.strip_prefix("--").ok_or_else(unknown)?;
    if let Some(flag) = name.strip_prefix("no-").and_then(flag::find).filter(|flag| flag.is_bool()) {
        return match value {
            None => Ok((flag.name, "false".into())),
            Some(_) => Err(UsageError::UnwantedValue { flag: written.into() }),
        };
    }
    let flag = flag::find(name).ok_or_else(unknown)?;
    let value = match value {
        Some(value) => value.to_owned(),
        None if flag.is_bool() => "true".into(),
        None => next_value(flag, rest)?,
    };
    Ok((flag.name, value))
}

/// The next argument as a value; another flag is none, for then the value was forgotten.
fn next_value<'a>(
    flag: Flag,
    rest: &mut (impl Iterator<Item = &'a str> + Clone),
) -> Result<String, UsageError> {
    match rest.clone().next() {
        Some(value) if !value.starts_with("--") => {
            rest.next();
            Ok(value.to_owned())
        }
        _ => Err(UsageError::NoValue { flag: flag.name.into(), value_name: flag.value_name }),
    }
}

fn nearest_flag(written: &str) -> Option<String> {
    let names = flag::names();
    let nearest = choice::nearest(written.trim_start_matches('-'), names.iter().copied());
    nearest.map(|name| format!("--{name}"))
}

#[cfg(test)]
mod tests {
    use super::{CommandLine, normalise};
    use crate::cli::flag;
    use proptest::prelude::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    fn arguments(line: &str) -> Vec<OsString> {
        line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect()
    }

    #[test]
    fn every_way_to_write_a_flag() {
        for (line, flags, words) in [
            ("", "", ""),
            ("--node=a", "node=a", ""),
            ("--node a", "node=a", ""),
            ("--node=", "node=", ""),
            ("--node=--a", "node=--a", ""),
            ("--node -a", "node=-a", ""),
            ("--node help", "node=help", ""),
            ("--external-label=a=b", "external-label=a=b", ""),
            ("--metadata-external-labels a=b", "external-label=a=b", ""),
            ("--thread-labels", "thread-labels=true", ""),
            ("--thread-labels=false", "thread-labels=false", ""),
            ("--no-thread-labels", "thread-labels=false", ""),
            ("--thread-labels config print", "thread-labels=true", "config print"),
            ("config --node a check --log-level=info f", "node=a log-level=info", "config check f"),
            ("config check -- --node=a -h", "", "config check -- --node=a -h"),
            ("config check help", "", "config check help"),
            ("-", "", "-"),
        ] {
            let expected = CommandLine::Plain {
                flags: flags
                    .split_whitespace()
                    .filter_map(|pair| pair.split_once('='))
                    .map(|(name, value)| (flag::find(name).unwrap().name, value.to_owned()))
                    .collect(),
                words: words.split_whitespace().map(str::to_owned).collect(),
            };
            assert_eq!(normalise(&arguments(line)).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn help_and_version() {
        for line in ["-h", "--help", "help", "--node a --help", "config check -h", "help --bogus"] {
            assert_eq!(normalise(&arguments(line)).unwrap(), CommandLine::Help, "{line}");
        }
        for line in ["-V", "--version", "--log-level=info --version"] {
            assert_eq!(normalise(&arguments(line)).unwrap(), CommandLine::Version, "{line}");
        }
    }

    #[test]
    fn what_is_no_flag_is_named() {
        for (line, expected) in [
            ("--http-adress=:1", r#"unknown flag "--http-adress", did you mean "--http-address"?"#),
            ("-node=a", r#"unknown flag "-node", did you mean "--node"?"#),
            ("--bogus", r#"unknown flag "--bogus""#),
            ("--force-objec=a", r#"unknown flag "--force-objec""#),
            ("--=a", r#"unknown flag "--""#),
            ("---node=a", r#"unknown flag "---node", did you mean "--node"?"#),
            ("--no-node", r#"unknown flag "--no-node""#),
            ("--node", "flag --node needs a value: --node=NAME"),
            ("--node --log-level=info", "flag --node needs a value: --node=NAME"),
            ("--no-thread-labels=true", r#"flag "--no-thread-labels" takes no value"#),
        ] {
            assert_eq!(normalise(&arguments(line)).unwrap_err().to_string(), expected, "{line}");
        }
    }

    #[test]
    fn an_argument_that_is_not_utf8_is_named() {
        let argument = OsString::from_vec(b"--node=\xff\n".to_vec());
        let error = normalise(&[argument]).unwrap_err().to_string();
        assert_eq!(error, r#"argument "--node=\xff\n" is not UTF-8 text"#);
    }

    fn any_flag() -> impl Strategy<Value = (&'static str, bool)> {
        prop::sample::select(flag::all()).prop_map(|flag| (flag.name, flag.is_bool()))
    }

    proptest! {
        #[test]
        fn flags_and_values_come_back_in_order(
            given in prop::collection::vec((any_flag(), "[^-\0][^\0]{0,8}", any::<bool>()), 0..8),
        ) {
            let mut written = Vec::new();
            let mut expected = Vec::new();
            for ((name, is_bool), value, apart) in &given {
                expected.push((*name, value.clone()));
                if *apart && !is_bool {
                    written.extend([OsString::from(format!("--{name}")), OsString::from(value)]);
                } else {
                    written.push(OsString::from(format!("--{name}={value}")));
                }
            }
            prop_assert_eq!(
                normalise(&written).unwrap(),
                CommandLine::Plain { flags: expected, words: vec![] }
            );
        }

        #[test]
        fn behind_two_dashes_nothing_is_read(words in prop::collection::vec("[^\0]{0,8}", 0..8)) {
            let mut written = vec![OsString::from("--")];
            written.extend(words.iter().map(OsString::from));
            let mut expected = vec!["--".to_owned()];
            expected.extend(words);
            prop_assert_eq!(
                normalise(&written).unwrap(),
                CommandLine::Plain { flags: vec![], words: expected }
            );
        }

        #[test]
        fn no_arguments_panic(written in prop::collection::vec(any::<Vec<u8>>(), 0..6)) {
            let _ = normalise(&written.into_iter().map(OsString::from_vec).collect::<Vec<_>>());
        }
    }
}
