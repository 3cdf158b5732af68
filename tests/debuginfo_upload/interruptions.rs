//! What happens in the middle of an upload.

use crate::peer::Peer;
use crate::process::{eventually, has_ended, signal};
use crate::sender::{PATIENCE, Sender, debug_file, order, peer_with_tls, tls, uploads};
use parca_agent::debuginfo::upload::DebugFile;
use parca_agent::debuginfo::upload::failure::{Failure, Remedy};
use rustix::process::Signal;
use serde_json::json;
use std::fs::File;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Bytes a second, and of a file: long enough that something happens in the middle.
const RATE: u64 = 2 << 20;
const SIZE: usize = 40 << 20;

/// A server that keeps what comes, so that it can be seen to come.
fn server(folder: &TempDir) -> Peer {
    peer_with_tls(&["--directory", folder.path().to_str().unwrap()])
}

/// Whether bytes of its upload have come.
fn has_begun(folder: &TempDir, number: u8) -> bool {
    folder.path().join(format!("upload-{number}")).metadata().is_ok_and(|file| file.len() > 0)
}

/// Has something happen once bytes have come, and tells how the upload ended.
fn interrupt(
    folder: &TempDir,
    number: u8,
    sender: &Sender,
    file: &DebugFile,
    happen: impl FnOnce() + Send,
) -> Failure {
    thread::scope(|scope| {
        scope.spawn(move || {
            eventually("bytes have come", PATIENCE, || has_begun(folder, number));
            happen();
        });
        sender.upload(file).unwrap_err()
    })
}

fn sender(peer: &Peer) -> Sender {
    Sender::new(peer, "127.0.0.1", Some(tls("ca.pem")), Some(RATE))
}

#[test]
fn a_file_that_changes_is_sent_no_further_and_never_finished() {
    let folder = tempfile::tempdir().unwrap();
    let peer = server(&folder);
    let sender = sender(&peer);
    for (first, strategy) in [(1, "grpc"), (2, "signed_url")] {
        order(&peer, json!({ "strategy": strategy }));
        let file = debug_file(first, SIZE);
        let writer = File::from(file.file.try_clone().unwrap());
        let failure = interrupt(&folder, first, &sender, &file, || writer.set_len(1000).unwrap());
        assert_eq!((failure.remedy(), failure.reason()), (Remedy::LookAgain, "file_changed"), "{failure:?}");
        let upload = uploads(&peer).pop().unwrap();
        assert_eq!((&upload["sha256"], &upload["finished"]), (&json!(""), &json!(false)), "{strategy}");
        // And not even begun where it had changed before.
        sender.assert_fails("before", &file, Remedy::LookAgain, "file_changed");
    }
    assert_eq!(uploads(&peer).len(), 2);
}

#[test]
fn a_server_that_is_killed_is_tried_again() {
    for strategy in ["grpc", "signed_url"] {
        let folder = tempfile::tempdir().unwrap();
        let peer = server(&folder);
        let sender = sender(&peer);
        order(&peer, json!({ "strategy": strategy }));
        let file = debug_file(1, SIZE);
        let failure = interrupt(&folder, 1, &sender, &file, || signal(peer.id(), Signal::KILL));
        assert_eq!(
            (failure.remedy(), failure.reason()),
            (Remedy::Retry, "broken"),
            "{strategy}: {failure:?}"
        );
        // What is ending may still accept.
        eventually("the server is gone", PATIENCE, || has_ended(peer.id()));
        // The connection that was open may be tried once more.
        eventually("nobody answers", PATIENCE, || {
            let failure = sender.upload(&debug_file(1, 1000)).unwrap_err();
            assert_eq!(failure.remedy(), Remedy::Retry, "{strategy}: {failure:?}");
            failure.reason() == "connect"
        });
    }
}

#[test]
fn an_upload_that_is_dropped_ends() {
    let folder = tempfile::tempdir().unwrap();
    let peer = server(&folder);
    for (first, strategy) in [(1, "grpc"), (2, "signed_url")] {
        let sender = sender(&peer);
        order(&peer, json!({ "strategy": strategy }));
        let file = debug_file(first, SIZE);
        let begun = async {
            while !has_begun(&folder, first) {
                smol::Timer::after(Duration::from_millis(10)).await;
            }
        };
        let dropped = smol::future::or(async { Err(sender.uploader.upload(&file).await) }, async {
            begun.await;
            Ok(())
        });
        sender.run(dropped).unwrap();
        // Whatever read the file lets go of it, though the server takes no more.
        eventually("the file is closed", PATIENCE, || {
            sender.run(smol::future::yield_now());
            Arc::strong_count(&file.file) == 1
        });
        assert_eq!(uploads(&peer).pop().unwrap()["finished"], false);
    }
}
