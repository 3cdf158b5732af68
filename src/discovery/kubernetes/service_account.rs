//! The API server of the cluster that the agent runs in, as every pod is told of it.

use super::cluster::{Cluster, ClusterError, Encryption, TrustSource};
use super::credential::Credential;
use super::material::Material;
use std::ffi::OsString;
use std::path::Path;

/// Where the kubelet puts the token of a pod and the authority of the API server.
pub(super) const FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// `None` outside a pod. Whether the files are there shows when they are read: they may come later.
pub(super) fn cluster(
    variable: &dyn Fn(&str) -> Option<OsString>,
    folder: &Path,
) -> Result<Option<Cluster>, ClusterError> {
    const HOST: &str = "KUBERNETES_SERVICE_HOST";
    const PORT: &str = "KUBERNETES_SERVICE_PORT";
    let (Some(host), Some(port)) = (variable(HOST), variable(PORT)) else { return Ok(None) };
    let wrong = |variable, value, expected| ClusterError::Variable { variable, value, expected };
    let is_host =
        |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-".contains(&byte));
    let Some(name) = host.to_str().filter(is_host).map(str::to_owned) else {
        return Err(wrong(HOST, host, "host"));
    };
    let Some(number) = port.to_str().and_then(|port| port.parse().ok()).filter(|port| *port != 0) else {
        return Err(wrong(PORT, port, "port"));
    };
    Ok(Some(Cluster {
        host: name.clone(),
        port: number,
        prefix: String::new(),
        encryption: Some(Encryption {
            trust: TrustSource::Authorities(Material::File(folder.join("ca.crt"))),
            identity: None,
            server_name: name,
        }),
        credential: Credential::TokenFile(folder.join("token")),
    }))
}
