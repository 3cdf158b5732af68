//! Unwind tables as they cross from the worker to the agent.
//!
//! ```text
//! table    machine u16 | source u8 | statistics 5 * u64 | rules u16 | rule... | pages u32 | page...
//! rule     kind u8 | saved u8 | cfa i16 | fp i16 | extra u16
//! page     number u32 | rows u16 | row u32...
//! ```
//! The agent writes what it decodes into the kernel's maps, so every order and every index is checked here.

use super::protocol::{ProtocolError, Reader};
use crate::unwind::machine::Machine;
use crate::unwind::{MAX_PAGES, MAX_ROWS_PER_PAGE, MAX_RULES, NoTable, Page, Source, Statistics, Table};
use parca_agent_common::unwind::rule::{Row, Rule};

/// Bytes of a rule and of a row.
const RULE_BYTES: usize = 8;
const ROW_BYTES: usize = 4;

/// A reply to [`JobKind::Unwind`](super::protocol::JobKind::Unwind), as it is sent.
pub fn encode_table(result: &Result<Table, NoTable>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match result {
        Ok(table) => {
            bytes.push(0);
            encode(table, &mut bytes);
        }
        Err(reason) => bytes.push(tag_of(*reason)),
    }
    bytes
}

/// Its place in [`NoTable::ALL`], counted from 1.
fn tag_of(reason: NoTable) -> u8 {
    let tags = (1..).zip(NoTable::ALL);
    tags.into_iter().find_map(|(tag, each)| (each == reason).then_some(tag)).unwrap_or(1)
}

fn encode(table: &Table, bytes: &mut Vec<u8>) {
    bytes.extend(table.machine.number().to_le_bytes());
    bytes.push(match table.source {
        Source::EhFrame => 0,
        Source::DebugFrame => 1,
        Source::GoPclntab => 2,
    });
    let Statistics { functions, raw_rows, rows, unsupported_rows, full_pages } = table.statistics;
    for number in [functions, raw_rows, rows, unsupported_rows, full_pages] {
        bytes.extend(number.to_le_bytes());
    }
    let rows: usize = table.pages.iter().map(|page| page.rows.len()).sum();
    bytes.reserve(rows * ROW_BYTES + table.rules.len() * RULE_BYTES + table.pages.len() * 6 + 8);
    // Bounded where they are made: MAX_RULES, MAX_PAGES, MAX_ROWS_PER_PAGE.
    bytes.extend(u16::try_from(table.rules.len()).unwrap_or(u16::MAX).to_le_bytes());
    for rule in &table.rules {
        bytes.extend([rule.kind, rule.saved]);
        bytes.extend(rule.cfa.to_le_bytes());
        bytes.extend(rule.fp.to_le_bytes());
        bytes.extend(rule.extra.to_le_bytes());
    }
    bytes.extend(u32::try_from(table.pages.len()).unwrap_or(u32::MAX).to_le_bytes());
    for page in &table.pages {
        bytes.extend(page.number.to_le_bytes());
        bytes.extend(u16::try_from(page.rows.len()).unwrap_or(u16::MAX).to_le_bytes());
        page.rows.iter().for_each(|row| bytes.extend(row.0.to_le_bytes()));
    }
}

/// Reads a reply to [`JobKind::Unwind`](super::protocol::JobKind::Unwind).
pub fn decode_table(bytes: &[u8]) -> Result<Result<Table, NoTable>, ProtocolError> {
    let mut reader = Reader(bytes);
    let tag = reader.u8()?;
    let result = match NoTable::ALL.get(usize::from(tag).wrapping_sub(1)) {
        Some(reason) => Err(*reason),
        None if tag == 0 => Ok(decode(&mut reader)?),
        None => return Err(ProtocolError::UnknownTag { what: "reply", tag }),
    };
    reader.end()?;
    Ok(result)
}

fn decode(reader: &mut Reader<'_>) -> Result<Table, ProtocolError> {
    let machine = reader.u16()?;
    let machine = Machine::of(machine)
        .ok_or(ProtocolError::Length { what: "machine number", length: usize::from(machine) })?;
    let source = match reader.u8()? {
        0 => Source::EhFrame,
        1 => Source::DebugFrame,
        2 => Source::GoPclntab,
        tag => return Err(ProtocolError::UnknownTag { what: "source", tag }),
    };
    let statistics = Statistics {
        functions: reader.u64()?,
        raw_rows: reader.u64()?,
        rows: reader.u64()?,
        unsupported_rows: reader.u64()?,
        full_pages: reader.u64()?,
    };
    let count = usize::from(reader.u16()?);
    if count > MAX_RULES {
        return Err(ProtocolError::Length { what: "rules", length: count });
    }
    let rules: Vec<_> = reader.take(count * RULE_BYTES)?.chunks_exact(RULE_BYTES).filter_map(rule).collect();
    let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    if count > MAX_PAGES {
        return Err(ProtocolError::Length { what: "pages", length: count });
    }
    let mut pages: Vec<Page> = Vec::new();
    for _ in 0..count {
        let page = decode_page(reader, rules.len())?;
        if pages.last().is_some_and(|last| last.number >= page.number) {
            return Err(ProtocolError::Disorder { what: "pages" });
        }
        pages.push(page);
    }
    Ok(Table { machine, source, rules, pages, statistics })
}

