use super::{Divisor, FREQUENCY_LABEL, LeftOut, MAX_LABELS, MAX_VALUE, Outcome, Policy, Ratio};
use crate::discovery::target::Source;
use crate::label::LabelSet;
use std::num::NonZeroU16;

fn policy() -> Policy {
    Policy { frequency: 100, ..Policy::default() }
}

fn labels(of: &[(&str, &str)]) -> LabelSet {
    of.iter().copied().collect()
}

fn profiled(outcome: Outcome) -> (String, u16) {
    match outcome {
        Outcome::Profiled { target, divisor } => (target.labels.to_string(), divisor.0.get()),
        Outcome::LeftOut { why, .. } => (why.name().to_owned(), 0),
    }
}

#[test]
fn labels_for_rules_go_and_the_name_stays() {
    let outcome = policy()
        .decide(
            Source::Host,
            labels(&[("__name__", "cpu"), ("__meta_process_pid", "7"), ("__x", "y"), ("comm", "sh")]),
        )
        .0;
    assert_eq!(profiled(outcome), (r#"{__name__="cpu",comm="sh"}"#.to_owned(), 1));
}

#[test]
fn names_and_values_become_such_as_a_store_takes() {
    let long = "é".repeat(MAX_VALUE);
    let outcome =
        policy().decide(Source::Host, labels(&[("app.io/x-y", "1"), ("9a", "2"), ("long", &long)])).0;
    let Outcome::Profiled { target, .. } = outcome else { panic!("left out") };
    assert_eq!((target.labels.get("app_io_x_y"), target.labels.get("_9a")), (Some("1"), Some("2")));
    assert_eq!(target.labels.get("long").map(str::len), Some(MAX_VALUE));
}

#[test]
fn of_too_many_labels_those_that_name_the_target_stay() {
    let naming = [("__name__", "cpu"), ("namespace", "shop"), ("pod", "web-1"), ("systemd_unit", "kubelet")];
    let many = (0..1000).map(|index| (format!("A{index:04}"), "x".to_owned()));
    let many = naming.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().chain(many);
    let (outcome, cut) = policy().decide(Source::Host, many.collect());
    let Outcome::Profiled { target, .. } = outcome else { panic!("left out") };
    assert_eq!(target.labels.iter().count(), MAX_LABELS);
    assert_eq!(cut, 1004 - MAX_LABELS as u64);
    for (name, value) in naming {
        assert_eq!(target.labels.get(name), Some(value));
    }
}

#[test]
fn a_wanted_frequency_becomes_a_divisor() {
    for (wanted, divisor) in [
        ("100", 1),
        ("50", 2),
        ("10", 10),
        ("19", 5),
        ("0.5", 200),
        ("1000", 1),
        ("0", 1),
        ("-3", 1),
        ("NaN", 1),
        ("inf", 1),
        ("many", 1),
        ("1e-30", u16::MAX),
    ] {
        let outcome = policy().decide(Source::Host, labels(&[(FREQUENCY_LABEL, wanted), ("comm", "a")])).0;
        assert_eq!(profiled(outcome), (r#"{comm="a"}"#.to_owned(), divisor), "{wanted}");
    }
    assert_eq!(Divisor::ONE.0, NonZeroU16::MIN);
}

#[test]
fn a_ratio_keeps_the_same_share_every_time() {
    let sets: Vec<_> = (0..10_000).map(|index| labels(&[("pod", &format!("web-{index}"))])).collect();
    let held = |ratio: f64| sets.iter().filter(|set| Ratio(ratio).holds(set)).count();
    assert_eq!((held(0.0), held(1.0)), (0, sets.len()));
    assert!((4800..5200).contains(&held(0.5)), "{}", held(0.5));
    // What a smaller share holds, a larger one holds too.
    assert!(sets.iter().all(|set| !Ratio(0.2).holds(set) || Ratio(0.7).holds(set)));
    // Part of the contract: a new version of the agent must not choose others.
    let chosen: Vec<_> = (0..12).filter(|index| Ratio(0.5).holds(&sets[*index])).collect();
    assert_eq!(chosen, [0, 2, 6, 7, 10, 11]);
    let outcome = Policy { ratio: Some(Ratio(0.0)), ..policy() }.decide(Source::Host, sets[0].clone()).0;
    assert!(matches!(outcome, Outcome::LeftOut { why: LeftOut::SamplingRatio, .. }));
}
