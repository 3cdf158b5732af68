//! `floor OBJECT FREQUENCY`: attaches the BPF program of `ebpf/src/floor.rs` to the agent's own kind of
//! timer on every CPU. Says `ready`, then for each line it reads the number of samples so far; ends with
//! its input.

use std::io::{self, BufRead, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result};
use aya::maps::HashMap;
use aya::programs::PerfEvent;
use aya::{Ebpf, EbpfLoader};
use parca_agent::sys::perf_event::{CpuId, sample_cpu};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (object, frequency) =
        arguments.next().zip(arguments.next()).context("usage: floor OBJECT FREQUENCY")?;
    let frequency: u32 = frequency.parse().context("the frequency is no number")?;
    let period = Duration::from_secs(1).checked_div(frequency).context("the frequency is 0")?;
    let mut bpf = EbpfLoader::new().btf(None).load_file(object).context("failed to load the object")?;

    let program: &mut PerfEvent =
        bpf.program_mut("take_sample").context("the object has no program")?.try_into()?;
    program.load().context("the kernel refuses the program")?;
    let program = program.fd()?.try_clone()?;
    let cpus =
        aya::util::online_cpus().map_err(|(_, error)| error).context("cannot tell which CPUs there are")?;
    let events = cpus.into_iter().map(|cpu| sample_cpu(CpuId(cpu), period, program.as_fd()));
    let events = events.collect::<io::Result<Vec<_>>>().context("failed to open a timer")?;

    answer("ready")?;
    for line in io::stdin().lock().lines() {
        line?;
        answer(&samples(&bpf)?.to_string())?;
    }
    drop(events); // until here they fire
    Ok(())
}

/// The sum of all counts.
fn samples(bpf: &Ebpf) -> Result<u64> {
    let counts: HashMap<_, [u32; 3], u64> = bpf.map("COUNTS").context("the object has no map")?.try_into()?;
    let counts = counts.iter().map(|entry| entry.map(|(_, count)| count));
    Ok(counts.sum::<Result<u64, _>>()?)
}

fn answer(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{text}")?;
    output.flush()
}
