//! Whether what the agent said in the virtual machine is true: its profiles are compared with what the
//! programs are known to do.

use anyhow::Result;

use super::chain::{begins_with, is_kernel, text};
use super::initramfs::{CONTAINED, Contents, OBJECTS, PROFILE_SECONDS};
use super::placement;
use super::report::Report;
use super::unaided;
use crate::metrics::Metrics;
use crate::pprof::{Profile, Sample};
use crate::symbols::Symbols;

/// One thing that has to hold.
#[derive(Debug)]
pub(super) struct Check {
    /// `OBJECT: WHAT`.
    pub(super) name: String,
    /// Why it does not.
    pub(super) result: Result<(), String>,
}

/// Samples of a program that has a processor to itself.
const SAMPLES: f64 = PROFILE_SECONDS as f64 * 100.0;

/// Bounds of the samples that arrive, as shares of [`SAMPLES`]. A host that is busy takes time from the
/// machine without telling it, and timers that are late are skipped; none ever fires too often.
const DELIVERED: std::ops::RangeInclusive<f64> = 0.5..=1.1;

/// Bounds of the share of `leaf` among the samples of `chain`, which spends three quarters there. The
/// deviation expected of 300 samples is 0.025.
const LEAF_SHARE: std::ops::RangeInclusive<f64> = 0.65..=0.85;

/// Share of samples with the stack that the program has. The rest is of moments in which it calls the
/// clock, enters or leaves a function.
pub(super) const WHOLE_STACKS: f64 = 0.95;

/// A function that every read of a file goes through, and that has a frame in all the kernels.
const KERNEL_FUNCTION: &str = "vfs_read";

/// The stacks of `chain` from the inside out, without what starts `main`.
const LEAF: &[&str] = &["leaf", "middle", "outer", "main"];
const BRIEF: &[&str] = &["brief", "outer", "main"];

/// Checks everything about every object.
pub(super) fn all(report: &Report, contents: &Contents) -> Result<Vec<Check>> {
    let chain = contents.symbols("chain")?;
    let syscalls = contents.symbols("syscalls")?;
    let unaided = unaided::Programs::of(contents)?;
    let mut checks = Vec::new();
    for object in OBJECTS {
        let of_chain = profile(report, object, "chain");
        let of_syscalls = profile(report, object, "syscalls");
        let mut add = |what, result| checks.push(Check { name: format!("{object}: {what}"), result });
        add("user stacks", of_chain.as_ref().map_err(Clone::clone).and_then(|it| user_stacks(it, &chain)));
        add(
            "kernel stacks",
            of_syscalls.as_ref().map_err(Clone::clone).and_then(|it| kernel_stacks(it, &syscalls)),
        );
        add("samples", of_chain.and_then(|it| number(&it)).and(of_syscalls.and_then(|it| number(&it))));
        unaided.check(object, |program| profile(report, object, program), &mut add);
        add("labels", placement::labels(report, object));
        add("accounts", accounts(report, object));
        add("exit", exit(report, object));
    }
    let of_chain = profile(report, CONTAINED, "chain");
    let mut add = |what, result| checks.push(Check { name: format!("{CONTAINED}: {what}"), result });
    add("user stacks", of_chain.and_then(|it| user_stacks_of_contained(&it, &chain)));
    add("accounts", accounts_of_contained(report));
    add("exit", exit(report, CONTAINED));
    Ok(checks)
}

/// The profile of one program.
fn profile(report: &Report, object: &str, program: &str) -> Result<Profile, String> {
    let name = format!("{object}.{program}");
    if let Some(bytes) = report.files.get(&name) {
        return Profile::decode(bytes).map_err(|error| format!("{name}: {error:#}"));
    }
    if report.failed.contains(&format!("{object}.ready")) {
        Err("the agent did not become ready".to_owned())
    } else if report.done {
        Err(format!("the agent gave no profile of {program}"))
    } else {
        Err("the machine did not come so far".to_owned())
    }
}

