//! Writes what of an ELF file a server needs to name addresses, or tells how much of each file that is.
//!
//! ```sh
//! cargo run --example debug_file -- FILE OUTPUT            # write the debug file
//! cargo run --example debug_file -- --statistics FILE...   # bytes of each file and of its debug file, and times
//! ```
//! The files are parsed by the agent's worker, which is the program that `AGENT` names, or `parca-agent` beside the
//! folder of this example.

#[path = "support/worker.rs"]
mod worker;

use anyhow::{Context, anyhow, bail};
use parca_agent::debuginfo::plan::Extraction;
use parca_agent::debuginfo::reader::PlanReader;
use parca_agent::debuginfo::stamp::Stamp;
use parca_agent::worker::supervisor::{Options, Supervisor};
use std::fs::File;
use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let supervisor = Supervisor::start(Options { program: worker::agent()?, ..Options::default() })?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--statistics", ref files @ ..] if !files.is_empty() => statistics(&supervisor, files),
        [file, output] => write(&supervisor, file, output),
        _ => bail!("usage: debug_file FILE OUTPUT, or debug_file --statistics FILE..."),
    }
}

fn write(supervisor: &Supervisor, file: &str, output: &str) -> anyhow::Result<()> {
    let (file, stamp, extraction) = plan(supervisor, file)?;
    println!("{:?}", extraction.content);
    let mut reader = PlanReader::new(&file, stamp, extraction.plan)?;
    let mut output = File::create(output).with_context(|| format!("failed to create {output}"))?;
    io::copy(&mut reader, &mut output).context("failed to write the debug file")?;
    Ok(())
}

/// A line for each file, one for all, and one for both processes.
fn statistics(supervisor: &Supervisor, files: &[&str]) -> anyhow::Result<()> {
    println!("{:>12} {:>12} {:>9} {:>9}  file", "bytes", "debug file", "plan ms", "read ms");
    let line = |sizes: [u64; 2], times: [Duration; 2], name: &str| {
        let [planned, read] = times.map(|time| time.as_secs_f64() * 1000.0);
        println!("{:>12} {:>12} {planned:>9.2} {read:>9.2}  {name}", sizes[0], sizes[1]);
    };
    let (mut sizes, mut times, mut workers) = ([0; 2], [Duration::ZERO; 2], 0);
    for name in files {
        let begun = Instant::now();
        let (file, stamp, extraction) = match plan(supervisor, name) {
            Ok(planned) => planned,
            Err(error) => {
                println!("{error:#}");
                continue;
            }
        };
        let planned = begun.elapsed();
        let begun = Instant::now();
        let size = io::copy(&mut PlanReader::new(&file, stamp, extraction.plan)?, &mut io::sink())?;
        let read = begun.elapsed();
        line([stamp.size, size], [planned, read], name);
        sizes = [sizes[0] + stamp.size, sizes[1] + size];
        times = [times[0] + planned, times[1] + read];
        workers = workers.max(supervisor.worker().map_or(0, |id| worker::peak(&id.to_string())));
    }
    line(sizes, times, "all");
    println!("peak memory: {} KiB here, {workers} KiB of the worker", worker::peak("self"));
    Ok(())
}

fn plan(supervisor: &Supervisor, name: &str) -> anyhow::Result<(File, Stamp, Extraction)> {
    let file = File::open(name).with_context(|| format!("failed to open {name}"))?;
    let stamp = Stamp::of(&file)?;
    let (sender, receiver) = mpsc::channel();
    // Nobody listens to it after the answer.
    supervisor.extract(file.try_clone()?.into(), move |outcome| drop(sender.send(outcome)));
    let extraction = receiver.recv()?.map_err(|reason| anyhow!("{name}: no debug file: {reason}"))?;
    Ok((file, stamp, extraction))
}
