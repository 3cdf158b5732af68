//! Places of code that were found lately, and their rules. Return addresses repeat from sample to sample, and to
//! find one anew reads from a dozen pages of memory, most of them cold: without this cache, samples of stacks of 5
//! to 60 frames cost 1.6 to 1.8 times as much.

use core::hint::black_box;
use parca_agent_common::frame::FrameWord;
use parca_agent_common::unwind::rule::Rule;

/// Entries, 20 KiB. Each address has one place, where it takes that of another.
const ENTRIES: usize = 512;

/// Bits of a hash that number an entry.
const INDEX_BITS: u32 = ENTRIES.ilog2();

/// 2^64 divided by the golden ratio: multiplied by it, numbers that are close get far apart.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What an address means is the same for as long as this is: the mappings of the process, which have an owner mark
/// of their own, and the tables.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Meaning(u64);

impl Meaning {
    /// Of a process's mappings by their owner mark, 28 bits, at a generation of the tables.
    #[inline(always)]
    pub fn new(owner: u64, generation: u64) -> Self {
        Self(owner | generation << 28)
    }
}

/// One CPU's cache.
#[repr(C)]
pub struct PlaceCache {
    entries: [Entry; ENTRIES],
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Entry {
    /// 0 where there is none.
    pc: u64,
    meaning: Meaning,
    found: Found,
}

/// What was found.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Found {
    /// The place, not marked as guessed.
    pub word: FrameWord,
    /// The rule in force.
    pub rule: Rule,
    /// Bytes from the start of its row.
    pub distance: u32,
    reserved: u32,
}

impl Found {
    /// A place and its rule.
    #[inline(always)]
    pub fn new(word: FrameWord, rule: Rule, distance: u32) -> Self {
        Self { word, rule, distance, reserved: 0 }
    }
}

impl PlaceCache {
    /// What an address meant lately, if it still does.
    #[inline(always)]
    pub fn get(&self, pc: u64, meaning: Meaning) -> Option<Found> {
        // SAFETY: `index` is within the entries.
        let entry = unsafe { self.entries.get_unchecked(index(pc)) };
        (entry.pc == pc && entry.meaning == meaning).then_some(entry.found)
    }

    /// Keeps what was found.
    #[inline(always)]
    pub fn set(&mut self, pc: u64, meaning: Meaning, found: Found) {
        // SAFETY: `index` is within the entries.
        let entry = unsafe { self.entries.get_unchecked_mut(index(pc)) };
        entry.pc = pc;
        entry.meaning = meaning;
        entry.found.word = found.word;
        entry.found.rule = found.rule;
        entry.found.distance = found.distance;
    }
}

#[inline(always)]
fn index(pc: u64) -> usize {
    // The mask is for the verifier, which need not know what a shift leaves.
    black_box(pc.wrapping_mul(SPREAD) >> (u64::BITS - INDEX_BITS)) as usize & (ENTRIES - 1)
}
