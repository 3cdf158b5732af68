//! Every program with a known stack.

use super::recipe::{Recipe, Tool};

/// One program, how it runs, and what stacks it has.
#[derive(Debug)]
pub(crate) struct Case {
    /// Short: its command name is made of it.
    pub(crate) name: &'static str,
    pub(crate) recipe: Recipe,
    /// Files that it needs, by name.
    pub(crate) libraries: &'static [(&'static str, Recipe)],
    /// `{folder}` stands for the folder of everything that is made.
    pub(crate) arguments: &'static [&'static str],
    pub(crate) start: Start,
    /// Chains ([`super::chain`]) that it must be seen in, each at least once.
    pub(crate) stacks: &'static [&'static str],
    /// Chains that are right too, but may be too rare to be seen.
    pub(crate) others: &'static [&'static str],
    /// Percentage of its samples with a user stack that must have one of these chains.
    pub(crate) share: u32,
    /// Where frame pointers do too, so that a walk of them must pass: these prove the tests themselves.
    pub(crate) has_frame_pointers: bool,
    /// The only machine that its source is for.
    machine: Option<&'static str>,
}

/// From where a program starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A file of its own.
    Plain,
    /// The same, which is deleted then, and another put in its place.
    Deleted,
    /// A file that only the program's own mount namespace has.
    Namespace,
    /// A file of so many bytes more.
    Padded(u64),
    /// As a script of this interpreter.
    By(&'static str),
    /// As a folder of classes.
    Java,
}

const fn c(sources: &'static [&'static str], flags: &'static [&'static str]) -> Recipe {
    Recipe { tool: Tool::C, sources, flags }
}

const fn of(tool: Tool, sources: &'static [&'static str], flags: &'static [&'static str]) -> Recipe {
    Recipe { tool, sources, flags }
}

const FOR_EVER: &str = "1e9";

const CALLS: Case = Case {
    name: "calls",
    recipe: c(&["calls.c"], &[]),
    libraries: &[],
    arguments: &[],
    start: Start::Plain,
    stacks: &["leaf middle outer main @start"],
    others: &[],
    share: 99,
    has_frame_pointers: false,
    machine: None,
};

const FRAME_POINTERS: [&str; 3] = ["-static", "-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer"];

const SIGNALS: Case = Case {
    recipe: c(&["signals.c"], &["-static"]),
    stacks: &["work handler __restore_rt outer main @start"],
    others: &["outer main @start"],
    ..CALLS
};

/// The library of the stubs; linked by its full path, so that it is found there.
const LIBRARY: (&str, Recipe) = ("shared.so", c(&["shared_library.c"], &["-shared", "-fPIC"]));

