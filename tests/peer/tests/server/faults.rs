//! Each way to misbehave, as a client sees it.

use crate::client::{LIMIT, Written, channel, eventually, profiles, write, write_at_last};
use crate::peer::Peer;
use bytes::{BufMut, BytesMut};
use http_body_util::BodyExt;
use peer::proto::rpc;
use prost::Message;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tonic::Code;
use tonic::body::Body;
use tower_service::Service;

/// How long a test looks at a server that is not to answer.
const SILENCE: Duration = Duration::from_millis(300);

/// What every HTTP/2 client begins with (RFC 9113, 3.4), and an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

async fn answers_with_a_status(peer: Peer) {
    let mut client = profiles(&peer);
    let how = json!({ "status": 8, "message": "too much", "pushback_ms": 70, "retry_info_ms": 1500 });
    peer.behave_times(how, 2);
    for _ in 0..2 {
        let status = write(&mut client).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "too much"));
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "70");
        let details = rpc::Status::decode(status.details()).unwrap();
        assert_eq!((details.code, details.details.len()), (8, 1));
        assert_eq!(details.details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
        let delay = rpc::RetryInfo::decode(details.details[0].value.as_slice()).unwrap().retry_delay.unwrap();
        assert_eq!((delay.seconds, delay.nanos), (1, 500_000_000));
    }
    write(&mut client).await.unwrap();
    assert_eq!(peer.samples(), 7);
    assert_eq!(peer.state()["unacknowledged"], json!({ "profiles": 2, "samples": 14 }));

    peer.behave_for(json!({ "status": 16 }), "Upload");
    write(&mut client).await.unwrap();
    peer.behave_for(json!({ "status": 16 }), "WriteRaw");
    assert_eq!(write(&mut client).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_status_comes_with_what_says_when_to_retry() {
    answers_with_a_status(Peer::start(&[])).await;
}

#[tokio::test]
async fn the_python_server_answers_with_the_same_status() {
    answers_with_a_status(Peer::start_python(&[])).await;
}

#[tokio::test]
async fn a_page_comes_in_place_of_an_answer() {
    let peer = Peer::start(&[]);
    let mut client = profiles(&peer);
    // So tonic says it; 60 is `<`.
    for (how, expected) in [
        (json!({ "http": 502 }), "invalid compression flag: 60"),
        (json!({ "http": 413, "body": "" }), "mapped from HTTP status code 413"),
    ] {
        peer.behave_times(how, 1);
        let status = write(&mut client).await.unwrap_err();
        assert!(status.message().contains(expected), "{status:?}");
    }
    write(&mut client).await.unwrap();
    assert_eq!(peer.state()["unacknowledged"], json!({ "profiles": 2, "samples": 14 }));
}

#[tokio::test]
async fn a_request_that_hangs_is_never_answered() {
    let peer = Peer::start(&[]);
    let mut client = profiles(&peer);
    peer.behave_times(json!("hang"), 1);
    assert!(tokio::time::timeout(SILENCE, client.write_raw(Written::default().request())).await.is_err());
    // The client has given it up, and the server knows.
    eventually("it is not acknowledged", || peer.state()["unacknowledged"]["samples"] == 7).await;
    write(&mut client).await.unwrap();
    assert_eq!(peer.state()["connections"], 1);
}

#[tokio::test]
async fn a_slow_answer_comes_late() {
    let peer = Peer::start(&[]);
    peer.behave(json!({ "slow_ms": 200 }));
    let begun = Instant::now();
    write(&mut profiles(&peer)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert_eq!(peer.samples(), 7);
}

#[tokio::test]
async fn goaway_follows_each_answer() {
    let peer = Peer::start(&[]);
    let mut client = profiles(&peer);
    peer.behave(json!("goaway"));
    for connections in 1..=3 {
        write(&mut client).await.unwrap();
        assert_eq!(peer.state()["connections"], connections);
        eventually("the connection has ended", || peer.state()["open"] == 0).await;
    }
    assert_eq!(peer.samples(), 21);
}

#[test]
fn goaway_comes_first() {
    let peer = Peer::start(&[]);
    peer.behave_times(json!("goaway_first"), 1);
    let bytes = talk(&peer);
    let types: Vec<u8> = [3, 9 + 3].into_iter().map(|at| bytes[at]).collect();
    // SETTINGS, GOAWAY.
    assert_eq!((types, bytes.len()), (vec![4, 7], 9 + 9 + 8));
    assert_eq!(talk(&peer)[3], 4);
}

/// What a server says to a client that only introduces itself, and then asks for no more.
fn talk(peer: &Peer) -> Vec<u8> {
    let mut stream = TcpStream::connect(peer.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(PREFACE).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_big_reply_is_as_big_as_ordered() {
    let peer = Peer::start(&[]);
    peer.behave(json!({ "big_reply": 5 << 20 }));
    let status = write(&mut profiles(&peer)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    write(&mut profiles(&peer).max_decoding_message_size(5 << 20)).await.unwrap();
    let status = write(&mut profiles(&peer).max_decoding_message_size((5 << 20) - 1)).await.unwrap_err();
    assert!(status.message().contains("5242880"), "{status}");
    // A gigabyte is announced, and sent only as far as it is read.
    peer.behave(json!({ "big_reply": 1 << 30 }));
    let status = write(&mut profiles(&peer)).await.unwrap_err();
    assert!(status.message().contains("1073741824"), "{status}");
    assert_eq!(peer.samples(), 0);
    assert_eq!(peer.state()["unacknowledged"]["profiles"], 4);
}

#[tokio::test]
async fn a_stream_is_reset_and_its_connection_stays() {
    let peer = Peer::start(&[]);
    let mut client = profiles(&peer);
    peer.behave_times(json!("reset"), 1);
    let status = write(&mut client).await.unwrap_err();
    assert!(format!("{status:?}").contains("Reset("), "{status:?}");
    write(&mut client).await.unwrap();
    let state = peer.state();
    assert_eq!((&state["connections"], &state["unacknowledged"]["samples"]), (&json!(1), &json!(7)));
}

#[tokio::test]
async fn a_connection_is_cut_in_the_middle_of_a_request() {
    let peer = Peer::start(&[]);
    let mut client = profiles(&peer);
    peer.behave_times(json!("cut"), 1);
    write(&mut client).await.unwrap_err();
    write(&mut client).await.unwrap();
    let state = peer.state();
    assert_eq!((&state["connections"], &state["unacknowledged"]["samples"]), (&json!(2), &json!(7)));
}

#[tokio::test]
async fn a_server_without_settings_says_nothing() {
    let peer = Peer::start(&[]);
    let mut client = profiles(&peer);
    write(&mut client).await.unwrap();
    // It ends the connection that is there.
    peer.behave_times(json!("no_settings"), 1);
    let mut stream = TcpStream::connect(peer.address()).unwrap();
    stream.write_all(PREFACE).unwrap();
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    assert!(stream.read(&mut [0]).is_err(), "neither a byte nor the end");
    write_at_last(&mut client).await;
    assert_eq!(peer.state()["connections"], 3);
}

#[tokio::test]
async fn garbage_is_another_protocol() {
    let peer = Peer::start(&[]);
    peer.behave(json!("garbage"));
    write(&mut profiles(&peer)).await.unwrap_err();
    assert!(talk(&peer).starts_with(b"HTTP/1.1 400"));
    peer.behave(json!("ok"));
    write(&mut profiles(&peer)).await.unwrap();
}

#[tokio::test]
async fn without_trailers_there_is_no_status() {
    let peer = Peer::start(&[]);
    for (how, expected) in [("ok", Some("0")), ("no_trailers", None)] {
        peer.behave(json!(how));
        let message = Written::default().request().encode_to_vec();
        let mut body = BytesMut::new();
        body.put_u8(0);
        body.put_u32(message.len().try_into().unwrap());
        body.put_slice(&message);
        let request = http::Request::post("/parca.profilestore.v1alpha1.ProfileStoreService/WriteRaw")
            .header("content-type", "application/grpc")
            .body(Body::new(http_body_util::Full::new(body.freeze())))
            .unwrap();
        let mut channel = channel(&peer);
        std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
        let response = channel.call(request).await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers().get("grpc-status")), (200, None));
        let collected = response.into_body().collect().await.unwrap();
        let status = collected.trailers().and_then(|trailers| trailers.get("grpc-status"));
        assert_eq!(status.map(|status| status.to_str().unwrap()), expected, "{how}");
        assert_eq!(collected.to_bytes().len(), 5, "{how}");
    }
    assert_eq!(write(&mut profiles(&peer)).await.unwrap_err().code(), Code::Unknown);
    assert_eq!(peer.samples(), 7);
}

#[tokio::test]
async fn a_closed_server_refuses_and_opens_on_the_same_port() {
    let peer = Peer::start(&[]);
    let mut client = profiles(&peer);
    write(&mut client).await.unwrap();
    for _ in 0..3 {
        peer.behave(json!("close"));
        assert_eq!(peer.state()["open"], 0);
        assert_eq!(write(&mut profiles(&peer)).await.unwrap_err().code(), Code::Unavailable);
        assert!(TcpStream::connect(peer.address()).is_err());
        peer.behave(json!("open"));
        write_at_last(&mut client).await;
    }
    assert_eq!(peer.samples(), 28);
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_as_grpc_go_does() {
    let peer = Peer::start(&[]);
    let mut client = profiles(&peer);
    let size = Written::default().request().encoded_len();
    peer.behave(json!({ "limit": size }));
    write(&mut client).await.unwrap();
    peer.behave(json!({ "limit": size - 1 }));
    let status = write(&mut client).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), format!("grpc: received message larger than max ({size} vs. {})", size - 1));
    peer.assert_no_violations();
}

#[test]
fn a_command_that_is_none_is_answered_by_an_error() {
    for peer in [Peer::start(&[]), Peer::start_python(&[])] {
        for command in [json!({ "do": "sing" }), json!({ "do": "behave", "how": "better" }), json!(3)] {
            assert!(peer.ask(&command)["error"].is_string(), "{command}");
        }
    }
}
