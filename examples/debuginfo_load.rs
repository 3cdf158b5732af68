//! Has the debug information of files sent to a store as the agent does, and tells what that costs.
//!
//! ```sh
//! cargo run --release --example debuginfo_load -- STORE FILE...
//! ```
//! STORE is `host:port` of a server without TLS. The files count as sampled once each. They are parsed by the agent's
//! worker, which is the program that `AGENT` names, or `parca-agent` beside the folder of this example. The result is a
//! line of JSON.

#[path = "support/store.rs"]
mod store;
#[path = "support/worker.rs"]
mod worker;

use anyhow::{Context, ensure};
use parca_agent::debuginfo::dispatch::{Dispatch, Options};
use parca_agent::debuginfo::find::Finder;
use parca_agent::debuginfo::selection::Selection;
use parca_agent::debuginfo::stamp::Stamp;
use parca_agent::debuginfo::upload::{Patience, Uploader};
use parca_agent::discovery::target::{Source, Target};
use parca_agent::label::LabelSet;
use parca_agent::metrics::{Format, Registry};
use parca_agent::net::proxy::Proxies;
use parca_agent::object::kept::KeptFile;
use parca_agent::object::mapped::{MappedFile, MappedRange};
use parca_agent::object::{FileOffset, Object, ObjectId};
use parca_agent::process::comm::Comm;
use parca_agent::process::id::{BootTime, ProcessId, Tgid, ThreadId};
use parca_agent::profile::frame::Frame;
use parca_agent::profile::stack::StackTable;
use parca_agent::profile::{Profile, Sample, SampleCount, Thread, Window};
use parca_agent::worker::supervisor::{self, Supervisor};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use smol::Executor;
use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// All files have this long.
const PATIENCE: Duration = Duration::from_secs(900);

/// A process that may have ended: files are found by their own names.
const PROCESS: ProcessId = ProcessId { tgid: Tgid(1), start: BootTime { nanos: 1 } };

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let store_address = arguments.next().context("usage: debuginfo_load STORE FILE...")?;
    let paths: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    let supervisor =
        Arc::new(Supervisor::start(supervisor::Options { program: worker::agent()?, ..Default::default() })?);
    let objects = identified(&supervisor, &paths)?;
    let executor = Arc::new(Executor::new());
    let runner = executor.clone();
    thread::spawn(move || smol::block_on(runner.run(std::future::pending::<()>())));

    let before = worker::peak("self");
    let dispatch = Arc::new(Dispatch::start(Options {
        selection: Selection::default(),
        claim: Box::new(move |id| claim(paths.get(id.0 as usize)?).ok()),
        finder: Finder::new(supervisor.clone(), Vec::new()),
        uploader: Uploader::new(
            Arc::new(store::channel_to(&store_address, executor)?),
            Proxies::default(),
            None,
            Patience::default(),
        ),
    })?);
    let registry = Registry::default();
    let shown = dispatch.clone();
    registry.register(move |exposition| shown.collect(exposition));
    // Copies of a file count once.
    let build_ids: HashSet<_> =
        objects.iter().filter_map(|object| object.identified()).map(|info| &info.build_id).collect();
    let count = build_ids.len();
    let begun = Instant::now();
    dispatch.take(&Arc::new(window(objects)?));
    let mut worker_peak = 0;
    while !registry
        .scrape(Format::Prometheus)
        .contains(&format!("debuginfo_files{{state=\"settled\"}} {count}\n"))
    {
        ensure!(begun.elapsed() < PATIENCE, "it takes too long");
        worker_peak = worker_peak.max(supervisor.worker().map_or(0, |id| worker::peak(&id.to_string())));
        thread::sleep(Duration::from_millis(5));
    }
    let line = json!({
        "files": count,
        "seconds": begun.elapsed().as_secs_f64(),
        "cpu_seconds": cpu_seconds(),
        "before_kib": before,
        "peak_kib": worker::peak("self"),
        "worker_peak_kib": worker_peak,
        "metrics": registry.scrape(Format::Prometheus),
    });
    println!("{line}");
    dispatch.finish();
    Ok(())
}

/// The files that are ELF, each with the number of its path as its id.
fn identified(worker: &Supervisor, paths: &[PathBuf]) -> anyhow::Result<Vec<Arc<Object>>> {
    let (sender, receiver) = mpsc::channel();
    let mut objects = Vec::new();
    for (number, path) in (0..).zip(paths) {
        let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
        let sender = sender.clone();
        // Nobody listens to it after the answer.
        worker.identify(file.into(), move |info| drop(sender.send(info)));
        let info = receiver.recv()?;
        if info.is_ok() {
            let name = path.to_string_lossy().into_owned().into_bytes();
            objects.push(Arc::new(Object {
                id: ObjectId(number),
                path: name.into(),
                info: OnceLock::from(info),
            }));
        }
    }
    Ok(objects)
}

fn claim(path: &Path) -> anyhow::Result<KeptFile> {
    let file = File::open(path)?;
    let stamp = Stamp::of(&file)?;
    let name = path.to_string_lossy().into_owned().into_bytes();
    Ok(KeptFile {
        file: Arc::new(file.into()),
        stamp,
        process: PROCESS,
        range: MappedRange { start: 0x1000, end: 0x2000 },
        mapped: MappedFile { device: (0, 0), inode: 0, path: name.into() },
    })
}

fn window(objects: Vec<Arc<Object>>) -> anyhow::Result<Window> {
    let mut stacks = StackTable::default();
    let thread = Thread { tgid: Tgid(2), tid: ThreadId(2), name: Comm::default() };
    let mut samples = Vec::new();
    for object in &objects {
        let frame = Frame::Object { object: object.id, offset: FileOffset(0x1000) };
        let stack = stacks.intern(&[frame]).context("too many stacks")?;
        samples.push(Sample { stack, thread, count: SampleCount(1) });
    }
    let labels: LabelSet = [("__name__", "parca_agent_cpu"), ("node", "node-1")].into_iter().collect();
    Ok(Window {
        start: SystemTime::now(),
        duration: Duration::from_secs(10),
        period: Duration::from_millis(10),
        stacks,
        objects: objects.into_iter().map(|object| (object.id, object)).collect(),
        kernel_symbols: Default::default(),
        profiles: vec![Profile { target: Arc::new(Target { labels, source: Source::Host }), samples }],
    })
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
