use super::folder::{Fault, Sequence};
use super::record;
use super::{AppendError, MAX_FILE_AGE, MAX_FILE_BYTES, PAUSE, Place, SPACE_PAUSE, Spool};
use crate::disk::private_directory::DirectoryError;
use crate::store::batch::Batch;
use crate::store::entry::Entry;
use crate::store::loss::Loss;
use crate::store::sample_entry::entry;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const NO_LIMIT: u64 = 1 << 40;

const NO_FILES: [PathBuf; 0] = [];

fn open(path: &Path) -> Spool {
    open_within(path, NO_LIMIT)
}

/// A spool that knows what an earlier agent left.
fn open_within(path: &Path, limit: u64) -> Spool {
    let mut spool = Spool::open(path, limit).unwrap();
    spool.look_through(Instant::now());
    assert_balance(&spool);
    spool
}

fn entries(count: u64) -> Vec<Entry> {
    (0..count).map(|number| entry("web", number, 10 + number)).collect()
}

/// A spool with an entry for each window, and its directory.
fn filled(count: u64, now: Instant) -> (TempDir, Spool) {
    let root = tempfile::tempdir().unwrap();
    let mut spool = open(root.path());
    entries(count).iter().for_each(|entry| spool.append(entry, now).unwrap());
    assert_balance(&spool);
    (root, spool)
}

fn assert_balance(spool: &Spool) {
    let counts = spool.counts();
    let known = counts.held + counts.in_flight + counts.delivered + counts.lost.total();
    assert_eq!(counts.found + counts.written, known, "{counts:?}");
    assert_eq!(counts.held, spool.files.iter().map(|file| file.samples).sum::<u64>());
}

fn contents(batch: &Batch<Place>) -> Vec<Entry> {
    batch.entries().cloned().collect()
}

