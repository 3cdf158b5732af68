//! The sources of targets: started from the configuration, and what changes at a reload.

use crate::config::Config;
use crate::discovery::Discovery;
use crate::discovery::Terms;
use crate::discovery::catalogue::Catalogue;
use crate::discovery::claim::{Claimants, Sources};
use crate::discovery::policy::Policy;
use crate::discovery::systemd::Units;
use crate::discovery::systemd::pattern::UnitPatterns;
use crate::discovery::unknown::Unknown;
use smol::channel::bounded;
use std::sync::Arc;

/// Containers that may wait to be asked for.
const QUEUE: usize = 256;

/// Starts what the configuration wants.
pub(super) fn start(config: &Config) -> Arc<Discovery> {
    let (requests, _incoming) = bounded(QUEUE);
    let sources = Sources {
        claimants: Claimants { kubernetes: false, selects_pods: false, containers: true, host: true },
        kubernetes: Arc::new(Catalogue::default()),
        pods_are_known: Arc::default(),
        runtimes: Arc::new(Catalogue::default()),
        units: Arc::new(Units::new(UnitPatterns::default())),
        statuses: Vec::new(),
        unknown: Unknown::new(requests),
    };
    Arc::new(Discovery::new(sources, terms(config)))
}

/// What a reload may change.
pub(super) fn terms(config: &Config) -> Terms {
    Terms {
        policy: Policy { frequency: config.profiling.frequency.hertz(), ..Policy::default() },
        node: config.labels.node.clone(),
        external_labels: config.labels.external.clone(),
        environment: Vec::new(),
    }
}
