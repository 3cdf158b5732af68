//! The agent, watched through its metrics.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::child::Owned;
use super::contender::{Running, Tools};
use super::figure::{Figure, Figures};
use crate::metrics::Metrics;

/// The agent's own default.
pub(super) const PROFILING_DURATION: Duration = Duration::from_secs(10);

/// More than twice what the agent promises, so that a miss is a figure and not a failure.
const START_LIMIT: Duration = Duration::from_secs(30);

/// An agent that takes longer to answer does not live.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

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
    // A port that is free now; the agent takes it a moment later.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    let address = listener.local_addr().context("a port has no address")?;
    drop(listener);
    let mut agent = Command::new(&tools.agent);
    agent.arg(format!("--http-address={address}")).arg("--temp-dir").arg(&tools.folder);
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

    fn account(&self) -> Result<Account> {
        let metrics = scrape(self.address).context("cannot read the agent's metrics")?;
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

fn scrape(address: SocketAddr) -> io::Result<Metrics> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    // In HTTP/1.0 the body is what comes until the end, without any framing.
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.split(' ').nth(1) != Some("200") {
        let status = answer.lines().next().unwrap_or_default();
        return Err(io::Error::other(format!("the agent answers {status}")));
    }
    Ok(Metrics::parse(&answer))
}
