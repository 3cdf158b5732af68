use super::{Compactor, rest, steps};
use crate::object::ObjectAddress;
use crate::unwind::row::RowAt;
use parca_agent_common::unwind::rule::{Cfa, RAMP_DOWN, ReturnAddress, Rule, SavedFp};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

/// SP + 8·words, the frame pointer at a word from the CFA.
fn sp(words: i16, fp: Option<i16>) -> Rule {
    let saved = if fp.is_some() { SavedFp::AtCfa } else { SavedFp::Same };
    Rule {
        kind: Cfa::Sp as u8,
        saved: Rule::saved_byte(saved, ReturnAddress::Default),
        cfa: words,
        fp: fp.unwrap_or_default(),
        extra: 0,
    }
}

fn compact(rows: &[(u64, Rule)], ramps: bool) -> Vec<(u64, Rule)> {
    let mut compactor = Compactor::new(ramps);
    let mut out: Vec<_> = rows
        .iter()
        .filter_map(|(address, rule)| compactor.push(RowAt { address: ObjectAddress(*address), rule: *rule }))
        .collect();
    out.extend(compactor.finish());
    out.into_iter().map(|row| (row.address.0, row.rule)).collect()
}

#[test]
fn pushes_and_pops_become_one_row_each() {
    let up = [
        (0, sp(1, None)),
        (1, sp(2, Some(-2))),
        (3, sp(3, Some(-2))),
        (5, sp(4, Some(-2))),
        (9, sp(9, Some(-2))),
    ];
    let ramp = Rule { extra: 0b1_0101, ..sp(1, Some(-2)) };
    assert_eq!(compact(&up, true), [(0, ramp), (9, sp(9, Some(-2)))]);
    assert_eq!(compact(&up, false), up);
    let down = [(0, sp(4, Some(-2))), (2, sp(3, Some(-2))), (4, sp(2, Some(-2))), (5, sp(1, Some(-2)))];
    let ramp = Rule { extra: 0b1_1010, saved: 1 | RAMP_DOWN, ..sp(4, Some(-2)) };
    assert_eq!(compact(&down, true), [(0, ramp)]);
    let restored = [(0, sp(2, Some(-2))), (1, sp(1, None))];
    assert_eq!(compact(&restored, true), [(0, Rule { extra: 1, saved: 1 | RAMP_DOWN, ..sp(2, Some(-2)) })]);
}

#[test]
fn what_a_ramp_cannot_say_stays_a_row() {
    let deep = Rule { kind: Cfa::Fp as u8, ..sp(2, Some(-2)) };
    let in_register =
        Rule { saved: Rule::saved_byte(SavedFp::Same, ReturnAddress::InRegister), ..sp(2, None) };
    let cases: [(&str, Rule, u64, Rule); 9] = [
        ("too far", sp(1, None), 17, sp(2, None)),
        ("two words", sp(1, None), 1, sp(3, None)),
        ("from the frame pointer", sp(1, None), 1, deep),
        ("return address in a register", sp(1, None), 1, in_register),
        ("saved by a move into the red zone", sp(1, Some(-2)), 4, sp(2, Some(-2))),
        ("saved, but not by this push", sp(5, None), 1, sp(6, Some(-2))),
        ("saved elsewhere", sp(4, Some(-2)), 1, sp(5, Some(-3))),
        ("restored, but not by this pop", sp(4, Some(-2)), 1, sp(3, None)),
        ("saved below SP", sp(1, None), 1, sp(2, Some(-3))),
    ];
    for (name, first, at, second) in cases {
        let rows = [(0, first), (at, second)];
        assert_eq!(compact(&rows, true), rows, "{name}");
    }
    let turn = [(0, sp(1, None)), (1, sp(2, None)), (2, sp(1, None))];
    assert_eq!(compact(&turn, true), [(0, Rule { extra: 1, ..sp(1, None) }), (2, sp(1, None))]);
}

#[test]
fn neighbours_with_one_rule_become_one_row() {
    let rows = [(0, sp(1, None)), (100, sp(1, None)), (200, Rule::UNCOVERED), (300, Rule::UNCOVERED)];
    for ramps in [false, true] {
        assert_eq!(compact(&rows, ramps), [(0, sp(1, None)), (200, Rule::UNCOVERED)]);
    }
}

