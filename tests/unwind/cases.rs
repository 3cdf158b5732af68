//! The programs, and the chain of calls that each is known to have.

use super::build::{AVX_AND_FRAME_POINTERS, Build, FRAME_POINTERS, c, cpp, linked, musl};
use super::chain::Chain;

/// One program to profile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) build: Build,
    /// An argument that is the name of a library stands for its path.
    pub(crate) arguments: &'static [&'static str],
    /// Its chains, the innermost function first, as [`super::chain`] reads them, without what starts it.
    chains: &'static [&'static [&'static str]],
    start: Start,
    pub(crate) place: Place,
    /// Share of samples whose stack must be a chain, or a chain whose innermost functions are not called.
    pub(crate) share: f64,
    /// Share of samples that must have the whole chain: the rest may be on the way to its end and back.
    pub(crate) reached: f64,
}

/// The cases of a table that are to run: all, or those that the variable `UNWIND_CASES` names, separated by
/// commas.
pub(crate) fn selected(cases: &'static [Case]) -> Vec<&'static Case> {
    let wanted = std::env::var("UNWIND_CASES").unwrap_or_default();
    let is_wanted = |case: &&Case| wanted.is_empty() || wanted.split(',').any(|name| name == case.name);
    cases.iter().filter(is_wanted).collect()
}

/// What called the outermost function of a chain.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// `main`, in a program that is linked with glibc.
    Glibc,
    /// The same, linked statically.
    Static,
    /// `main`, and musl; its own code has no tables, so that nothing is expected of what is above it.
    Musl,
    /// glibc's start of a thread.
    Thread,
    /// The chain itself says it.
    Said,
    /// `main`, and then anything: what can be asked of who follows frame pointers.
    Main,
}

impl Start {
    fn links(self) -> &'static [&'static str] {
        match self {
            // The first came with glibc 2.34.
            Self::Glibc => {
                &["main", "?libc.so.6!__libc_start_call_main", "libc.so.6!__libc_start_main%", "_start"]
            }
            Self::Static => &["main", "?__libc_start_call_main", "__libc_start_main%", "_start"],
            Self::Musl => &["main", "~%!%"],
            Self::Thread => &["libc.so.6!start_thread", "libc.so.6!%clone3"],
            Self::Said => &[],
            Self::Main => &["main", "~%!%"],
        }
    }
}

/// Where the program's file is when it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a folder of its own, under another name.
    Copied,
    /// The same, until it runs: then another program is in its place.
    Replaced,
    /// In a file system that only the mount namespace of the program has.
    OtherNamespace,
    /// Copied, and made larger than a gigabyte.
    Huge,
    /// Where the distribution has it; only a link to it has another name.
    Linked,
}

const fn case(name: &'static str, build: Build, chains: &'static [&'static [&'static str]]) -> Case {
    Case {
        name,
        build,
        arguments: &[],
        chains,
        start: Start::Glibc,
        place: Place::Copied,
        share: 0.99,
        reached: 0.9,
    }
}

impl Case {
    const fn with(self, arguments: &'static [&'static str]) -> Self {
        Self { arguments, ..self }
    }

    const fn from(self, start: Start) -> Self {
        Self { start, ..self }
    }

    const fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    const fn share(self, share: f64) -> Self {
        Self { share, ..self }
    }

    const fn reached(self, reached: f64) -> Self {
        Self { reached, ..self }
    }

    /// Its chains with all that belongs to them.
    pub(crate) fn chains(&self) -> Vec<Chain> {
        let chain = |links: &&[&'static str]| Chain::parse(links.iter().chain(self.start.links()).copied());
        self.chains.iter().map(chain).collect()
    }
}

const LAYERS: &[&[&str]] = &[&["leaf", "inner", "middle", "outer"]];
const DEEP: &[&str] = &["../../workloads/deep.c"];
const SIGNAL_SOURCE: &[&str] = &["../../workloads/signal.c"];

