//! A server that refuses, at each step.

use crate::peer::Peer;
use crate::sender::{STALL, Sender, debug_file, order, peer_with_tls, uploads};
use parca_agent::debuginfo::upload::answer::IN_PROGRESS;
use parca_agent::debuginfo::upload::failure::Remedy;
use serde_json::json;
use std::time::{Duration, Instant};

/// gRPC's numbers, and what the agent does about them.
const STATUSES: [(i32, Remedy, &str); 8] = [
    (3, Remedy::Never, "refused"),
    (6, Remedy::Never, "exists"),
    (9, Remedy::After(IN_PROGRESS), "in_progress"),
    (8, Remedy::After(IN_PROGRESS), "busy"),
    (14, Remedy::Retry, "busy"),
    (13, Remedy::RetryFew, "status"),
    (7, Remedy::Denied, "denied"),
    (16, Remedy::Denied, "denied"),
];

#[test]
fn every_status_at_every_step_says_what_to_do() {
    let peer = Peer::start(&[]);
    let sender = Sender::plain(&peer);
    let mut number = 0;
    for step in ["initiate_status", "upload_status", "finish_status"] {
        for (code, remedy, reason) in STATUSES {
            number += 1;
            order(&peer, json!({ step: code }));
            sender.assert_fails(&format!("{step} {code}"), &debug_file(number, 1000), remedy, reason);
        }
    }
    order(&peer, json!({}));
    for (code, remedy, reason) in STATUSES {
        peer.behave_for(json!({ "status": code }), "ShouldInitiateUpload");
        let failure = sender.ask(&debug_file(0, 1000).build_id).unwrap_err();
        assert_eq!((failure.remedy(), failure.reason()), (remedy, reason), "{failure:?}");
    }
    peer.assert_no_violations();
    assert!(uploads(&peer).iter().all(|upload| upload["finished"] == false), "{:?}", uploads(&peer));
    assert_eq!(peer.state()["connections"], 1, "a refusal is no fault of the connection");
}

#[test]
fn a_time_to_wait_is_kept_to() {
    let peer = Peer::start(&[]);
    peer.behave_for(json!({ "status": 14, "pushback_ms": 7000 }), "InitiateUpload");
    let remedy = Remedy::After(Duration::from_secs(7));
    Sender::plain(&peer).assert_fails("push-back", &debug_file(1, 1000), remedy, "busy");
}

/// All of the file was sent: it would have to be sent again.
#[test]
fn a_server_that_cannot_take_note_of_an_upload_is_asked_again() {
    let peer = Peer::start(&[]);
    let sender = Sender::plain(&peer);
    let finished = || peer.state()["methods"]["MarkUploadFinished"].as_u64().unwrap_or(0);
    let hows = [json!({ "status": 14 }), json!({ "status": 13 }), json!({ "http": 502 }), json!("cut")];
    for (number, how) in (1..).zip(hows) {
        let before = finished();
        peer.command(&json!({ "do": "behave", "how": how, "method": "MarkUploadFinished", "times": 3 }));
        sender.upload(&debug_file(number, 1000)).unwrap();
        assert_eq!(finished() - before, 4, "{how}");
    }
    // A few times, and not at all where it would end the same, or much later.
    for (number, (how, tries)) in (11..).zip([
        (json!({ "status": 14 }), 4),
        (json!({ "status": 3 }), 1),
        (json!({ "status": 16 }), 1),
        (json!({ "status": 9 }), 1),
        (json!({ "status": 14, "pushback_ms": 60_000 }), 1),
        (json!({ "status": 14, "pushback_ms": 20 }), 4),
    ]) {
        let before = finished();
        peer.behave_for(how.clone(), "MarkUploadFinished");
        assert!(sender.upload(&debug_file(number, 1000)).is_err(), "{how}");
        assert_eq!(finished() - before, tries, "{how}");
        peer.behave(json!("ok"));
    }
    assert_eq!(uploads(&peer).iter().filter(|upload| upload["finished"] == true).count(), 4);
    peer.assert_no_violations();
}

#[test]
fn a_refusal_ends_the_stream_of_a_large_file_at_once() {
    let peer = Peer::start(&[]);
    let sender = Sender::plain(&peer);
    order(&peer, json!({ "upload_status": 3 }));
    sender.assert_fails("refused", &debug_file(1, 32 << 20), Remedy::Never, "refused");
    order(&peer, json!({}));
    // The connection has room for others.
    sender.upload(&debug_file(2, 8 << 20)).unwrap();
    assert_eq!(peer.state()["connections"], 1);
    peer.assert_no_violations();
}

#[test]
fn a_server_that_says_no_way_gets_nothing() {
    let peer = Peer::start(&[]);
    order(&peer, json!({ "strategy": "unspecified" }));
    Sender::plain(&peer).assert_fails("no way", &debug_file(1, 1000), Remedy::RetryFew, "instructions");
}

#[test]
fn a_server_that_takes_nothing_more_has_so_long() {
    let peer = Peer::start(&[]);
    let sender = Sender::plain(&peer);
    // Larger than what fits in between, and small enough to fit.
    for (first, size) in [(1, 64 << 20), (2, 1000)] {
        peer.behave_for(json!("hang"), "Upload");
        let begun = Instant::now();
        sender.assert_fails("hang", &debug_file(first, size), Remedy::Retry, "late");
        assert!(begun.elapsed() >= STALL, "{:?}", begun.elapsed());
    }
    peer.behave(json!("ok"));
    sender.upload(&debug_file(3, 1000)).unwrap();
}

#[test]
fn every_answer_to_a_put_says_what_to_do() {
    let peer = peer_with_tls(&[]);
    let sender = Sender::with_tls(&peer);
    for (number, (status, remedy)) in (1..).zip([
        (400, Remedy::RetryFew),
        (403, Remedy::Retry),
        (404, Remedy::RetryFew),
        (413, Remedy::Never),
        (429, Remedy::Retry),
        (500, Remedy::Retry),
        (503, Remedy::Retry),
    ]) {
        order(&peer, json!({ "strategy": "signed_url", "put": { "status": status } }));
        let failure = sender.assert_fails(&status.to_string(), &debug_file(number, 1000), remedy, "status");
        assert!(failure.to_string().starts_with(&format!("https://127.0.0.1 answers {status}")), "{failure}");
    }
    peer.assert_no_violations();
    assert!(uploads(&peer).iter().all(|upload| upload["finished"] == false));
}

#[test]
fn a_put_that_is_not_answered_ends() {
    let peer = peer_with_tls(&[]);
    let sender = Sender::with_tls(&peer);
    for (number, put) in (1..).zip(["hang", "continue"]) {
        order(&peer, json!({ "strategy": "signed_url", "put": put }));
        let begun = Instant::now();
        sender.assert_fails(put, &debug_file(number, 1000), Remedy::Retry, "late");
        let took = begun.elapsed();
        assert!(took >= STALL && took < 5 * STALL, "{put}: {took:?}");
    }
    peer.assert_no_violations();
}

#[test]
fn a_put_of_which_nothing_is_taken_ends() {
    let peer = peer_with_tls(&[]);
    let sender = Sender::with_tls(&peer);
    // The server sends interim answers and reads nothing; what is sent does not fit in between.
    order(&peer, json!({ "strategy": "signed_url", "put": "continue" }));
    let begun = Instant::now();
    sender.assert_fails("no room", &debug_file(1, 64 << 20), Remedy::Retry, "late");
    let took = begun.elapsed();
    assert!(took >= STALL && took < 10 * STALL, "{took:?}");
}
