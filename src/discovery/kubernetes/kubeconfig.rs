//! Kubeconfig files, as kubectl reads them: which of their many settings the agent follows.

use super::cluster::{Cluster, ClusterError, Encryption, TrustSource};
use super::credential::Credential;
use super::material::Material;
use super::small_file::{self, FileError, FileProblem};
use http::Uri;
use k8s_openapi::ByteString;
use kube::config::{AuthInfo, Cluster as ClusterEntry, Kubeconfig, KubeconfigError};
use secrecy::ExposeSecret;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Longest file. One of a hundred clusters with all their certificates has about 1 MiB.
const MAX_BYTES: u64 = 4 << 20;

/// The cluster of the current context of one file.
pub(super) fn from_file(path: &Path) -> Result<Cluster, ClusterError> {
    cluster(read(path)?)
}

/// The same of several files, `:` between them. The first that says something counts, and those that do not
/// exist are skipped.
pub(super) fn from_files(paths: &OsStr) -> Result<Cluster, ClusterError> {
    let paths: Vec<PathBuf> =
        std::env::split_paths(paths).filter(|path| !path.as_os_str().is_empty()).collect();
    let mut merged: Option<Kubeconfig> = None;
    for path in &paths {
        let next = match read(path) {
            Err(ClusterError::File(error)) if error.is_missing() => continue,
            result => result?,
        };
        merged = Some(match merged {
            Some(before) => before.merge(next).map_err(|error| ClusterError::Merge(error.to_string()))?,
            None => next,
        });
    }
    cluster(merged.ok_or(ClusterError::NoFile(paths))?)
}

fn read(path: &Path) -> Result<Kubeconfig, ClusterError> {
    let bytes = small_file::read(path, MAX_BYTES)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| FileError { path: path.into(), problem: FileProblem::NotText })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut config = Kubeconfig::from_yaml(text).map_err(|error| {
        let place = match error {
            KubeconfigError::Parse(error) => error.location().map(|at| (at.line(), at.column())),
            _ => None,
        };
        ClusterError::Syntax { path: path.into(), place }
    })?;
    make_absolute(&mut config, path.parent().unwrap_or(Path::new("")));
    Ok(config)
}

/// Paths within a file begin where the file is.
fn make_absolute(config: &mut Kubeconfig, folder: &Path) {
    let clusters = config.clusters.iter_mut().filter_map(|named| named.cluster.as_mut());
    let users = config.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut());
    let of_clusters = clusters.map(|cluster| &mut cluster.certificate_authority);
    let of_users =
        users.flat_map(|user| [&mut user.client_certificate, &mut user.client_key, &mut user.token_file]);
    for path in of_clusters.chain(of_users).filter_map(Option::as_mut) {
        if let Some(absolute) = folder.join(&*path).to_str().filter(|_| !path.is_empty()) {
            *path = absolute.to_owned();
        }
    }
}

fn cluster(config: Kubeconfig) -> Result<Cluster, ClusterError> {
    let missing = |kind, name: &str| ClusterError::NoEntry { kind, name: name.to_owned() };
    let context_name = text(config.current_context.as_ref()).ok_or(ClusterError::NoContext)?;
    let context = config
        .contexts
        .iter()
        .find(|named| named.name == context_name)
        .and_then(|named| named.context.as_ref())
        .ok_or_else(|| missing("context", context_name))?;
    let cluster = config
        .clusters
        .iter()
        .find(|named| named.name == context.cluster)
        .and_then(|named| named.cluster.as_ref())
        .ok_or_else(|| missing("cluster", &context.cluster))?;
    let nobody = AuthInfo::default();
    let (user_name, user) = match text(context.user.as_ref()) {
        None => ("", &nobody),
        Some(name) => {
            let named = config.auth_infos.iter().find(|named| named.name == name);
            let named = named.ok_or_else(|| missing("user", name))?;
            (name, named.auth_info.as_ref().unwrap_or(&nobody))
        }
    };
    of_entries(&context.cluster, cluster, user_name, user)
}

fn of_entries(
    cluster_name: &str,
    cluster: &ClusterEntry,
    user_name: &str,
    user: &AuthInfo,
) -> Result<Cluster, ClusterError> {
    let entry = format!("cluster {cluster_name:?}");
    let setting = |problem: &str| ClusterError::Setting { entry: entry.clone(), problem: problem.to_owned() };
    if text(cluster.proxy_url.as_ref()).is_some() {
        return Err(setting("proxy-url is not supported, the API server must be reachable directly"));
    }
    let authorities = material(
        &entry,
        "certificate-authority-data",
        [text(cluster.certificate_authority_data.as_ref()), text(cluster.certificate_authority.as_ref())],
    )?;
    let trust = match (cluster.insecure_skip_tls_verify, authorities) {
        (Some(true), None) => TrustSource::Anyone,
        (Some(true), Some(_)) => {
            return Err(setting("a certificate authority makes no sense with insecure-skip-tls-verify"));
        }
        (_, Some(authorities)) => TrustSource::Authorities(authorities),
        (_, None) => TrustSource::Host,
    };
    let server = Server::parse(cluster.server.as_deref().unwrap_or_default()).map_err(|problem| {
        let server = without_secrets(cluster.server.as_deref().unwrap_or_default());
        ClusterError::Server { cluster: cluster_name.to_owned(), server: server.to_owned(), problem }
    })?;
    let (identity, credential) = proofs(&format!("user {user_name:?}"), user)?;
    let server_name = text(cluster.tls_server_name.as_ref()).unwrap_or(&server.host).to_owned();
    let encryption = server.is_encrypted.then_some(Encryption { trust, identity, server_name });
    let Server { host, port, prefix, .. } = server;
    Ok(Cluster { host, port, prefix, encryption, credential })
}

