//! Prints the unwind rows of ELF files, to compare with `readelf --debug-dump=frames-interp`, or how many there
//! are.
//!
//! ```sh
//! cargo run --example unwind_rows -- FILE            # every row
//! cargo run --example unwind_rows -- FILE ADDRESS    # the row in force at an address of the file, in hex
//! cargo run --example unwind_rows -- --statistics FILE...
//! ```

use anyhow::{Context, bail};
use parca_agent::unwind::{Limits, NoTable, Ramps, Table, build, build_with};
use parca_agent::worker::read_at::{ReadAt, TargetFile};
use parca_agent_common::unwind::rule::{
    Cfa, PAGE_BYTES, PAGE_SHIFT, RAMP_DOWN, ReturnAddress, Rule, SavedFp,
};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--statistics", ref files @ ..] if !files.is_empty() => statistics(files),
        [file] => print_rows(file, None),
        [file, address] => {
            let digits = address.trim_start_matches("0x");
            print_rows(file, Some(u64::from_str_radix(digits, 16).context("not an address in hex")?))
        }
        _ => bail!("usage: unwind_rows FILE [OFFSET], or unwind_rows --statistics FILE..."),
    }
}

fn open(file: &str) -> anyhow::Result<TargetFile> {
    let descriptor = File::open(file).with_context(|| format!("failed to open {file}"))?;
    Ok(TargetFile::new(descriptor.into())?)
}

/// Every row, or the one in force at an offset of the file.
fn print_rows(file: &str, wanted: Option<u64>) -> anyhow::Result<()> {
    let table = match build(&open(file)?, &Limits::default()) {
        Ok(table) => table,
        Err(reason) => bail!("{file} has no table: {reason}"),
    };
    let mut out = std::io::stdout().lock();
    let rows = rows(&table);
    let first =
        wanted.map_or(0, |wanted| rows.partition_point(|(offset, _)| *offset <= wanted).saturating_sub(1));
    let count = if wanted.is_some() { 1 } else { rows.len() };
    for (offset, rule) in rows.iter().skip(first).take(count) {
        writeln!(out, "{offset:#012x} {}", describe(*rule))?;
    }
    Ok(())
}

/// File offsets and rules.
fn rows(table: &Table) -> Vec<(u64, Rule)> {
    let rows = table.pages.iter().flat_map(|page| {
        let start = u64::from(page.number) << PAGE_SHIFT;
        let rows = page.rows.iter().filter_map(move |row| {
            let rule = table.rules.get(usize::from(row.rule().0))?;
            Some((start + u64::from(row.low()), *rule))
        });
        rows.chain([(start + PAGE_BYTES, Rule::UNCOVERED)])
    });
    let mut rows: Vec<_> = rows.collect();
    // The next page says better what is in force at its start.
    rows.dedup_by(|next, last| {
        let same = next.0 == last.0;
        if same {
            last.1 = next.1;
        }
        same
    });
    rows
}

fn describe(rule: Rule) -> String {
    let bytes = |words: i16| i64::from(words) * 8;
    let mut text = match rule.cfa_kind() {
        Cfa::Uncovered => return "uncovered".to_owned(),
        Cfa::Outermost => return "outermost".to_owned(),
        Cfa::Signal => return "signal frame".to_owned(),
        Cfa::Unsupported => return "unsupported".to_owned(),
        Cfa::Sp => format!("cfa=sp{:+}", rule.cfa_words() * 8),
        Cfa::Fp => format!("cfa=fp{:+}", rule.cfa_words() * 8),
        Cfa::Plt => format!("cfa=sp+8, +16 from byte {} of 16 on", rule.extra),
        Cfa::DerefSp => format!("cfa=*(sp{:+}){:+}", bytes(rule.cfa), bytes(rule.extra.cast_signed())),
        Cfa::DerefFp => format!("cfa=*(fp{:+}){:+}", bytes(rule.cfa), bytes(rule.extra.cast_signed())),
        Cfa::Register => format!("cfa=r{}{:+}", rule.extra, rule.cfa_words() * 8),
    };
    let sign = if rule.saved & RAMP_DOWN == 0 { '+' } else { '-' };
    for step in (0..16).filter(|step| rule.ramp() >> step & 1 == 1) {
        let _ = write!(text, " {sign}8@{}", step + 1);
    }
    let fp = bytes(rule.fp);
    text += &match rule.saved_fp() {
        SavedFp::Same => String::new(),
        SavedFp::AtCfa => format!(" fp=c{fp:+}"),
        SavedFp::AtFp => format!(" fp=*(fp{fp:+})"),
        SavedFp::AtSp => format!(" fp=*(sp{fp:+})"),
    };
    text += &match rule.return_address() {
        ReturnAddress::Default => String::new(),
        ReturnAddress::AtCfa => format!(" ra=c{:+}", bytes(rule.extra.cast_signed())),
        ReturnAddress::InRegister => format!(" ra=r{}", rule.extra),
    };
    text
}

