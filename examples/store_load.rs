//! Sends made-up windows to a store as the agent does, and tells what that costs.
//!
//! ```sh
//! cargo run --release --example store_load -- STORE TARGETS WINDOWS SAMPLES [SPOOL]
//! ```
//! STORE is `host:port` of a server without TLS. Each of so many windows has so many samples, of so many targets, a third
//! of which are new in each window. A window that finds the encoder busy waits: only the time between windows is left
//! out. Lines of JSON tell of the time before the first window, after the last one, and when nothing waits any more.

#[path = "support/store.rs"]
mod store;

use anyhow::{Context, bail, ensure};
use parca_agent::discovery::target::{Source, Target};
use parca_agent::label::LabelSet;
use parca_agent::metrics::{Format, Registry};
use parca_agent::object::build_id::{BuildId, BuildIdKind};
use parca_agent::object::{FileOffset, LoadSegment, Object, ObjectAddress, ObjectId, ObjectInfo};
use parca_agent::process::comm::Comm;
use parca_agent::process::id::{Tgid, ThreadId};
use parca_agent::profile::frame::Frame;
use parca_agent::profile::stack::StackTable;
use parca_agent::profile::{Profile, Sample, SampleCount, Thread, Window};
use parca_agent::store::delivery::{Delivery, Options};
use parca_agent::store::spool::Spool;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use smol::Executor;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

const WINDOW: Duration = Duration::from_secs(10);
/// The agent's own defaults.
const QUEUE_BYTES: u64 = 64 << 20;
const SPOOL_BYTES: u64 = 1 << 30;
/// Programs and libraries that stacks go through.
const OBJECTS: u32 = 40;
/// Frames of a stack.
const DEPTH: u64 = 30;
/// What waits has this long to be sent.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (address, numbers, spool) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [address, targets, windows, samples] => (address, [targets, windows, samples], None),
        [address, targets, windows, samples, spool] => (address, [targets, windows, samples], Some(spool)),
        _ => bail!("usage: store_load STORE TARGETS WINDOWS SAMPLES [SPOOL]"),
    };
    let [targets, windows, samples] = numbers.map(|text| text.parse::<u64>().context("no number"));
    let (targets, windows, samples) = (targets?, windows?, samples?);
    let executor = Arc::new(Executor::new());
    let runner = executor.clone();
    thread::spawn(move || smol::block_on(runner.run(std::future::pending::<()>())));

    let mut load = Load { random: 1, objects: objects(), samples: 0 };
    let begun = SystemTime::now() - WINDOW * u32::try_from(windows)?;
    // A process that has made one has the memory that a window takes.
    drop(load.window(begun, targets, samples));
    load.samples = 0;
    let registry = Registry::default();
    tell("begun", 0, &registry)?;
    let delivery = Arc::new(Delivery::start(Options {
        queue_bytes: QUEUE_BYTES,
        spool: spool.map(|path| Spool::open(Path::new(path), SPOOL_BYTES)).transpose()?,
        interval: Duration::from_secs(1),
        thread_labels: Arc::new(AtomicBool::new(true)),
        channel: store::channel_to(address, executor)?,
        last_sending: Duration::ZERO,
    })?);
    let shown = delivery.clone();
    registry.register(move |exposition| shown.collect(exposition));
    let started = Instant::now();
    for number in 0..windows {
        let window = Arc::new(load.window(begun + WINDOW * u32::try_from(number)?, targets, samples));
        delivery.take(&window);
        while is_encoding(&registry) {
            ensure!(started.elapsed() < PATIENCE, "encoding takes too long");
            thread::sleep(Duration::from_millis(1));
        }
    }
    tell("published", load.samples, &registry)?;
    while delivery.status().waiting > 0 {
        ensure!(started.elapsed() < PATIENCE, "sending takes too long");
        thread::sleep(Duration::from_millis(20));
    }
    tell("sent", load.samples, &registry)?;
    delivery.finish();
    Ok(())
}