/// Both stacks of `chain` are there, whole and in order, and share the time as the program does.
fn user_stacks(profile: &Profile, symbols: &Symbols) -> Result<(), String> {
    let count = |expected: &[&str]| {
        let matching = profile.samples.iter().filter(|sample| begins_with(sample, symbols, expected));
        matching.map(|sample| sample.count).sum::<u64>()
    };
    let (leaf, brief, total) = (count(LEAF), count(BRIEF), profile.total());
    if ratio(leaf + brief, total) < WHOLE_STACKS {
        let example = profile
            .samples
            .iter()
            .find(|sample| !begins_with(sample, symbols, LEAF) && !begins_with(sample, symbols, BRIEF));
        let example = example.map(|sample| text(sample, symbols)).unwrap_or_default();
        return Err(format!("{} of {total} stacks are whole; another is {example}", leaf + brief));
    }
    let share = ratio(leaf, leaf + brief);
    if !LEAF_SHARE.contains(&share) {
        return Err(format!("leaf has {share:.2} of the samples, not three quarters"));
    }
    Ok(())
}

/// The program that the agent has beside it in a pid namespace is found under its id there: its stacks lead to `main`.
fn user_stacks_of_contained(profile: &Profile, symbols: &Symbols) -> Result<(), String> {
    let is_chain =
        |sample: &&Sample| begins_with(sample, symbols, LEAF) || begins_with(sample, symbols, BRIEF);
    let whole: u64 = profile.samples.iter().filter(is_chain).map(|sample| sample.count).sum();
    let total = profile.total();
    if ratio(whole, total) < 0.5 {
        return Err(format!("{whole} of {total} stacks are whole"));
    }
    Ok(())
}

/// The stacks of `syscalls` lead from the kernel's read to its own `main`.
fn kernel_stacks(profile: &Profile, symbols: &Symbols) -> Result<(), String> {
    let leads = |sample: &&Sample| {
        let mut frames = sample.frames.iter();
        frames.any(|frame| is_kernel(frame) && frame.functions.iter().any(|name| name == KERNEL_FUNCTION))
            && frames.any(|frame| !is_kernel(frame) && symbols.name(frame.address) == Some("main"))
    };
    let whole: u64 = profile.samples.iter().filter(leads).map(|sample| sample.count).sum();
    let total = profile.total();
    // A part of each call is before and after the function.
    if ratio(whole, total) < 0.8 {
        let example = profile.samples.iter().find(|sample| !leads(sample));
        let example = example.map(|sample| text(sample, symbols)).unwrap_or_default();
        return Err(format!("{whole} of {total} stacks lead to {KERNEL_FUNCTION}; another is {example}"));
    }
    Ok(())
}

/// As many samples as the time has, and a time as long as was asked for.
fn number(profile: &Profile) -> Result<(), String> {
    let total = profile.total();
    if !DELIVERED.contains(&(as_float(total) / SAMPLES)) {
        return Err(format!("{total} samples where {SAMPLES} are expected"));
    }
    let seconds = as_float(profile.duration_nanos) / 1e9;
    if (seconds - f64::from(PROFILE_SECONDS)).abs() > 1.0 {
        return Err(format!("the profile covers {seconds:.1} s, not {PROFILE_SECONDS}"));
    }
    if profile.period_nanos != 10_000_000 {
        return Err(format!("the period is {} ns, not 10 ms", profile.period_nanos));
    }
    Ok(())
}

/// Every sample taken is written, on its way, or lost for a known reason; and none is lost here.
fn accounts(report: &Report, object: &str) -> Result<(), String> {
    let text = report.files.get(&format!("{object}.metrics")).ok_or("the agent gave no metrics")?;
    let metrics = Metrics::parse(&String::from_utf8_lossy(text));
    let [taken, written, queued, dropped] =
        ["samples_taken_total", "samples_written_total", "samples_queued", "samples_dropped_total"]
            .map(|name| metrics.sum(name));
    if taken == 0.0 || dropped > 0.0 || taken != written + queued + dropped {
        return Err(format!("{taken} samples taken: {written} written, {queued} queued, {dropped} dropped"));
    }
    Ok(())
}

