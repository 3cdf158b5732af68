//! The command line.

use argh::FromArgs;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A Parca-compatible server for tests. It takes commands as JSON lines and ends with its standard input.
#[derive(Clone, Debug, FromArgs)]
pub struct Flags {
    /// address of the gRPC server; a free port of 127.0.0.1 unless given
    #[argh(option, default = "SocketAddr::from(([127, 0, 0, 1], 0))")]
    pub listen: SocketAddr,
    /// certificate chain, in PEM: serve over TLS
    #[argh(option)]
    pub tls_cert: Option<PathBuf>,
    /// its private key, in PEM
    #[argh(option)]
    pub tls_key: Option<PathBuf>,
    /// authorities, in PEM, one of which has to vouch for a client
    #[argh(option)]
    pub client_ca: Option<PathBuf>,
    /// bearer token to ask for
    #[argh(option)]
    pub token: Option<String>,
    /// folder to keep uploads in; without it they are only measured
    #[argh(option)]
    pub directory: Option<PathBuf>,
}