/// A line: what was sent so far, what it took, and the numbers of the store.
fn tell(phase: &str, samples: u64, registry: &Registry) -> anyhow::Result<()> {
    let line = json!({
        "phase": phase,
        "samples": samples,
        // Making windows is not what is measured.
        "cpu_seconds": seconds(ClockId::ProcessCPUTime) - seconds(ClockId::ThreadCPUTime),
        "resident_kib": status("VmRSS:")?,
        "peak_kib": status("VmHWM:")?,
        "metrics": registry.scrape(Format::Prometheus),
    });
    println!("{line}");
    Ok(())
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn status(name: &str) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Whether the last window is not in the queue yet.
fn is_encoding(registry: &Registry) -> bool {
    !registry.scrape(Format::Prometheus).contains("store_samples_waiting{stage=\"encoding\"} 0\n")
}

/// Makes windows, always the same ones.
struct Load {
    random: u64,
    objects: Vec<Arc<Object>>,
    /// Of all windows so far.
    samples: u64,
}

impl Load {
    fn random(&mut self, below: u64) -> u64 {
        // Knuth's MMIX generator; its high bits are the good ones.
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    fn window(&mut self, start: SystemTime, targets: u64, samples: u64) -> Window {
        let mut stacks = StackTable::default();
        let number =
            start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / WINDOW.as_secs();
        let mut profiles: Vec<_> = (0..targets)
            .map(|target| {
                let count = (samples + target) / targets;
                let name =
                    if target % 3 == 0 { format!("new-{number}-{target}") } else { format!("old-{target}") };
                Profile {
                    target: Arc::new(Target { labels: labels(&name), source: Source::Host }),
                    samples: (0..count).filter_map(|_| self.sample(&mut stacks, target)).collect(),
                }
            })
            .collect();
        profiles.sort_by(|a, b| a.target.cmp(&b.target));
        self.samples += profiles.iter().map(|profile| profile.total().0).sum::<u64>();
        Window {
            start,
            duration: WINDOW,
            period: Duration::from_millis(10),
            stacks,
            objects: self.objects.iter().map(|object| (object.id, object.clone())).collect(),
            kernel_symbols: Default::default(),
            profiles,
        }
    }

    /// Stacks of a target begin alike and end at one of many places.
    fn sample(&mut self, stacks: &mut StackTable, target: u64) -> Option<Sample> {
        let (leaf, branch) = (self.random(2000), self.random(8));
        let frames: Vec<_> = (0..DEPTH)
            .map(|depth| {
                let place = match depth {
                    0 => leaf,
                    1..10 => branch * 100 + depth,
                    _ => depth,
                };
                let object = ((target + depth / 6) % u64::from(OBJECTS)) as u32 + 1;
                Frame::Object {
                    object: ObjectId(object),
                    offset: FileOffset(0x1000 + target % 50 * 0x8000 + place * 16),
                }
            })
            .collect();
        let tgid = Tgid(target as u32 + 2);
        let thread = Thread { tgid, tid: ThreadId(tgid.0), name: Comm::default() };
        Some(Sample { stack: stacks.intern(&frames)?, thread, count: SampleCount(1) })
    }
}

fn labels(name: &str) -> LabelSet {
    let cgroup = format!("/kubepods.slice/kubepods-pod-{name}.slice");
    [("__name__", "parca_agent_cpu"), ("node", "node-1"), ("comm", name), ("cgroup", &cgroup)]
        .into_iter()
        .collect()
}

fn objects() -> Vec<Arc<Object>> {
    let object = |number: u32| {
        let info = ObjectInfo {
            build_id: BuildId { kind: BuildIdKind::Gnu, bytes: [number as u8; 20].into() },
            elf_type: 3,
            machine: 62,
            making: Default::default(),
            segments: vec![LoadSegment {
                file_offset: FileOffset(0x1000),
                address: ObjectAddress(0x1000),
                file_size: 0x100_0000,
                memory_size: 0x100_0000,
                executable: true,
            }],
        };
        let path = format!("/usr/lib/x86_64-linux-gnu/libnumber{number}.so.1");
        Arc::new(Object {
            id: ObjectId(number),
            path: path.into_bytes().into(),
            info: OnceLock::from(Ok(info)),
        })
    };
    (1..=OBJECTS).map(object).collect()
}
