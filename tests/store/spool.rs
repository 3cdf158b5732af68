//! What finds no room in memory waits on disk, also for the next agent.

use crate::account::{NO_UPLOADS, PATIENCE, assert_arrived, assert_balance, parts, start};
use crate::common::agent::Agent;
use crate::common::disk::Disk;
use crate::common::peer::Peer;
use crate::common::process::eventually;
use crate::common::program::{Program, unique};
use rustix::process::Signal;
use serde_json::json;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SPOOLED: &str = "store_samples_waiting{stage=\"spooled\"}";
const FOUND: &str = "store_samples_found_total";

fn flag(directory: &Path) -> String {
    format!("--store-spool-directory={}", directory.display())
}

/// Has an agent end while the store is away: what waits goes to disk. Returns the samples there.
fn leave(peer: &Peer, directory: &Path) -> f64 {
    peer.behave(json!("close"));
    let agent = start(peer, &[&flag(directory)]);
    let came = || agent.metrics().sum("samples_written_total");
    eventually("profiles wait", PATIENCE, || came() > 200.0);
    assert_balance(&agent);
    let found = agent.metrics().value(FOUND);
    agent.stop();
    // The next one says how many there are, and ends with a few more.
    let agent = start(peer, &[&flag(directory)]);
    eventually("they are found again", PATIENCE, || agent.metrics().value(FOUND) > found + 200.0);
    let left = agent.metrics().value(FOUND);
    agent.stop();
    left
}

/// The files, oldest first.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn what_is_damaged_on_disk_is_lost_alone_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let spool = directory.path().join("spool");
    let peer = Peer::start(&[]);
    let _program = Program::start("chain", unique("busy"), &[]);
    leave(&peer, &spool);
    leave(&peer, &spool);
    let found = files(&spool);
    assert!(found.len() >= 2, "{found:?}");
    let (first, last) = (&found[0], &found[found.len() - 1]);
    let file = OpenOptions::new().read(true).write(true).open(first).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], middle).unwrap();
    let file = File::options().write(true).open(last).unwrap();
    file.set_len(file.metadata().unwrap().len() - 7).unwrap();

    peer.behave(json!("open"));
    let agent = start(&peer, &[&flag(&spool)]);
    eventually("the rest is delivered", PATIENCE, || {
        agent.metrics().value(SPOOLED) == 0.0 && parts(&agent)[0] > 400.0
    });
    let metrics = agent.metrics();
    assert!(metrics.value("store_spool_faults_total{fault=\"damaged\"}") >= 2.0, "{metrics:?}");
    assert!(parts(&agent)[0] > 400.0, "most is there");
    let damaged = metrics.value("store_samples_dropped_total{reason=\"spool_damaged\"}");
    assert_eq!(parts(&agent)[2], damaged, "nothing else was lost");
    assert_balance(&agent);
    // What is damaged is not sent.
    assert_arrived(&agent, &peer);
    agent.stop();
}

/// A batch that was on its way counts for neither agent, and goes again.
#[test]
fn an_agent_that_is_killed_in_the_middle_of_a_batch_counts_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let spool = directory.path().join("spool");
    let peer = Peer::start(&[]);
    let _program = Program::start("chain", unique("busy"), &[]);
    let left = leave(&peer, &spool);
    peer.behave(json!("open"));
    peer.behave(json!({"slow_ms": 700}));
    let mut agent = start(&peer, &[&flag(&spool)]);
    // More than the last one said: it ended with something in memory.
    eventually("what is on disk is found", PATIENCE, || agent.metrics().value(FOUND) >= left);
    let found = agent.metrics().value(FOUND);
    eventually("what is on disk is on its way", PATIENCE, || {
        let metrics = agent.metrics();
        metrics.value(SPOOLED) < found && metrics.value("store_samples_waiting{stage=\"in_flight\"}") > 0.0
    });
    agent.signal(Signal::KILL);
    agent.wait(Duration::from_secs(5));
    drop(agent);
    eventually("the store knows of the end", PATIENCE, || peer.state()["open"] == json!(0));
    peer.behave(json!("ok"));
    let there = peer.samples() as f64;

    let agent = start(&peer, &[&flag(&spool)]);
    eventually("what is on disk is found", PATIENCE, || {
        agent.metrics().value(FOUND) + there >= found && agent.metrics().value(FOUND) > 0.0
    });
    let found_again = agent.metrics().value(FOUND);
    // What was acknowledged before had come from memory, or is gone from the disk.
    assert!(found_again <= found && found_again + there >= found, "{found_again} and {there} of {found}");
    eventually("it is delivered", PATIENCE, || {
        agent.metrics().value(SPOOLED) == 0.0 && parts(&agent)[0] >= found_again
    });
    assert_balance(&agent);
    assert_eq!(parts(&agent)[2], 0.0);
    eventually("the store has what this one delivered, and no more", PATIENCE, || {
        let before = parts(&agent)[0];
        peer.samples() as f64 - there == before && parts(&agent)[0] == before
    });
    peer.assert_no_violations();
    agent.stop();
}

