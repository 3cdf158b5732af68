use super::{MAX_SPAN, Queue, Ticket};
use crate::store::amount::Amount;
use crate::store::batch::Batch;
use crate::store::entry::Entry;
use crate::store::loss::Loss;
use crate::store::sample_entry::{WINDOW, admit, entry, start_of};
use std::time::Duration;

const NO_LIMIT: u64 = u64::MAX;

/// Target, start in windows, and samples of each entry.
fn contents(batch: &Batch<Ticket>) -> Vec<(String, u64, u64)> {
    batch
        .entries()
        .map(|entry| {
            let windows = entry.start.duration_since(start_of(0)).unwrap().as_secs() / WINDOW.as_secs();
            (entry.labels.get("comm").unwrap().to_owned(), windows, entry.samples)
        })
        .collect()
}

fn filled(limit: u64, entries: impl IntoIterator<Item = Entry>) -> Queue {
    let mut queue = Queue::new(limit);
    for entry in entries {
        admit(&mut queue, entry);
        assert_balance(&queue);
    }
    queue
}

fn assert_balance(queue: &Queue) {
    let counts = queue.counts();
    let known = counts.queued.samples
        + counts.in_flight.samples
        + counts.delivered
        + counts.spooled
        + counts.lost.total();
    assert_eq!(counts.pushed, known, "{counts:?}");
    let queued = queue.entries.values().fold(Amount::default(), |mut sum, entry| {
        sum += Amount::of(entry);
        sum
    });
    assert_eq!(counts.queued, queued);
    assert!(queued.bytes + counts.in_flight.bytes <= queue.limit);
    assert_eq!(queue.series.values().map(|tickets| tickets.len() as u64).sum::<u64>(), queued.entries);
    let pairs: Vec<_> = queue.pairs.iter().copied().collect();
    assert!(pairs.iter().all(|(level, ticket)| queue.level(*ticket) == Some(*level)), "{pairs:?}");
}

#[test]
fn a_batch_holds_the_oldest_by_series() {
    let order = [("web", 0), ("db", 0), ("web", 1), ("db", 1), ("late", 2)];
    let mut queue = filled(NO_LIMIT, order.map(|(target, window)| entry(target, window, 10)));
    let most = order[..4].iter().map(|(target, window)| entry(target, *window, 10).bytes()).sum();
    let batch = queue.take(most).unwrap();
    let series: Vec<_> =
        batch.series().map(|(labels, items)| (labels.get("comm").unwrap().to_owned(), items.len())).collect();
    assert_eq!(series, [("db".to_owned(), 2), ("web".to_owned(), 2)]);
    let windows: Vec<_> = contents(&batch).into_iter().map(|(_, window, _)| window).collect();
    assert_eq!(windows, [0, 1, 0, 1]);
    assert_eq!(queue.counts().in_flight.samples, 40);
    queue.done(batch);
    assert_eq!((queue.counts().delivered, queue.counts().queued.samples), (40, 10));
    assert_balance(&queue);
}

#[test]
fn one_entry_is_taken_however_large_and_none_from_an_empty_queue() {
    let mut queue = filled(NO_LIMIT, [entry("web", 0, 10), entry("web", 1, 10)]);
    let batch = queue.take(1).unwrap();
    assert_eq!(contents(&batch), [("web".to_owned(), 0, 10)]);
    queue.done(batch);
    let batch = queue.take(1).unwrap();
    assert!(queue.take(NO_LIMIT).is_none());
    queue.done(batch);
}

#[test]
fn what_is_given_back_waits_where_it_did() {
    let mut queue = filled(NO_LIMIT, (0..4).map(|window| entry("web", window, 10 + window)));
    let batch = queue.take(NO_LIMIT).unwrap();
    queue.push(entry("web", 4, 14));
    let (first, second) = batch.halves();
    // The later half comes back first.
    queue.give_back(second.unwrap());
    queue.give_back(first);
    assert_balance(&queue);
    let batch = queue.take(NO_LIMIT).unwrap();
    let expected: Vec<_> = (0..5).map(|window| ("web".to_owned(), window, 10 + window)).collect();
    assert_eq!(contents(&batch), expected);
    queue.give_back(batch);
}

