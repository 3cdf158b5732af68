pub(crate) mod server;

use super::{Channel, Code, RpcError};
use crate::net::stream::dial_unix;
use crate::net::{Limits, NetError};
use http::Uri;
use prost::Message;
use server::{Reply, Server};
use smol::Executor;
use smol::future::FutureExt;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Clone, PartialEq, Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

fn text(text: &str) -> Text {
    Text { text: text.to_owned() }
}

const LIMITS: Limits = Limits { deadline: Duration::from_secs(10), bytes: 1 << 20 };
const METHOD: &str = "/test.Service/Method";

/// Runs a future on an executor of its own.
fn run<T>(work: impl AsyncFnOnce(Arc<Executor<'static>>) -> T) -> T {
    let executor = Arc::new(Executor::new());
    smol::block_on(executor.run(work(executor.clone())))
}

async fn dial(path: &Path, executor: &Arc<Executor<'static>>) -> Channel {
    let dialed = dial_unix(path, LIMITS.deadline).await.unwrap();
    Channel::begin(dialed, Uri::from_static("http://localhost"), executor).await.unwrap()
}

fn call(path: &Path, limits: Limits) -> Result<Text, RpcError> {
    run(async |executor| {
        let channel = dial(path, &executor).await;
        channel.unary::<_, Text>(METHOD, text("a"), limits).await.map(tonic::Response::into_inner)
    })
}

fn socket() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    (folder, path)
}

#[test]
fn a_message_is_answered_by_a_message() {
    let (_folder, path) = socket();
    let _server = Server::start(&path, |place, message| {
        let Text { text: asked } = Text::decode(message).unwrap();
        Reply::Message(text(&format!("{place} {asked}")).encode_to_vec())
    });
    run(async |executor| {
        let channel = dial(&path, &executor).await;
        for word in ["a", "b"] {
            let answer = channel.unary::<_, Text>(METHOD, text(word), LIMITS).await.unwrap();
            assert_eq!(answer.into_inner().text, format!("http://localhost{METHOD} {word}"));
        }
        assert!(channel.is_open());
    });
}

#[test]
fn a_status_is_a_value_and_the_connection_goes_on() {
    let (_folder, path) = socket();
    let codes = [Code::NotFound, Code::Unimplemented, Code::Unavailable, Code::Unauthenticated];
    let _server = Server::start(&path, move |_, message| {
        let Text { text: index } = Text::decode(message).unwrap();
        Reply::Status(codes[index.parse::<usize>().unwrap()], "no way")
    });
    run(async |executor| {
        let channel = dial(&path, &executor).await;
        for (index, code) in codes.iter().enumerate() {
            let error = channel.unary::<_, Text>(METHOD, text(&index.to_string()), LIMITS).await.unwrap_err();
            assert_eq!(error.code(), Some(*code));
            let expected = format!("{} refused {METHOD}: {code:?}: no way", path.display());
            assert_eq!(error.to_string(), expected);
        }
    });
}

#[test]
fn an_answer_is_bounded_in_size_and_time() {
    let (_folder, path) = socket();
    let _server =
        Server::start(
            &path,
            |_, message| {
                if message.is_empty() { Reply::Never } else { Reply::Zeros(100 << 20) }
            },
        );
    assert_eq!(call(&path, LIMITS).unwrap_err().code(), Some(Code::OutOfRange));
    let late = run(async |executor| {
        let limits = Limits { deadline: Duration::from_millis(50), ..LIMITS };
        dial(&path, &executor).await.unary::<_, Text>(METHOD, text(""), limits).await.unwrap_err()
    });
    assert!(matches!(late, RpcError::Net(NetError::Late { .. })), "{late}");
}

#[test]
fn who_breaks_off_or_speaks_something_else_is_no_peer() {
    let answers: [&[u8]; 4] = [
        b"",
        b"\x00\xff\x17 nonsense that is no frame",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        // A frame of 16 MiB.
        b"\xff\xff\xff\x00\x00\x00\x00\x00\x00",
    ];
    for answer in answers {
        let (_folder, path) = socket();
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 24]);
            let _ = stream.write_all(answer);
        });
        let begun = Instant::now();
        let error = call(&path, LIMITS).unwrap_err();
        assert_eq!(error.code(), None, "{answer:?}: {error}");
        assert!(begun.elapsed() < LIMITS.deadline, "{answer:?}");
        server.join().unwrap();
    }
}

#[test]
fn what_is_no_whole_message_is_told_from_a_refusal() {
    let replies: [fn() -> Reply; 5] = [
        || Reply::Half,
        || Reply::NoStatus,
        || Reply::Message(b"\xff".to_vec()),
        || Reply::Page(200, "application/grpc", "<html>"),
        || Reply::Page(200, "application/grpc", ""),
    ];
    for (index, reply) in replies.into_iter().enumerate() {
        let (_folder, path) = socket();
        let _server = Server::start(&path, move |_, _| reply());
        let error = call(&path, LIMITS).unwrap_err();
        assert!(matches!(error, RpcError::Malformed { .. }), "{index}: {error:?}");
    }
}

#[test]
fn an_answer_that_is_not_grpc_is_told_by_its_status_of_http() {
    for (status, kind, text) in [
        (502, "text/html", "<html><h1>502 Bad Gateway</h1>"),
        (401, "text/html", "<html>"),
        (413, "text/html", ""),
        (413, "application/grpc", ""),
        (500, "text/plain", "a"),
        (200, "text/html", "<html>It works!"),
    ] {
        let (_folder, path) = socket();
        let _server = Server::start(&path, move |_, _| Reply::Page(status, kind, text));
        let error = call(&path, LIMITS).unwrap_err();
        let RpcError::NotGrpc { status: found, .. } = &error else { panic!("{status} {kind}: {error:?}") };
        assert_eq!((found.as_u16(), error.code()), (status, None));
    }
}

#[test]
fn the_last_clone_closes_the_stream() {
    let (_folder, path) = socket();
    let server = Server::start(&path, |_, _| Reply::Never);
    run(async |executor| {
        let channel = dial(&path, &executor).await;
        let other = channel.clone();
        drop(channel);
        let limits = Limits { deadline: Duration::from_millis(50), ..LIMITS };
        other.unary::<_, Text>(METHOD, text("a"), limits).await.unwrap_err();
        assert_eq!(server.connections(), 1);
        drop(other);
        let closed = async {
            while server.connections() > 0 {
                smol::Timer::after(Duration::from_millis(1)).await;
            }
        };
        let late = async {
            smol::Timer::after(LIMITS.deadline).await;
            panic!("the stream is still open");
        };
        closed.or(late).await;
    });
}
