//! The sources of targets: started from the configuration, and what changes at a reload.

use crate::config::Config;
use crate::discovery::catalogue::Catalogue;
use crate::discovery::claim::{Claimants, Sources};
use crate::discovery::container::ContainerId;
use crate::discovery::kubernetes::{self, Cluster, KubernetesState, Pace};
use crate::discovery::policy::{Policy, Ratio};
use crate::discovery::runtime::{self, Answer, Runtimes};
use crate::discovery::status::SourceStatus;
use crate::discovery::systemd::pattern::UnitPatterns;
use crate::discovery::systemd::{self, BusAddress, Units};
use crate::discovery::unknown::Unknown;
use crate::discovery::{Discovery, Terms};
use crate::metrics::Registry;
use anyhow::Context;
use smol::channel::{Receiver, bounded};
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
pub(super) fn start(
    config: &Config,
    executor: &Arc<Executor<'static>>,
    registry: &Registry,
) -> anyhow::Result<Running> {
    let wanted = &config.discovery;
    let mut tasks = Vec::new();
    let mut statuses = Vec::new();

    let pods = Arc::new(Catalogue::default());
    let state = Arc::new(KubernetesState::default());
    let status = Arc::new(SourceStatus::new("kubernetes"));
    let kubernetes = match cluster(config, &status)? {
        Some((cluster, options)) => {
            let (pods, status, state) = (pods.clone(), status.clone(), state.clone());
            tasks.push(executor.spawn(kubernetes::run(
                cluster,
                options,
                pods,
                status,
                state,
                executor.clone(),
            )));
            true
        }
        None => false,
    };
    statuses.push(status);

    let containers = Arc::new(Catalogue::default());
    let options = runtime::Options {
        socket_path: wanted.socket_path.get().map(Into::into),
        ..runtime::Options::default()
    };
    let runtimes = Runtimes::new(options, containers.clone(), executor.clone());
    statuses.extend(runtimes.statuses().iter().cloned());
    let (requests, requested) = bounded(QUEUE);
    let (answers, answered) = bounded(QUEUE);
    if kubernetes || wanted.containers {
        tasks.push(executor.spawn(runtimes.clone().run(requested, answers)));
    } else {
        runtimes.statuses().iter().for_each(|status| status.off("switched off"));
    }

    let units = Arc::new(Units::new(UnitPatterns::new(wanted.systemd_units.iter())));
    let status = Arc::new(SourceStatus::new("systemd"));
    statuses.push(status.clone());
    tasks.push(executor.spawn(systemd::run(units.clone(), status, BusAddress::System)));

    let claimants = Claimants {
        kubernetes,
        selects_pods: !wanted.pod_selector.as_str().is_empty(),
        containers: wanted.containers,
        host: wanted.host.is_on(kubernetes || !units.is_empty()),
    };
    log::info!(
        kubernetes = claimants.kubernetes, containers = claimants.containers,
        systemd_units = !units.is_empty(), host = claimants.host; "targets"
    );
    let sources = Sources {
        claimants,
        kubernetes: pods,
        kubernetes_state: state.clone(),
        runtimes: containers,
        units: units.clone(),
        statuses,
        unknown: Unknown::new(requests),
    };
    let discovery = Arc::new(Discovery::new(sources, terms(config)));
    tasks.push(executor.spawn(take_answers(discovery.clone(), answered)));
    let collected = discovery.clone();
    registry.register(move |exposition| {
        collected.collect(exposition);
        runtimes.collect(exposition);
        units.collect(exposition);
        if kubernetes {
            state.collect(exposition);
        }
    });
    Ok(Running { discovery, _tasks: tasks })
}

/// How to reach the cluster, if there is one. What says so and cannot be used is an error: an operator who names a
/// cluster does not want the host profiled in its place.
fn cluster(config: &Config, status: &SourceStatus) -> anyhow::Result<Option<(Cluster, kubernetes::Options)>> {
    if !config.discovery.kubernetes {
        status.off("switched off");
        return Ok(None);
    }
    let options = kubernetes::Options {
        node: config.labels.node.clone(),
        label_selector: config.discovery.pod_selector.as_str().to_owned(),
        kubeconfig: config.discovery.kubeconfig.get().map(Into::into),
        pace: Pace::default(),
    };
    let environment = |name: &str| std::env::var_os(name);
    let found = kubernetes::locate(&options, &environment).context(
        "failed to find out how to reach the Kubernetes cluster (--kubernetes=false does without)",
    )?;
    if found.is_none() {
        log::info!(reason = kubernetes::NO_CLUSTER; "no pods are looked for");
        status.off(kubernetes::NO_CLUSTER);
    }
    Ok(found.map(|cluster| (cluster, options)))
}

/// Lets nobody wait for the name of a container that no runtime knows.
async fn take_answers(discovery: Arc<Discovery>, answers: Receiver<(ContainerId, Answer)>) {
    while let Ok((container, answer)) = answers.recv().await {
        match answer {
            Answer::Known => {}
            Answer::Unknown => discovery.deny(&container),
            Answer::Failed => discovery.fail(&container),
        }
    }
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

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::discovery::status::State;
    use crate::metrics::Registry;
    use smol::Executor;
    use std::sync::Arc;

    #[test]
    fn who_wants_no_containers_asks_no_runtime() {
        for (containers, expected) in [(false, State::Off), (true, State::Starting)] {
            let mut config = Config::defaults("n1".to_owned());
            (config.discovery.kubernetes, config.discovery.containers) = (false, containers);
            let running = super::start(&config, &Arc::new(Executor::new()), &Registry::default()).unwrap();
            let sources = running.discovery.sources();
            for name in ["docker", "podman", "cri"] {
                let source = sources.iter().find(|source| source.name == name).unwrap();
                assert_eq!(source.state, expected, "{name}, containers: {containers}");
            }
        }
    }
}