/// The same, but that samples of processes are lost which the agent's `/proc` does not show.
fn accounts_of_contained(report: &Report) -> Result<(), String> {
    let text = report.files.get(&format!("{CONTAINED}.metrics")).ok_or("the agent gave no metrics")?;
    let metrics = Metrics::parse(&String::from_utf8_lossy(text));
    let [taken, written, queued, dropped] =
        ["samples_taken_total", "samples_written_total", "samples_queued", "samples_dropped_total"]
            .map(|name| metrics.sum(name));
    let outside = metrics.sum_with("samples_dropped_total", "reason=\"outside_pid_namespace\"");
    if outside == 0.0 || outside != dropped || written == 0.0 || taken != written + queued + dropped {
        return Err(format!(
            "{taken} samples taken: {written} written, {queued} queued, {dropped} dropped, {outside} of them of outside"
        ));
    }
    Ok(())
}

/// The agent ended when told, and without complaint.
fn exit(report: &Report, object: &str) -> Result<(), String> {
    match report.statuses.get(object) {
        Some(0) => Ok(()),
        Some(status) => Err(format!("exit status {status}: {}", last_line(report, object))),
        None => Err("the agent was not stopped".to_owned()),
    }
}

fn last_line(report: &Report, object: &str) -> String {
    let log = report.files.get(&format!("{object}.log")).map(Vec::as_slice).unwrap_or_default();
    String::from_utf8_lossy(log).lines().last().unwrap_or("it said nothing").to_owned()
}

pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { as_float(part) / as_float(whole) }
}

