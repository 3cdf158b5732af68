//! Both ways of a file, to both servers.

use crate::peer::Peer;
use crate::sender::{Sender, build_id, debug_file, order, peer_with_tls, uploads};
use parca_agent::debuginfo::reader::PlanReader;
use parca_agent::debuginfo::upload::{DebugFile, Uploaded, Way};
use parca_agent::object::build_id::BuildIdKind;
use serde_json::json;
use std::io::Read;
use std::time::{Duration, Instant};

/// Some pieces and a half.
const SIZE: usize = (5 << 20) / 2;

fn content(file: &DebugFile) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = PlanReader::new(&*file.file, file.stamp, file.plan.clone()).unwrap();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Sends a file of each kind of build id; the server compares size and hash with what was announced.
fn assert_all_kinds_arrive(peer: &Peer, sender: &Sender, way: Way, by: &str) {
    let kinds = [(BuildIdKind::Gnu, "gnu"), (BuildIdKind::Hash, "hash"), (BuildIdKind::Go, "go")];
    for (number, (kind, name)) in (1..).zip(kinds) {
        let mut file = debug_file(number, SIZE);
        file.build_id = build_id(kind, number);
        let uploaded = sender.upload(&file).unwrap();
        assert_eq!(uploaded, Uploaded { size: SIZE as u64 + 27, way });
        let upload = uploads(peer).pop().unwrap();
        assert_eq!(upload["build_id"], file.build_id.to_string());
        assert_eq!((&upload["build_id_type"], &upload["type"]), (&json!(name), &json!("debuginfo")));
        assert_eq!((&upload["by"], &upload["finished"]), (&json!(by), &json!(true)));
        assert_eq!((&upload["size"], &upload["declared"]), (&json!(SIZE + 27), &json!(SIZE + 27)));
        let hash = upload["hash"].as_str().unwrap();
        assert_eq!((hash.len(), &upload["sha256"]), (64, &json!(hash)));
        if let Some(path) = upload["path"].as_str() {
            assert!(std::fs::read(path).unwrap() == content(&file), "other bytes");
        }
    }
    peer.assert_no_violations();
    assert_eq!(uploads(peer).len(), 3);
}

#[test]
fn a_file_arrives_by_grpc() {
    let folder = tempfile::tempdir().unwrap();
    let peer = Peer::start(&["--directory", folder.path().to_str().unwrap(), "--token", "secret"]);
    assert_all_kinds_arrive(&peer, &Sender::plain(&peer), Way::Grpc, "grpc");
    assert_eq!(peer.state()["connections"], 1, "all over one connection");
}

#[test]
fn a_file_arrives_by_grpc_at_a_server_in_python() {
    let peer = Peer::start_python(&["--token", "secret"]);
    assert_all_kinds_arrive(&peer, &Sender::plain(&peer), Way::Grpc, "grpc");
}

#[test]
fn a_file_arrives_by_a_signed_url_and_no_token_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let peer = peer_with_tls(&["--directory", folder.path().to_str().unwrap(), "--token", "secret"]);
    order(&peer, json!({ "strategy": "signed_url" }));
    // The server objects to a token in a PUT.
    assert_all_kinds_arrive(&peer, &Sender::with_tls(&peer), Way::SignedUrl, "put");
}

#[test]
fn all_uploads_together_are_no_faster_than_the_rate() {
    for (way, strategy) in [(Way::Grpc, "grpc"), (Way::SignedUrl, "signed_url")] {
        let peer = peer_with_tls(&[]);
        order(&peer, json!({ "strategy": strategy }));
        let tls = Some(crate::sender::tls("ca.pem"));
        let sender = Sender::new(&peer, "127.0.0.1", tls, Some(2 << 20));
        let (first, second) = (debug_file(1, 1 << 20), debug_file(2, 1 << 20));
        let begun = Instant::now();
        let both = smol::future::zip(sender.uploader.upload(&first), sender.uploader.upload(&second));
        let (one, other) = sender.run(both);
        assert_eq!((one.unwrap().way, other.unwrap().way), (way, way));
        // A second, less what an idle line saves up.
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(750), "{strategy}: 2 MiB at 2 MiB/s in {took:?}");
        peer.assert_no_violations();
    }
}
