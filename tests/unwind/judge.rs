//! How many of a program's samples have the stacks that it has.

use super::chain::FrameNames;
use super::names::Names;
use super::profile::{Frame, Profile};
use super::target::Target;
use std::collections::BTreeMap;
use std::path::Path;

const KERNEL: &str = "[kernel.kallsyms]";

/// Wrong stacks that a verdict shows.
const SHOWN: usize = 3;

/// The samples of one program by stack.
#[derive(Default)]
pub(crate) struct Judge {
    names: Names,
    stacks: BTreeMap<Vec<FrameNames>, i64>,
}

impl Judge {
    /// Adds the samples of a profile that have a user stack.
    pub(crate) fn add(&mut self, profile: &Profile, target: &Target) {
        for sample in &profile.message.sample {
            let stack: Vec<FrameNames> = user(&profile.stack(sample))
                .iter()
                .map(|frame| self.names.of(frame, &target.executable))
                .collect();
            if !stack.is_empty() {
                *self.stacks.entry(stack).or_default() += sample.value[0];
            }
        }
    }

    /// Samples so far.
    pub(crate) fn total(&self) -> i64 {
        self.stacks.values().sum()
    }

    /// What is wrong, in a text; `None` where nothing is.
    pub(crate) fn objection(&self, target: &Target) -> Option<String> {
        let total = self.total();
        let mut seen = vec![0; target.chains.len()];
        let (mut right, mut wrong) = (0, Vec::new());
        for (stack, count) in &self.stacks {
            let chains = target.chains.iter().zip(&mut seen).filter(|(chain, _)| chain.matches(stack));
            let matching = chains.map(|(_, seen)| *seen += count).count();
            if matching > 0 || target.others.iter().any(|chain| chain.matches(stack)) {
                right += count;
            } else {
                wrong.push((*count, stack));
            }
        }
        let unseen: Vec<_> = target
            .case
            .stacks
            .iter()
            .zip(&seen)
            .filter(|(_, seen)| **seen == 0)
            .map(|(chain, _)| chain)
            .collect();
        if unseen.is_empty() && right * 100 >= total * i64::from(target.case.share) {
            return None;
        }
        wrong.sort_unstable_by_key(|(count, _)| std::cmp::Reverse(*count));
        let shown = wrong.iter().take(SHOWN).map(|(count, stack)| format!("\n    {count} x {}", text(stack)));
        let never = unseen.iter().map(|chain| format!("\n    never: {chain}"));
        let details: String = shown.chain(never).collect();
        Some(format!("{}: {right} of {total} stacks are right{details}", target.case.name))
    }
}

/// The user frames of a stack.
fn user<'a, 'b>(stack: &'a [Frame<'b>]) -> &'a [Frame<'b>] {
    let kernel = stack.iter().take_while(|frame| frame.mapping == KERNEL).count();
    &stack[kernel..]
}

/// Whether every file in a profile of a program is known by its content: its addresses are the file's then.
pub(crate) fn is_identified(profile: &Profile) -> bool {
    let files =
        profile.message.mapping.iter().filter(|row| Path::new(profile.text(row.filename)).is_absolute());
    files.filter(|row| profile.text(row.build_id).is_empty()).count() == 0
}

/// A stack in one line, with a count for names that follow themselves.
pub(crate) fn text(stack: &[FrameNames]) -> String {
    let runs = stack.chunk_by(|one, next| one == next);
    let words = runs.map(|run| match run.len() {
        1 => run[0].join("|"),
        count => format!("{}*{count}", run[0].join("|")),
    });
    words.collect::<Vec<_>>().join(" ")
}