/// What a rule says at a distance: the CFA and, if it is saved, the frame pointer's place, both from SP.
fn meaning(rule: Rule, distance: u32) -> (i64, Option<i64>) {
    let cfa = rule.sp_words(distance);
    let slot = (rule.saved_fp() == SavedFp::AtCfa).then_some(cfa + i64::from(rule.fp));
    (cfa, slot.filter(|slot| rule.ramp() == 0 || *slot >= 0))
}

/// Rows as functions have them: pushes, pops, moves, and the frame pointer saved at some place.
fn rows() -> impl Strategy<Value = Vec<(u64, Rule)>> {
    let fp = prop_oneof![Just(None), Just(Some(-2)), Just(Some(-3))];
    vec((1_u64..8, prop_oneof![-1_i16..=1, -1_i16..=1, -6_i16..6], fp), 1..40).prop_map(|steps| {
        let (mut address, mut words) = (0x1000, 1);
        let step = |(bytes, change, fp): (u64, i16, Option<i16>)| {
            address += bytes;
            words = (words + change).max(1);
            (address, sp(words, fp))
        };
        steps.into_iter().map(step).collect()
    })
}

proptest! {
    #[test]
    fn every_address_means_what_its_row_says(rows in rows()) {
        let compacted = compact(&rows, true);
        prop_assert!(compacted.is_sorted_by(|left, right| left.0 < right.0));
        let last = rows.last().unwrap().0;
        for address in rows[0].0..last + 20 {
            let in_force = |rows: &[(u64, Rule)]| *rows.iter().rfind(|row| row.0 <= address).unwrap();
            let (_, said) = in_force(&rows);
            let (start, rule) = in_force(&compacted);
            let (cfa, slot) = meaning(rule, (address - start) as u32);
            let (said_cfa, said_slot) = meaning(said, 0);
            prop_assert_eq!(cfa, said_cfa, "{:#x}", address);
            // Popped, and CFI says nothing of it.
            let is_popped = rule.saved & RAMP_DOWN != 0 && slot.is_none() && said_slot.is_some_and(|slot| slot < 0);
            prop_assert!(slot == said_slot || is_popped, "{address:#x}: {slot:?} {said_slot:?}");
        }
    }

    #[test]
    fn the_rest_of_a_ramp_goes_on_where_it_is_cut(
        cfa in 0_i16..40, fp in -8_i16..0, ramp: u16, saved in 0_u8..2, down: bool, cut in 0_u64..40,
    ) {
        let saved = saved | if down { RAMP_DOWN } else { 0 };
        let rule = Rule { kind: Cfa::Sp as u8, saved, cfa, fp: if saved & 1 == 1 { fp } else { 0 }, extra: ramp };
        let rest = rest(rule, cut);
        let rows: Vec<_> = steps(rule).collect();
        for distance in 0..40 {
            prop_assert_eq!(meaning(rest, distance), meaning(rule, cut as u32 + distance), "{}", distance);
            if ramp != 0 {
                let (_, in_force) = *rows.iter().rfind(|row| row.0 <= distance).unwrap();
                prop_assert_eq!(in_force.ramp(), 0);
                prop_assert_eq!(meaning(in_force, 0), meaning(rule, distance), "{}", distance);
            }
        }
    }

    #[test]
    fn hostile_rows_never_panic(rows in vec((any::<u64>(), any::<[u8; 8]>()), 0..20), cut: u64) {
        let rule = |bytes: [u8; 8]| Rule {
            kind: bytes[0] % 10,
            saved: bytes[1],
            cfa: i16::from_le_bytes([bytes[2], bytes[3]]),
            fp: i16::from_le_bytes([bytes[4], bytes[5]]),
            extra: u16::from_le_bytes([bytes[6], bytes[7]]),
        };
        let mut rows: Vec<_> = rows.into_iter().map(|(address, bytes)| (address, rule(bytes))).collect();
        rows.sort_by_key(|row| row.0);
        for (_, rule) in compact(&rows, true) {
            rest(rule, cut);
        }
    }
}
