//! The configuration in force: plain, checked values that every part takes its own piece of.
//!
//! What was typed, and in which layer, is [`crate::cli`]'s matter. The default of each setting stands
//! here, once.

pub mod address;
pub mod age;
pub mod byte_size;
pub mod decimal;
pub mod directory;
pub mod discovery;
pub mod duration;
pub mod file;
pub mod file_path;
pub mod forced_object;
pub mod frequency;
pub mod header;
pub mod host;
pub mod label_table;
pub mod labels;
pub mod list;
pub mod node;
pub mod path_list;
pub mod pod_selector;
pub mod relabel_rules;
pub mod sampling_ratio;
pub mod store;
pub mod store_address;
pub mod table_cache;
pub mod table_memory;
pub mod text;
pub mod tls_version;
pub mod unit_pattern;
pub mod variable_name;
pub mod window;

use crate::label::LabelSet;
use crate::log;
use address::HttpAddress;
use discovery::DiscoveryConfig;
use forced_object::ForcedObject;
use frequency::Frequency;
use std::path::PathBuf;
use store::{ConnectionConfig, DebuginfoConfig, LocalStoreConfig, StoreConfig};
use table_cache::CacheDirectory;
use table_memory::TableMemory;
use window::WindowDuration;

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What is logged, and how.
    pub log: LogConfig,
    /// The agent's own pages.
    pub http: HttpConfig,
    /// Labels of every profile.
    pub labels: LabelConfig,
    /// Who is profiled, and under which labels.
    pub discovery: DiscoveryConfig,
    /// What is measured.
    pub profiling: ProfilingConfig,
    /// The store of profiles.
    pub store: StoreConfig,
    /// Profiles as files.
    pub local_store: LocalStoreConfig,
    /// Debug information of what was sampled.
    pub debuginfo: DebuginfoConfig,
    /// Where the agent makes its private directory for temporary files.
    pub temp_dir: PathBuf,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The least serious record that is written.
    pub level: log::Level,
    /// How a record is written.
    pub format: log::Format,
}

/// The agent's own pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where they are served.
    pub address: HttpAddress,
}

/// Labels of every profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelConfig {
    /// Value of the label `node`.
    pub node: String,
    /// Labels that the operator adds.
    pub external: LabelSet,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfilingConfig {
    /// Length of one profile.
    pub duration: WindowDuration,
    /// Samples a second on each CPU.
    pub frequency: Frequency,
    /// Whether samples carry `thread_id` and `thread_name`.
    pub thread_labels: bool,
    /// Most memory of unwind tables in the kernel.
    pub table_memory: TableMemory,
    /// Where unwind tables are kept from one run to the next.
    pub table_cache: CacheDirectory,
    /// Which BPF object to load without a probe.
    pub forced_object: Option<ForcedObject>,
}

impl Config {
    /// Every setting at its default, for the host of this name.
    pub fn defaults(node: String) -> Self {
        Self {
            log: LogConfig { level: log::Level::Info, format: log::Format::Logfmt },
            http: HttpConfig { address: HttpAddress::DEFAULT },
            labels: LabelConfig { node, external: LabelSet::default() },
            discovery: DiscoveryConfig::default(),
            profiling: ProfilingConfig {
                duration: WindowDuration::DEFAULT,
                frequency: Frequency::DEFAULT,
                thread_labels: true,
                table_memory: TableMemory::DEFAULT,
                table_cache: CacheDirectory::default(),
                forced_object: None,
            },
            store: StoreConfig::default(),
            local_store: LocalStoreConfig::default(),
            debuginfo: DebuginfoConfig::default(),
            temp_dir: PathBuf::from("/tmp"),
        }
    }

