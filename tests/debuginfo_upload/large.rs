//! A file of hundreds of megabytes, in little memory.

use crate::peer::Peer;
use crate::sender::{Sender, of_file, order, peer_with_tls, uploads};
use serde_json::json;
use std::process::Command;
use std::time::Instant;

/// Bytes: 300 MiB.
const LARGE: u64 = 300 << 20;

/// Most memory that an upload takes, KiB: pieces read ahead, messages, and the buffers of HTTP/2 and TLS.
const MEMORY: u64 = 16 << 10;

// Other tests take memory of the same process.
#[test]
fn a_file_of_300_megabytes_takes_no_more_memory_than_a_small_one() {
    let test = std::env::current_exe().unwrap();
    for name in ["large::by_grpc", "large::by_signed_url"] {
        let arguments = ["--exact", name, "--ignored", "--nocapture"];
        assert!(Command::new(&test).args(arguments).status().unwrap().success());
    }
}

#[test]
#[ignore = "a_file_of_300_megabytes_takes_no_more_memory_than_a_small_one runs this in a process of its own"]
fn by_grpc() {
    let peer = Peer::start(&[]);
    send(&peer, &Sender::plain(&peer), "grpc");
}

#[test]
#[ignore = "a_file_of_300_megabytes_takes_no_more_memory_than_a_small_one runs this in a process of its own"]
fn by_signed_url() {
    let peer = peer_with_tls(&[]);
    send(&peer, &Sender::with_tls(&peer), "signed_url");
}

fn send(peer: &Peer, sender: &Sender, strategy: &str) {
    order(peer, json!({ "strategy": strategy }));
    let file = |first, size| {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        of_file(first, file, size)
    };
    sender.upload(&file(1, 1 << 20)).unwrap();
    let (before, begun) = (peak(), Instant::now());
    let uploaded = sender.upload(&file(2, LARGE)).unwrap();
    let (more, took) = (peak() - before, begun.elapsed().as_secs_f64());
    println!("{strategy}: {more} KiB more of {before} KiB, {:.0} MB/s", LARGE as f64 / took / 1e6);
    assert_eq!(uploads(peer).pop().unwrap()["size"], uploaded.size);
    assert!(more < MEMORY, "{strategy}: {more} KiB more of {before} KiB");
    peer.assert_no_violations();
}

/// Most memory that this process has had, KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
