//! Where profiles and debug information go, beside the page.

use super::age::Age;
use super::byte_size::ByteSize;
use super::file_path::FilePath;
use super::header::Header;
use super::path_list::{Directories, PathPatterns};
use super::store_address::StoreAddress;
use super::tls_version::TlsVersion;
use super::window::WindowDuration;
use crate::token::BearerToken;

/// The store of profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Where it is; without it, profiles stay here.
    pub address: StoreAddress,
    /// How it is spoken to.
    pub connection: ConnectionConfig,
    /// Most memory of what waits to be sent.
    pub queue_size: ByteSize,
    /// Where that goes which found no room in memory.
    pub spool_directory: FilePath,
    /// Most bytes there.
    pub spool_size: ByteSize,
    /// Time between two requests.
    pub batch_interval: WindowDuration,
}

/// How the store is spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionConfig {
    /// What it demands.
    pub token: BearerToken,
    /// A file with what it demands.
    pub token_file: FilePath,
    /// The token and the headers may go over a connection that others can read.
    pub token_over_plaintext: bool,
    /// There is no TLS.
    pub insecure: bool,
    /// Whoever answers is the store.
    pub insecure_skip_verify: bool,
    /// Certificates of those who may vouch for it, in place of the system's.
    pub ca_file: FilePath,
    /// The agent's own certificates.
    pub client_certificate: FilePath,
    /// Their key.
    pub client_key: FilePath,
    /// The oldest version that it may speak.
    pub tls_min_version: TlsVersion,
    /// Added to every request.
    pub headers: Vec<Header>,
}

/// Profiles as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalStoreConfig {
    /// Where they are kept, if anywhere.
    pub directory: FilePath,
    /// Most bytes of all.
    pub size: ByteSize,
    /// When they are removed.
    pub age: Age,
}

/// Debug information of what was sampled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebuginfoConfig {
    /// It stays on this host.
    pub upload_disable: bool,
    /// Where separate debug files are, beside the places in the target's own file system.
    pub directories: Directories,
    /// Only files whose path matches one of these are uploaded; all, if there is none.
    pub allow: PathPatterns,
    /// Files whose path matches one of these are not.
    pub deny: PathPatterns,
    /// Bytes a second that uploads may take.
    pub upload_rate: ByteSize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            address: StoreAddress::default(),
            connection: ConnectionConfig::default(),
            queue_size: ByteSize::mebibytes(64),
            spool_directory: FilePath::default(),
            spool_size: ByteSize::mebibytes(1024),
            batch_interval: WindowDuration::DEFAULT,
        }
    }
}

impl Default for LocalStoreConfig {
    fn default() -> Self {
        Self { directory: FilePath::default(), size: ByteSize::mebibytes(1024), age: Age::hours(168) }
    }
}

impl Default for DebuginfoConfig {
    fn default() -> Self {
        Self {
            upload_disable: false,
            directories: Directories::default(),
            allow: PathPatterns::default(),
            deny: PathPatterns::default(),
            upload_rate: ByteSize::mebibytes(16),
        }
    }
}
