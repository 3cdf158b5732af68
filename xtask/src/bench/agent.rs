//! The agent, watched through its metrics.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;

use super::child::Owned;
use super::contender::{Running, Tools};
use super::figure::{Figure, Figures};
use crate::metrics::Metrics;
use crate::pprof::Profile;

/// The agent's own default.
pub(super) const PROFILING_DURATION: Duration = Duration::from_secs(10);

/// More than twice what the agent promises, so that a miss is a figure and not a failure.
const START_LIMIT: Duration = Duration::from_secs(30);

/// An agent that takes longer to answer does not live.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Time between two tries to get a window.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Agent {
    process: Owned,
    started: Instant,
    address: SocketAddr,
    begin: Account,
    end: Account,
}

/// What the agent has counted.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    /// Samples that are in profiles, or will be.
    samples: f64,
    /// Samples that have a user stack.
    user_stacks: f64,
    /// Those whose user stack goes back to where the program or thread began.
    whole_stacks: f64,
}

pub(super) fn start(tools: &Tools) -> Result<Agent> {
    start_with(tools, &[])
}

/// The same with further flags.
pub(super) fn start_with(tools: &Tools, flags: &[&str]) -> Result<Agent> {
    // A port that is free now; the agent takes it a moment later.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    let address = listener.local_addr().context("a port has no address")?;
    drop(listener);
    let mut agent = Command::new(&tools.agent);
    agent.arg(format!("--http-address={address}")).arg("--temp-dir").arg(&tools.folder);
    // Each measurement pays for its own tables.
    agent.arg("--unwind-table-cache=off").args(flags);
    let started = Instant::now();
    let process = Owned::start_silent(&mut agent)?;
    Ok(Agent { process, started, address, begin: Account::default(), end: Account::default() })
}

impl Agent {
    /// Seconds from the start until a metric is no longer 0.
    fn seconds_until(&mut self, metric: &str) -> Result<f64> {
        let address = self.address;
        self.process.wait_until(START_LIMIT, |_| {
            // It refuses connections until it serves.
            Ok(scrape(address).is_ok_and(|metrics| metrics.sum(metric) > 0.0))
        })?;
        Ok(self.started.elapsed().as_secs_f64())
    }

    /// Waits until samples are taken.
    pub(super) fn wait_for_samples(&mut self) -> Result<()> {
        self.seconds_until("samples_taken_total").map(drop)
    }

    /// The latest profile of the targets that a selector names, once there is one.
    pub(super) fn profile(&mut self, selector: &str, limit: Duration) -> Result<Profile> {
        let (address, path) = (self.address, format!("/query?query={selector}"));
        let mut bytes = Vec::new();
        self.process.wait_until(limit, |_| {
            bytes = get(address, &path).unwrap_or_default();
            Ok(!bytes.is_empty())
        })?;
        unpacked(&bytes)
    }

    /// Waits until a metric, over those labels that hold a text, is at least so much.
    pub(super) fn wait_for(&mut self, metric: &str, label: &str, least: f64) -> Result<()> {
        let address = self.address;
        let is_reached =
            |_| Ok(scrape(address).is_ok_and(|metrics| metrics.sum_with(metric, label) >= least));
        self.process
            .wait_until(START_LIMIT, is_reached)
            .with_context(|| format!("{metric}{{{label}}} of the agent does not come to {least}"))
    }

    /// What it has counted.
    pub(super) fn metrics(&self) -> Result<Metrics> {
        scrape(self.address).context("cannot read the agent's metrics")
    }

    /// Where it serves.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    fn account(&self) -> Result<Account> {
        let metrics = self.metrics()?;
        let stacks = |end: &str| metrics.sum_with("user_stacks_total", &format!("end=\"{end}\""));
        Ok(Account {
            samples: metrics.sum("samples_taken_total") - metrics.sum("samples_dropped_total"),
            user_stacks: metrics.sum("user_stacks_total") - stacks("no_user_stack"),
            whole_stacks: stacks("complete") + stacks("chain_end"),
        })
    }
}

impl Running for Agent {
    fn id(&self) -> u32 {
        self.process.id()
    }

    fn start_up(&mut self) -> Result<Figures> {
        let sample = self.seconds_until("samples_taken_total")?;
        let profile = self.seconds_until("samples_written_total")?;
        Ok([(Figure::FirstSampleSeconds, sample), (Figure::FirstProfileSeconds, profile)].into())
    }

    fn begin(&mut self) -> Result<()> {
        self.begin = self.account()?;
        Ok(())
    }

    fn end(&mut self) -> Result<Figures> {
        self.end = self.account()?;
        let stacks = self.end.user_stacks - self.begin.user_stacks;
        let whole = self.end.whole_stacks - self.begin.whole_stacks;
        let share = (stacks > 0.0).then_some((Figure::WholePercent, whole / stacks * 100.0));
        Ok(share.into_iter().collect())
    }

    fn stop(mut self: Box<Self>) -> Result<f64> {
        self.process.signal("TERM")?;
        let status = self.process.wait(START_LIMIT)?;
        ensure!(status.success(), "the agent ended with {status}");
        Ok(self.end.samples - self.begin.samples)
    }
}

/// The next window of an agent, of all targets together, once it is closed.
pub(super) fn next_window(address: SocketAddr) -> Result<Profile> {
    let start = Instant::now();
    loop {
        match get_within(address, "/query?query=%7B%7D", START_LIMIT) {
            Ok(bytes) => return unpacked(&bytes),
            // A window that is late, or in which nothing ran, is waited for again.
            Err(error) if start.elapsed() > START_LIMIT => {
                return Err(error).context("the agent closes no window");
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// A profile as the agent sends it.
fn unpacked(bytes: &[u8]) -> Result<Profile> {
    let mut profile = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut profile).context("the agent's profile is no gzip file")?;
    Profile::decode(&profile)
}

fn scrape(address: SocketAddr) -> io::Result<Metrics> {
    Ok(Metrics::parse(&String::from_utf8_lossy(&get(address, "/metrics")?)))
}

/// The body of an answer that needs no waiting.
fn get(address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    get_within(address, path, ANSWER_LIMIT)
}

/// The body of an answer.
fn get_within(address: SocketAddr, path: &str, limit: Duration) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT)?;
    stream.set_read_timeout(Some(limit))?;
    // In HTTP/1.0 the body is what comes until the end, without any framing.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(HEAD_END.len()).position(|bytes| bytes == HEAD_END);
    let (head, body) = answer.split_at(end.map_or(answer.len(), |end| end + HEAD_END.len()));
    let head = String::from_utf8_lossy(head);
    if head.split(' ').nth(1) != Some("200") {
        let status = head.lines().next().unwrap_or_default();
        return Err(io::Error::other(format!("the agent answers {status}")));
    }
    Ok(body.to_owned())
}

/// The empty line between head and body.
const HEAD_END: &[u8] = b"\r\n\r\n";
