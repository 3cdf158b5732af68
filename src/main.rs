//! The command `parca-agent`.

use parca_agent::cli::{self, Command, Invocation};
use parca_agent::config::file;
use parca_agent::exit::Exit;
use parca_agent::{agent, log, worker};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let invocation = Invocation::of_this_process();
    match cli::load(&invocation, file::read) {
        Ok(Command::Run { config, warnings }) => run(*config, &warnings, &invocation).into(),
        Ok(Command::Worker) => worker::run(),
        Ok(Command::Print { output, warnings }) => {
            warnings.iter().for_each(|warning| eprintln!("parca-agent: {warning}"));
            // A reader that went away, as `head` does, is no failure.
            let _ = std::io::stdout().write_all(output.as_bytes());
            Exit::Clean.into()
        }
        Err(error) => {
            eprintln!("parca-agent: {error}");
            error.exit().into()
        }
    }
}

fn run(config: parca_agent::config::Config, warnings: &[cli::Warning], invocation: &Invocation) -> Exit {
    if let Err(error) = log::start(config.log.level, config.log.format) {
        eprintln!("parca-agent: {error}");
    }
    for warning in warnings {
        ::log::warn!("{warning}");
    }
    agent::run(config, invocation).unwrap_or_else(|error| {
        ::log::error!("{error:#}");
        agent::exit_of(&error)
    })
}
