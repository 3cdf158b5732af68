//! What each job needs of the machine, and what of it is not there.

use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use super::venv::Venv;
use super::{apt, bpf, grpc, zig};
use crate::command;
use crate::toolchain::Machine;
use crate::workspace;

/// The jobs, by what they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// The agent's binary for this machine.
    Build,
    /// All tests, including kernels booted in a virtual machine.
    Test,
    /// Static binaries for both architectures.
    Dist,
    /// Kernels of the other architecture, and programs for them.
    Foreign,
    /// Comparison with other profilers.
    Bench,
}

impl FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "build" => Ok(Self::Build),
            "test" => Ok(Self::Test),
            "dist" => Ok(Self::Dist),
            "foreign" => Ok(Self::Foreign),
            "bench" => Ok(Self::Bench),
            _ => Err(format!("`{text}` is none of build, test, dist, foreign, bench")),
        }
    }
}

/// One thing that is not there.
pub(super) struct Missing {
    pub(super) what: String,
    pub(super) why: &'static str,
    pub(super) remedy: Remedy,
}

/// How a missing thing is put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// A package of the distribution.
    Package(&'static str),
    BpfCompiler,
    BpfLinker,
    MuslSource,
    Venv(Venv),
    Mount {
        kind: &'static str,
        target: &'static str,
    },
    /// Something the user has to choose how to install.
    ByHand(&'static str),
}

impl Remedy {
    pub(super) fn package(&self) -> Option<&'static str> {
        match self {
            Self::Package(package) => Some(package),
            _ => None,
        }
    }
}

/// A program of the distribution: satisfied by a command of that name, wherever it came from, or by the
/// package.
struct Program {
    command: &'static str,
    package: &'static str,
    why: &'static str,
}

const TEST_PROGRAMS: &[Program] = &[
    Program {
        command: "qemu-system-x86_64",
        package: "qemu-system-x86",
        why: "boots the kernels of vm-test",
    },
    Program { command: "bpftool", package: "bpftool", why: "reads what the agent loaded" },
    Program { command: "go", package: "golang-go", why: "go tool pprof reads the agent's profiles" },
    Program { command: "gcc", package: "gcc", why: "compiles programs to profile" },
    Program { command: "g++", package: "g++", why: "compiles programs to profile" },
    Program { command: "musl-gcc", package: "musl-tools", why: "compiles programs to profile" },
    Program { command: "python3", package: "python3", why: "a program to profile" },
    Program { command: "node", package: "nodejs", why: "a program to profile" },
    Program { command: "java", package: "default-jre-headless", why: "a program to profile" },
    Program { command: "systemctl", package: "systemd", why: "a service manager whose units are profiled" },
    Program { command: "dbus-daemon", package: "dbus-daemon", why: "the bus of that service manager" },
    Program { command: "dockerd", package: "docker.io", why: "runs containers to profile" },
    Program { command: "containerd", package: "containerd", why: "runs pods to profile" },
    Program { command: "runc", package: "runc", why: "runs containers to profile" },
    Program { command: "podman", package: "podman", why: "runs containers to profile" },
    Program {
        command: "llvm-symbolizer",
        package: "llvm",
        why: "names addresses by debug files that the agent made",
    },
    Program { command: "addr2line", package: "binutils", why: "the same, by other code" },
    Program { command: "eu-elflint", package: "elfutils", why: "judges these debug files" },
    Program { command: "dpkg-deb", package: "dpkg", why: "unpacks the kernels of vm-test" },
];

/// What no command shows: a command `busybox` may be any build of it, and only this package's is static.
const TEST_PACKAGES: &[(&str, &str)] = &[
    ("busybox-static", "user space of the kernels of vm-test"),
    ("libc6-dbg", "names of the C library's own functions, by which stacks are judged"),
];

const BENCH_PROGRAMS: &[Program] = &[
    Program { command: "perf", package: "linux-perf", why: "the profiler to compare with" },
    Program { command: "bpftrace", package: "bpftrace", why: "the BPF profiler to compare with" },
    Program { command: "bpftool", package: "bpftool", why: "reads the run time of BPF programs" },
];

const DIST_PROGRAMS: &[Program] = &[Program {
    command: OTHER_EMULATOR,
    package: "qemu-user-static",
    why: "starts the binary for the other architecture",
}];

/// The tests bring the machine for x86_64.
const FOREIGN_PROGRAMS: &[Program] = &[Program {
    command: "qemu-system-aarch64",
    package: "qemu-system-arm",
    why: "boots the arm64 kernels of vm-test",
}];

