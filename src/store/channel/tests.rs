use super::{CallError, Options, StoreChannel, TlsOptions};
use crate::net::Limits;
use crate::net::grpc::tests::server::{Reply, Server};
use crate::net::tls::Oldest;
use crate::store::credential::Credential;
use crate::store::message::{WriteRawRequest, WriteRawResponse};
use crate::store::retry::{Verdict, verdict};
use crate::text::error_chain;
use crate::token::BearerToken;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use smol::Executor;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const LIMITS: Limits = Limits { deadline: Duration::from_secs(10), bytes: 1 << 20 };

/// Has a server on a Unix socket listen at an address, too, until the test program ends. Counts connections there.
fn forward(path: PathBuf) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepted: Arc<AtomicUsize> = Arc::default();
    let counter = accepted.clone();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            counter.fetch_add(1, Ordering::SeqCst);
            let (client, server) = (client.unwrap(), UnixStream::connect(&path).unwrap());
            let (mut from_client, mut to_client) = (client.try_clone().unwrap(), client);
            let (mut from_server, mut to_server) = (server.try_clone().unwrap(), server);
            std::thread::spawn(move || {
                let _ = io::copy(&mut from_client, &mut to_server);
                let _ = to_server.shutdown(Shutdown::Write);
            });
            std::thread::spawn(move || {
                let _ = io::copy(&mut from_server, &mut to_client);
                let _ = to_client.shutdown(Shutdown::Both);
            });
        }
    });
    (address, accepted)
}

fn options(address: SocketAddr) -> Options {
    Options {
        host: address.ip().to_string(),
        port: address.port(),
        tls: None,
        proxy: None,
        headers: Vec::new(),
        credential: Credential::Fixed(BearerToken::default()),
    }
}

/// Makes requests over a channel whose connections may become so old, and returns what came of them, and how many
/// connections there were.
fn calls(
    requests: usize,
    max_age: Duration,
    reply: impl Fn() -> Reply + Send + Sync + 'static,
) -> (Vec<Result<WriteRawResponse, CallError>>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _server = Server::start(&path, move |_, _| reply());
    let (address, accepted) = forward(path);
    let executor = Arc::new(Executor::new());
    let mut channel = StoreChannel::new(options(address), executor.clone());
    channel.max_age = max_age;
    let answers = smol::block_on(executor.run(async {
        let mut answers = Vec::new();
        for _ in 0..requests {
            answers.push(channel.call("/a.B/C", WriteRawRequest::default(), LIMITS).await);
        }
        answers
    }));
    (answers, accepted.load(Ordering::SeqCst))
}

#[test]
fn a_connection_is_kept_until_it_is_too_old() {
    for (max_age, expected) in [(super::MAX_AGE, 1), (Duration::ZERO, 3)] {
        let (answers, connections) = calls(3, max_age, || Reply::Message(Vec::new()));
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(connections, expected, "{max_age:?}");
    }
}

type Answer = fn() -> Reply;

/// It would be dropped as refused, if tonic's word for such answers were taken for the store's.
#[test]
fn what_an_answer_that_is_none_was_for_is_not_lost() {
    let replies: [(Answer, Verdict, &str); 9] = [
        (|| Reply::Zeros(LIMITS.bytes + 1), Verdict::Retry, "broken"),
        (|| Reply::NoStatus, Verdict::Retry, "broken"),
        (|| Reply::Page(200, "application/grpc", "<html>"), Verdict::Retry, "broken"),
        (|| Reply::Page(502, "text/html", "<html>"), Verdict::Retry, "broken"),
        (|| Reply::Page(503, "text/html", "<"), Verdict::Retry, "broken"),
        (|| Reply::Page(500, "text/html", ""), Verdict::Retry, "broken"),
        (|| Reply::Page(401, "text/html", "<html>"), Verdict::Denied, "refused"),
        (|| Reply::Page(413, "text/html", "<html>"), Verdict::Split, "refused"),
        (|| Reply::Page(413, "text/html", ""), Verdict::Split, "refused"),
    ];
    for (index, (reply, expected, reason)) in replies.into_iter().enumerate() {
        let (mut answers, _) = calls(1, super::MAX_AGE, reply);
        let Some(Err(error)) = answers.pop() else { panic!("{index}: it was taken") };
        assert_eq!(error.reason(), reason, "{index}: {error:?}");
        let CallError::Rpc(error) = error else { panic!("{index}: {error:?}") };
        assert_eq!(verdict(&error), expected, "{index}: {error}");
    }
}

/// Whom nobody has to connect to.
fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

fn call(channel: &StoreChannel) -> CallError {
    let call = channel.call::<_, WriteRawResponse>("/a.B/C", WriteRawRequest::default(), LIMITS);
    smol::block_on(channel.executor.clone().run(call)).unwrap_err()
}

fn with_authorities(path: PathBuf) -> Options {
    let oldest = Oldest::V13;
    let tls = TlsOptions { believe_anyone: false, authorities: Some(path), identity: None, oldest };
    Options { tls: Some(tls), ..options(nowhere()) }
}

/// As on a mount whose server is gone: there is no deadline for a read.
#[test]
fn a_file_that_is_never_read_holds_up_no_call_and_one_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "secret").unwrap();
    let token = Options { credential: Credential::file(&path), ..options(nowhere()) };
    for (options, reason) in [(token, "token"), (with_authorities(path), "tls")] {
        let mut channel = StoreChannel::new(options, Arc::new(Executor::new()));
        channel.file_deadline = Duration::from_millis(50);
        let (release, released) = std::sync::mpsc::channel::<()>();
        let reading = channel.reading(move || released.recv().is_err());
        let mut reading = Box::pin(reading);
        assert!(smol::block_on(smol::future::poll_once(&mut reading)).is_none());
        for _ in 0..3 {
            let error = call(&channel);
            let shown = error_chain(&error);
            assert_eq!(error.reason(), reason, "{shown}");
            assert!(shown.contains("is not read within") && shown.contains("file"), "{shown}");
        }
        // Whoever refuses the token has it read again, and does not wait for that.
        channel.options.credential.forget();
        assert!(channel.reading.try_lock().is_none(), "one thread reads, and nobody beside it");
        drop(release);
        assert!(smol::block_on(reading));
        channel.file_deadline = super::FILE_DEADLINE;
        assert!(!error_chain(&call(&channel)).contains("is not read"), "it is read again");
    }
}

#[test]
fn a_connection_that_somebody_waits_for_is_not_waited_for_without_end() {
    let mut channel = StoreChannel::new(options(nowhere()), Arc::new(Executor::new()));
    channel.ready_deadline = Duration::from_millis(50);
    let _dialing = smol::block_on(channel.open.lock());
    assert_eq!(call(&channel).reason(), "late");
}

#[test]
fn certificates_that_are_no_regular_file_or_too_long_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    std::fs::write(path("long"), vec![b'x'; super::MAX_PEM as usize + 1]).unwrap();
    for (name, expected) in [
        ("fifo", "it is no regular file"),
        ("long", "it has over 1048576 bytes"),
        ("missing", "it cannot be read: No such file or directory"),
    ] {
        let channel = StoreChannel::new(with_authorities(path(name)), Arc::new(Executor::new()));
        let error = call(&channel);
        let expected = format!("no certificates or key in {}: {expected}", path(name).display());
        assert!(error_chain(&error).starts_with(&expected), "{error:?}");
        assert_eq!(error.reason(), "tls");
    }
}
