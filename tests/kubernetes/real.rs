//! The source against a real API server, which the test is told of:
//!
//! `PARCA_AGENT_TEST_KUBECONFIG=FILE PARCA_AGENT_TEST_NODE=NAME PARCA_AGENT_TEST_SECONDS=60 \
//!  cargo test --test kubernetes real -- --ignored --nocapture`
//!
//! `PARCA_AGENT_TEST_WATCH=SECONDS` asks for shorter watches, `PARCA_AGENT_TEST_SELECTOR` for some pods only, and
//! `PARCA_AGENT_TEST_SHOW=ID,ID` shows the labels of containers at the end. It shows what it is told while pods are made and deleted by hand.

use crate::agent::{Agent, options};
use parca_agent::discovery::kubernetes::{Options, Pace, locate};
use parca_agent::discovery::status::State;
use parca_agent::metrics::{Format, Registry};
use std::env;
use std::thread;
use std::time::{Duration, Instant};

#[test]
#[ignore = "wants a cluster"]
fn a_real_api_server() {
    let setting = |name: &str| env::var(format!("PARCA_AGENT_TEST_{name}")).unwrap();
    let mut pace = Pace::default();
    if let Ok(seconds) = env::var("PARCA_AGENT_TEST_WATCH") {
        pace.watch = Duration::from_secs(seconds.parse().unwrap());
    }
    let options = Options {
        node: setting("NODE"),
        label_selector: env::var("PARCA_AGENT_TEST_SELECTOR").unwrap_or_default(),
        kubeconfig: Some(setting("KUBECONFIG").into()),
        ..options(pace)
    };
    let seconds = setting("SECONDS").parse().unwrap();
    let cluster = locate(&options, &|_| None).unwrap().unwrap();
    let begin = Instant::now();
    let agent = Agent::run(cluster, options);
    let mut shown = String::new();
    while begin.elapsed() < Duration::from_secs(seconds) {
        agent.catalogue.purge(Instant::now());
        let status = agent.status.snapshot();
        let now = format!(
            "{} synced={} known={} lists={} watches={} error={:?}",
            status.state.name(),
            agent.state.synced(),
            agent.catalogue.len(),
            agent.state.lists(),
            agent.state.watches(),
            status.last_error,
        );
        if now != shown {
            println!("{:8.3} {now}", begin.elapsed().as_secs_f64());
            shown = now;
        }
        thread::sleep(Duration::from_millis(5));
    }
    for id in env::var("PARCA_AGENT_TEST_SHOW").unwrap_or_default().split(',') {
        if let Some(known) = agent.catalogue.get(id) {
            println!("{id}: {}", known.labels);
            known.meta.iter().for_each(|(name, value)| println!("  {name}={value}"));
        }
    }
    let registry = Registry::default();
    registry.register(move |exposition| agent.state.collect(exposition));
    println!("{}", registry.scrape(Format::Prometheus));
    assert!(shown.starts_with(State::Working.name()), "{shown}");
}
