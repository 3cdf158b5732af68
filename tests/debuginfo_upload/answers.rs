//! What a server says of a build id.

use crate::peer::Peer;
use crate::sender::{Sender, build_id, debug_file, order};
use parca_agent::debuginfo::upload::answer::{Answer, IN_PROGRESS, Reason};
use parca_agent::debuginfo::upload::failure::Remedy;
use parca_agent::object::build_id::BuildIdKind;
use serde_json::json;

/// The life of a build id at a server: unknown, in progress, there.
fn assert_told_what_is_wanted(peer: &Peer) {
    let (sender, file) = (Sender::plain(peer), debug_file(1, 1000));
    assert_eq!(sender.ask(&file.build_id).unwrap(), Answer::Wanted { reason: Reason::FirstSeen });
    sender.upload(&file).unwrap();
    assert_eq!(sender.ask(&file.build_id).unwrap(), Answer::NotWanted { reason: Reason::Exists });
    sender.assert_fails("a second time", &file, Remedy::Never, "exists");
    let other = build_id(BuildIdKind::Gnu, 2);
    assert_eq!(sender.ask(&other).unwrap(), Answer::Wanted { reason: Reason::FirstSeen });
    peer.assert_no_violations();
}

#[test]
fn what_the_server_has_is_not_wanted() {
    let peer = Peer::start(&[]);
    assert_told_what_is_wanted(&peer);
    let asked = &peer.state()["asked"];
    assert_eq!(asked[debug_file(1, 1000).build_id.to_string()], 2);
}

#[test]
fn what_a_server_in_python_has_is_not_wanted() {
    assert_told_what_is_wanted(&Peer::start_python(&[]));
}

#[test]
fn what_somebody_sends_is_asked_for_again_later() {
    let (peer, file) = (Peer::start(&[]), debug_file(1, 1000));
    let sender = Sender::plain(&peer);
    order(&peer, json!({ "upload_status": 14 }));
    sender.assert_fails("it begins", &file, Remedy::Retry, "busy");
    order(&peer, json!({}));
    assert_eq!(sender.ask(&file.build_id).unwrap(), Answer::Later { reason: Reason::InProgress });
    sender.assert_fails("and is not over", &file, Remedy::After(IN_PROGRESS), "in_progress");
    peer.assert_no_violations();
}

#[test]
fn a_sentence_that_nobody_knows_changes_nothing() {
    let peer = Peer::start(&[]);
    let sender = Sender::plain(&peer);
    for (should, reason, expected) in [
        (false, "Debuginfo exists in debuginfod, ...", Answer::NotWanted { reason: Reason::InDebuginfod }),
        (true, "... is now stale, ...", Answer::Wanted { reason: Reason::Stale }),
        (false, "Come back on Monday.", Answer::NotWanted { reason: Reason::Unknown }),
        (true, "Come back on Monday.", Answer::Wanted { reason: Reason::Unknown }),
    ] {
        order(&peer, json!({ "should": should, "reason": reason }));
        assert_eq!(sender.ask(&build_id(BuildIdKind::Gnu, 1)).unwrap(), expected, "{should} {reason}");
    }
}
