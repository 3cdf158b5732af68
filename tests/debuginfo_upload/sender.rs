//! Who sends, and what.

use crate::peer::Peer;
use parca_agent::debuginfo::plan::{Part, Plan};
use parca_agent::debuginfo::stamp::Stamp;
use parca_agent::debuginfo::upload::answer::Answer;
use parca_agent::debuginfo::upload::failure::{Failure, Remedy};
use parca_agent::debuginfo::upload::{DebugFile, Patience, Uploaded, Uploader};
use parca_agent::net::proxy::Proxies;
use parca_agent::net::tls::Oldest;
use parca_agent::object::FileOffset;
use parca_agent::object::build_id::{BuildId, BuildIdKind};
use parca_agent::store::channel::{Options, StoreChannel, TlsOptions};
use parca_agent::store::credential::Credential;
use serde_json::{Value, json};
use smol::Executor;
use std::fs::File;
use std::io::Write;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Longer than anything here takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A peer that does nothing for so long has no more time: so tests of that are short. No test is about a busy machine.
pub(crate) const STALL: Duration = Duration::from_secs(3);

/// An uploader, and what its futures run on.
pub(crate) struct Sender {
    executor: Arc<Executor<'static>>,
    pub(crate) uploader: Uploader,
}

/// A file with a certificate or key for tests.
pub(crate) fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/certificates").join(name)
}

/// A server with TLS, for gRPC and for signed URLs.
pub(crate) fn peer_with_tls(flags: &[&str]) -> Peer {
    let (chain, key) = (certificate("server.pem"), certificate("server.key"));
    let tls = ["--tls-cert", chain.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    Peer::start(&[&tls, flags].concat())
}

/// TLS with a server that an authority vouches for.
pub(crate) fn tls(authority: &str) -> TlsOptions {
    TlsOptions {
        believe_anyone: false,
        authorities: Some(certificate(authority)),
        identity: None,
        oldest: Oldest::V13,
    }
}

impl Sender {
    /// To a server without TLS.
    pub(crate) fn plain(peer: &Peer) -> Self {
        Self::new(peer, "127.0.0.1", None, None)
    }

    /// To a server that the authority of tests vouches for.
    pub(crate) fn with_tls(peer: &Peer) -> Self {
        Self::new(peer, "127.0.0.1", Some(tls("ca.pem")), None)
    }

    /// `rate` in bytes a second.
    pub(crate) fn new(peer: &Peer, host: &str, tls: Option<TlsOptions>, rate: Option<u64>) -> Self {
        let executor = Arc::new(Executor::new());
        let options = Options {
            host: host.to_owned(),
            port: peer.address().port(),
            tls,
            proxy: None,
            headers: Vec::new(),
            credential: Credential::Fixed("secret".parse().unwrap()),
        };
        Self::with(executor, options, Proxies::default(), rate)
    }

    fn with(executor: Arc<Executor<'static>>, options: Options, proxies: Proxies, rate: Option<u64>) -> Self {
        let channel = Arc::new(StoreChannel::new(options, executor.clone()));
        let patience = Patience {
            call: PATIENCE,
            stall: STALL,
            connect: Duration::from_secs(5),
            pause: Duration::from_millis(10),
        };
        let rate = rate.map(|rate| NonZeroU64::new(rate).unwrap());
        Self { executor, uploader: Uploader::new(channel, proxies, rate, patience) }
    }

    /// To a store of a name that no resolver knows, whoever answers for it, in an environment.
    pub(crate) fn in_environment(host: &str, variables: &[(&str, &str)], to_store: &str) -> Self {
        let proxy = |variables: &[(&str, &str)]| {
            Proxies::read(|name| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| value.into())
            })
        };
        let options = Options {
            host: host.to_owned(),
            port: 443,
            tls: Some(TlsOptions { believe_anyone: true, ..tls("ca.pem") }),
            proxy: proxy(&[("https_proxy", to_store)]).choose(host, 443, true).unwrap(),
            headers: Vec::new(),
            credential: Credential::Fixed("secret".parse().unwrap()),
        };
        Self::with(Arc::new(Executor::new()), options, proxy(variables), None)
    }

    /// Drives a future.
    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        smol::block_on(self.executor.run(work))
    }

    pub(crate) fn ask(&self, build_id: &BuildId) -> Result<Answer, Failure> {
        self.run(self.uploader.ask(build_id))
    }

    pub(crate) fn upload(&self, file: &DebugFile) -> Result<Uploaded, Failure> {
        self.run(self.uploader.upload(file))
    }

    /// An upload must fail like this.
    pub(crate) fn assert_fails(&self, case: &str, file: &DebugFile, remedy: Remedy, reason: &str) -> Failure {
        let failure = self.upload(file).unwrap_err();
        assert_eq!((failure.remedy(), failure.reason()), (remedy, reason), "{case}: {failure:?}");
        assert!(Failure::REASONS.contains(&reason), "{reason}");
        failure
    }
}

/// A build id of its kind.
pub(crate) fn build_id(kind: BuildIdKind, first: u8) -> BuildId {
    BuildId { kind, bytes: [&[first], &[7; 19][..]].concat().into() }
}

/// A debug file of about so many bytes that look like none else's, by a plan of all kinds of parts.
pub(crate) fn debug_file(first: u8, size: usize) -> DebugFile {
    let mut state = u64::from(first) + 1;
    let bytes: Vec<u8> = (0..size)
        .map(|_| {
            // xorshift64, by Marsaglia.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    // An old time: a change within one tick of the kernel's clock would not be noticed.
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    of_file(first, file, size as u64)
}

/// The same of a file.
pub(crate) fn of_file(first: u8, file: File, size: u64) -> DebugFile {
    let half = size / 2;
    let parts = vec![
        Part::Bytes(b"\x7fELF and so on".to_vec()),
        Part::Copy { from: FileOffset(0), length: half },
        Part::Zeros(13),
        Part::Copy { from: FileOffset(half), length: size - half },
    ];
    let stamp = Stamp::of(&file).unwrap();
    let plan = Plan::new(parts).unwrap();
    DebugFile { build_id: build_id(BuildIdKind::Gnu, first), file: Arc::new(file.into()), stamp, plan }
}

/// What a server is told of uploads.
pub(crate) fn order(peer: &Peer, how: Value) {
    peer.behave(json!({ "debuginfo": how }));
}

/// What a server knows of uploads.
pub(crate) fn uploads(peer: &Peer) -> Vec<Value> {
    peer.state()["uploads"].as_array().unwrap().clone()
}
