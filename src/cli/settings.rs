//! What was typed in one layer: on the command line, in the environment or in a file.
//!
//! A flag is added here, and in [`Config`], which holds its default; the normaliser, the environment,
//! the help text and `config print` learn of it from this structure.

use super::Error;
use crate::config::address::HttpAddress;
use crate::config::directory::Directory;
use crate::config::discovery::DiscoveryConfig;
use crate::config::file_path::FilePath;
use crate::config::forced_object::ForcedObject;
use crate::config::frequency::Frequency;
use crate::config::host::HostDiscovery;
use crate::config::labels::ExternalLabels;
use crate::config::list::List;
use crate::config::node::NodeName;
use crate::config::pod_selector::PodSelector;
use crate::config::sampling_ratio::SamplingRatio;
use crate::config::table_cache::CacheDirectory;
use crate::config::table_memory::TableMemory;
use crate::config::unit_pattern::UnitPatterns;
use crate::config::variable_name::VariableNames;
use crate::config::window::WindowDuration;
use crate::config::{self, Config, decimal, label_table, list, relabel_rules, text};
use crate::log::{Format, Level};
use crate::relabel::Rules;
use argh::{ArgsInfo, FromArgs};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::str::FromStr;

/// samples the stacks of every process of this host
#[derive(Clone, Debug, Default, PartialEq, FromArgs, ArgsInfo, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Settings {
    /// read settings from this TOML file
    #[argh(option, arg_name = "path", from_str_fn(parse_path))]
    #[serde(skip)]
    pub(super) config_path: Option<PathBuf>,

    /// least serious record to log: error, warn, info or debug
    #[argh(option, arg_name = "level")]
    #[serde(with = "text")]
    pub(super) log_level: Option<Level>,

    /// how to write the log: logfmt or json
    #[argh(option, arg_name = "format")]
    #[serde(with = "text")]
    pub(super) log_format: Option<Format>,

    /// serve the pages here: HOST:PORT, or :PORT for every interface
    #[argh(option, arg_name = "address")]
    #[serde(with = "text")]
    pub(super) http_address: Option<HttpAddress>,

    /// value of the label node; in Kubernetes it must be the name of the node
    #[argh(option, arg_name = "name")]
    #[serde(with = "text")]
    pub(super) node: Option<NodeName>,

    /// add labels to every profile, NAME=VALUE;NAME=VALUE; may be given again
    #[argh(option, arg_name = "labels")]
    #[serde(with = "label_table", alias = "metadata-external-labels", skip_serializing_if = "Vec::is_empty")]
    pub(super) external_label: Vec<ExternalLabels>,

    /// share of the targets to profile, from 0.0 to 1.0
    #[argh(option, arg_name = "ratio")]
    #[serde(with = "decimal")]
    pub(super) sampling_ratio: Option<SamplingRatio>,

    /// profile the pods of this node
    #[argh(option, arg_name = "bool", from_str_fn(parse_bool))]
    pub(super) kubernetes: Option<bool>,

    /// how to reach the cluster; none: as KUBECONFIG or the pod of the agent says
    #[argh(option, arg_name = "path")]
    #[serde(with = "text")]
    pub(super) kubeconfig: Option<FilePath>,

    /// profile only pods with these labels, such as app=web,tier in (a, b),!canary
    #[argh(option, arg_name = "selector")]
    #[serde(with = "text")]
    pub(super) pod_label_selector: Option<PodSelector>,

    /// profile these systemd units, such as nginx,app-*.scope; may be given again
    #[argh(option, arg_name = "units")]
    #[serde(with = "list")]
    pub(super) systemd_units: Vec<UnitPatterns>,

    /// socket of the container runtime; none: the known ones are tried
    #[argh(option, arg_name = "path")]
    #[serde(with = "text")]
    pub(super) socket_path: Option<FilePath>,

    /// profile containers that belong to no pod
    #[argh(option, arg_name = "bool", from_str_fn(parse_bool))]
    pub(super) containers: Option<bool>,

    /// profile what nothing else claims; auto: without Kubernetes and systemd units
    #[argh(option, arg_name = "bool-or-auto")]
    #[serde(serialize_with = "text::serialize", deserialize_with = "HostDiscovery::deserialize")]
    pub(super) host: Option<HostDiscovery>,

    /// give rules these variables of processes, as __meta_env_var_NAME
    #[argh(option, arg_name = "names")]
    #[serde(with = "list")]
    pub(super) include_env_var: Vec<VariableNames>,

    /// rules for the labels of targets
    #[argh(option, arg_name = "rules", hidden_help, from_str_fn(parse_rules))]
    #[serde(with = "relabel_rules")]
    pub(super) relabel_configs: Option<Rules>,

    /// make a private directory for temporary files in this directory
    #[argh(option, arg_name = "path")]
    #[serde(with = "text")]
    pub(super) temp_dir: Option<Directory>,

    /// length of one profile, from 1s to 10m
    #[argh(option, arg_name = "duration")]
    #[serde(with = "text")]
    pub(super) profiling_duration: Option<WindowDuration>,

    /// samples a second on each CPU, from 1 to 10000
    #[argh(option, arg_name = "hertz")]
    #[serde(with = "text::number")]
    pub(super) profiling_cpu_sampling_frequency: Option<Frequency>,

    /// give samples the labels thread_id and thread_name
    #[argh(option, arg_name = "bool", from_str_fn(parse_bool))]
    pub(super) thread_labels: Option<bool>,

    /// most memory of unwind tables in the kernel, from 1MiB to 256MiB
    #[argh(option, arg_name = "size")]
    #[serde(with = "text")]
    pub(super) unwind_table_memory: Option<TableMemory>,

    /// keep unwind tables here between two runs; off: nowhere
    #[argh(option, arg_name = "path")]
    #[serde(with = "text")]
    pub(super) unwind_table_cache: Option<CacheDirectory>,

    /// load this BPF object without a probe: modern, modern-in-steps or baseline
    #[argh(option, arg_name = "object", hidden_help)]
    #[serde(with = "text")]
    pub(super) force_object: Option<ForcedObject>,

    #[argh(subcommand)]
    #[serde(skip)]
    pub(super) subcommand: Option<Subcommand>,
}