    /// What a reload from one configuration to another changes.
    pub fn reload_diff(old: &Self, new: &Self) -> ReloadDiff {
        // Taken apart, so that a new setting has to be put into one of the two lists.
        let Self { log, http, labels, discovery, profiling, store, local_store, debuginfo, temp_dir } = old;
        let LogConfig { level, format } = log;
        let HttpConfig { address } = http;
        let LabelConfig { node, external } = labels;
        let DiscoveryConfig {
            sampling_ratio,
            relabel,
            kubernetes,
            kubeconfig,
            pod_selector,
            systemd_units,
            socket_path,
            containers,
            host,
            variables,
        } = discovery;
        let ProfilingConfig { duration, frequency, thread_labels, table_memory, table_cache, forced_object } =
            profiling;
        let StoreConfig {
            address: store_address,
            connection,
            queue_size,
            spool_directory,
            spool_size,
            batch_interval,
        } = store;
        let ConnectionConfig {
            token,
            token_file,
            token_over_plaintext,
            insecure,
            insecure_skip_verify,
            ca_file,
            client_certificate,
            client_key,
            tls_min_version,
            headers,
        } = connection;
        let LocalStoreConfig { directory: local_directory, size: local_size, age: local_age } = local_store;
        let DebuginfoConfig { upload_disable, directories, allow, deny, upload_rate } = debuginfo;
        let at_once = [
            ("log-level", *level != new.log.level),
            ("log-format", *format != new.log.format),
            ("external-label", *external != new.labels.external),
            ("sampling-ratio", *sampling_ratio != new.discovery.sampling_ratio),
            ("relabel-configs", *relabel != new.discovery.relabel),
            ("thread-labels", *thread_labels != new.profiling.thread_labels),
        ];
        let at_restart = [
            ("http-address", *address != new.http.address),
            ("node", *node != new.labels.node),
            ("kubernetes", *kubernetes != new.discovery.kubernetes),
            ("kubeconfig", *kubeconfig != new.discovery.kubeconfig),
            ("pod-label-selector", *pod_selector != new.discovery.pod_selector),
            ("systemd-units", *systemd_units != new.discovery.systemd_units),
            ("socket-path", *socket_path != new.discovery.socket_path),
            ("containers", *containers != new.discovery.containers),
            ("host", *host != new.discovery.host),
            ("include-env-var", *variables != new.discovery.variables),
            ("store-address", *store_address != new.store.address),
            ("bearer-token", *token != new.store.connection.token),
            ("bearer-token-file", *token_file != new.store.connection.token_file),
            ("insecure", *insecure != new.store.connection.insecure),
            ("insecure-skip-verify", *insecure_skip_verify != new.store.connection.insecure_skip_verify),
            (
                "store-token-over-plaintext",
                *token_over_plaintext != new.store.connection.token_over_plaintext,
            ),
            ("store-ca-file", *ca_file != new.store.connection.ca_file),
            ("store-client-certificate", *client_certificate != new.store.connection.client_certificate),
            ("store-client-key", *client_key != new.store.connection.client_key),
            ("store-tls-min-version", *tls_min_version != new.store.connection.tls_min_version),
            ("store-header", *headers != new.store.connection.headers),
            ("store-queue-size", *queue_size != new.store.queue_size),
            ("store-spool-directory", *spool_directory != new.store.spool_directory),
            ("store-spool-size", *spool_size != new.store.spool_size),
            ("store-batch-interval", *batch_interval != new.store.batch_interval),
            ("local-store-directory", *local_directory != new.local_store.directory),
            ("local-store-size", *local_size != new.local_store.size),
            ("local-store-age", *local_age != new.local_store.age),
            ("debuginfo-upload-disable", *upload_disable != new.debuginfo.upload_disable),
            ("debuginfo-directories", *directories != new.debuginfo.directories),
            ("debuginfo-allow", *allow != new.debuginfo.allow),
            ("debuginfo-deny", *deny != new.debuginfo.deny),
            ("debuginfo-upload-rate", *upload_rate != new.debuginfo.upload_rate),
            ("temp-dir", *temp_dir != new.temp_dir),
            ("profiling-duration", *duration != new.profiling.duration),
            ("profiling-cpu-sampling-frequency", *frequency != new.profiling.frequency),
            ("unwind-table-memory", *table_memory != new.profiling.table_memory),
            ("unwind-table-cache", *table_cache != new.profiling.table_cache),
            ("force-object", *forced_object != new.profiling.forced_object),
        ];
        ReloadDiff { at_once: changed(&at_once), at_restart: changed(&at_restart) }
    }
}

/// Keys that a reload changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadDiff {
    /// The new value can take effect in the running agent.
    pub at_once: Vec<&'static str>,
    /// The new value needs a new start.
    pub at_restart: Vec<&'static str>,
}

fn changed(keys: &[(&'static str, bool)]) -> Vec<&'static str> {
    keys.iter().filter(|(_, differs)| *differs).map(|(key, _)| *key).collect()
}

#[cfg(test)]
mod tests {
    use super::{Config, ReloadDiff};
    use crate::log;
    use crate::relabel::{Fields, Rule, Rules};

    fn defaults() -> Config {
        Config::defaults("host".into())
    }

    #[test]
    fn a_reload_of_the_same_file_changes_nothing() {
        assert_eq!(Config::reload_diff(&defaults(), &defaults()), ReloadDiff::default());
    }

    #[test]
    fn what_can_change_while_running_takes_effect_at_once() {
        let mut new = defaults();
        new.log.level = log::Level::Debug;
        new.log.format = log::Format::Json;
        new.labels.external.set("region", "eu-1");
        new.profiling.thread_labels = false;
        new.discovery.sampling_ratio = "0.5".parse().unwrap();
        let fields = Fields { action: Some("drop".parse().unwrap()), ..Fields::default() };
        new.discovery.relabel = Rules::new(vec![Rule::new(1, fields).unwrap()]).unwrap();
        let diff = Config::reload_diff(&defaults(), &new);
        assert_eq!(
            diff.at_once,
            [
                "log-level",
                "log-format",
                "external-label",
                "sampling-ratio",
                "relabel-configs",
                "thread-labels"
            ]
        );
        assert!(diff.at_restart.is_empty(), "{diff:?}");
    }

    #[test]
    fn what_was_opened_or_attached_needs_a_restart() {
        let mut new = Config::defaults("other".into());
        new.http.address = "127.0.0.1:80".parse().unwrap();
        new.temp_dir = "/var/tmp".into();
        new.discovery.kubernetes = false;
        new.discovery.kubeconfig = "/a".parse().unwrap();
        new.discovery.pod_selector = "a=b".parse().unwrap();
        new.discovery.systemd_units = "a".parse().unwrap();
        new.discovery.socket_path = "/b".parse().unwrap();
        new.discovery.containers = false;
        new.discovery.host = "on".parse().unwrap();
        new.discovery.variables = "A".parse().unwrap();
        new.profiling.duration = "1m".parse().unwrap();
        new.profiling.frequency = "99".parse().unwrap();
        new.profiling.table_memory = "8MiB".parse().unwrap();
        new.profiling.table_cache = "off".parse().unwrap();
        new.profiling.forced_object = Some("baseline".parse().unwrap());
        let diff = Config::reload_diff(&defaults(), &new);
        assert!(diff.at_once.is_empty(), "{diff:?}");
        assert_eq!(
            diff.at_restart,
            [
                "http-address",
                "node",
                "kubernetes",
                "kubeconfig",
                "pod-label-selector",
                "systemd-units",
                "socket-path",
                "containers",
                "host",
                "include-env-var",
                "temp-dir",
                "profiling-duration",
                "profiling-cpu-sampling-frequency",
                "unwind-table-memory",
                "unwind-table-cache",
                "force-object"
            ]
        );
    }
}
