//! The command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [only] if only == "worker" => parca_agent::worker::run(),
        _ => ExitCode::SUCCESS,
    }
}