#[test]
fn halves_are_halved_until_one_entry_is_left() {
    let mut queue = filled(NO_LIMIT, (0..3).map(|window| entry("web", window, 10)));
    let (first, second) = queue.take(NO_LIMIT).unwrap().halves();
    assert_eq!((first.amount().entries, second.as_ref().unwrap().amount().entries), (2, 1));
    let (second, none) = second.unwrap().halves();
    assert!(none.is_none());
    queue.discard(second, Loss::Refused);
    queue.done(first);
    assert_eq!((queue.counts().lost.get(Loss::Refused), queue.counts().delivered), (10, 20));
    assert_balance(&queue);
}

#[test]
fn a_full_queue_merges_before_it_drops() {
    let entries: Vec<_> =
        (0..6).flat_map(|window| ["web", "db"].map(|target| entry(target, window, 10))).collect();
    let limit = entries[..10].iter().map(Entry::bytes).sum();
    let mut queue = filled(limit, entries);
    let counts = queue.counts();
    assert_eq!((counts.lost.total(), counts.failed_merges), (0, 0));
    assert!(counts.merges > 0);
    let batch = queue.take(NO_LIMIT).unwrap();
    let oldest = batch.entries().min_by_key(|entry| entry.start).unwrap();
    assert_eq!((oldest.start, oldest.duration, oldest.samples), (start_of(0), WINDOW * 2, 20));
    assert_eq!(batch.amount().samples, 120);
    queue.done(batch);
}

#[test]
fn short_entries_are_merged_first_so_that_none_gets_long_before_its_time() {
    let one = entry("web", 0, 10).bytes();
    let mut queue = filled(one * 5, (0..32).map(|window| entry("web", window, 10)));
    let counts = queue.counts();
    assert_eq!(counts.lost.total(), 0, "{counts:?}");
    let batch = queue.take(NO_LIMIT).unwrap();
    let windows: Vec<_> = batch.entries().map(|entry| entry.duration.as_secs() / WINDOW.as_secs()).collect();
    assert_eq!(windows.iter().sum::<u64>(), 32);
    // Merging the two oldest again and again would make it 28 and ones.
    assert!(windows.iter().all(|length| *length <= 16), "{windows:?}");
    queue.done(batch);
}

#[test]
fn what_cannot_be_merged_is_dropped_oldest_first() {
    let entries: Vec<_> =
        ["a", "b", "c", "d"].into_iter().zip(1..).map(|(name, n)| entry(name, n, n)).collect();
    let limit = entries[..3].iter().map(Entry::bytes).max().unwrap() * 2;
    let mut queue = Queue::new(limit);
    let lost = entries.into_iter().map(|entry| {
        admit(&mut queue, entry);
        queue.counts().lost.get(Loss::QueueFull)
    });
    assert_eq!(lost.collect::<Vec<_>>(), [0, 0, 1, 1 + 2]);
    assert_balance(&queue);
}

#[test]
fn what_would_cover_too_long_a_time_is_not_merged() {
    for (gap, merges) in [(MAX_SPAN - WINDOW * 2, 1), (MAX_SPAN - WINDOW * 2 + Duration::from_nanos(1), 0)] {
        let first = entry("web", 0, 10);
        let mut second = entry("web", 0, 10);
        second.start = first.end() + gap;
        let queue = filled(first.bytes() + second.bytes() - 1, [first, second]);
        let lost = queue.counts().lost.get(Loss::QueueFull);
        assert_eq!((queue.counts().merges, lost), (merges, 10 * (1 - merges)), "{gap:?}");
    }
}

#[test]
fn damaged_profiles_are_not_merged_again_and_again() {
    let damaged = |window| Entry { profile: vec![7; 500], ..entry("web", window, 10) };
    let limit = damaged(0).bytes() * 2;
    let queue = filled(limit, (0..3).map(damaged));
    assert_eq!((queue.counts().failed_merges, queue.counts().merges), (2, 0));
    assert_eq!(queue.counts().lost.get(Loss::QueueFull), 10);
}

