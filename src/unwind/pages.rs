//! Rows cut into pages of code, and their rules numbered.

use super::ramp::{rest, steps};
use super::{Limits, NoTable, Page};
use crate::object::FileOffset;
use parca_agent_common::table::ROWS_PER_BLOCK;
use parca_agent_common::unwind::rule::{PAGE_BYTES, PAGE_SHIFT, Row, Rule, RuleId};
use std::collections::HashMap;

/// Most different rules of one table.
pub const MAX_RULES: usize = 65_535;

/// Most pages of one table: 16 GiB of code. One row can cover all of them.
pub const MAX_PAGES: usize = 1 << 18;

/// Most rows of one page, for which the kernel has room.
pub const MAX_ROWS_PER_PAGE: usize = ROWS_PER_BLOCK;

/// A ramp that takes away so few rows of a table, all its uses together, is written as the rows for which it
/// stands: its rule costs 8 bytes, as two rows do, and a place among the kernel's rules.
const FEW_ROWS: u32 = 4;

/// Takes rows in the order of file offsets.
#[derive(Debug)]
pub(super) struct Pages {
    ids: HashMap<Rule, RuleId>,
    rules: Vec<Rule>,
    pages: Vec<Page>,
    rows: usize,
    most_rows: usize,
    /// Pages that were left out, for they had more rows than there is room for.
    pub(super) full: usize,
    current: Current,
}

/// The page that rows are added to.
#[derive(Debug)]
struct Current {
    number: u64,
    rows: Vec<(u16, Rule)>,
    /// The rule in force at the end of what was taken, and where it began.
    last: (FileOffset, Rule),
}

impl Pages {
    pub(super) fn new(limits: &Limits) -> Self {
        let start = (FileOffset(0), Rule::UNCOVERED);
        Self {
            ids: HashMap::new(),
            rules: Vec::new(),
            pages: Vec::new(),
            rows: 0,
            most_rows: limits.rows,
            full: 0,
            current: Current { number: 0, rows: vec![(0, Rule::UNCOVERED)], last: start },
        }
    }

    /// Adds the next row.
    pub(super) fn push(&mut self, offset: FileOffset, rule: Rule) -> Result<(), NoTable> {
        if offset < self.current.last.0 {
            return Err(NoTable::Malformed);
        }
        let number = offset.0 >> PAGE_SHIFT;
        while self.current.number < number {
            self.turn(number)?;
        }
        let low = (offset.0 & (PAGE_BYTES - 1)) as u16;
        if self.current.rows.last().is_some_and(|last| last.0 == low) {
            self.current.rows.pop();
        }
        self.current.rows.push((low, rule));
        self.current.last = (offset, rule);
        Ok(())
    }

    /// The rules, the pages, and how many rows they have.
    pub(super) fn finish(mut self) -> Result<(Vec<Rule>, Vec<Page>, usize), NoTable> {
        self.close()?;
        self.give_up_ramps()?;
        self.renumber();
        Ok((self.rules, self.pages, self.rows))
    }

    /// Writes ramps that do not pay as plain rows.
    fn give_up_ramps(&mut self) -> Result<(), NoTable> {
        let mut saved = vec![0_u32; self.rules.len()];
        for row in self.pages.iter().flat_map(|page| &page.rows) {
            let index = usize::from(row.rule().0);
            if let (Some(saved), Some(rule)) = (saved.get_mut(index), self.rules.get(index)) {
                *saved = saved.saturating_add(rule.ramp().count_ones());
            }
        }
        let is_given_up =
            |id: RuleId| saved.get(usize::from(id.0)).is_some_and(|saved| (1..=FEW_ROWS).contains(saved));
        let mut pages = std::mem::take(&mut self.pages);
        for page in &mut pages {
            if !page.rows.iter().any(|row| is_given_up(row.rule())) {
                continue;
            }
            let mut rows = Vec::with_capacity(page.rows.len() + 16);
            let ends = page.rows.iter().skip(1).map(|row| u32::from(row.low())).chain([PAGE_BYTES as u32]);
            for (row, end) in page.rows.iter().zip(ends) {
                match self.rules.get(usize::from(row.rule().0)).copied() {
                    Some(rule) if is_given_up(row.rule()) => {
                        for (distance, rule) in steps(rule) {
                            let low = u32::from(row.low()) + distance;
                            if let (true, Ok(low)) = (low < end, u16::try_from(low)) {
                                rows.push(Row::new(low, self.id(rule)?));
                            }
                        }
                    }
                    _ => rows.push(*row),
                }
            }
            if rows.len() <= MAX_ROWS_PER_PAGE {
                self.rows += rows.len() - page.rows.len();
                page.rows = rows;
            }
        }
        self.pages = pages;
        if self.rows > self.most_rows { Err(NoTable::TooManyRows) } else { Ok(()) }
    }

