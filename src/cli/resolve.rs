//! From settings, which may be silent, to the configuration, which never is, and back.

use super::Error;
use super::settings::Settings;
use crate::config::directory::Directory;
use crate::config::discovery::DiscoveryConfig;
use crate::config::file_path::FilePath;
use crate::config::labels::ExternalLabels;
use crate::config::list::List;
use crate::config::store::{ConnectionConfig, DebuginfoConfig, LocalStoreConfig, StoreConfig};
use crate::config::store_address::{Peer, StoreAddress};
use crate::config::{self, Config};
use std::str::FromStr;

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

impl Settings {
    /// The configuration that these settings make, with defaults where they are silent.
    pub(super) fn into_config(self, host_name: &str) -> Result<Config, Error> {
        self.check_together()?;
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
            store: StoreConfig {
                address: self.store_address.unwrap_or(default.store.address),
                connection: ConnectionConfig {
                    token: self.bearer_token.unwrap_or_default(),
                    token_file: self.bearer_token_file.unwrap_or_default(),
                    token_over_plaintext: self.store_token_over_plaintext.unwrap_or_default(),
                    insecure: self.insecure.unwrap_or_default(),
                    insecure_skip_verify: self.insecure_skip_verify.unwrap_or_default(),
                    ca_file: self.store_ca_file.unwrap_or_default(),
                    client_certificate: self.store_client_certificate.unwrap_or_default(),
                    client_key: self.store_client_key.unwrap_or_default(),
                    tls_min_version: self.store_tls_min_version.unwrap_or_default(),
                    headers: self.store_header,
                },
                queue_size: self.store_queue_size.unwrap_or(default.store.queue_size),
                spool_directory: self.store_spool_directory.unwrap_or(default.store.spool_directory),
                spool_size: self.store_spool_size.unwrap_or(default.store.spool_size),
                batch_interval: self.store_batch_interval.unwrap_or(default.store.batch_interval),
            },
            local_store: LocalStoreConfig {
                directory: self.local_store_directory.unwrap_or(default.local_store.directory),
                size: self.local_store_size.unwrap_or(default.local_store.size),
                age: self.local_store_age.unwrap_or(default.local_store.age),
            },
            debuginfo: DebuginfoConfig {
                upload_disable: self.debuginfo_upload_disable.unwrap_or(default.debuginfo.upload_disable),
                directories: joined("debuginfo-directories", self.debuginfo_directories)?,
                allow: joined("debuginfo-allow", self.debuginfo_allow)?,
                deny: joined("debuginfo-deny", self.debuginfo_deny)?,
                upload_rate: self.debuginfo_upload_rate.unwrap_or(default.debuginfo.upload_rate),
            },
            temp_dir: self.temp_dir.map_or(default.temp_dir, Directory::into_path),
        })
    }

    /// Objects to settings of which each is right by itself.
    fn check_together(&self) -> Result<(), Error> {
        let is_given = |path: &Option<FilePath>| path.as_ref().is_some_and(|path| path.get().is_some());
        if self.bearer_token.as_ref().is_some_and(|token| !token.is_empty())
            && is_given(&self.bearer_token_file)
        {
            return Err(Error::Together("bearer-token and bearer-token-file are both set; leave one out"));
        }
        let has_token = self.bearer_token.as_ref().is_some_and(|token| !token.is_empty())
            || is_given(&self.bearer_token_file);
        let is_near = self.store_address.as_ref().and_then(StoreAddress::get).is_none_or(Peer::is_loopback);
        let is_readable =
            self.insecure == Some(true) && !is_near && self.store_token_over_plaintext != Some(true);
        if has_token && is_readable {
            let readable = "the bearer token would go to the store without TLS, where others can read it; leave out insecure, or set store-token-over-plaintext";
            return Err(Error::Together(readable));
        }
        // Some stores take a header for a token, and which is one cannot be told.
        if !self.store_header.is_empty() && is_readable {
            let readable = "store-header would go to the store without TLS, where others can read it; leave out insecure, or set store-token-over-plaintext";
            return Err(Error::Together(readable));
        }
        if is_given(&self.store_client_certificate) != is_given(&self.store_client_key) {
            let both = "store-client-certificate and store-client-key go together; one of them is missing";
            return Err(Error::Together(both));
        }
        if self.debuginfo_strip == Some(false) {
            let never =
                "debuginfo-strip is false, but the agent sends no code and no data of programs; leave it out";
            return Err(Error::Together(never));
        }
        Ok(())
    }

    /// The settings that say in full what a configuration holds.
    pub(super) fn of_config(config: Config) -> Self {
        let Config { log, http, labels, discovery, profiling, store, local_store, debuginfo, temp_dir } =
            config;
        let StoreConfig { connection, .. } = store;
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
            store_address: Some(store.address),
            bearer_token: Some(connection.token),
            bearer_token_file: Some(connection.token_file),
            insecure: Some(connection.insecure),
            insecure_skip_verify: Some(connection.insecure_skip_verify),
            store_token_over_plaintext: Some(connection.token_over_plaintext),
            store_ca_file: Some(connection.ca_file),
            store_client_certificate: Some(connection.client_certificate),
            store_client_key: Some(connection.client_key),
            store_tls_min_version: Some(connection.tls_min_version),
            store_header: connection.headers,
            store_queue_size: Some(store.queue_size),
            store_spool_directory: Some(store.spool_directory),
            store_spool_size: Some(store.spool_size),
            store_batch_interval: Some(store.batch_interval),
            local_store_directory: Some(local_store.directory),
            local_store_size: Some(local_store.size),
            local_store_age: Some(local_store.age),
            debuginfo_upload_disable: Some(debuginfo.upload_disable),
            debuginfo_directories: vec![debuginfo.directories],
            debuginfo_strip: None,
            debuginfo_allow: vec![debuginfo.allow],
            debuginfo_deny: vec![debuginfo.deny],
            debuginfo_upload_rate: Some(debuginfo.upload_rate),
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