/// Everything that is left, as delivered.
fn drain(spool: &mut Spool, now: Instant) -> Vec<Entry> {
    let mut all = Vec::new();
    while let Some(batch) = spool.take(2000, now) {
        all.extend(contents(&batch));
        spool.done(batch);
        assert_balance(spool);
    }
    all
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(path).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// An entry whose record has about so many bytes.
fn large(number: u64, bytes: u64) -> Entry {
    Entry { profile: vec![number as u8; bytes as usize], ..entry("web", number, 10 + number) }
}

#[test]
fn what_was_written_comes_back_in_order_and_leaves_nothing_behind() {
    let now = Instant::now();
    let (root, mut spool) = filled(20, now);
    assert_eq!(files(root.path()).len(), 1);
    assert_eq!(drain(&mut spool, now), entries(20));
    assert_eq!(files(root.path()), NO_FILES);
    let counts = spool.counts();
    assert_eq!((counts.delivered, counts.held, counts.files, counts.bytes), (390, 0, 0, 0));
    assert_eq!((counts.damaged, counts.failures), (0, 0));
}

#[test]
fn the_next_agent_finds_what_this_one_did_not_deliver() {
    let now = Instant::now();
    let (root, mut spool) = filled(6, now);
    let (first, second) = spool.take(NO_LIMIT, now).unwrap().halves();
    spool.done(first);
    // The second half is still on its way when the agent ends.
    drop((second, spool));
    let mut spool = open(root.path());
    assert_eq!(spool.counts().found, 13 + 14 + 15);
    spool.append(&entry("web", 6, 16), now).unwrap();
    assert_eq!(drain(&mut spool, now), entries(7)[3..]);
    drop(spool);
    assert_eq!(open(root.path()).counts().found, 0);
}

#[test]
fn what_is_given_back_is_read_again_in_order() {
    let now = Instant::now();
    let (_root, mut spool) = filled(6, now);
    let (first, second) = spool.take(NO_LIMIT, now).unwrap().halves();
    assert!(spool.take(NO_LIMIT, now).is_none(), "all of the file is on its way");
    spool.give_back(first);
    assert_balance(&spool);
    let again = spool.take(NO_LIMIT, now).unwrap();
    assert_eq!(contents(&again), entries(6)[..3]);
    spool.give_back(second.unwrap());
    spool.discard(again, Loss::Refused);
    assert_eq!(spool.counts().lost.get(Loss::Refused), 33);
    assert_eq!(drain(&mut spool, now), entries(6)[3..]);
}

#[test]
fn files_end_when_they_are_full_or_old() {
    let now = Instant::now();
    let root = tempfile::tempdir().unwrap();
    let mut spool = open(root.path());
    let half = MAX_FILE_BYTES / 2 - 1000;
    for (number, expected) in [(0, 1), (1, 1), (2, 2), (3, 2)] {
        spool.append(&large(number, half), now).unwrap();
        assert_eq!(files(root.path()).len(), expected, "{number}");
    }
    // One that is larger than a file may be has one of its own.
    spool.append(&large(4, MAX_FILE_BYTES + 1), now).unwrap();
    spool.append(&entry("web", 5, 15), now).unwrap();
    assert_eq!(files(root.path()).len(), 4);
    spool.append(&entry("web", 6, 16), now + MAX_FILE_AGE - Duration::from_nanos(1)).unwrap();
    assert_eq!(files(root.path()).len(), 4);
    spool.append(&entry("web", 7, 17), now + MAX_FILE_AGE).unwrap();
    assert_eq!(files(root.path()).len(), 5);
    spool.tend(now + MAX_FILE_AGE * 2);
    spool.append(&entry("web", 8, 18), now + MAX_FILE_AGE * 2).unwrap();
    assert_eq!(files(root.path()).len(), 6);
    let samples: Vec<_> = drain(&mut spool, now).iter().map(|entry| entry.samples).collect();
    assert_eq!(samples, (10..19).collect::<Vec<_>>());
}

#[test]
fn the_oldest_file_goes_when_there_are_too_many_bytes() {
    let now = Instant::now();
    let root = tempfile::tempdir().unwrap();
    let mut spool = open_within(root.path(), 3 * MAX_FILE_BYTES);
    for number in 0..8 {
        spool.append(&large(number, MAX_FILE_BYTES / 2 + 1000), now).unwrap();
        assert!(spool.counts().bytes <= 3 * MAX_FILE_BYTES);
        assert_balance(&spool);
    }
    let counts = spool.counts();
    assert_eq!((counts.files, counts.lost.get(Loss::SpoolFull)), (5, 10 + 11 + 12));
    let on_disk: u64 = files(root.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(on_disk <= counts.bytes && on_disk + 5 * 4096 > counts.bytes, "{on_disk} {counts:?}");
    drop(spool);
    // A lower limit holds for what is found, too.
    let mut spool = open_within(root.path(), 2 * MAX_FILE_BYTES);
    assert_eq!(spool.counts().lost.get(Loss::SpoolFull), 13 + 14);
    let samples: Vec<_> = drain(&mut spool, now).iter().map(|entry| entry.samples).collect();
    assert_eq!(samples, [15, 16, 17]);
}

#[test]
fn a_file_that_goes_while_it_is_read_is_not_missed() {
    let now = Instant::now();
    let root = tempfile::tempdir().unwrap();
    let mut spool = open_within(root.path(), 2 * MAX_FILE_BYTES);
    for number in 0..2 {
        spool.append(&large(number, MAX_FILE_BYTES / 2 - 1000), now).unwrap();
    }
    let (first, second) = spool.take(NO_LIMIT, now).unwrap().halves();
    for number in 2..6 {
        spool.append(&large(number, MAX_FILE_BYTES / 2 - 1000), now).unwrap();
    }
    assert_eq!(spool.counts().lost.total(), 0, "what is on its way is not lost");
    spool.done(first);
    spool.give_back(second.unwrap());
    assert_eq!((spool.counts().delivered, spool.counts().lost.get(Loss::SpoolFull)), (10, 11));
    assert_balance(&spool);
    let samples: Vec<_> = drain(&mut spool, now).iter().map(|entry| entry.samples).collect();
    assert_eq!(samples, [12, 13, 14, 15]);
}

#[test]
fn what_is_larger_than_all_of_the_spool_is_refused() {
    let now = Instant::now();
    let root = tempfile::tempdir().unwrap();
    let mut spool = open_within(root.path(), 1 << 20);
    spool.append(&entry("web", 0, 10), now).unwrap();
    for bytes in [1 << 20, 17 << 20] {
        assert!(matches!(spool.append(&large(1, bytes), now), Err(AppendError::TooLarge(_))));
    }
    assert!(!spool.is_off(now));
    assert_eq!(drain(&mut spool, now), [entry("web", 0, 10)]);
}

#[test]
fn a_full_disk_turns_it_off_for_a_while() {
    let now = Instant::now();
    for fault in [Fault::Full, Fault::ReadOnly] {
        let (root, mut spool) = filled(3, now);
        spool.folder.fault = Some(fault);
        assert!(matches!(spool.append(&entry("web", 3, 13), now), Err(AppendError::Disk(_))), "{fault:?}");
        assert!(matches!(spool.append(&entry("web", 3, 13), now), Err(AppendError::Off)), "{fault:?}");
        assert_eq!(spool.counts().failures, 1);
        assert_balance(&spool);
        // A new file cannot be made either, once it is tried again.
        let later = now + PAUSE;
        assert!(spool.is_off(later - Duration::from_nanos(1)) && !spool.is_off(later));
        assert!(matches!(spool.append(&entry("web", 3, 13), later), Err(AppendError::Disk(_))), "{fault:?}");
        spool.folder.fault = None;
        let later = later + PAUSE;
        spool.append(&entry("web", 3, 13), later).unwrap();
        assert_eq!(drain(&mut spool, later), entries(4), "{fault:?}");
        assert_eq!(spool.counts().damaged, 0);
        assert_eq!(files(root.path()), NO_FILES);
    }
}

#[test]
fn what_a_read_only_disk_holds_is_delivered_once_by_each_agent() {
    let now = Instant::now();
    let (root, mut spool) = filled(4, now);
    spool.folder.fault = Some(Fault::ReadOnly);
    assert_eq!(drain(&mut spool, now), entries(4));
    assert!(spool.take(NO_LIMIT, now).is_none());
    assert_eq!((spool.counts().held, spool.counts().files), (0, 1));
    assert!(spool.counts().bytes > 0 && spool.counts().failures > 0);
    spool.folder.fault = None;
    spool.tend(now);
    assert_eq!((spool.counts().files, spool.counts().bytes), (0, 0));
    assert_eq!(files(root.path()), NO_FILES);
}

/// Two files of four entries each, of the same length, and the bytes of a record.
fn two_files(now: Instant) -> (TempDir, Spool, usize) {
    let root = tempfile::tempdir().unwrap();
    let mut spool = open(root.path());
    for number in 0..8 {
        if number == 4 {
            spool.sync(now);
        }
        spool.append(&large(number, 1000), now).unwrap();
    }
    spool.sync(now);
    let record = fs::metadata(&files(root.path())[0]).unwrap().len() as usize / 4;
    (root, spool, record)
}

#[test]
fn a_part_of_a_record_is_the_end_of_its_file() {
    let now = Instant::now();
    let (root, spool, record) = two_files(now);
    drop(spool);
    let [first, second] = files(root.path()).try_into().unwrap();
    fs::remove_file(second).unwrap();
    let whole = fs::read(&first).unwrap();
    for length in [record * 3 - 1, record * 2 + record / 2, record * 2 + 10, record * 2] {
        fs::write(&first, &whole[..length]).unwrap();
        let mut spool = open(root.path());
        assert_eq!(spool.counts().damaged, u64::from(length % record != 0), "{length}");
        assert_eq!(spool.counts().found, 10 + 11);
        // What comes later has a file of its own.
        spool.append(&entry("web", 9, 19), now).unwrap();
        let samples: Vec<_> = drain(&mut spool, now).iter().map(|entry| entry.samples).collect();
        assert_eq!(samples, [10, 11, 19], "{length}");
    }
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 4;
    fs::write(path, bytes).unwrap();
}

/// Samples of everything that is left.
fn samples(spool: &mut Spool, now: Instant) -> Vec<u64> {
    drain(spool, now).iter().map(|entry| entry.samples).collect()
}

#[test]
fn a_flipped_bit_costs_its_entry_wherever_it_is() {
    let now = Instant::now();
    // A byte of the payload, and one of each part of a head.
    for (record_index, offset) in
        [100, 0, 5, 9, 13, 20, 25, 30].into_iter().flat_map(|o| [(1, o), (0, o), (3, o)])
    {
        let lost = 10 + record_index as u64;
        let expected: Vec<_> = (10..18).filter(|samples| *samples != lost).collect();
        // While the agent runs: it knows what it wrote.
        let (root, mut spool, record) = two_files(now);
        flip(&files(root.path())[0], record * record_index + offset);
        assert_eq!(samples(&mut spool, now), expected, "byte {offset} of {record_index}");
        assert_eq!((spool.counts().damaged, spool.counts().lost.get(Loss::SpoolDamaged)), (1, lost));
        assert_eq!(files(root.path()), NO_FILES);

        // Between two agents.
        let (root, spool, record) = two_files(now);
        drop(spool);
        flip(&files(root.path())[0], record * record_index + offset);
        let mut spool = open(root.path());
        assert_eq!(samples(&mut spool, now), expected, "byte {offset} of {record_index}");
        assert_eq!(spool.counts().damaged, 1);
        assert_eq!(files(root.path()), NO_FILES);
    }
}

/// Makes a record one of a version that is not known yet.
fn make_newer(path: &Path, start: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[start + 8] = 2; // the version
    bytes[start + 24] ^= 1; // the sum of the head
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let now = Instant::now();
    let (root, spool, record) = two_files(now);
    drop(spool);
    let first = files(root.path())[0].clone();
    (0..4).for_each(|index| make_newer(&first, record * index));
    let content = fs::read(&first).unwrap();
    let mut spool = open_within(root.path(), MAX_FILE_BYTES);
    let counts = spool.counts();
    assert_eq!((counts.files, counts.found, counts.damaged), (1, 14 + 15 + 16 + 17, 0));
    assert_eq!(samples(&mut spool, now), [14, 15, 16, 17]);
    for number in 0..4 {
        spool.append(&large(number, MAX_FILE_BYTES / 2), now).unwrap();
    }
    drain(&mut spool, now);
    assert_eq!(fs::read(&first).unwrap(), content);
    assert_eq!(files(root.path()), [first]);
    assert_eq!(spool.counts().bytes, 0);
}

#[test]
fn what_seems_newer_beside_records_of_ours_is_damage() {
    let now = Instant::now();
    for index in [0, 2] {
        let (root, spool, record) = two_files(now);
        drop(spool);
        make_newer(&files(root.path())[0], record * index);
        let mut spool = open(root.path());
        assert_eq!(spool.counts().damaged, 1);
        let expected: Vec<_> = (10..18).filter(|samples| *samples != 10 + index as u64).collect();
        assert_eq!(samples(&mut spool, now), expected);
        assert_eq!(files(root.path()), NO_FILES);
    }
}

#[test]
fn what_an_earlier_agent_left_is_looked_through_after_the_start() {
    let now = Instant::now();
    let root = tempfile::tempdir().unwrap();
    const FILES: u64 = 20;
    // Most of each file was delivered.
    let mut delivered = record::encode(&large(0, MAX_FILE_BYTES - 1000)).unwrap();
    delivered[record::STATE_OFFSET as usize..][..4].copy_from_slice(&record::FINISHED);
    for number in 0..FILES {
        let held = record::encode(&entry("web", number, 10 + number)).unwrap();
        fs::write(root.path().join(Sequence(number).to_string()), [&held[..], &delivered].concat()).unwrap();
    }
    let found = |pieces: u64| (0..FILES.min(pieces * 8)).map(|number| 10 + number).sum::<u64>();
    let mut spool = Spool::open(root.path(), NO_LIMIT).unwrap();
    let counts = spool.counts();
    assert_eq!((counts.found, counts.files), (0, FILES), "nothing was read yet");
    assert!(counts.bytes > (FILES - 1) * MAX_FILE_BYTES, "what it takes is known");
    for pieces in 1..=3 {
        // What is new comes behind it, whenever it comes.
        spool.append(&entry("web", FILES + pieces, 100 + pieces), now).unwrap();
        assert!(!spool.is_looked_through());
        spool.tend(now);
        assert_eq!(spool.counts().found, found(pieces));
        assert_balance(&spool);
    }
    assert!(spool.is_looked_through());
    let expected: Vec<_> = (10..10 + FILES).chain([101, 102, 103]).collect();
    assert_eq!(samples(&mut spool, now), expected);
}

#[test]
fn what_an_earlier_agent_left_is_delivered_and_dropped_before_it_is_looked_through() {
    let now = Instant::now();
    let left = || {
        let (root, spool, _) = two_files(now);
        drop(spool);
        root
    };
    let root = left();
    let mut spool = Spool::open(root.path(), NO_LIMIT).unwrap();
    spool.append(&large(8, 1000), now).unwrap();
    assert_eq!(samples(&mut spool, now), (10..19).collect::<Vec<_>>());
    assert!(spool.is_looked_through());

    // The oldest goes for what is new, and its samples are missed.
    let root = left();
    let bytes = fs::metadata(&files(root.path())[0]).unwrap().len().next_multiple_of(4096);
    let mut spool = Spool::open(root.path(), 2 * bytes).unwrap();
    spool.append(&large(8, 1000), now).unwrap();
    assert_balance(&spool);
    assert_eq!(spool.counts().lost.get(Loss::SpoolFull), 10 + 11 + 12 + 13);
    assert_eq!(samples(&mut spool, now), [14, 15, 16, 17, 18]);
}

#[test]
fn what_is_being_written_is_not_missed_behind_files_that_hold_nothing() {
    let now = Instant::now();
    let root = tempfile::tempdir().unwrap();
    let mut delivered = record::encode(&entry("web", 0, 10)).unwrap();
    delivered[record::STATE_OFFSET as usize..][..4].copy_from_slice(&record::FINISHED);
    fs::write(root.path().join(Sequence(0).to_string()), delivered).unwrap();
    let mut spool = Spool::open(root.path(), NO_LIMIT).unwrap();
    spool.append(&entry("web", 1, 11), now).unwrap();
    let batch = spool.take(NO_LIMIT, now).unwrap();
    spool.append(&entry("web", 2, 12), now).unwrap();
    spool.done(batch);
    assert_eq!(samples(&mut spool, now), [12]);
    assert_eq!(spool.counts().delivered, 11 + 12);
}

#[test]
fn a_disk_that_is_nearly_full_turns_it_off_for_a_moment() {
    let now = Instant::now();
    let (root, mut spool) = filled(3, now);
    const DISK: u64 = 1 << 30;
    const RESERVE: u64 = DISK / 10;
    spool.tell_space(DISK, RESERVE + 4095);
    assert!(matches!(spool.append(&entry("web", 3, 13), now), Err(AppendError::Disk(_))));
    assert!(matches!(spool.append(&entry("web", 3, 13), now), Err(AppendError::Off)));
    assert_eq!((spool.counts().no_space, spool.counts().failures), (1, 0));
    assert!(spool.writing.is_failing());
    assert_balance(&spool);
    // Once there was too little, there has to be more than enough.
    let later = now + SPACE_PAUSE;
    spool.tell_space(DISK, RESERVE / 4 * 5 + 4095);
    assert!(matches!(spool.append(&entry("web", 3, 13), later), Err(AppendError::Disk(_))));
    let later = later + SPACE_PAUSE;
    spool.tell_space(DISK, RESERVE / 4 * 5 + 4096);
    spool.append(&entry("web", 3, 13), later).unwrap();
    assert!(!spool.writing.is_failing());
    spool.tell_space(DISK, RESERVE + 4096);
    spool.append(&entry("web", 4, 14), later).unwrap();
    assert_eq!(spool.counts().no_space, 2);
    assert_eq!(drain(&mut spool, later), entries(5));
    assert_eq!(files(root.path()), NO_FILES);
}

#[test]
fn each_kind_of_work_that_a_disk_does_not_do_is_told_until_it_does() {
    let now = Instant::now();
    let (root, mut spool, record) = two_files(now);
    let health =
        |spool: &Spool| [&spool.writing, &spool.removing, &spool.reading].map(|work| work.is_failing());
    spool.folder.fault = Some(Fault::ReadOnly);
    assert!(spool.append(&entry("web", 9, 19), now).is_err());
    assert_eq!(health(&spool), [true, false, false]);
    // One record more is read than fits.
    flip(&files(root.path())[0], record * 2 + 100);
    let batch = spool.take(1, now).unwrap();
    spool.done(batch);
    spool.tend(now);
    assert_eq!(health(&spool), [true, true, false], "nothing is told of what is not tried");
    let batch = spool.take(1, now).unwrap();
    assert_eq!(health(&spool), [true, true, true]);
    spool.folder.fault = None;
    spool.done(batch);
    drain(&mut spool, now);
    assert_eq!(health(&spool), [true, false, false], "the second file is read well");
    spool.append(&entry("web", 9, 19), now + PAUSE).unwrap();
    assert_eq!(health(&spool), [false; 3]);
}

#[test]
fn a_file_that_somebody_took_away_or_put_in_is_counted() {
    let now = Instant::now();
    let (root, mut spool, _) = two_files(now);
    fs::remove_file(&files(root.path())[0]).unwrap();
    let samples: Vec<_> = drain(&mut spool, now).iter().map(|entry| entry.samples).collect();
    assert_eq!(samples, [14, 15, 16, 17]);
    assert_eq!(spool.counts().lost.get(Loss::SpoolDamaged), 10 + 11 + 12 + 13);
    drop(spool);

    fs::write(root.path().join("00000000000000000005.spool"), "nonsense").unwrap();
    let mut spool = open(root.path());
    assert_eq!((spool.counts().damaged, spool.counts().found), (1, 0));
    assert_eq!(files(root.path()), NO_FILES);
    spool.append(&entry("web", 0, 10), now).unwrap();
    assert_eq!(files(root.path()), [root.path().join("00000000000000000006.spool")]);
}

#[test]
fn other_files_stay_as_they_are() {
    let now = Instant::now();
    let root = tempfile::tempdir().unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(secret.path(), "secret").unwrap();
    fs::write(root.path().join("notes"), "x").unwrap();
    fs::write(root.path().join("7.spool"), "x").unwrap();
    symlink(secret.path(), root.path().join("00000000000000000003.spool")).unwrap();
    fs::create_dir(root.path().join("00000000000000000004.spool")).unwrap();
    let before = files(root.path());
    let mut spool = open_within(root.path(), MAX_FILE_BYTES);
    assert_eq!((spool.counts().failures, spool.counts().files), (2, 0));
    for number in 0..4 {
        spool.append(&large(number, MAX_FILE_BYTES / 2), now).unwrap();
    }
    drain(&mut spool, now);
    assert_eq!(files(root.path()), before);
    assert_eq!(fs::read(secret.path()).unwrap(), b"secret");
}

#[test]
fn a_directory_is_one_agents() {
    let root = tempfile::tempdir().unwrap();
    let _spool = open(root.path());
    assert!(matches!(Spool::open(root.path(), NO_LIMIT), Err(DirectoryError::InUse)));
}

#[test]
#[ignore = "measures"]
fn time_of_writing_finding_and_reading() {
    let now = Instant::now();
    let root = tempfile::tempdir().unwrap();
    let mut spool = open(root.path());
    const ENTRIES: u64 = 20_000;
    let time = |what: &str, begin: Instant, bytes: u64| {
        let rate = bytes as f64 / begin.elapsed().as_secs_f64() / 1e6;
        println!("{what}: {:?}, {rate:.0} MB/s", begin.elapsed());
    };
    let begin = Instant::now();
    for number in 0..ENTRIES {
        spool.append(&large(number, 10_000), now).unwrap();
    }
    spool.sync(now);
    let bytes = spool.counts().bytes;
    time("written", begin, bytes);
    drop(spool);
    let begin = Instant::now();
    let mut spool = open(root.path());
    time("found", begin, bytes);
    let begin = Instant::now();
    while let Some(batch) = spool.take(1 << 20, now) {
        spool.done(batch);
    }
    time("read and removed", begin, bytes);
}