/// Programs that keep frame pointers.
pub(crate) const WITH_FRAME_POINTERS: &[Case] = &[
    case("layers-fp", c(&["layers.c"], FRAME_POINTERS), LAYERS).from(Start::Main),
    case("deep-fp", c(DEEP, FRAME_POINTERS), &[&["bottom", "60*descend"]])
        .with(&["600", "60"])
        .from(Start::Main),
    case(
        "realign-fp",
        c(&["realign.c"], AVX_AND_FRAME_POINTERS),
        &[&["leaf", "both", "variable", "aligned"]],
    )
    .from(Start::Main),
];

/// Programs that map another file where one was, without frame pointers.
pub(crate) const REMAPPED: &[Case] = &[case("reload", c(&["reload.c"], &[]), RELOAD)
    .with(&["libfirst.so", "libsecond.so"])
    .share(0.8)
    .reached(0.8)];

/// Programs for kernels that walk a stack in steps, which reach 256 frames.
pub(crate) const IN_STEPS: &[Case] = &[
    case("layers-steps", c(&["layers.c"], &[]), LAYERS),
    case("deep-200-steps", c(DEEP, &[]), &[&["bottom", "200*descend"]]).with(&["600", "200"]),
    case("large-steps", c(&["large.c"], &[]), &[&["leaf", "far", "large"]]),
];

/// Programs that do not, and those that are not built but installed.
pub(crate) const WITHOUT_FRAME_POINTERS: &[Case] = &[
    case("layers", c(&["layers.c"], &[]), LAYERS),
    case("static", c(&["layers.c"], &["-static"]), LAYERS).from(Start::Static),
    case("static-pie", c(&["layers.c"], &["-static-pie", "-fPIE"]), LAYERS).from(Start::Static),
    case("musl", musl(&["layers.c"], &[]), LAYERS).from(Start::Musl),
    case("musl-static", musl(&["layers.c"], &["-static"]), LAYERS).from(Start::Musl),
    case("cet", c(&["layers.c"], &["-fcf-protection=full"]), LAYERS),
    case("unoptimised", c(&["layers.c"], &["-O0"]), LAYERS),
    case("replaced", c(&["layers.c"], &[]), LAYERS).at(Place::Replaced),
    case("namespace", c(&["layers.c"], &[]), LAYERS).at(Place::OtherNamespace),
    case("huge", c(&["layers.c"], &[]), LAYERS).at(Place::Huge),
    case("deep-5", c(DEEP, &[]), &[&["bottom", "5*descend"]]).with(&["600", "5"]),
    case("deep-60", c(DEEP, &[]), &[&["bottom", "60*descend"]]).with(&["600", "60"]),
    case("deep-300", c(DEEP, &[]), &[&["bottom", "300*descend"]]).with(&["600", "300"]),
    case("deep-900", c(DEEP, &[]), &[&["bottom", "900*descend"]]).with(&["600", "900"]),
    case("prologue", c(&["prologue.c"], &[]), &[&["tiny", "hammer"]]).reached(0.5),
    case("large", c(&["large.c"], &[]), &[&["leaf", "far", "large"]]),
    case("realign", c(&["realign.c"], &["-mavx"]), &[&["leaf", "both", "variable", "aligned"]]),
    case(
        "split",
        c(&["split.c"], &["-flto", "-freorder-blocks-and-partition"]),
        &[&["leaf", "split.cold", "outer"]],
    ),
    case("assembly", c(&["assembly.c", "assembly.S"], &[]), &[&["leaf", "by_expression", "outer"]]),
    case("bare", c(&["assembly.c", "assembly.S"], &[]), &[&["leaf", "bare", "outer"]]).with(&["bare"]),
    case("stub", linked(&["stub.c"], &["-Wl,-z,lazy"], &["libstub.so"]), STUB).reached(0.2),
    case("stub-cet", linked(&["stub.c"], &["-Wl,-z,lazy", "-fcf-protection=full"], &["libstub.so"]), STUB)
        .reached(0.2),
    case(
        "clock",
        c(&["clock.c"], &[]),
        &[&["~[vdso]!%", "?libc.so.6!%clock_gettime%", "caller"], &["[plt]", "caller"]],
    ),
    case("forks", c(&["forks.c"], &[]), &[&["leaf", "child", "parent"], &[LOADER, "?child", "parent"]]),
    case("crowd", c(&["crowd.c"], &[]), &[&["leaf", "member"], &[LOADER, "doze", "member"]])
        .with(&["2000"])
        .from(Start::Thread),
    case("reading", c(&["../../workloads/syscalls.c"], &[]), &[&["libc.so.6!read", "fill"], &[LOADER]]),
    case("signal", c(SIGNAL_SOURCE, &[]), SIGNAL),
    case("signal-below", c(SIGNAL_SOURCE, &[]), SIGNAL).with(&["600", "below"]),
    case("signal-above", c(SIGNAL_SOURCE, &[]), SIGNAL).with(&["600", "above"]),
    case("signal-prologue", c(SIGNAL_SOURCE, &[]), SIGNAL).with(&["600", "prologue"]),
    case("templates", cpp(&["templates.cc"], &[]), TEMPLATES),
    case("adapters", Build::Rust("adapters.rs"), ADAPTERS),
    case("gochain", Build::Go("gochain", false), GO).from(Start::Said),
    case("cgo", Build::Go("cgo", true), CGO).from(Start::Said),
    case("cgo-callback", Build::Go("cgo", true), CGO_CALLBACK).from(Start::Said).with(&["callback"]),
    case("python", Build::Installed(PYTHON, "python3"), ANY_PROCESS)
        .with(&["spin.py"])
        .at(Place::Linked)
        .from(Start::Said)
        .share(0.95),
    case("node", Build::Installed(&["sh", "-c", "command -v node"], "nodejs"), ANY_PROCESS)
        .with(&["spin.js"])
        .at(Place::Linked)
        .from(Start::Said)
        .share(0.95),
    case("java", Build::Installed(&["sh", "-c", "command -v java"], "default-jre-headless"), ANY_PROCESS)
        .with(JAVA)
        .at(Place::Linked)
        .from(Start::Said)
        .share(0.95),
];

