//! A page for people, from something on the way to a server.

use crate::peer::Peer;
use crate::sender::{Sender, debug_file, uploads};
use parca_agent::debuginfo::upload::failure::Remedy;
use serde_json::json;

#[test]
fn a_page_at_every_step_is_no_word_of_the_server() {
    let peer = Peer::start(&[]);
    let sender = Sender::plain(&peer);
    let mut number = 0;
    for method in ["InitiateUpload", "Upload", "MarkUploadFinished"] {
        for (page, remedy, reason) in [
            (json!({ "http": 502 }), Remedy::Retry, "busy"),
            (json!({ "http": 502, "body": "" }), Remedy::Retry, "busy"),
            (json!({ "http": 401 }), Remedy::Denied, "denied"),
            (json!({ "http": 403, "body": "" }), Remedy::Denied, "denied"),
            (json!({ "http": 413 }), Remedy::Never, "refused"),
            (json!({ "http": 413, "body": "" }), Remedy::Never, "refused"),
            (json!({ "http": 500, "body": "" }), Remedy::Retry, "broken"),
            (json!({ "http": 200 }), Remedy::Retry, "broken"),
            (json!({ "http": 200, "type": "application/grpc" }), Remedy::Retry, "broken"),
            (json!({ "http": 200, "type": "application/grpc", "body": "a" }), Remedy::Retry, "broken"),
        ] {
            number += 1;
            peer.behave_for(page.clone(), method);
            sender.assert_fails(&format!("{method} {page}"), &debug_file(number, 1000), remedy, reason);
        }
    }
    peer.behave(json!("ok"));
    sender.upload(&debug_file(number + 1, 1000)).unwrap();
    peer.assert_no_violations();
}

#[test]
fn a_page_in_the_middle_of_a_large_file_ends_it() {
    let peer = Peer::start(&[]);
    let sender = Sender::plain(&peer);
    peer.behave_for(json!({ "http": 413 }), "Upload");
    sender.assert_fails("large", &debug_file(1, 32 << 20), Remedy::Never, "refused");
    assert_eq!(uploads(&peer).pop().unwrap()["finished"], false);
}
