//! BPF programs and maps of a process tree, as `/proc/PID/fdinfo` shows them: exactly those that the
//! processes hold, whatever else is loaded on the machine.

use std::collections::BTreeMap;
use std::fs;

use super::figure::{Figure, Figures};
use super::{megabytes, process};

/// `BPF_PROG_TYPE_PERF_EVENT`: the type of every profiler's sampling program.
const SAMPLING: u64 = 7;

/// One program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Program {
    kind: u64,
    run_nanos: u64,
    runs: u64,
}

/// Programs and maps by the kernel's ids: several descriptors of one count once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Programs {
    programs: BTreeMap<u64, Program>,
    /// Memory of each map.
    maps: BTreeMap<u64, u64>,
}

/// Those of a process and its descendants.
pub(super) fn of_tree(root: u32) -> Programs {
    let mut found = Programs::default();
    for id in process::members(root) {
        for entry in fs::read_dir(format!("/proc/{id}/fdinfo")).into_iter().flatten().flatten() {
            // A descriptor closed meanwhile is not there.
            found.add(&fs::read_to_string(entry.path()).unwrap_or_default());
        }
    }
    found
}

impl Programs {
    fn add(&mut self, fdinfo: &str) {
        let field = |name: &str| {
            let line = fdinfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().parse::<u64>().ok()
        };
        // A link names a program too, but no run time.
        if let Some((id, run_nanos)) = field("prog_id").zip(field("run_time_ns")) {
            let kind = field("prog_type").unwrap_or_default();
            self.programs.insert(id, Program { kind, run_nanos, runs: field("run_cnt").unwrap_or_default() });
        }
        if let Some((id, bytes)) = field("map_id").zip(field("memlock")) {
            self.maps.insert(id, bytes);
        }
    }

    /// Whether one of them holds a map.
    pub(super) fn has_map(&self, id: u64) -> bool {
        self.maps.contains_key(&id)
    }

    /// Whether one of them takes samples.
    pub(super) fn is_sampling(&self) -> bool {
        self.programs.values().any(|program| program.kind == SAMPLING)
    }

    /// Run times and runs since `earlier`; memory as it is now.
    pub(super) fn since(mut self, earlier: &Self) -> Self {
        for (id, program) in &mut self.programs {
            let before = earlier.programs.get(id).copied().unwrap_or_default();
            program.run_nanos = program.run_nanos.saturating_sub(before.run_nanos);
            program.runs = program.runs.saturating_sub(before.runs);
        }
        self
    }

    /// Figures of a time that took so many seconds; none of a profiler without BPF.
    #[expect(clippy::cast_precision_loss, reason = "a minute has far fewer than 2^53 nanoseconds")]
    pub(super) fn figures(&self, seconds: f64) -> Figures {
        let mut figures = Figures::new();
        let sampling = || self.programs.values().filter(|program| program.kind == SAMPLING);
        let runs: u64 = sampling().map(|program| program.runs).sum();
        let run_nanos: u64 = sampling().map(|program| program.run_nanos).sum();
        if runs > 0 {
            figures.insert(Figure::BpfNanosPerSample, run_nanos as f64 / runs as f64);
        }
        if !self.programs.is_empty() {
            let all: u64 = self.programs.values().map(|program| program.run_nanos).sum();
            figures.insert(Figure::BpfPercent, all as f64 / 1e9 / seconds * 100.0);
            figures.insert(Figure::MapMegabytes, megabytes(self.maps.values().sum()));
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As kernel 6.18 writes it, shortened.
    fn program(id: u64, kind: u64, nanos: u64, runs: u64) -> String {
        format!(
            "pos:\t0\nflags:\t02000002\nprog_type:\t{kind}\nprog_jited:\t1\nmemlock:\t4096\nprog_id:\t{id}\n\
             run_time_ns:\t{nanos}\nrun_cnt:\t{runs}\n"
        )
    }

    const MAP: &str = "map_type:\t27\nkey_size:\t0\nmax_entries:\t524288\nmemlock:\t1048576\nmap_id:\t44\n";

    fn programs(texts: &[&str]) -> Programs {
        let mut programs = Programs::default();
        texts.iter().for_each(|text| programs.add(text));
        programs
    }

    #[test]
    fn the_cost_of_a_sample_is_that_of_the_sampling_program() {
        let before = programs(&[&program(1, SAMPLING, 1000, 10), &program(2, 17, 0, 0)]);
        let after = programs(&[&program(1, SAMPLING, 6000, 20), &program(2, 17, 5000, 1), MAP, MAP]);
        let expected = Figures::from([
            (Figure::BpfNanosPerSample, 500.0),
            (Figure::BpfPercent, 0.0005),
            (Figure::MapMegabytes, 1.0),
        ]);
        assert_eq!(after.since(&before).figures(2.0), expected);
    }

    #[test]
    fn what_is_no_bpf_gives_no_figure() {
        let link = "link_type:\tperf\nlink_id:\t3\nprog_tag:\tabc\nprog_id:\t1\n";
        for text in ["pos:\t0\nflags:\t02\nmnt_id:\t15\n", link, ""] {
            assert_eq!(programs(&[text]).figures(1.0), Figures::new(), "{text}");
        }
    }
}