const OTHER_EMULATOR: &str =
    if cfg!(target_arch = "x86_64") { "qemu-aarch64-static" } else { "qemu-x86_64-static" };

/// File systems that tests look into, with a file that shows whether they are mounted.
const TEST_MOUNTS: &[(&str, &str, &str)] = &[
    ("tracefs", "/sys/kernel/tracing", "numbers of tracepoints"),
    ("bpf", "/sys/fs/bpf", "pinned BPF objects"),
];

/// What of the needs of some groups is not there, in the order of installation.
pub(super) fn missing(machine: &Machine, groups: &[Group]) -> Vec<Missing> {
    let mut missing = Vec::new();
    // Every job builds the agent.
    missing.extend(bpf::missing(machine));
    if groups.contains(&Group::Test) {
        missing.extend(programs(machine, TEST_PROGRAMS));
        let packages = TEST_PACKAGES.iter().filter(|(package, _)| !apt::is_installed(package));
        missing.extend(packages.map(|&(package, why)| Missing {
            what: package.to_owned(),
            why,
            remedy: Remedy::Package(package),
        }));
        missing.extend(mounts());
        missing.extend(cargo_tools());
        missing.extend(grpc::missing(machine));
    }
    if groups.contains(&Group::Foreign) {
        missing.extend(programs(machine, FOREIGN_PROGRAMS));
    }
    if groups.contains(&Group::Dist) || groups.contains(&Group::Foreign) {
        missing.extend(programs(machine, DIST_PROGRAMS));
        missing.extend(zig::missing(machine));
    }
    if groups.contains(&Group::Bench) {
        missing.extend(programs(machine, BENCH_PROGRAMS));
    }
    missing
}

fn programs(machine: &Machine, programs: &'static [Program]) -> impl Iterator<Item = Missing> {
    let absent = programs
        .iter()
        .filter(|program| machine.find(program.command).is_none() && !apt::is_installed(program.package));
    absent.map(|program| Missing {
        what: program.command.to_owned(),
        why: program.why,
        remedy: Remedy::Package(program.package),
    })
}

fn mounts() -> impl Iterator<Item = Missing> {
    let mounted = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let absent = TEST_MOUNTS
        .iter()
        .filter(move |(_, target, _)| Path::new(target).exists() && !is_mounted(&mounted, target));
    absent.map(|&(kind, target, why)| Missing {
        what: format!("{kind} on {target}"),
        why,
        remedy: Remedy::Mount { kind, target },
    })
}

/// Whether a table in the form of `/proc/self/mounts` has something at `target`.
fn is_mounted(table: &str, target: &str) -> bool {
    table.lines().any(|line| line.split(' ').nth(1) == Some(target))
}

/// The parts of cargo that a minimal toolchain lacks.
fn cargo_tools() -> impl Iterator<Item = Missing> {
    const ADVICE: &str = "run `rustup component add rustfmt clippy`, or install it beside this cargo";
    let absent = ["fmt", "clippy"].into_iter().filter(|tool| {
        let cargo: anyhow::Result<Command> = workspace::cargo(tool);
        !cargo.is_ok_and(|mut cargo| command::succeeds(cargo.arg("--version")))
    });
    absent.map(|tool| Missing {
        what: format!("cargo {tool}"),
        why: "`cargo xtask test` checks the source with it",
        remedy: Remedy::ByHand(ADVICE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_read_by_its_name() {
        assert_eq!("dist".parse(), Ok(Group::Dist));
        assert!("all".parse::<Group>().unwrap_err().contains("all"));
    }

    #[test]
    fn a_program_that_nothing_provides_is_missing_and_its_package_is_the_remedy() {
        const PROGRAMS: &[Program] = &[
            Program { command: "no-such-program", package: "no-such-package", why: "to be missed" },
            Program { command: "sh", package: "no-such-package", why: "to be found" },
        ];
        let missing: Vec<Missing> = programs(&Machine::this(), PROGRAMS).collect();
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].what, "no-such-program");
        assert_eq!(missing[0].remedy, Remedy::Package("no-such-package"));
    }

    #[test]
    fn a_mount_is_known_by_its_place_alone() {
        let table = "sysfs /sys sysfs rw 0 0\ntracefs /sys/kernel/tracing tracefs rw 0 0\n";
        assert!(is_mounted(table, "/sys/kernel/tracing"));
        assert!(!is_mounted(table, "/sys/kernel"));
        assert!(!is_mounted(table, "sysfs"));
    }
}
