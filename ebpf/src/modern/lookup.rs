//! From an address to its mapping, and from there to the rule that is in force.

use crate::maps::{CODE_PAGES, MAPPINGS, OBJECTS, ROWS, RULES};
use crate::opaque::{read, write};
use core::hint::black_box;
use parca_agent_common::limits::{BLOCKS_PER_SLAB, MAX_CODE_PAGES};
use parca_agent_common::table::{
    MAPPING_SEARCH_STEPS, MAPPINGS_PER_BLOCK, MEMORY_PAGE_SHIFT, MappingEntry, PAGE_COUNT_BITS,
    ROW_SEARCH_STEPS, ROWS_PER_BLOCK, Run,
};
use parca_agent_common::unwind::rule::{PAGE_BYTES, PAGE_SHIFT, Row, Rule, RuleId};

/// The entry of a mapping block.
#[inline(always)]
fn mapping(block: &[MappingEntry; MAPPINGS_PER_BLOCK], index: u32) -> MappingEntry {
    let index = black_box(index as usize) & (MAPPINGS_PER_BLOCK - 1);
    // SAFETY: the mask keeps the index within the block.
    unsafe { *block.get_unchecked(index) }
}

/// Whether a run of mappings still belongs to whom it was given.
#[inline(always)]
pub fn is_owned(run: Run, owner: u64) -> bool {
    MAPPINGS
        .get(u32::from(run.block))
        .is_some_and(|block| mapping(block, u32::from(run.first)).pages == owner)
}

/// The result of a binary search. It is kept in a map, for what is read from there is any number to the verifier:
/// it knew more of one in a register, and something else for each number of steps, and would look at what
/// follows once for each.
#[repr(C)]
pub struct Search {
    index: u32,
}

impl Search {
    /// The last index of a run at which `is_before` is 1, where that holds of the first ones and of the others it
    /// is 0; the first index where it is 0 for all. Without branches: which way a step goes cannot be foreseen.
    #[inline(always)]
    fn last(&mut self, run: Run, steps: u32, is_before: impl Fn(u32) -> u32) -> u32 {
        let mut low = u32::from(run.first);
        let mut count = u32::from(run.count);
        for _ in 0..steps {
            if count < 2 {
                break;
            }
            let half = count / 2;
            // All ones or nothing, behind a box that the compiler does not make a branch of.
            low += half & black_box(0_u32.wrapping_sub(is_before(low + half)));
            count -= half;
        }
        write(&mut self.index, low);
        read(&self.index)
    }
}

/// 1 if a number is less than another, by their difference: comparisons become branches.
#[inline(always)]
fn is_less(one: u64, other: u64) -> u32 {
    // Neither uses the highest bit.
    (one.wrapping_sub(other) >> 63) as u32
}

/// The mapping of a process that an address lies in.
#[inline(always)]
pub fn find_mapping(search: &mut Search, run: Run, address: u64) -> Option<MappingEntry> {
    let found = last_mapping_at(search, run, address)?;
    contains(&found, address).then_some(found)
}

/// The last mapping of a process that begins on an address's page or before; the owner mark if none does.
#[inline(always)]
fn last_mapping_at(search: &mut Search, run: Run, address: u64) -> Option<MappingEntry> {
    let block = MAPPINGS.get(u32::from(run.block))?;
    // Greater than the entry of a mapping that begins on the address's page, whatever its length.
    let target = ((address >> MEMORY_PAGE_SHIFT) + 1) << PAGE_COUNT_BITS;
    // The owner mark is less than any target, so the first entry always is. A target is even, so a half is as
    // good, and leaves the highest bit free.
    let index = search
        .last(run, MAPPING_SEARCH_STEPS, |index| is_less(mapping(block, index).pages >> 1, target >> 1));
    Some(mapping(block, index))
}

/// Whether any mapping of a process lies in a range of addresses, at least in part.
#[inline(always)]
pub fn has_mapping_in(search: &mut Search, run: Run, address: u64, length: u64) -> bool {
    let last = address.wrapping_add(length).wrapping_sub(1);
    let Some(found) = last_mapping_at(search, run, last) else { return false };
    let first = found.pages >> PAGE_COUNT_BITS;
    let end = first + (found.pages & ((1 << PAGE_COUNT_BITS) - 1));
    // An address that is an error's number is above its own end.
    first != 0 && last >= address && end > address >> MEMORY_PAGE_SHIFT
}

/// Whether a mapping holds an address. An owner mark holds none: it begins at page 0 and its length is a
/// number of no meaning, so page 0 is excluded.
#[inline(always)]
pub fn contains(mapping: &MappingEntry, address: u64) -> bool {
    let first = mapping.pages >> PAGE_COUNT_BITS;
    let count = mapping.pages & ((1 << PAGE_COUNT_BITS) - 1);
    first != 0 && (address >> MEMORY_PAGE_SHIFT).wrapping_sub(first) < count
}

/// The rule in force at an offset in an object's file, and how many bytes behind the start of its row that is.
#[inline(always)]
pub fn find_rule(search: &mut Search, slot: u32, offset: u64) -> (Rule, u32) {
    find_row(search, slot, offset).unwrap_or((Rule::UNCOVERED, 0))
}

#[inline(always)]
fn find_row(search: &mut Search, slot: u32, offset: u64) -> Option<(Rule, u32)> {
    let object = OBJECTS.get(slot)?;
    let page = ((offset >> PAGE_SHIFT) as u32).wrapping_sub(object.first_page);
    if page >= object.page_count {
        return None;
    }
    let run = *CODE_PAGES.get(object.first_entry.wrapping_add(page) & (MAX_CODE_PAGES - 1))?;
    if run.count == 0 {
        return None;
    }
    let block = u32::from(run.block);
    let rows = ROWS.get_value(block / BLOCKS_PER_SLAB, &(block % BLOCKS_PER_SLAB))?;
    let low = (offset & (PAGE_BYTES - 1)) as u16;
    let row = last_row_at(search, rows, run, low);
    let rule = *RULES.get(u32::from(row.rule().0))?;
    Some((rule, u32::from(low.wrapping_sub(row.low()))))
}

/// The last row of a run that begins at or before the low bits of an address; the first row if none does.
#[inline(always)]
fn last_row_at(search: &mut Search, rows: &[Row; ROWS_PER_BLOCK], run: Run, address: u16) -> Row {
    let row = |index: u32| {
        let index = black_box(index as usize) & (ROWS_PER_BLOCK - 1);
        // SAFETY: the mask keeps the index within the block.
        unsafe { *rows.get_unchecked(index) }
    };
    let target = Row::new(address, RuleId(u16::MAX));
    row(search.last(run, ROW_SEARCH_STEPS, |index| is_less(u64::from(row(index).0), u64::from(target.0) + 1)))
}