/// What to do other than to run.
#[derive(Clone, Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(subcommand)]
pub(super) enum Subcommand {
    Config(ConfigCommand),
    Worker(Worker),
}

/// look at the configuration
#[derive(Clone, Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(subcommand, name = "config")]
pub(super) struct ConfigCommand {
    #[argh(subcommand)]
    pub(super) action: ConfigAction,
}

/// What to do with the configuration.
#[derive(Clone, Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(subcommand)]
pub(super) enum ConfigAction {
    Check(Check),
    Print(Print),
}

/// say whether the configuration is right
#[derive(Clone, Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(subcommand, name = "check")]
pub(super) struct Check {
    /// the file to check, in place of that of --config-path
    #[argh(positional, from_str_fn(parse_path))]
    pub(super) path: Option<PathBuf>,
}

/// print the configuration in force
#[derive(Clone, Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(subcommand, name = "print")]
pub(super) struct Print {}

/// run as the sandboxed worker of an agent
#[derive(Clone, Debug, PartialEq, FromArgs, ArgsInfo)]
#[argh(subcommand, name = "worker")]
pub(super) struct Worker {}

fn parse_bool(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("{text:?} is neither true nor false"))
}

fn parse_path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err(format!("{text:?} is no path")) } else { Ok(text.into()) }
}

/// Rules are many lines: only a file holds them.
fn parse_rules(_: &str) -> Result<Rules, String> {
    Err("can be set in the file alone, as [[relabel-configs]]".to_owned())
}

/// What a flag that may be given again adds up to. Only the command line can give it in several parts.
fn joined<E: FromStr<Err: std::fmt::Display> + PartialEq>(
    flag: &str,
    parts: Vec<List<E>>,
) -> Result<List<E>, Error> {
    let mut all = List::default();
    for part in parts {
        let fault = |error| Error::Flag { flag: flag.into(), reason: format!("{error}") };
        all.extend(part).map_err(fault)?;
    }
    Ok(all)
}

fn first_given<T>(upper: Vec<T>, lower: Vec<T>) -> Vec<T> {
    if upper.is_empty() { lower } else { upper }
}

impl Settings {
    /// These settings, and those of a lower layer where these are silent. Labels are one setting, and so is each
    /// list: a layer that gives any hides those of the lower ones.
    pub(super) fn or(self, lower: Self) -> Self {
        Self {
            config_path: self.config_path.or(lower.config_path),
            log_level: self.log_level.or(lower.log_level),
            log_format: self.log_format.or(lower.log_format),
            http_address: self.http_address.or(lower.http_address),
            node: self.node.or(lower.node),
            sampling_ratio: self.sampling_ratio.or(lower.sampling_ratio),
            kubernetes: self.kubernetes.or(lower.kubernetes),
            kubeconfig: self.kubeconfig.or(lower.kubeconfig),
            pod_label_selector: self.pod_label_selector.or(lower.pod_label_selector),
            systemd_units: first_given(self.systemd_units, lower.systemd_units),
            socket_path: self.socket_path.or(lower.socket_path),
            containers: self.containers.or(lower.containers),
            host: self.host.or(lower.host),
            include_env_var: first_given(self.include_env_var, lower.include_env_var),
            relabel_configs: self.relabel_configs.or(lower.relabel_configs),
            temp_dir: self.temp_dir.or(lower.temp_dir),
            profiling_duration: self.profiling_duration.or(lower.profiling_duration),
            profiling_cpu_sampling_frequency: self
                .profiling_cpu_sampling_frequency
                .or(lower.profiling_cpu_sampling_frequency),
            thread_labels: self.thread_labels.or(lower.thread_labels),
            unwind_table_memory: self.unwind_table_memory.or(lower.unwind_table_memory),
            unwind_table_cache: self.unwind_table_cache.or(lower.unwind_table_cache),
            force_object: self.force_object.or(lower.force_object),
            external_label: first_given(self.external_label, lower.external_label),
            subcommand: self.subcommand.or(lower.subcommand),
        }
    }

