//! The source under test, at work.

use super::process;
use parca_agent::discovery::status::{SourceStatus, State};
use parca_agent::discovery::systemd::pattern::UnitPatterns;
use parca_agent::discovery::systemd::{BusAddress, Unit, Units, run};
use parca_agent::metrics::{Format, Registry};
use parca_agent::process::cgroup::Cgroups;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than anything takes on a loaded machine, the longest pause between tries to connect aside.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A source that works until it is dropped.
pub(crate) struct Source {
    pub(crate) units: Arc<Units>,
    pub(crate) status: Arc<SourceStatus>,
    _task: smol::Task<()>,
}

impl Source {
    pub(crate) fn start(address: String, patterns: &[&str]) -> Self {
        let units = Arc::new(Units::new(UnitPatterns::new(patterns)));
        let status = Arc::new(SourceStatus::new("systemd"));
        let task = smol::spawn(run(units.clone(), status.clone(), BusAddress::At(address)));
        Self { units, status, _task: task }
    }

    /// The same, when it has heard of systemd.
    pub(crate) fn start_working(address: String, patterns: &[&str]) -> Self {
        let source = Self::start(address, patterns);
        source.await_state(State::Working);
        source
    }

    pub(crate) fn await_state(&self, state: State) {
        let begun = Instant::now();
        while self.status.snapshot().state != state {
            assert!(begun.elapsed() < LIMIT, "not {state:?}: {:?}", self.status.snapshot());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The unit of a process.
    pub(crate) fn unit_of(&self, process: u32) -> Option<Arc<Unit>> {
        let text = std::fs::read(format!("/proc/{process}/cgroup")).ok()?;
        let cgroups = Cgroups::parse(&text)?;
        let paths: Vec<&[u8]> = cgroups.paths().iter().map(|path| &*path.0).collect();
        self.units.unit_of(&paths)
    }

    /// A label of the unit of a process that only rules see, without its prefix.
    pub(crate) fn meta(&self, process: u32, name: &str) -> Option<String> {
        let unit = self.unit_of(process)?;
        unit.discovered.meta.get(&format!("__meta_systemd_{name}")).map(str::to_owned)
    }

    /// Waits until a process is in a unit of which systemd has told.
    pub(crate) fn await_unit(&self, process: u32, unit: &str) {
        process::eventually(&format!("{process} is in {unit}"), LIMIT, || {
            self.unit_of(process).is_some_and(|found| found.name.as_str() == unit)
                && self.meta(process, "unit_active_state").as_deref() == Some("active")
        });
    }

    /// Units in a state.
    pub(crate) fn count(&self, state: &str) -> f64 {
        self.metric(&format!("parca_agent_systemd_units{{state=\"{state}\"}}"))
    }

    /// A series.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let registry = Registry::default();
        let units = self.units.clone();
        registry.register(move |exposition| units.collect(exposition));
        let text = registry.scrape(Format::Prometheus);
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {series} in {text}"))
    }
}
