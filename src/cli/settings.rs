//! What was typed in one layer: on the command line, in the environment or in a file.
//!
//! A flag is added here, in [`Config`](crate::config::Config), which holds its default, and where [one becomes the other](super::resolve); the normaliser, the environment,
//! the help text and `config print` learn of it from this structure.

use crate::config::address::HttpAddress;
use crate::config::age::Age;
use crate::config::byte_size::ByteSize;
use crate::config::directory::Directory;
use crate::config::file_path::FilePath;
use crate::config::forced_object::ForcedObject;
use crate::config::frequency::Frequency;
use crate::config::header::{self, Header};
use crate::config::host::HostDiscovery;
use crate::config::labels::ExternalLabels;
use crate::config::node::NodeName;
use crate::config::path_list::{Directories, PathPatterns};
use crate::config::pod_selector::PodSelector;
use crate::config::sampling_ratio::SamplingRatio;
use crate::config::store_address::StoreAddress;
use crate::config::table_cache::CacheDirectory;
use crate::config::table_memory::TableMemory;
use crate::config::tls_version::TlsVersion;
use crate::config::unit_pattern::UnitPatterns;
use crate::config::variable_name::VariableNames;
use crate::config::window::WindowDuration;
use crate::config::{decimal, label_table, list, relabel_rules, text};
use crate::log::{Format, Level};
use crate::relabel::Rules;
use crate::token::BearerToken;
use argh::{ArgsInfo, FromArgs};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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

    /// send profiles to the store at HOST:PORT; none: they stay on this host
    #[argh(option, arg_name = "address")]
    #[serde(with = "text", alias = "remote-store-address")]
    pub(super) store_address: Option<StoreAddress>,

    /// token that the store demands; a file keeps it out of the list of processes
    #[argh(option, arg_name = "token")]
    #[serde(with = "text", alias = "remote-store-bearer-token")]
    pub(super) bearer_token: Option<BearerToken>,

    /// file with the token that the store demands; it is read again when it changes
    #[argh(option, arg_name = "path")]
    #[serde(with = "text", alias = "remote-store-bearer-token-file")]
    pub(super) bearer_token_file: Option<FilePath>,

    /// speak to the store without TLS
    #[argh(option, arg_name = "bool", from_str_fn(parse_bool))]
    #[serde(alias = "remote-store-insecure")]
    pub(super) insecure: Option<bool>,

    /// take whoever answers for the store
    #[argh(option, arg_name = "bool", from_str_fn(parse_bool))]
    #[serde(alias = "remote-store-insecure-skip-verify")]
    pub(super) insecure_skip_verify: Option<bool>,

    /// send the token and headers also without TLS, to a store on another host
    #[argh(option, arg_name = "bool", from_str_fn(parse_bool))]
    pub(super) store_token_over_plaintext: Option<bool>,

    /// certificates, as PEM, of who vouches for the store; none: those of this host
    #[argh(option, arg_name = "path")]
    #[serde(with = "text")]
    pub(super) store_ca_file: Option<FilePath>,

    /// the certificates, as PEM, by which the store knows the agent
    #[argh(option, arg_name = "path")]
    #[serde(with = "text")]
    pub(super) store_client_certificate: Option<FilePath>,

    /// the key of these certificates, as PEM
    #[argh(option, arg_name = "path")]
    #[serde(with = "text")]
    pub(super) store_client_key: Option<FilePath>,

    /// oldest version of TLS that the store may speak: 1.2 or 1.3
    #[argh(option, arg_name = "version")]
    #[serde(with = "text")]
    pub(super) store_tls_min_version: Option<TlsVersion>,

    /// add this header to every request to the store, NAME=VALUE; may be given again
    #[argh(option, arg_name = "header")]
    #[serde(with = "header")]
    pub(super) store_header: Vec<Header>,

    /// most memory of what waits for the store
    #[argh(option, arg_name = "size")]
    #[serde(with = "text")]
    pub(super) store_queue_size: Option<ByteSize>,

    /// keep on disk what finds no room in memory; none: the oldest is dropped
    #[argh(option, arg_name = "path")]
    #[serde(with = "text")]
    pub(super) store_spool_directory: Option<FilePath>,

    /// most bytes in that directory
    #[argh(option, arg_name = "size")]
    #[serde(with = "text")]
    pub(super) store_spool_size: Option<ByteSize>,

    /// time between two requests to the store, from 1s to 10m
    #[argh(option, arg_name = "duration")]
    #[serde(with = "text")]
    pub(super) store_batch_interval: Option<WindowDuration>,

    /// write each profile to a file in this directory
    #[argh(option, arg_name = "path")]
    #[serde(with = "text")]
    pub(super) local_store_directory: Option<FilePath>,

    /// most bytes in that directory
    #[argh(option, arg_name = "size")]
    #[serde(with = "text")]
    pub(super) local_store_size: Option<ByteSize>,

    /// when a profile is removed from it, from 1m to 87840h
    #[argh(option, arg_name = "age")]
    #[serde(with = "text")]
    pub(super) local_store_age: Option<Age>,

    /// send no debug information to the store
    #[argh(option, arg_name = "bool", from_str_fn(parse_bool))]
    pub(super) debuginfo_upload_disable: Option<bool>,

    /// look for debug files in these directories, too; may be given again
    #[argh(option, arg_name = "paths")]
    #[serde(with = "list")]
    pub(super) debuginfo_directories: Vec<Directories>,

    /// send no code and no data of programs; it cannot be false
    #[argh(option, arg_name = "bool", hidden_help, from_str_fn(parse_bool))]
    pub(super) debuginfo_strip: Option<bool>,

    /// send that of files whose path matches, such as /opt/*; none: of all
    #[argh(option, arg_name = "patterns")]
    #[serde(with = "list")]
    pub(super) debuginfo_allow: Vec<PathPatterns>,

    /// send none of files whose path matches; may be given again
    #[argh(option, arg_name = "patterns")]
    #[serde(with = "list")]
    pub(super) debuginfo_deny: Vec<PathPatterns>,

    /// most bytes of debug information a second
    #[argh(option, arg_name = "size")]
    #[serde(with = "text")]
    pub(super) debuginfo_upload_rate: Option<ByteSize>,

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
            store_address: self.store_address.or(lower.store_address),
            bearer_token: self.bearer_token.or(lower.bearer_token),
            bearer_token_file: self.bearer_token_file.or(lower.bearer_token_file),
            insecure: self.insecure.or(lower.insecure),
            insecure_skip_verify: self.insecure_skip_verify.or(lower.insecure_skip_verify),
            store_token_over_plaintext: self.store_token_over_plaintext.or(lower.store_token_over_plaintext),
            store_ca_file: self.store_ca_file.or(lower.store_ca_file),
            store_client_certificate: self.store_client_certificate.or(lower.store_client_certificate),
            store_client_key: self.store_client_key.or(lower.store_client_key),
            store_tls_min_version: self.store_tls_min_version.or(lower.store_tls_min_version),
            store_header: first_given(self.store_header, lower.store_header),
            store_queue_size: self.store_queue_size.or(lower.store_queue_size),
            store_spool_directory: self.store_spool_directory.or(lower.store_spool_directory),
            store_spool_size: self.store_spool_size.or(lower.store_spool_size),
            store_batch_interval: self.store_batch_interval.or(lower.store_batch_interval),
            local_store_directory: self.local_store_directory.or(lower.local_store_directory),
            local_store_size: self.local_store_size.or(lower.local_store_size),
            local_store_age: self.local_store_age.or(lower.local_store_age),
            debuginfo_upload_disable: self.debuginfo_upload_disable.or(lower.debuginfo_upload_disable),
            debuginfo_directories: first_given(self.debuginfo_directories, lower.debuginfo_directories),
            debuginfo_strip: self.debuginfo_strip.or(lower.debuginfo_strip),
            debuginfo_allow: first_given(self.debuginfo_allow, lower.debuginfo_allow),
            debuginfo_deny: first_given(self.debuginfo_deny, lower.debuginfo_deny),
            debuginfo_upload_rate: self.debuginfo_upload_rate.or(lower.debuginfo_upload_rate),
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
}