const STUB: &[&[&str]] = &[&["libstub.so!empty", "hammer"], &["[plt]", "hammer"]];

const RELOAD: &[&[&str]] = &[
    &["libfirst.so!leaf", "libfirst.so!first_work", "alternate"],
    &["libsecond.so!leaf", "libsecond.so!second_work", "alternate"],
    &[LOADER, "alternate"],
];

/// Whatever the loader and the C library do.
const LOADER: &str = "~libc.so.6|ld-linux-x86-64.so.2|[vdso]!%";

const SIGNAL: &[&[&str]] = &[
    &["handle", "handler", "libc.so.6!__restore_rt", "?tiny", "interrupted", "outer"],
    &["?tiny", "interrupted", "outer"],
];

/// Names as the linker has them: `layer<1>(int)` and so on.
const TEMPLATES: &[&[&str]] = &[
    &["leaf", "catcher%", "_Z5layerILi1EEii", "_Z5layerILi2EEii", "_Z5layerILi3EEii", "outer"],
    // On the way from the throw to the catch.
    &[
        "~libgcc_s.so.1|libstdc++.so.6%|libc.so.6|ld-linux-x86-64.so.2!%",
        "?thrower%",
        "?catcher%",
        "_Z5layerILi1EEii",
        "_Z5layerILi2EEii",
        "_Z5layerILi3EEii",
        "outer",
    ],
];