/// The client certificate with its key, and the rest.
fn proofs(entry: &str, user: &AuthInfo) -> Result<(Option<(Material, Material)>, Credential), ClusterError> {
    let setting =
        |problem: &str| ClusterError::Setting { entry: entry.to_owned(), problem: problem.to_owned() };
    if user.exec.is_some() {
        return Err(setting("exec plugins are not supported, give a token, a token file or a certificate"));
    }
    if user.auth_provider.is_some() {
        return Err(setting("auth-provider is not supported, give a token, a token file or a certificate"));
    }
    let impersonates =
        [&user.impersonate, &user.impersonate_uid].iter().any(|name| text(name.as_ref()).is_some());
    if impersonates || user.impersonate_groups.as_ref().is_some_and(|groups| !groups.is_empty()) {
        return Err(setting("acting as another user is not supported"));
    }
    let certificates = material(
        entry,
        "client-certificate-data",
        [text(user.client_certificate_data.as_ref()), text(user.client_certificate.as_ref())],
    )?;
    let key_data = user.client_key_data.as_ref().map(|data| data.expose_secret());
    let key = material(
        entry,
        "client-key-data",
        [key_data.filter(|data| !data.is_empty()), text(user.client_key.as_ref())],
    )?;
    let identity = match (certificates, key) {
        (Some(certificates), Some(key)) => Some((certificates, key)),
        (None, None) => None,
        (Some(_), None) => return Err(setting("a client certificate without client-key is of no use")),
        (None, Some(_)) => return Err(setting("a client key without client-certificate is of no use")),
    };
    let token = user.token.as_ref().filter(|token| !token.expose_secret().is_empty());
    // As client-go has it: what was last read from the file counts, not the token that is given too.
    let credential = match (text(user.token_file.as_ref()), token, text(user.username.as_ref())) {
        (Some(path), _, _) => Credential::TokenFile(path.into()),
        (None, Some(token), _) => Credential::Token(token.clone()),
        (None, None, Some(name)) => {
            let password = user.password.clone().unwrap_or_else(|| String::new().into());
            Credential::Password { user: name.to_owned(), password }
        }
        (None, None, None) => Credential::None,
    };
    Ok((identity, credential))
}

/// Data counts, if there is some, and a file otherwise.
fn material(
    entry: &str,
    data_name: &str,
    [data, path]: [Option<&str>; 2],
) -> Result<Option<Material>, ClusterError> {
    let Some(data) = data else { return Ok(path.map(|path| Material::File(path.into()))) };
    let data: String = data.split_ascii_whitespace().collect();
    match serde_json::from_value(serde_json::Value::String(data)) {
        Ok(ByteString(bytes)) => Ok(Some(Material::Given(bytes))),
        // What is wrong with a key is not said: the text may quote it.
        Err(_) => Err(ClusterError::Setting {
            entry: entry.to_owned(),
            problem: format!("{data_name} is not base64"),
        }),
    }
}

/// A setting that says something.
fn text(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|value| !value.is_empty())
}

/// What may be shown of a server that is refused: a name and a password end at the last `@`, and a query may be a
/// token.
fn without_secrets(server: &str) -> &str {
    let after = server.rsplit_once('@').map_or(server, |(_, after)| after);
    after.find('?').map_or(after, |mark| &after[..=mark])
}

struct Server {
    is_encrypted: bool,
    host: String,
    port: u16,
    prefix: String,
}

impl Server {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("says nothing");
        }
        let uri: Uri = text.parse().map_err(|_| "is no URL")?;
        let is_encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("must begin with https:// or http://"),
        };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if uri.query().is_some() || authority.contains('@') {
            return Err("may hold a host, a port and a path only");
        }
        let host = uri.host().unwrap_or_default();
        let port = match authority.strip_prefix(host) {
            Some("") => Some(if is_encrypted { 443 } else { 80 }),
            rest => rest.and_then(|rest| rest.strip_prefix(':')).and_then(port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err("names no host");
        }
        let port = port.ok_or("has no valid port")?;
        Ok(Self {
            is_encrypted,
            host: host.to_owned(),
            port,
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

/// Digits alone: a port that is taken for another one leads to another server.
fn port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port != 0)
}
