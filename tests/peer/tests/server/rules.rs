//! Profiles that are against a rule: both servers name it.

use crate::client::{LIMIT, Written, gzip, profile, profiles};
use crate::peer::Peer;
use prost::Message;
use tonic::Code;

/// What is wrong, how to make it so, and what the servers say.
type Case = (&'static str, fn(&mut Written), &'static str);

const CASES: &[Case] = &[
    ("no name", |one| one.labels = vec![("node", "a")], "no label __name__"),
    ("an empty name", |one| one.labels[0].1 = "", "no label __name__"),
    ("a label name", |one| one.labels.push(("pod.name", "a")), "label name"),
    ("no label name", |one| one.labels.push(("", "a")), "label name"),
    ("a digit first", |one| one.labels.push(("0a", "a")), "label name"),
    ("a label twice", |one| one.labels.push(("node", "b")), "is there twice"),
    ("a name with a colon", |one| one.labels[0].1 = "process:cpu", "no selector"),
    ("a unit", |one| one.profile.string_table[4] = "10^-9 s".to_owned(), "no selector"),
    ("no period type", |one| one.profile.period_type = None, "no selector"),
    ("normalized", |one| one.normalized = true, "normalized"),
    ("too few executables", |one| one.executables = 0, "0 executable_info for 1 mappings"),
    ("too many executables", |one| one.executables = 2, "2 executable_info for 1 mappings"),
    ("no gzip", |one| one.raw = Some(profile().encode_to_vec()), "not gzip"),
    ("gzip that is cut off", |one| cut(one), "not gzip"),
    ("no pprof", |one| one.raw = Some(gzip(b"\xff\xff\xff")), "not pprof"),
    ("no strings", |one| one.profile.string_table.clear(), "string table is empty"),
    ("a first string", |one| one.profile.string_table[0] = "a".to_owned(), "string 0"),
    ("a string outside", |one| one.profile.mapping[0].filename = 99, "string 99 of 8"),
    ("a negative string", |one| one.profile.function[0].name = -1, "string -1 of 8"),
    ("a mapping id", |one| one.profile.mapping[0].id = 2, "mapping id 2 where 1"),
    ("a location id", |one| one.profile.location[1].id = 0, "location id 0 where 2"),
    ("a function id", |one| one.profile.function[0].id = 7, "function id 7 where 1"),
    ("a mapping outside", |one| one.profile.location[0].mapping_id = 2, "in mapping 2 of 1"),
    ("a function outside", |one| one.profile.location[1].line[0].function_id = 2, "in function 2 of 1"),
    ("no function", |one| one.profile.location[1].line[0].function_id = 0, "in function 0 of 1"),
    ("a location outside", |one| one.profile.sample[0].location_id[1] = 3, "at location 3 of 2"),
    ("location 0", |one| one.profile.sample[1].location_id[0] = 0, "at location 0 of 2"),
    ("a value missing", |one| one.profile.sample[0].value.truncate(1), "1 values for 2 types"),
    ("no sample type", |one| one.profile.sample_type.clear(), "no sample type"),
    ("no time", |one| one.profile.time_nanos = 0, "time_nanos"),
];

fn cut(one: &mut Written) {
    let mut whole = gzip(&profile().encode_to_vec());
    whole.truncate(whole.len() - 9);
    one.raw = Some(whole);
}

async fn names_each_rule(peer: Peer) {
    let mut client = profiles(&peer);
    let mut before = 0;
    for (what, spoil, expected) in CASES {
        let mut one = Written::default();
        spoil(&mut one);
        let answer = tokio::time::timeout(LIMIT, client.write_raw(one.request())).await.unwrap();
        assert_eq!(answer.unwrap_err().code(), Code::InvalidArgument, "{what}");
        let state = peer.state();
        let violations = state["violations"].as_array().unwrap();
        let new = &violations[before..];
        assert!(new.iter().any(|text| text.as_str().unwrap().contains(expected)), "{what}: {new:?}");
        before = violations.len();
    }
    assert_eq!(peer.samples(), 0);
}

#[tokio::test]
async fn what_is_against_a_rule_is_refused_and_noted() {
    names_each_rule(Peer::start(&[])).await;
}

#[tokio::test]
async fn the_python_server_knows_the_same_rules() {
    names_each_rule(Peer::start_python(&[])).await;
}

/// A message of more than 64 MiB.
async fn refuses_a_giant(peer: &Peer) {
    let giant = Written { raw: Some(vec![0; (64 << 20) + 1]), ..Written::default() };
    let status = profiles(peer).write_raw(giant.request()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
}

#[tokio::test]
async fn a_message_over_64_mib_is_refused() {
    let peer = Peer::start(&[]);
    refuses_a_giant(&peer).await;
    assert!(peer.state()["violations"][0].as_str().unwrap().contains("a message of 671"));
    refuses_a_giant(&Peer::start_python(&[])).await;
}