/// Every closure is called through a table, so that each has a frame. Which of the library's functions have
/// one is the compiler's choice.
const ADAPTERS: &[&[&str]] = &[&[
    "leaf",
    "inner",
    "%boxed%",
    "~%core%",
    "%boxed%",
    "~%core%",
    "%boxed%",
    "~%core%",
    "%boxed%",
    "~%core%",
    "%boxed%",
    "outer",
    "%adapters%main%",
    "~%std%",
]];

/// The main goroutine, and now and then the runtime's own work. A leaf without a frame saves no frame pointer,
/// so that who follows those does not see its caller.
const GO: &[&[&str]] = &[
    &["main.leaf", "main.middle", "main.outer", "main.main", "runtime.main", "runtime.goexit%"],
    RUNTIME_THREAD,
];

/// The runtime's own work in one of its threads, which C makes where there is C.
const RUNTIME_THREAD: &[&str] = &[
    "runtime.%",
    "~runtime.%",
    "~%crosscall%",
    "?threadentry",
    "?libc.so.6!start_thread",
    "?libc.so.6!%clone3",
];

/// C runs on another stack than the goroutine that called it. Who finds the way back goes on to `main.main`.
/// The C compiler makes a jump of the call in `_cgo_..._Cfunc_work`.
const CGO: &[&[&str]] = &[
    &["leaf", "work", "?_cgo_%_Cfunc_work", "runtime.asmcgocall%"],
    &[
        "leaf",
        "work",
        "?_cgo_%_Cfunc_work",
        "runtime.asmcgocall%",
        "?runtime.cgocall",
        "main._Cfunc_work%",
        "main.outer",
        "main.main",
        "runtime.main",
        "runtime.goexit%",
    ],
    RUNTIME_THREAD,
];

/// Back in Go, the goroutine's own stack leads past the C functions to whoever called them; or else the
/// stack of the C functions goes on.
const CGO_CALLBACK: &[&[&str]] = &[
    &[
        "main.spinInGo",
        "?main.called",
        "_cgoexp_%_called",
        "runtime.cgocallbackg1",
        "~runtime.cgocallbackg%",
        "runtime.cgocallback%",
    ],
    &[
        "main.spinInGo",
        "?main.called",
        "_cgoexp_%_called",
        "runtime.cgocallbackg1",
        "~runtime.cgocallbackg%",
        "runtime.cgocallback%",
        "?runtime.systemstack_switch%",
        "?runtime.cgocall",
        "main._Cfunc_bounce%",
        "main.outer",
        "main.main",
        "runtime.main",
        "runtime.goexit%",
    ],
    &[
        "main.spinInGo",
        "?main.called",
        "_cgoexp_%_called",
        "runtime.cgocallbackg1",
        "~runtime.cgocallbackg%",
        "runtime.cgocallback%",
        "crosscall2%",
        "called",
        "bounce",
        "?_cgo_%_Cfunc_bounce",
        "runtime.asmcgocall%",
        "?runtime.cgocall",
        "main._Cfunc_bounce%",
        "main.outer",
        "main.main",
        "runtime.main",
        "runtime.goexit%",
    ],
    RUNTIME_THREAD,
];

/// The interpreter itself, not a script that finds it.
const PYTHON: &[&str] = &["python3", "-c", "import sys; print(sys.executable)"];

/// Work in the interpreter, whose frames are linked by frame pointers.
const JAVA: &[&str] = &[
    "-Xint",
    "sun.security.tools.keytool.Main",
    "-genkeypair",
    "-alias",
    "a",
    "-dname",
    "CN=a",
    "-storepass",
    "password",
    "-keyalg",
    "RSA",
    "-keysize",
    "16384",
    "-keystore",
    "/proc/self/fd/none",
];

/// Whatever it does, it does it in the first thread or in another.
const ANY_PROCESS: &[&[&str]] = &[
    &["~%!%", "?libc.so.6!__libc_start_call_main", "libc.so.6!__libc_start_main%", "_start"],
    &["~%!%", "libc.so.6!start_thread", "libc.so.6!%clone3"],
];