#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds of seconds are far below 2^53")]
fn as_float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pprof::Frame;

    /// Functions of 16 bytes, from 0x1000 on.
    const NAMES: [&str; 5] = ["main", "outer", "middle", "leaf", "brief"];

    fn symbols() -> Symbols {
        let lines =
            NAMES.iter().enumerate().map(|(index, name)| format!("{:x} 10 T {name}", 0x1000 + index * 16));
        Symbols::parse(&lines.collect::<Vec<_>>().join("\n"))
    }

    fn user(name: &str) -> Frame {
        let index = NAMES.iter().position(|known| *known == name).unwrap() as u64;
        Frame { address: 0x1008 + index * 16, mapping: "/bin/chain".to_owned(), functions: vec![] }
    }

    fn kernel(name: &str) -> Frame {
        Frame { address: 0, mapping: "[kernel.kallsyms]".to_owned(), functions: vec![name.to_owned()] }
    }

    fn profile(stacks: &[(u64, Vec<Frame>)]) -> Profile {
        let sample = |(count, frames): &(u64, Vec<Frame>)| Sample {
            count: *count,
            frames: frames.clone(),
            ..Sample::default()
        };
        let samples = stacks.iter().map(sample).collect();
        Profile {
            samples,
            duration_nanos: u64::from(PROFILE_SECONDS) * 1_000_000_000,
            period_nanos: 10_000_000,
            ..Profile::default()
        }
    }

    fn stack(names: &[&str]) -> Vec<Frame> {
        names.iter().map(|name| user(name)).collect()
    }

    #[test]
    fn user_stacks_are_whole_in_order_and_in_proportion() {
        let good = profile(&[(225, stack(LEAF)), (75, stack(BRIEF)), (5, stack(&["main"]))]);
        assert_eq!(user_stacks(&good, &symbols()), Ok(()));
        let cases = [
            ("whole", profile(&[(225, stack(LEAF)), (75, stack(&["brief", "main"]))])),
            ("whole", profile(&[(225, stack(&["leaf", "outer", "middle", "main"])), (75, stack(BRIEF))])),
            ("three quarters", profile(&[(150, stack(LEAF)), (150, stack(BRIEF))])),
            ("whole", profile(&[])),
        ];
        for (reason, wrong) in cases {
            let error = user_stacks(&wrong, &symbols()).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn kernel_stacks_lead_from_the_kernel_to_main() {
        let whole = vec![kernel("clear_user"), kernel("vfs_read"), user("main")];
        assert_eq!(kernel_stacks(&profile(&[(300, whole.clone())]), &symbols()), Ok(()));
        let unnamed = vec![kernel("[kernel]"), user("main")];
        let cut = vec![kernel("clear_user"), kernel("vfs_read")];
        let reversed = whole.into_iter().rev().collect();
        for wrong in [unnamed, cut, reversed] {
            assert!(kernel_stacks(&profile(&[(300, wrong)]), &symbols()).is_err());
        }
    }

    #[test]
    fn too_few_and_too_many_samples_are_wrong() {
        let cases = [(500, true), (251, true), (249, false), (551, false), (1000, false)];
        for (count, expected) in cases {
            assert_eq!(number(&profile(&[(count, stack(LEAF))])).is_ok(), expected, "{count}");
        }
    }

    #[test]
    fn stacks_of_a_contained_program_are_whole_for_the_most_part() {
        let cut = stack(&["leaf", "middle"]);
        let good = profile(&[(50, stack(LEAF)), (10, stack(BRIEF)), (40, cut.clone())]);
        assert_eq!(user_stacks_of_contained(&good, &symbols()), Ok(()));
        for wrong in [profile(&[(40, stack(LEAF)), (60, cut)]), profile(&[])] {
            assert!(user_stacks_of_contained(&wrong, &symbols()).is_err());
        }
    }

    #[test]
    fn what_is_lost_of_a_contained_agent_is_outside() {
        for (taken, written, outside, other, expected) in [
            (10, 4, 6, 0, true),
            (10, 4, 5, 1, false),
            (10, 10, 0, 0, false),
            (10, 0, 10, 0, false),
            (11, 4, 6, 0, false),
        ] {
            let text = format!(
                "parca_agent_samples_taken_total {taken}\nparca_agent_samples_written_total {written}\n\
                 parca_agent_samples_dropped_total{{reason=\"outside_pid_namespace\"}} {outside}\n\
                 parca_agent_samples_dropped_total{{reason=\"ring_full\"}} {other}\n"
            );
            let mut report = Report::default();
            report.files.insert("contained.metrics".to_owned(), text.into_bytes());
            assert_eq!(
                accounts_of_contained(&report).is_ok(),
                expected,
                "{taken} {written} {outside} {other}"
            );
        }
    }

    #[test]
    fn accounts_balance_and_show_no_loss() {
        let cases =
            [((10, 6, 4, 0), true), ((10, 6, 3, 0), false), ((10, 6, 3, 1), false), ((0, 0, 0, 0), false)];
        for ((taken, written, queued, dropped), expected) in cases {
            let text = format!(
                "parca_agent_samples_taken_total {taken}\nparca_agent_samples_written_total {written}\n\
                 parca_agent_samples_queued{{stage=\"window\"}} {queued}\n\
                 parca_agent_samples_dropped_total{{reason=\"a\"}} {dropped}\n"
            );
            let mut report = Report::default();
            report.files.insert("modern.metrics".to_owned(), text.into_bytes());
            assert_eq!(accounts(&report, "modern").is_ok(), expected, "{taken} {written} {queued} {dropped}");
        }
        assert!(accounts(&Report::default(), "modern").is_err());
    }

    #[test]
    fn an_agent_that_fails_is_quoted() {
        let mut report = Report::default();
        assert_eq!(exit(&report, "modern"), Err("the agent was not stopped".to_owned()));
        report.statuses.insert("modern".to_owned(), 77);
        report.files.insert("modern.log".to_owned(), b"starting\nno ring buffer\n".to_vec());
        assert_eq!(exit(&report, "modern"), Err("exit status 77: no ring buffer".to_owned()));
        report.statuses.insert("modern".to_owned(), 0);
        assert_eq!(exit(&report, "modern"), Ok(()));
    }
}
