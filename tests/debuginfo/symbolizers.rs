//! What other people's programs say of addresses.

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, SectionFlags, elf};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// Addresses for each file.
const ADDRESSES: usize = 1000;

/// A program, the package of Debian that has it, and its arguments before the file.
struct Symbolizer(&'static str, &'static str, &'static [&'static str]);

const SYMBOLIZERS: [Symbolizer; 2] = [
    Symbolizer("addr2line", "binutils", &["--addresses", "--functions", "--inlines", "--demangle", "--exe"]),
    Symbolizer("llvm-symbolizer", "llvm", &["--addresses", "--inlines", "--demangle", "--obj"]),
];

impl Symbolizer {
    fn ask(&self, file: &Path, addresses: &str) -> String {
        let Self(program, package, arguments) = self;
        let mut command = Command::new(program);
        command.args(*arguments).arg(file).env_remove("DEBUGINFOD_URLS");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("no {program} ({error}): install {package}"));
        let mut input = child.stdin.take().unwrap();
        let addresses = addresses.to_owned();
        let writer = thread::spawn(move || input.write_all(addresses.as_bytes()).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success(), "{program}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Fails unless both files give the same functions and lines for addresses in the code of the first, of which one
/// program knows `least` lines or more: not every program reads everybody's debug information.
pub(crate) fn assert_same_names(original: &Path, debug_file: &Path, least: usize) {
    let addresses = addresses(original);
    let mut most = 0;
    for symbolizer in &SYMBOLIZERS {
        let (expected, found) =
            (symbolizer.ask(original, &addresses), symbolizer.ask(debug_file, &addresses));
        let name = symbolizer.0;
        for (line, (expected, found)) in expected.lines().zip(found.lines()).enumerate() {
            assert_eq!(found, expected, "line {line} of {name} on {}", debug_file.display());
        }
        assert_eq!(found.lines().count(), expected.lines().count(), "{name} on {}", debug_file.display());
        most = most.max(with_lines(&found));
    }
    assert!(most >= least, "only {most} lines of {} are known", debug_file.display());
}

/// How many lines of source a file gives for addresses in the code of another.
pub(crate) fn named(file: &Path, original: &Path) -> usize {
    let addresses = addresses(original);
    SYMBOLIZERS.iter().map(|symbolizer| with_lines(&symbolizer.ask(file, &addresses))).sum()
}

/// Lines of output that end with a line number that is one, or a column behind it.
fn with_lines(output: &str) -> usize {
    let is_known = |line: &&str| {
        let file = line.split(':').next().unwrap_or_default();
        line.contains(':') && file.contains('/') && !line.contains(":?") && !line.ends_with(":0:0")
    };
    output.lines().filter(is_known).count()
}

/// Addresses in the executable sections of a file, one a line, the same at every run.
fn addresses(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let file = ElfFile64::<Endianness>::parse(&*bytes).unwrap();
    let code: Vec<_> = file
        .sections()
        .filter(|section| {
            matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags.contains(elf::SHF_EXECINSTR))
        })
        .map(|section| (section.address(), section.size()))
        .collect();
    let all: u64 = code.iter().map(|(_, size)| size).sum();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut text = String::new();
    for _ in 0..ADDRESSES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut left = (state >> 16) % all;
        for (address, size) in &code {
            if left < *size {
                text.push_str(&format!("{:#x}\n", address + left));
                break;
            }
            left -= size;
        }
    }
    assert_eq!(text.lines().count(), ADDRESSES);
    text
}
