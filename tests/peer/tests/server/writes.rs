//! Profiles that are as they should be.

use crate::client::{Written, profile, profiles, write};
use crate::peer::Peer;
use peer::proto::pprof::Profile;
use serde_json::json;

async fn adds_up(peer: Peer) {
    let mut client = profiles(&peer);
    write(&mut client).await.unwrap();
    write(&mut client).await.unwrap();
    let later = Profile { time_nanos: 5_000, ..profile() };
    client.write_raw(Written { profile: later, ..Written::default() }.request()).await.unwrap();
    let other = vec![("node", "b"), ("__name__", "process_cpu")];
    client.write_raw(Written { labels: other, ..Written::default() }.request()).await.unwrap();

    let state = peer.state();
    let of = |node: &str, samples: u64, last: u64, profiles: u64| {
        json!({
            "labels": { "__name__": "process_cpu", "node": node }, "samples": samples,
            "nanos": samples * 10_000_000, "first": 1_000, "last": last, "profiles": profiles,
        })
    };
    assert_eq!(state["series"], json!([of("a", 21, 5_000, 3), of("b", 7, 1_000, 1)]));
    assert_eq!(peer.samples(), 28);
    assert_eq!(state["unacknowledged"], json!({ "profiles": 0, "samples": 0 }));
    assert_eq!((state["requests"].as_u64(), &state["methods"]), (Some(4), &json!({ "WriteRaw": 4 })));
    peer.assert_no_violations();
    let metadata = state["metadata"].as_array().unwrap();
    assert!(metadata.contains(&json!(["te", "trailers"])) || state["connections"].is_null(), "{metadata:?}");
}

#[tokio::test]
async fn what_is_written_is_added_up_by_series() {
    adds_up(Peer::start(&[])).await;
}

#[tokio::test]
async fn the_python_server_adds_up_the_same() {
    adds_up(Peer::start_python(&[])).await;
}

#[tokio::test]
async fn connections_are_counted() {
    let peer = Peer::start(&[]);
    let mut first = profiles(&peer);
    write(&mut first).await.unwrap();
    write(&mut first).await.unwrap();
    write(&mut profiles(&peer)).await.unwrap();
    assert_eq!(peer.state()["connections"], 2);
}