    /// The configuration that these settings make, with defaults where they are silent.
    pub(super) fn into_config(self, host_name: &str) -> Result<Config, Error> {
        let node = match self.node {
            Some(node) => node,
            None => host_name.parse().map_err(Error::HostName)?,
        };
        let mut labels = ExternalLabels::default();
        for part in &self.external_label {
            // Only the command line can give labels in several parts.
            let twice = |error| Error::Flag { flag: "external-label".into(), reason: format!("{error}") };
            labels.extend(part).map_err(twice)?;
        }
        let default = Config::defaults(node.into_string());
        Ok(Config {
            log: config::LogConfig {
                level: self.log_level.unwrap_or(default.log.level),
                format: self.log_format.unwrap_or(default.log.format),
            },
            http: config::HttpConfig { address: self.http_address.unwrap_or(default.http.address) },
            labels: config::LabelConfig { node: default.labels.node, external: labels.get().clone() },
            discovery: DiscoveryConfig {
                sampling_ratio: self.sampling_ratio.unwrap_or(default.discovery.sampling_ratio),
                relabel: self.relabel_configs.unwrap_or(default.discovery.relabel),
                kubernetes: self.kubernetes.unwrap_or(default.discovery.kubernetes),
                kubeconfig: self.kubeconfig.unwrap_or(default.discovery.kubeconfig),
                pod_selector: self.pod_label_selector.unwrap_or(default.discovery.pod_selector),
                // Without any part it is empty, and so is the default.
                systemd_units: joined("systemd-units", self.systemd_units)?,
                socket_path: self.socket_path.unwrap_or(default.discovery.socket_path),
                containers: self.containers.unwrap_or(default.discovery.containers),
                host: self.host.unwrap_or(default.discovery.host),
                variables: joined("include-env-var", self.include_env_var)?,
            },
            profiling: config::ProfilingConfig {
                duration: self.profiling_duration.unwrap_or(default.profiling.duration),
                frequency: self.profiling_cpu_sampling_frequency.unwrap_or(default.profiling.frequency),
                thread_labels: self.thread_labels.unwrap_or(default.profiling.thread_labels),
                table_memory: self.unwind_table_memory.unwrap_or(default.profiling.table_memory),
                table_cache: self.unwind_table_cache.unwrap_or(default.profiling.table_cache),
                forced_object: self.force_object.or(default.profiling.forced_object),
            },
            temp_dir: self.temp_dir.map_or(default.temp_dir, Directory::into_path),
        })
    }

    /// The settings that say in full what a configuration holds.
    pub(super) fn of_config(config: Config) -> Self {
        let Config { log, http, labels, discovery, profiling, temp_dir } = config;
        let external = ExternalLabels::from(labels.external);
        Self {
            config_path: None,
            log_level: Some(log.level),
            log_format: Some(log.format),
            http_address: Some(http.address),
            node: labels.node.parse().ok(),
            sampling_ratio: Some(discovery.sampling_ratio),
            kubernetes: Some(discovery.kubernetes),
            kubeconfig: Some(discovery.kubeconfig),
            pod_label_selector: Some(discovery.pod_selector),
            systemd_units: vec![discovery.systemd_units],
            socket_path: Some(discovery.socket_path),
            containers: Some(discovery.containers),
            host: Some(discovery.host),
            include_env_var: vec![discovery.variables],
            relabel_configs: Some(discovery.relabel).filter(|rules| !rules.is_empty()),
            temp_dir: Some(temp_dir.into()),
            profiling_duration: Some(profiling.duration),
            profiling_cpu_sampling_frequency: Some(profiling.frequency),
            thread_labels: Some(profiling.thread_labels),
            unwind_table_memory: Some(profiling.table_memory),
            unwind_table_cache: Some(profiling.table_cache),
            force_object: profiling.forced_object,
            external_label: if external == ExternalLabels::default() { vec![] } else { vec![external] },
            subcommand: None,
        }
    }
}