/// Every case.
pub(crate) const CASES: &[Case] = &[
    // Depths.
    Case {
        name: "deep5",
        recipe: c(&["tower.c"], &[]),
        arguments: &[FOR_EVER, "5"],
        stacks: &["bottom two one three two one main @start"],
        ..CALLS
    },
    Case {
        name: "deep60",
        recipe: c(&["tower.c"], &[]),
        arguments: &[FOR_EVER, "60"],
        stacks: &["bottom (three two one)*20 main @start"],
        ..CALLS
    },
    Case {
        name: "deep300",
        recipe: c(&["tower.c"], &[]),
        arguments: &[FOR_EVER, "300"],
        stacks: &["bottom (three two one)*100 main @start"],
        ..CALLS
    },
    Case {
        name: "deep900",
        recipe: c(&["tower.c"], &[]),
        arguments: &[FOR_EVER, "900"],
        stacks: &["bottom (three two one)*300 main @start"],
        ..CALLS
    },
    // The same with frame pointers, of which only the program's own part is sure.
    Case {
        name: "kept60",
        recipe: c(&["tower.c"], &FRAME_POINTERS),
        arguments: &[FOR_EVER, "60"],
        stacks: &["bottom (three two one)*20 main ..."],
        has_frame_pointers: true,
        ..CALLS
    },
    // Kinds of executables.
    Case { recipe: c(&["calls.c"], &["-O2"]), ..CALLS },
    Case { name: "static", recipe: c(&["calls.c"], &["-static"]), ..CALLS },
    Case { name: "spie", recipe: c(&["calls.c"], &["-static-pie", "-fPIE"]), ..CALLS },
    Case { name: "nopie", recipe: c(&["calls.c"], &["-no-pie"]), ..CALLS },
    Case {
        name: "cet",
        recipe: c(&["calls.c"], &["-fcf-protection=full"]),
        machine: Some("x86_64"),
        ..CALLS
    },
    // musl has no unwind information of its own: its frame is known, what called it is not.
    Case {
        name: "musl",
        recipe: of(Tool::Musl, &["calls.c"], &[]),
        stacks: &["leaf middle outer main ~libc ..."],
        ..CALLS
    },
    Case {
        name: "muslst",
        recipe: of(Tool::Musl, &["calls.c"], &["-static"]),
        stacks: &["leaf middle outer main ~libc_start ..."],
        ..CALLS
    },
    Case {
        name: "split",
        recipe: c(&["split.c", "split_cold.c"], &["-flto"]),
        stacks: &["rare split.cold ~outer main @start"],
        ..CALLS
    },
    Case { name: "padded", start: Start::Padded(1 << 30), ..CALLS },
    Case { name: "deleted", start: Start::Deleted, ..CALLS },
    Case { name: "mountns", start: Start::Namespace, ..CALLS },
    // Languages.
    Case {
        name: "thrown",
        recipe: of(Tool::Cxx, &["thrown.cc"], &[]),
        stacks: &[
            "work Guard descend*3 catcher main @start",
            "work catcher main @start",
            "work Worker apply visitor main @start",
        ],
        ..CALLS
    },
    Case {
        name: "rust",
        recipe: of(Tool::Rust, &["calls.rs"], &[]),
        stacks: &[
            "leaf middle outer main __rust_begin_short_backtrace ~lang_start+ main @start",
            "leaf middle worker __rust_begin_short_backtrace ~call_once+ ~thread_start @thread",
        ],
        ..CALLS
    },
    Case {
        name: "go",
        recipe: of(Tool::Go, &["goplain"], &[]),
        stacks: &[
            "main.leaf main.outer main.main runtime.main ~runtime.goexit",
            "main.leaf main.outer main.worker ~runtime.goexit",
        ],
        ..CALLS
    },
    Case {
        name: "cgo",
        recipe: of(Tool::Cgo, &["gocross"], &[]),
        stacks: &[
            "c_leaf c_outer ~Cfunc_c_outer ~runtime.asmcgocall runtime.cgocall main._Cfunc_c_outer main.outer \
             main.main runtime.main ~runtime.goexit",
            "main.leaf main.goBack _cgoexp_...",
        ],
        ..CALLS
    },
    // Frames that are not as most are.
    Case {
        name: "tiny",
        recipe: c(&["tiny.c"], &[]),
        stacks: &["tiny caller main @start"],
        others: &["caller main @start"],
        ..CALLS
    },
    Case {
        name: "frames",
        recipe: c(&["frames.c"], &["-mavx"]),
        stacks: &["leaf variable aligned both main @start"],
        machine: Some("x86_64"),
        ..CALLS
    },
    Case {
        name: "kept",
        recipe: c(&["kept.c", "kept_assembly.S"], &[]),
        stacks: &["leaf kept outer main @start"],
        machine: Some("x86_64"),
        ..CALLS
    },
    Case {
        name: "bare",
        recipe: c(&["bare.c", "plain_assembly.S"], &[]),
        stacks: &["leaf bare_inner bare_outer main @start"],
        machine: Some("x86_64"),
        ..CALLS
    },
    Case { name: "signal", arguments: &[FOR_EVER, "timer"], ..SIGNALS },
    Case {
        name: "sigdyn",
        recipe: c(&["signals.c"], &[]),
        arguments: &[FOR_EVER, "timer"],
        stacks: &["work handler libc.so.6 outer main @start"],
        ..SIGNALS
    },
    Case { name: "sigalt", arguments: &[FOR_EVER, "stack"], ..SIGNALS },
    Case {
        name: "sigup",
        arguments: &[FOR_EVER, "above"],
        stacks: &["work handler __restore_rt outer spinner @thread"],
        others: &["outer spinner @thread"],
        ..SIGNALS
    },
    Case {
        name: "fault",
        arguments: &[FOR_EVER, "fault"],
        stacks: &["work handler __restore_rt faulting provoke main @start"],
        machine: Some("x86_64"),
        ..SIGNALS
    },
    // Code of others.
    Case {
        name: "clock",
        recipe: c(&["clock.c"], &[]),
        stacks: &["[vdso]+ clock_gettime tick main @start"],
        others: &["clock_gettime tick main @start", ".plt|.plt.sec tick main @start", "tick main @start"],
        ..CALLS
    },
    Case {
        name: "stub",
        recipe: c(&["shared.c"], &["{folder}/shared.so"]),
        libraries: &[LIBRARY],
        stacks: &["library_add caller main @start", ".plt caller main @start"],
        others: &["caller main @start"],
        ..CALLS
    },
    Case {
        name: "stubcet",
        recipe: c(&["shared.c"], &["{folder}/shared.so", "-fcf-protection=full", "-Wl,-z,ibtplt"]),
        libraries: &[LIBRARY],
        stacks: &["library_add caller main @start", ".plt.sec caller main @start"],
        others: &["caller main @start"],
        machine: Some("x86_64"),
        ..CALLS
    },
    Case {
        name: "loader",
        recipe: c(&["loader.c"], &["-ldl"]),
        libraries: &[
            ("small.so", c(&["loader_library.c"], &["-shared", "-fPIC", "-DROOM=100"])),
            ("large.so", c(&["loader_library.c"], &["-shared", "-fPIC", "-DROOM=3000"])),
        ],
        arguments: &[FOR_EVER, "{folder}/small.so", "{folder}/large.so"],
        stacks: &["library_leaf library_work use main @start"],
        ..CALLS
    },
    Case {
        name: "reader",
        recipe: c(&["syscalls.c"], &[]),
        stacks: &["read|__read|__libc_read fill main @start"],
        ..CALLS
    },
    // Processes and threads.
    Case { name: "fork", recipe: c(&["fork.c"], &[]), ..CALLS },
    Case {
        name: "crowd",
        recipe: c(&["crowd.c"], &[]),
        stacks: &["work turn member @thread"],
        others: &["... member @thread"],
        ..CALLS
    },
    // Interpreters and their native parts, of which only the outer end is known.
    Case {
        name: "python",
        recipe: of(Tool::None, &["spin.py"], &[]),
        start: Start::By("python3"),
        stacks: &["... main @start"],
        others: &["... @thread"],
        share: 95,
        ..CALLS
    },
    Case {
        name: "node",
        recipe: of(Tool::None, &["spin.js"], &[]),
        start: Start::By("node"),
        stacks: &["... main @start"],
        others: &["... @thread"],
        share: 95,
        ..CALLS
    },
    Case {
        name: "java",
        recipe: of(Tool::Java, &["Spin.java"], &[]),
        arguments: &["-Xint", "Spin"],
        start: Start::Java,
        stacks: &["... @thread"],
        others: &["... main @start"],
        share: 95,
        ..CALLS
    },
    Case {
        name: "javagc",
        recipe: of(Tool::Java, &["Spin.java"], &[]),
        arguments: &["-Xint", "-XX:+UseParallelGC", "-Xmx256m", "Spin", "garbage"],
        start: Start::Java,
        stacks: &["... @thread"],
        others: &["... main @start"],
        share: 95,
        ..CALLS
    },
];

/// The cases that this machine can run and somebody wants.
pub(crate) fn cases() -> Vec<&'static Case> {
    let wanted = std::env::var("UNWIND_CASES").unwrap_or_default();
    let is_wanted = |case: &Case| wanted.is_empty() || wanted.split(',').any(|name| name == case.name);
    let runs_here = |case: &Case| case.machine.is_none_or(|machine| machine == std::env::consts::ARCH);
    CASES.iter().filter(|case| runs_here(case) && is_wanted(case)).collect()
}
