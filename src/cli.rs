//! The command line: what the agent is asked to do, and with which configuration.
//!
//! Three layers say what is set: flags go before variables of the environment, these before the file,
//! and the file before the defaults. Only this module knows argh.

mod environment;
mod flag;
mod help;
mod normalise;
mod parse;
mod resolve;
mod settings;

use crate::choice;
use crate::config::Config;
use crate::config::file::{self, FileError};
use crate::config::node::NodeNameError;
use crate::exit::Exit;
use normalise::CommandLine;
use settings::{ConfigAction, Settings, Subcommand};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Version of the agent: that of the release, else that of the source.
pub const VERSION: &str = match option_env!("PARCA_AGENT_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

/// What the process was started with. A reload reads the file again, with the same invocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invocation {
    /// Arguments behind the program's name.
    pub arguments: Vec<OsString>,
    /// The environment.
    pub variables: Vec<(OsString, OsString)>,
    /// Name of this host.
    pub host_name: String,
}

impl Invocation {
    /// That of this process.
    pub fn of_this_process() -> Self {
        Self {
            arguments: std::env::args_os().skip(1).collect(),
            variables: std::env::vars_os().collect(),
            host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        }
    }
}

/// What the agent is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Profile this host.
    Run {
        /// How.
        config: Box<Config>,
        /// What is strange, but no error.
        warnings: Vec<Warning>,
    },
    /// Be the sandboxed worker of an agent.
    Worker,
    /// Print a text on standard output, and end.
    Print {
        /// The text, with its last line feed.
        output: String,
        /// What is strange, but no error.
        warnings: Vec<Warning>,
    },
}

/// Something strange that is no error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// A variable with the agent's prefix that is no flag.
    #[error("unknown variable \"{variable}\"{}", choice::hint(.nearest.as_deref()))]
    UnknownVariable {
        /// Its name.
        variable: String,
        /// The variable that was most likely meant.
        nearest: Option<String>,
    },
}

/// Why the agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line makes no sense.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// A flag does not take its value.
    #[error("--{flag}: {reason}")]
    Flag {
        /// Name without dashes.
        flag: String,
        /// Why; names the value.
        reason: String,
    },
    /// A variable of the environment does not take its value.
    #[error("{variable}: {reason}")]
    Variable {
        /// Its name.
        variable: String,
        /// Why; names the value.
        reason: String,
    },
    /// Settings, of any layer, that do not go together.
    #[error("{0}")]
    Together(&'static str),
    /// The file is wrong.
    #[error(transparent)]
    File(#[from] FileError),
    /// The host's own name is of no use, and no other is set.
    #[error("host name {0}; set --node")]
    HostName(#[source] NodeNameError),
    /// The configuration cannot be written as TOML.
    #[error("the configuration cannot be printed: {0}")]
    Print(#[source] file::RenderError),
}

impl Error {
    /// How the agent ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Flag { .. } => Exit::Usage,
            Self::Variable { .. } | Self::Together(_) | Self::File(_) | Self::HostName(_) => Exit::Config,
            Self::Print(_) => Exit::Failure,
        }
    }
}

/// A command line that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// Bytes that are no text.
    #[error("argument \"{argument}\" is not UTF-8 text")]
    NotUtf8 {
        /// The argument, with escapes.
        argument: String,
    },
    /// No flag of this name.
    #[error("unknown flag {flag:?}{}", choice::hint(.nearest.as_deref()))]
    UnknownFlag {
        /// As written.
        flag: String,
        /// The flag that was most likely meant.
        nearest: Option<String>,
    },
    /// A flag at the end, or before another.
    #[error("flag --{flag} needs a value: --{flag}={}", value_name.to_ascii_uppercase())]
    NoValue {
        /// Name without dashes.
        flag: String,
        /// What the value is called.
        value_name: &'static str,
    },
    /// `--no-flag=value`.
    #[error("flag {flag:?} takes no value")]
    UnwantedValue {
        /// As written.
        flag: String,
    },
    /// `config` alone.
    #[error("config needs an action: config check or config print")]
    NoAction,
    /// Words that are no subcommand.
    #[error("unknown command {words:?}{}", choice::hint(choice::nearest(words, known.iter().copied())))]
    Words {
        /// As written.
        words: String,
        /// What they may be.
        known: &'static [&'static str],
    },
    /// The worker gets all it needs over a socket.
    #[error("worker takes no flags")]
    WorkerFlags,
    /// `config check` without a file.
    #[error("there is no file to check: write config check PATH, or set --config-path")]
    NoFile,
}

/// Says what the invocation asks for. `read` gives the text of a file; [`file::read`] is the real one.
pub fn load(
    invocation: &Invocation,
    read: impl Fn(&Path) -> Result<String, FileError>,
) -> Result<Command, Error> {
    let print = |output| Ok(Command::Print { output, warnings: vec![] });
    let flags = match normalise::normalise(&invocation.arguments)? {
        CommandLine::Help => return print(help::text()),
        CommandLine::Version => return print(format!("parca-agent {VERSION}\n")),
        CommandLine::Plain { flags, words } => parse::settings(&flags, &words)?,
    };
    let action = match &flags.subcommand {
        Some(Subcommand::Worker(_)) => return worker(&flags),
        Some(Subcommand::Config(command)) => Some(command.action.clone()),
        None => None,
    };
    let (variables, warnings) = environment::read(&invocation.variables)?;
    let typed = flags.or(variables);
    let path = match &action {
        Some(ConfigAction::Check(check)) => check.path.clone().or(typed.config_path.clone()),
        _ => typed.config_path.clone(),
    };
    let settings = match &path {
        Some(path) => typed.or(from_file(path, &read(path)?)?),
        None => typed,
    };
    let config = settings.into_config(&invocation.host_name)?;
    match action {
        None => Ok(Command::Run { config: Box::new(config), warnings }),
        Some(ConfigAction::Check(_)) => Ok(Command::Print { output: checked(path)?, warnings }),
        Some(ConfigAction::Print(_)) => {
            let output = file::render(&Settings::of_config(config)).map_err(Error::Print)?;
            Ok(Command::Print { output, warnings })
        }
    }
}

fn worker(flags: &Settings) -> Result<Command, Error> {
    let alone = Settings { subcommand: flags.subcommand.clone(), ..Settings::default() };
    if *flags == alone { Ok(Command::Worker) } else { Err(UsageError::WorkerFlags.into()) }
}

fn from_file(path: &Path, text: &str) -> Result<Settings, FileError> {
    let keys = file::Keys { known: &flag::keys(), aliases: &flag::ALIASES, flags_only: &flag::NOT_IN_FILES };
    file::parse(path, text, keys)
}

fn checked(path: Option<PathBuf>) -> Result<String, Error> {
    let path = path.ok_or(UsageError::NoFile)?;
    Ok(format!("{}: ok\n", file::display_path(&path)))
}