fn rule(bytes: &[u8]) -> Option<Rule> {
    let [kind, saved, cfa_low, cfa_high, fp_low, fp_high, extra_low, extra_high] = *bytes else {
        return None;
    };
    Some(Rule {
        kind,
        saved,
        cfa: i16::from_le_bytes([cfa_low, cfa_high]),
        fp: i16::from_le_bytes([fp_low, fp_high]),
        extra: u16::from_le_bytes([extra_low, extra_high]),
    })
}

fn decode_page(reader: &mut Reader<'_>, rules: usize) -> Result<Page, ProtocolError> {
    let number = reader.u32()?;
    let count = usize::from(reader.u16()?);
    if count == 0 || count > MAX_ROWS_PER_PAGE {
        return Err(ProtocolError::Length { what: "rows", length: count });
    }
    let (bytes, _) = reader.take(count * ROW_BYTES)?.as_chunks();
    let rows: Vec<_> = bytes.iter().map(|bytes| Row(u32::from_le_bytes(*bytes))).collect();
    if rows.first().is_none_or(|row| row.low() != 0)
        || !rows.is_sorted_by(|left, right| left.low() < right.low())
    {
        return Err(ProtocolError::Disorder { what: "rows" });
    }
    match rows.iter().map(|row| usize::from(row.rule().0)).find(|rule| *rule >= rules) {
        Some(rule) => Err(ProtocolError::Length { what: "number of a rule", length: rule }),
        None => Ok(Page { number, rows }),
    }
}

#[cfg(test)]
mod tests {
    use super::{decode_table, encode_table};
    use crate::unwind::machine::Machine;
    use crate::unwind::{NoTable, Page, Source, Statistics, Table};
    use crate::worker::protocol::{JobKind, ProtocolError};
    use parca_agent_common::unwind::rule::{Row, Rule, RuleId};
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    fn row(low: u16, rule: u16) -> Row {
        Row::new(low, RuleId(rule))
    }

    fn table(pages: Vec<Page>) -> Table {
        Table {
            machine: Machine::Aarch64,
            source: Source::DebugFrame,
            rules: vec![Rule::FRAME_POINTER, Rule::UNCOVERED],
            pages,
            statistics: Statistics { functions: 1, raw_rows: 2, rows: 3, unsupported_rows: 4, full_pages: 5 },
        }
    }

    fn page(number: u32, rows: &[Row]) -> Page {
        Page { number, rows: rows.to_vec() }
    }

    #[test]
    fn a_table_reads_as_it_was_written() {
        let pages = vec![page(3, &[row(0, 1), row(9, 0)]), page(7, &[row(0, 0), row(u16::MAX, 1)])];
        for result in [Ok(table(pages)), Ok(table(vec![]))].into_iter().chain(NoTable::ALL.map(Err)) {
            assert_eq!(decode_table(&encode_table(&result)), Ok(result));
        }
    }

    #[test]
    fn a_lying_table_is_an_error() {
        let refused = |pages: Vec<Page>| decode_table(&encode_table(&Ok(table(pages)))).unwrap_err();
        let disorder = |what| ProtocolError::Disorder { what };
        let length = |what, length| ProtocolError::Length { what, length };
        assert_eq!(refused(vec![page(3, &[row(0, 0)]), page(3, &[row(0, 0)])]), disorder("pages"));
        assert_eq!(refused(vec![page(3, &[row(1, 0)])]), disorder("rows"));
        assert_eq!(refused(vec![page(3, &[row(0, 0), row(0, 1)])]), disorder("rows"));
        assert_eq!(refused(vec![page(3, &[row(0, 0), row(9, 1), row(8, 1)])]), disorder("rows"));
        assert_eq!(refused(vec![page(3, &[row(0, 2)])]), length("number of a rule", 2));
        assert_eq!(refused(vec![page(3, &[])]), length("rows", 0));
        let many: Vec<_> = (0..16_385).map(|low| row(low, 0)).collect();
        assert_eq!(refused(vec![page(3, &many)]), length("rows", 16_385));
        let whole = encode_table(&Ok(table(vec![page(3, &[row(0, 0)])])));
        for cut in 0..whole.len() {
            assert_eq!(decode_table(&whole[..cut]), Err(ProtocolError::Short), "cut to {cut}");
        }
        assert_eq!(decode_table(&[&whole[..], &[0]].concat()), Err(ProtocolError::Trailing(1)));
        assert_eq!(decode_table(&[10]), Err(ProtocolError::UnknownTag { what: "reply", tag: 10 }));
    }

    #[test]
    fn the_largest_table_fits_into_a_reply() {
        let limits = crate::unwind::Limits::default();
        let bytes = limits.rows * super::ROW_BYTES
            + crate::unwind::MAX_RULES * super::RULE_BYTES
            + crate::unwind::MAX_PAGES * 6;
        assert!(bytes + 64 <= JobKind::Unwind.limits().reply as usize);
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same_bytes(mut bytes in vec(any::<u8>(), 48..256), rules in 0_u8..4) {
            for (at, byte) in [(0, 0), (1, 62), (2, 0), (3, 0), (44, rules), (45, 0)] {
                bytes[at] = byte;
            }
            if let Ok(result) = decode_table(&bytes) {
                prop_assert_eq!(encode_table(&result), bytes);
            }
        }

        #[test]
        fn hostile_replies_never_panic(bytes in vec(any::<u8>(), 0..256)) {
            let _ = decode_table(&bytes);
        }
    }
}