/// The disks are the agents' own.
#[test]
fn a_disk_that_is_full_or_read_only_costs_nothing_while_there_is_memory() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().display().to_string();
    let full = "mount -t tmpfs -o size=256k,mode=700 none \"$0\" && exec \"$@\"";
    let read_only = "mount -t tmpfs -o mode=700 none \"$0\" && mkdir -m 700 \"$0/spool\" && \
                     mount -o remount,ro \"$0\" && exec \"$@\"";
    let peer = Peer::start(&[]);
    for mounts in [full, read_only] {
        let program = Program::start("threads", unique("busy"), &["600", "8"]);
        peer.behave(json!("close"));
        let address = format!("--store-address={}", peer.address());
        let spool = flag(&directory.path().join("spool"));
        let flags = [
            "--profiling-duration=1s",
            "--store-batch-interval=1s",
            NO_UPLOADS,
            "--store-queue-size=1MiB",
            "--profiling-cpu-sampling-frequency=4000",
            "--insecure",
            &address,
            &spool,
        ];
        let agent = Agent::start_by(&["unshare", "--mount", "sh", "-c", mounts, &place], &flags);
        let fault = if mounts == full { "no_space" } else { "failed" };
        let failed = &format!("store_spool_faults_total{{fault=\"{fault}\"}}");
        eventually("the disk fails", PATIENCE * 3, || agent.metrics().value(failed) >= 1.0);
        assert_balance(&agent);
        // On a loaded machine a window may have to go before it is encoded.
        let busy = agent.metrics().value("store_samples_dropped_total{reason=\"busy\"}");
        assert_eq!(parts(&agent)[2], busy, "all is in memory, or where there was room");
        // On one that is full there may be something; on the other there is nothing.
        assert!(agent.metrics().value(SPOOLED) == 0.0 || mounts == full);
        // While room is made for a profile that came, it is there already.
        assert!(agent.metrics().value("store_queue_bytes") <= f64::from(1 << 20) * 1.1);
        // From now on the store, too, is to have its share of the machine.
        drop(program);
        peer.behave(json!("open"));
        eventually("all of it arrives", PATIENCE * 3, || {
            agent.metrics().value("store_up") == 1.0 && agent.metrics().value(SPOOLED) == 0.0
        });
        assert_balance(&agent);
        // It is looked at again each half minute, or each ten minutes.
        assert!(agent.metrics().value(failed) <= 6.0, "the disk is left alone");
        agent.stop();
    }
    peer.assert_no_violations();
}

#[test]
fn what_an_agent_that_was_killed_had_on_disk_is_delivered_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let spool = format!("--store-spool-directory={}", directory.path().join("spool").display());
    let flags = [spool.as_str(), "--store-queue-size=1MiB", "--profiling-cpu-sampling-frequency=4000"];
    let peer = Peer::start(&[]);
    peer.behave(json!("close"));
    let _program = Program::start("threads", unique("busy"), &["600", "8"]);
    let mut agent = start(&peer, &flags);
    let spooled = "store_samples_waiting{stage=\"spooled\"}";
    eventually("something is on disk", PATIENCE * 3, || agent.metrics().value(spooled) > 1000.0);
    assert_balance(&agent);
    agent.signal(Signal::KILL);
    agent.wait(Duration::from_secs(5));
    drop(agent);

    peer.behave(json!("open"));
    let agent = start(&peer, &[&spool]);
    let found = || agent.metrics().value("store_samples_found_total");
    eventually("what it left is found", PATIENCE, || found() > 1000.0);
    eventually("it is delivered", PATIENCE * 2, || {
        agent.metrics().value(spooled) == 0.0 && parts(&agent)[0] >= found()
    });
    assert_eq!(parts(&agent)[2], 0.0);
    assert_balance(&agent);
    peer.assert_no_violations();
    agent.stop();
}

/// What is on such a disk waits with it. All else goes on.
#[test]
fn a_disk_that_does_not_answer_holds_up_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::new(directory.path());
    let peer = Peer::start(&[]);
    let _program = Program::start("chain", unique("busy"), &[]);
    peer.behave(json!("close"));
    let agent = start(&peer, &[&flag(&disk.path().join("spool"))]);
    eventually("something is on disk", PATIENCE, || agent.metrics().value(SPOOLED) > 100.0);
    let frozen = disk.freeze();
    // By then a write waits.
    let came = agent.metrics().sum("samples_written_total");
    eventually("more comes", PATIENCE, || agent.metrics().sum("samples_written_total") > came + 300.0);
    peer.behave(json!("open"));
    eventually("what is new arrives", PATIENCE * 2, || parts(&agent)[0] > 200.0);
    assert_balance(&agent);
    drop(frozen);
    eventually("what was on disk arrives", PATIENCE * 2, || {
        agent.metrics().value(SPOOLED) == 0.0 && parts(&agent)[0] > came
    });
    assert_balance(&agent);
    assert_eq!(parts(&agent)[2], 0.0, "nothing was lost");
    assert_arrived(&agent, &peer);
    agent.stop();
}