    /// Numbers the rules that are used anew, in the order of their use.
    fn renumber(&mut self) {
        let old = std::mem::take(&mut self.rules);
        let mut new = vec![None; old.len()];
        for row in self.pages.iter_mut().flat_map(|page| &mut page.rows) {
            let index = usize::from(row.rule().0);
            let (Some(id), Some(rule)) = (new.get_mut(index), old.get(index)) else { continue };
            let id = *id.get_or_insert_with(|| {
                self.rules.push(*rule);
                // No more than there were.
                RuleId((self.rules.len() - 1) as u16)
            });
            *row = Row::new(row.low(), id);
        }
    }

    /// Ends the page, and begins the next one that has a row of its own or is covered.
    fn turn(&mut self, wanted: u64) -> Result<(), NoTable> {
        self.close()?;
        let (start, rule) = self.current.last;
        let next = if rule == Rule::UNCOVERED { wanted } else { self.current.number + 1 };
        let rule = rest(rule, (next << PAGE_SHIFT).saturating_sub(start.0));
        self.current.number = next;
        self.current.rows.push((0, rule));
        Ok(())
    }

    /// Puts the page, if it has covered code, behind the others.
    fn close(&mut self) -> Result<(), NoTable> {
        let rows = std::mem::take(&mut self.current.rows);
        if rows.iter().all(|(_, rule)| *rule == Rule::UNCOVERED) {
            return Ok(());
        }
        if rows.len() > MAX_ROWS_PER_PAGE {
            self.full += 1;
            return Ok(());
        }
        self.rows += rows.len();
        if self.rows > self.most_rows || self.pages.len() >= MAX_PAGES {
            return Err(NoTable::TooManyRows);
        }
        let number = u32::try_from(self.current.number).map_err(|_| NoTable::TooLarge)?;
        let rows = rows.into_iter().map(|(low, rule)| self.id(rule).map(|id| Row::new(low, id)));
        let rows = rows.collect::<Result<_, _>>()?;
        self.pages.push(Page { number, rows });
        Ok(())
    }

    fn id(&mut self, rule: Rule) -> Result<RuleId, NoTable> {
        if let Some(id) = self.ids.get(&rule) {
            return Ok(*id);
        }
        let id = u16::try_from(self.rules.len()).ok().filter(|id| usize::from(*id) < MAX_RULES);
        let id = RuleId(id.ok_or(NoTable::TooManyRules)?);
        self.ids.insert(rule, id);
        self.rules.push(rule);
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_ROWS_PER_PAGE, Pages};
    use crate::object::FileOffset;
    use crate::unwind::{Limits, NoTable, Page};
    use parca_agent_common::unwind::rule::{Cfa, Rule};

    fn sp(words: i16, ramp: u16) -> Rule {
        Rule { kind: Cfa::Sp as u8, saved: 0, cfa: words, fp: 0, extra: ramp }
    }

    fn build(rows: &[(u64, Rule)]) -> Result<(Vec<Rule>, Vec<Page>, usize), NoTable> {
        let mut pages = Pages::new(&Limits::default());
        rows.iter().try_for_each(|(offset, rule)| pages.push(FileOffset(*offset), *rule))?;
        pages.finish()
    }

