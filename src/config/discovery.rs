//! Who is profiled, and under which labels.

use super::file_path::FilePath;
use super::host::HostDiscovery;
use super::pod_selector::PodSelector;
use super::sampling_ratio::SamplingRatio;
use super::unit_pattern::UnitPatterns;
use super::variable_name::VariableNames;
use crate::relabel::Rules;

/// Who is profiled, and under which labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryConfig {
    /// Share of the targets that are profiled.
    pub sampling_ratio: SamplingRatio,
    /// Rules for every target.
    pub relabel: Rules,
    /// Whether the pods of this node are targets.
    pub kubernetes: bool,
    /// How to reach the cluster; without it, as the environment says.
    pub kubeconfig: FilePath,
    /// Which pods are targets.
    pub pod_selector: PodSelector,
    /// Which units of systemd are targets.
    pub systemd_units: UnitPatterns,
    /// Socket of the container runtime; without it, the known places are tried.
    pub socket_path: FilePath,
    /// Whether containers that belong to no pod are targets.
    pub containers: bool,
    /// Whether processes that nothing else claims are targets.
    pub host: HostDiscovery,
    /// Variables of the environment of a process that become labels for rules.
    pub variables: VariableNames,
}

impl Default for DiscoveryConfig {
    fn default() -> Self {
        Self {
            sampling_ratio: SamplingRatio::DEFAULT,
            relabel: Rules::default(),
            kubernetes: true,
            kubeconfig: FilePath::default(),
            pod_selector: PodSelector::default(),
            systemd_units: UnitPatterns::default(),
            socket_path: FilePath::default(),
            containers: true,
            host: HostDiscovery::default(),
            variables: VariableNames::default(),
        }
    }
}