/// Sums over files.
#[derive(Default)]
struct Sums {
    files: u64,
    bytes: u64,
    functions: u64,
    raw_rows: u64,
    unsupported_rows: u64,
    full_pages: u64,
    rows: u64,
    rows_without_ramps: u64,
    pages: u64,
    table_bytes: u64,
    most_rules: usize,
    most_rows_in_page: usize,
    rules: HashSet<Rule>,
    time: Duration,
    without: BTreeMap<&'static str, u64>,
}

fn statistics(files: &[&str]) -> anyhow::Result<()> {
    let mut sums = Sums::default();
    for file in files {
        let Ok(target) = open(file) else { continue };
        let begun = Instant::now();
        let result = build(&target, &Limits::default());
        sums.time += begun.elapsed();
        match result {
            Ok(table) => {
                sums.add(&table, target.size());
                let split = build_with(&target, &Limits::default(), Ramps::Split);
                sums.rows_without_ramps += split.map_or(0, |table| table.statistics.rows);
            }
            Err(NoTable::Malformed | NoTable::UnsupportedMachine) => {}
            Err(reason) => *sums.without.entry(reason.name()).or_default() += 1,
        }
    }
    sums.print()
}

impl Sums {
    fn add(&mut self, table: &Table, bytes: u64) {
        let statistics = table.statistics;
        self.files += 1;
        self.bytes += bytes;
        self.functions += statistics.functions;
        self.raw_rows += statistics.raw_rows;
        self.unsupported_rows += statistics.unsupported_rows;
        self.full_pages += statistics.full_pages;
        self.rows += statistics.rows;
        // As the kernel has them: an entry for each page from the first to the last.
        let span = match (table.pages.first(), table.pages.last()) {
            (Some(first), Some(last)) => u64::from(last.number - first.number) + 1,
            _ => 0,
        };
        self.pages += span;
        self.table_bytes += statistics.rows * 4 + table.rules.len() as u64 * 8 + span * 8;
        self.most_rules = self.most_rules.max(table.rules.len());
        let in_page = table.pages.iter().map(|page| page.rows.len()).max();
        self.most_rows_in_page = self.most_rows_in_page.max(in_page.unwrap_or_default());
        self.rules.extend(&table.rules);
    }

    fn print(&self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        let share = self.table_bytes as f64 / self.bytes.max(1) as f64;
        let megabytes = self.bytes as f64 / 1e6;
        let status = std::fs::read_to_string("/proc/self/status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default().trim();
        writeln!(out, "files                {}", self.files)?;
        writeln!(out, "ELF bytes            {megabytes:.1} MB")?;
        writeln!(out, "functions            {}", self.functions)?;
        writeln!(out, "rows of the files    {}", self.raw_rows)?;
        writeln!(out, "  unsupported        {}", self.unsupported_rows)?;
        writeln!(out, "rows without ramps   {}", self.rows_without_ramps)?;
        writeln!(out, "rows                 {}", self.rows)?;
        writeln!(out, "different rules      {}, at most {} in one file", self.rules.len(), self.most_rules)?;
        writeln!(out, "pages                {}, {} full", self.pages, self.full_pages)?;
        writeln!(out, "most rows in a page  {}", self.most_rows_in_page)?;
        writeln!(out, "table bytes          {}, {:.2} % of the files", self.table_bytes, share * 100.0)?;
        writeln!(out, "speed                {:.0} MB/s", megabytes / self.time.as_secs_f64())?;
        writeln!(out, "peak resident        {peak}")?;
        for (reason, count) in &self.without {
            writeln!(out, "without a table      {count} {reason}")?;
        }
        Ok(())
    }
}