    /// What a page says: low bits and rules.
    fn rows(rules: &[Rule], page: &Page) -> Vec<(u16, Rule)> {
        page.rows.iter().map(|row| (row.low(), rules[usize::from(row.rule().0)])).collect()
    }

    #[test]
    fn each_page_begins_with_the_rule_in_force() {
        let given = [
            (0x1_0010, sp(1, 0)),
            (0x1_fffe, sp(2, 0b1010)),
            (0x2_0004, sp(9, 0)),
            (0x4_0000, Rule::UNCOVERED),
        ];
        let (rules, pages, count) = build(&given).unwrap();
        let expected = [
            // The ramp is cut, and then both parts are written as rows, for they are rare.
            (1, vec![(0, Rule::UNCOVERED), (0x10, sp(1, 0)), (0xfffe, sp(2, 0))]),
            (2, vec![(0, sp(3, 0)), (2, sp(4, 0)), (4, sp(9, 0))]),
            (3, vec![(0, sp(9, 0))]),
        ];
        let found: Vec<_> = pages.iter().map(|page| (page.number, rows(&rules, page))).collect();
        assert_eq!(found, expected);
        assert_eq!(count, 7);
    }

    #[test]
    fn a_ramp_that_saves_few_rows_is_written_as_rows() {
        let up = sp(1, 0b101);
        let at = |page: u64, low: u64| (page << 16) + low;
        let rare = [(at(1, 0), up), (at(1, 2), sp(9, 0)), (at(2, 0), up), (at(3, 0), Rule::UNCOVERED)];
        let (rules, pages, count) = build(&rare).unwrap();
        // The second step of the first ramp lies behind the next row.
        assert_eq!(rows(&rules, &pages[0]), [(0, sp(1, 0)), (1, sp(2, 0)), (2, sp(9, 0))]);
        assert_eq!(rows(&rules, &pages[1]), [(0, sp(1, 0)), (1, sp(2, 0)), (3, sp(3, 0))]);
        assert_eq!((rules.len(), count), (4, 6));
        let often: Vec<_> =
            (0..6).map(|index| (at(1, index * 16), if index % 2 == 0 { up } else { sp(9, 0) })).collect();
        let (rules, pages, count) = build(&often).unwrap();
        assert_eq!(rows(&rules, &pages[0]).len(), 6);
        assert_eq!((rules.len(), count), (2, 6));
    }

    #[test]
    fn pages_without_code_are_left_out() {
        let given = [
            (0, Rule::UNCOVERED),
            (0x5_0000, sp(1, 0)),
            (0x5_0100, Rule::UNCOVERED),
            (0x5_0200, Rule::UNCOVERED),
            (0x900_0000, sp(1, 0)),
            (0x900_0001, Rule::UNCOVERED),
        ];
        let (_, pages, _) = build(&given).unwrap();
        assert_eq!(pages.iter().map(|page| page.number).collect::<Vec<_>>(), [5, 0x900]);
        assert!(build(&[]).unwrap().1.is_empty());
    }

    #[test]
    fn a_page_with_too_many_rows_is_left_out_and_counted() {
        let mut pages = Pages::new(&Limits::default());
        for index in 0..=MAX_ROWS_PER_PAGE as u64 {
            pages.push(FileOffset(index), sp((index % 2) as i16, 0)).unwrap();
        }
        pages.push(FileOffset(1 << 16), Rule::UNCOVERED).unwrap();
        assert_eq!(pages.full, 1);
        assert!(pages.finish().unwrap().1.is_empty());
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let rules: Vec<_> = (0..=65_535_u64).map(|index| (index * 16, sp(index as i16, 0))).collect();
        assert_eq!(build(&rules).unwrap_err(), NoTable::TooManyRules);
        assert_eq!(build(&[(0, sp(1, 0)), (1 << 40, sp(2, 0))]).unwrap_err(), NoTable::TooManyRows);
        assert_eq!(build(&[(1 << 50, sp(1, 0))]).unwrap_err(), NoTable::TooLarge);
        assert_eq!(build(&[(9, sp(1, 0)), (8, sp(2, 0))]).unwrap_err(), NoTable::Malformed);
    }
}
