//! Fewer rows that say the same.
//!
//! Neighbours with the same rule become one row. And a function begins with pushes and ends with pops, each
//! of which moves the CFA by a word, a few bytes behind the last: such a run becomes one row with a *ramp*, a
//! rule that says at which bytes the offset moves. It takes away six rows of ten.
//!
//! ```text
//!              rows of CFI                    one row
//! push %rbp    SP + 8                         SP + 8, ramp 0b101, frame pointer at CFA - 16
//! push %r12    SP + 16, FP at CFA - 16
//! sub ...      SP + 24, FP at CFA - 16
//! ```
//! Along a ramp the frame pointer counts as saved while its slot is at SP or above. That is what rows say of
//! pushes. Of pops they do not: CFI goes on saying "saved" of a slot that has been popped. The register
//! has the value again by then, so the row with the ramp is right too.

use super::row::RowAt;
use crate::object::ObjectAddress;
use parca_agent_common::unwind::rule::{Cfa, RAMP_BYTES, RAMP_DOWN, ReturnAddress, Rule, SavedFp};

/// Takes rows in the order of their addresses, and gives back fewer.
#[derive(Debug)]
pub(super) struct Compactor {
    /// Whether ramps are made.
    ramps: bool,
    pending: Option<Pending>,
}

/// A row to which others may still be added.
#[derive(Clone, Copy, Debug)]
struct Pending {
    row: RowAt,
    /// The rule of the last row that was added, as it came.
    last: Rule,
}

impl Compactor {
    /// Nothing taken. `ramps` says whether the architecture has them.
    pub(super) fn new(ramps: bool) -> Self {
        Self { ramps, pending: None }
    }

    /// Takes the next row; gives back the one that is now complete.
    pub(super) fn push(&mut self, row: RowAt) -> Option<RowAt> {
        let Some(pending) = &mut self.pending else {
            self.pending = Some(Pending { row, last: row.rule });
            return None;
        };
        if pending.last == row.rule {
            return None;
        }
        if self.ramps
            && let Some(rule) = extended(pending, &row)
        {
            pending.row.rule = rule;
            pending.last = row.rule;
            return None;
        }
        self.pending.replace(Pending { row, last: row.rule }).map(|pending| pending.row)
    }

    /// The last row; the next one begins anew.
    pub(super) fn finish(&mut self) -> Option<RowAt> {
        self.pending.take().map(|pending| pending.row)
    }
}

/// The rule in force some bytes behind the start of its row, as the rule of a row that begins there.
pub(super) fn rest(rule: Rule, distance: u64) -> Rule {
    let distance = u32::try_from(distance).unwrap_or(u32::MAX);
    match rule.ramp().checked_shr(distance) {
        _ if rule.ramp() == 0 => rule,
        None | Some(0) => at(rule, distance),
        Some(left) => Rule { cfa: at(rule, distance).cfa, extra: left, ..rule },
    }
}

/// The rows that a row with a ramp stands for: how many bytes behind its start, and the rule there.
pub(super) fn steps(rule: Rule) -> impl Iterator<Item = (u32, Rule)> {
    let behind = (0..RAMP_BYTES).filter(move |bit| rule.ramp() >> bit & 1 == 1).map(|bit| bit + 1);
    std::iter::once(0).chain(behind).map(move |distance| (distance, at(rule, distance)))
}

/// What a rule with a ramp says at one place, without the ramp.
fn at(rule: Rule, distance: u32) -> Rule {
    if rule.ramp() == 0 {
        return rule;
    }
    let Ok(cfa) = i16::try_from(rule.sp_words(distance)) else { return Rule::UNSUPPORTED };
    let rule = Rule { cfa, extra: 0, saved: rule.saved & !RAMP_DOWN, ..rule };
    if rule.saved_fp() == SavedFp::AtCfa && !is_saved(rule, cfa) { without_fp(rule) } else { rule }
}

/// Whether a slot that is given from the CFA is at SP or above.
fn is_saved(rule: Rule, cfa: i16) -> bool {
    i32::from(cfa) + i32::from(rule.fp) >= 0
}

fn without_fp(rule: Rule) -> Rule {
    Rule { saved: Rule::saved_byte(SavedFp::Same, ReturnAddress::Default), fp: 0, ..rule }
}

/// Whether a rule can begin, end or be passed by a ramp: SP plus an offset, all else as the ABI has it.
fn is_plain(rule: Rule) -> bool {
    rule.cfa_kind() == Cfa::Sp
        && rule.return_address() == ReturnAddress::Default
        && rule.extra == 0
        && rule.cfa_words() == i64::from(rule.cfa)
        && matches!(rule.saved_fp(), SavedFp::Same | SavedFp::AtCfa)
}

/// The pending rule with one step more, if that says what the row says.
fn extended(pending: &Pending, row: &RowAt) -> Option<Rule> {
    let (base, last, next) = (pending.row.rule, pending.last, row.rule);
    if !is_plain(last) || !is_plain(next) {
        return None;
    }
    let step = i32::from(next.cfa) - i32::from(last.cfa);
    let down = match step {
        1 => false,
        -1 => true,
        _ => return None,
    };
    let turns = base.ramp() != 0 && (base.saved & RAMP_DOWN != 0) != down;
    let distance = distance(pending.row.address, row.address).filter(|_| !turns)?;
    let is_first = base.ramp() == 0;
    let (saved_fp, fp) = match (base.saved_fp(), next.saved_fp()) {
        (SavedFp::Same, SavedFp::Same) => (SavedFp::Same, 0),
        // Pushed just now: at no row before did the slot exist.
        (SavedFp::Same, SavedFp::AtCfa) if !is_saved(next, last.cfa.max(base.cfa)) => {
            is_saved(next, next.cfa).then_some((SavedFp::AtCfa, next.fp))?
        }
        // Without a ramp the rule reads a slot below SP, with one it does not.
        (SavedFp::AtCfa, _) if is_first && !is_saved(base, base.cfa) => return None,
        (SavedFp::AtCfa, SavedFp::AtCfa) if base.fp == next.fp && (down || is_saved(base, next.cfa)) => {
            (SavedFp::AtCfa, base.fp)
        }
        (SavedFp::AtCfa, SavedFp::Same) if !is_saved(base, next.cfa) => (SavedFp::AtCfa, base.fp),
        _ => return None,
    };
    let saved = Rule::saved_byte(saved_fp, ReturnAddress::Default) | if down { RAMP_DOWN } else { 0 };
    // Two steps at one address are none that a bit could say.
    let step = distance - 1;
    let is_new = base.extra >> step == 0;
    is_new.then_some(Rule { kind: Cfa::Sp as u8, saved, cfa: base.cfa, fp, extra: base.extra | 1 << step })
}

/// From one row to another, bytes, if a ramp can be so long.
fn distance(from: ObjectAddress, to: ObjectAddress) -> Option<u32> {
    let bytes = u32::try_from(to.0.checked_sub(from.0)?).ok()?;
    (1..=RAMP_BYTES).contains(&bytes).then_some(bytes)
}

#[cfg(test)]
#[path = "ramp_tests.rs"]
mod tests;