#[test]
fn a_pair_of_which_one_was_taken_meanwhile_is_not_replaced() {
    for taken in [1, 2] {
        let entries = [entry("web", 0, 10), entry("web", 1, 11), entry("web", 2, 12)];
        let mut queue = Queue::new(entries.iter().map(Entry::bytes).sum::<u64>() - 1);
        entries.into_iter().for_each(|entry| queue.push(entry));
        let pair = queue.pair_to_merge().unwrap();
        let merged = pair.merge().unwrap();
        assert_eq!(merged.samples, 21);
        for _ in 0..taken {
            let batch = queue.take(1).unwrap();
            queue.done(batch);
        }
        queue.replace(&pair, Some(merged));
        assert_eq!((queue.counts().merges, queue.counts().lost.total()), (0, 0));
        assert_eq!(queue.counts().queued.entries, 3 - taken);
        assert_balance(&queue);
    }
}

#[test]
fn a_clock_that_was_set_back_does_no_harm() {
    let entries = [entry("web", 5, 10), entry("web", 4, 10)];
    let limit = entries.iter().map(Entry::bytes).sum::<u64>() - 1;
    let mut queue = filled(limit, entries);
    let batch = queue.take(NO_LIMIT).unwrap();
    let merged = batch.entries().next().unwrap();
    assert_eq!((merged.start, merged.duration, merged.samples), (start_of(4), WINDOW * 2, 20));
    queue.done(batch);
}

#[test]
fn an_entry_that_would_never_fit_does_not_push_out_others() {
    let mut queue = Queue::new(entry("web", 0, 10).bytes() * 2);
    queue.push(entry("web", 0, 10));
    let large = Entry { profile: vec![0; 100_000], ..entry("web", 1, 7) };
    admit(&mut queue, large);
    assert_eq!(queue.counts().lost.get(Loss::TooLarge), 7);
    assert_eq!(queue.counts().queued.samples, 10);
    assert_balance(&queue);
}

#[test]
fn what_is_on_its_way_takes_its_room() {
    let size = ["a", "b"].map(|target| entry(target, 0, 10).bytes()).into_iter().max().unwrap();
    let mut queue = filled(size * 2, ["a", "b"].map(|target| entry(target, 0, 10)));
    let batch = queue.take(NO_LIMIT).unwrap();
    admit(&mut queue, entry("a", 1, 5));
    assert_eq!(queue.counts().lost.get(Loss::QueueFull), 5);
    queue.give_back(batch);
    assert_balance(&queue);
    assert_eq!(queue.counts().queued.samples, 20);
}

#[test]
fn overflow_is_what_is_above_half() {
    let entries: Vec<_> = (0..8).map(|window| entry("web", window, 10)).collect();
    let limit = entries.iter().map(Entry::bytes).sum::<u64>();
    let mut queue = filled(limit, entries);
    let batch = queue.take_overflow(NO_LIMIT).unwrap();
    let counts = queue.counts();
    assert!(counts.queued.bytes <= limit / 2 && counts.queued.entries >= 3, "{counts:?}");
    assert!(batch.entries().all(|entry| entry.start <= start_of(4)));
    queue.spooled(batch);
    assert!(queue.take_overflow(NO_LIMIT).is_none());
    assert_eq!(queue.counts().spooled, 80 - queue.counts().queued.samples);
    assert_balance(&queue);
}

#[test]
#[ignore = "measures"]
fn memory_of_many_entries() {
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * rustix::param::page_size() as u64
    };
    const ENTRIES: u64 = 20_000;
    // What is freed is not given back to the system, so the first would hide what the second takes.
    let targets = std::env::var("TARGETS").map_or(ENTRIES, |targets| targets.parse().unwrap());
    let mut queue = Queue::new(NO_LIMIT);
    let before = resident();
    for number in 0..ENTRIES {
        queue.push(entry(&format!("target-{}", number % targets), number / targets, 10));
    }
    let measured = (resident() - before) / ENTRIES;
    let counted = queue.counts().queued.bytes / ENTRIES;
    let profile = entry("target-1", 1, 10).profile.len();
    println!(
        "{targets} targets: {measured} bytes resident an entry, {counted} counted, {profile} of a profile"
    );
}
