//! Which API server to ask, and how: from the pod that the agent runs in, or from a kubeconfig file.

use super::Options;
use super::credential::Credential;
use super::kubeconfig;
use super::material::Material;
use super::service_account;
use super::small_file::FileError;
use crate::net::stream::authority;
use crate::net::tls::{Identity, Oldest, Tls, TlsError, Trust};
use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// An API server. Files of certificates and tokens are read when they are needed, not before.
#[derive(Debug)]
pub struct Cluster {
    pub(super) host: String,
    pub(super) port: u16,
    /// What every path begins with: most often nothing.
    pub(super) prefix: String,
    /// `None` for plain HTTP.
    pub(super) encryption: Option<Encryption>,
    pub(super) credential: Credential,
}

/// How to speak TLS with it.
#[derive(Debug)]
pub(super) struct Encryption {
    pub(super) trust: TrustSource,
    /// Certificates and key of the agent.
    pub(super) identity: Option<(Material, Material)>,
    /// The name that the server's certificate must be for.
    pub(super) server_name: String,
}

/// Who vouches for the server.
#[derive(Debug)]
pub(super) enum TrustSource {
    Authorities(Material),
    Host,
    Anyone,
}

/// Why a configuration of a cluster is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A kubeconfig file that cannot be read.
    #[error("the kubeconfig file {0}")]
    File(#[from] FileError),
    /// None of the files that `KUBECONFIG` names is there.
    #[error("none of the files that KUBECONFIG names exists: {0:?}")]
    NoFile(Vec<PathBuf>),
    /// What a file holds is no kubeconfig. The text is not shown: it may hold secrets.
    #[error("the kubeconfig file {path:?} is none{}", .place.map(|(line, column)| format!(": see line {line}, column {column}")).unwrap_or_default())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Line and column, from 1.
        place: Option<(u64, u64)>,
    },
    /// Files that contradict each other.
    #[error("the files that KUBECONFIG names do not go together: {0}")]
    Merge(String),
    /// No `current-context`.
    #[error("the kubeconfig file sets no current-context")]
    NoContext,
    /// An entry that another one names.
    #[error("the kubeconfig file has no {kind} {name:?}, which is in force")]
    NoEntry {
        /// `context`, `cluster` or `user`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A cluster that is nowhere.
    #[error("cluster {cluster:?} of the kubeconfig file: server {server:?} {problem}")]
    Server {
        /// The entry.
        cluster: String,
        /// What it says.
        server: String,
        /// Why that is of no use.
        problem: &'static str,
    },
    /// A setting that the agent does not follow, or that makes no sense with another.
    #[error("{entry} of the kubeconfig file: {problem}")]
    Setting {
        /// Kind and name of the entry.
        entry: String,
        /// What is wrong.
        problem: String,
    },
    /// The environment of the pod.
    #[error("{variable}={value:?} is no {expected}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: OsString,
        /// What it should be.
        expected: &'static str,
    },
    /// Secrets over a network in plain text.
    #[error("{server} is spoken to without TLS and is not this host: no token or password is sent to it")]
    PlainSecret {
        /// Host and port.
        server: String,
    },
    /// A name that no node can have.
    #[error(
        "{name:?} is no name of a Kubernetes node, which has lower-case letters, digits, '-' and '.': set --node to the node's name"
    )]
    NodeName {
        /// The name.
        name: String,
    },
}

/// Why there is nothing to speak TLS with.
#[derive(Debug, thiserror::Error)]
pub enum EncryptionError {
    /// A file of certificates.
    #[error("the {what} file {source}")]
    File {
        /// What it should hold.
        what: &'static str,
        /// Why it does not.
        source: FileError,
    },
    /// What is in them.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why the source is off where [`locate`] finds nothing.
pub const NO_CLUSTER: &str =
    "no cluster configuration: neither --kubeconfig, KUBECONFIG nor a service account";

/// Finds the API server: by the kubeconfig file of the options, those of the variable `KUBECONFIG`, or the
/// service account of the pod. `None` if there is nothing of it.
pub fn locate(
    options: &Options,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<Cluster>, ClusterError> {
    locate_with(options, environment, Path::new(service_account::FOLDER))
}

/// The same, with another folder of the service account.
pub fn locate_with(
    options: &Options,
    environment: &dyn Fn(&str) -> Option<OsString>,
    service_account: &Path,
) -> Result<Option<Cluster>, ClusterError> {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let cluster = if let Some(path) = &options.kubeconfig {
        Some(kubeconfig::from_file(path)?)
    } else if let Some(paths) = variable("KUBECONFIG") {
        Some(kubeconfig::from_files(&paths)?)
    } else {
        service_account::cluster(&variable, service_account)?
    };
    let Some(cluster) = cluster else { return Ok(None) };
    if !is_node_name(&options.node) {
        return Err(ClusterError::NodeName { name: options.node.clone() });
    }
    if cluster.encryption.is_none() && cluster.credential.is_secret() && !is_loopback(&cluster.host) {
        return Err(ClusterError::PlainSecret { server: cluster.authority() });
    }
    Ok(Some(cluster))
}

impl Cluster {
    /// Host and port, as URLs have them.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    /// Whether a server that lies about who it is would be believed.
    pub fn believes_anyone(&self) -> bool {
        self.encryption.as_ref().is_some_and(|encryption| matches!(encryption.trust, TrustSource::Anyone))
    }
}

/// `https://10.0.0.1:443`
impl fmt::Display for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encryption.is_some() { "https" } else { "http" };
        write!(formatter, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

impl Encryption {
    /// Reads what is in files and makes use of it.
    pub(super) fn prepare(&self) -> Result<Tls, EncryptionError> {
        let authorities = match &self.trust {
            TrustSource::Authorities(material) => Some(read("certificate authority", material)?),
            TrustSource::Host | TrustSource::Anyone => None,
        };
        let trust = match (&self.trust, &authorities) {
            (TrustSource::Anyone, _) => Trust::Anyone,
            (_, Some(authorities)) => Trust::Authorities(authorities),
            (_, None) => Trust::Host,
        };
        let identity = match &self.identity {
            Some((certificates, key)) => {
                Some((read("client certificate", certificates)?, read("client key", key)?))
            }
            None => None,
        };
        let identity =
            identity.as_ref().map(|(certificates, key)| Identity { certificates, key: key.as_ref() });
        Ok(Tls::new(trust, Oldest::V12, identity, &["http/1.1"])?)
    }
}

fn read<'a>(what: &'static str, material: &'a Material) -> Result<Cow<'a, [u8]>, EncryptionError> {
    material.read().map_err(|source| EncryptionError::File { what, source })
}

/// RFC 1123, as Kubernetes demands of names of nodes.
fn is_node_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    (1..=253).contains(&name.len()) && name.bytes().all(fits)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
