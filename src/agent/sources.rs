//! The sources of targets: started from the configuration, and what changes at a reload.

use crate::config::Config;
use crate::discovery::catalogue::Catalogue;
use crate::discovery::claim::{Claimants, Sources};
use crate::discovery::policy::{Policy, Ratio};
use crate::discovery::status::SourceStatus;
use crate::discovery::systemd::pattern::UnitPatterns;
use crate::discovery::systemd::{self, Units};
use crate::discovery::unknown::Unknown;
use crate::discovery::{Discovery, Terms};
use crate::metrics::Registry;
use smol::channel::bounded;
use smol::{Executor, Task};
use std::sync::Arc;

/// Containers that may wait to be asked for.
const QUEUE: usize = 256;

/// Discovery, and the tasks that feed it. They end when this is dropped.
pub(super) struct Running {
    pub(super) discovery: Arc<Discovery>,
    _tasks: Vec<Task<()>>,
}

/// Starts what the configuration wants.
pub(super) fn start(config: &Config, executor: &Arc<Executor<'static>>, registry: &Registry) -> Running {
    let wanted = &config.discovery;
    let (requests, _incoming) = bounded(QUEUE);
    let mut tasks = Vec::new();
    let mut statuses = Vec::new();
    let mut status = |name| {
        let status = Arc::new(SourceStatus::new(name));
        statuses.push(status.clone());
        status
    };

    let units = Arc::new(Units::new(UnitPatterns::new(wanted.systemd_units.iter())));
    tasks.push(executor.spawn(systemd::run(units.clone(), status("systemd"))));
    let of_units = units.clone();
    registry.register(move |exposition| of_units.collect(exposition));

    let kubernetes = false;
    let claimants = Claimants {
        kubernetes,
        selects_pods: !wanted.pod_selector.as_str().is_empty(),
        containers: wanted.containers,
        host: wanted.host.is_on(kubernetes || !units.is_empty()),
    };
    let sources = Sources {
        claimants,
        kubernetes: Arc::new(Catalogue::default()),
        pods_are_known: Arc::default(),
        runtimes: Arc::new(Catalogue::default()),
        units,
        statuses,
        unknown: Unknown::new(requests),
    };
    let discovery = Arc::new(Discovery::new(sources, terms(config)));
    let collected = discovery.clone();
    registry.register(move |exposition| collected.collect(exposition));
    Running { discovery, _tasks: tasks }
}

/// What a reload may change.
pub(super) fn terms(config: &Config) -> Terms {
    let share = config.discovery.sampling_ratio.get();
    Terms {
        policy: Policy {
            rules: config.discovery.relabel.clone(),
            ratio: (share < 1.0).then_some(Ratio(share)),
            frequency: config.profiling.frequency.hertz(),
        },
        node: config.labels.node.clone(),
        external_labels: config.labels.external.clone(),
        environment: config.discovery.variables.iter().map(str::to_owned).collect(),
    }
}
