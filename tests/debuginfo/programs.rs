//! Programs in the languages that are profiled, with debug information of every kind, and what is said of them by
//! their debug files.

use super::compiler::{self, C, CPP, Compiler, GO, RUST};
use super::extracted::{Extracted, supervisor};
use super::linters::{assert_no_complaint, assert_nothing_new};
use super::symbolizers::{assert_same_names, named};
use parca_agent::debuginfo::plan::DebugLink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of [`FOLDER`], by compiler, flags and source; and of how many addresses of 1000 its lines are known, at
/// least. Most of a static program is the C library's, of which there are names only.
struct Program(&'static str, Compiler, &'static [&'static str], &'static str, usize);

const FOLDER: &str = "tests/unwind/programs";

const PROGRAMS: [Program; 9] = [
    Program("cpp", CPP, &["-O2", "-g"], "templates.cc", 300),
    Program("cpp4", CPP, &["-O2", "-gdwarf-4", "-fdebug-types-section", "-no-pie"], "templates.cc", 300),
    Program("compressed", CPP, &["-O2", "-g", "-gz=zlib"], "templates.cc", 300),
    Program("z-sections", CPP, &["-O2", "-g", "-gz=zlib-gnu"], "templates.cc", 300),
    Program("static", C, &["-O2", "-g", "-static"], "layers.c", 0),
    Program("relocations", C, &["-O2", "-g", "-Wl,--emit-relocs"], "layers.c", 300),
    Program("library", C, &["-O2", "-g", "-shared", "-fPIC"], "stub_library.c", 1),
    Program("rust", RUST, &["--edition=2021", "-O", "-g"], "adapters.rs", 300),
    Program("rust-lines", RUST, &["--edition=2021", "-Cdebuginfo=line-tables-only"], "adapters.rs", 300),
];

impl Program {
    fn build(&self) -> PathBuf {
        let Self(name, compiler, flags, source, _) = self;
        let output = compiler::folder("debuginfo").join(name);
        let mut command = compiler.command();
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args(*flags).arg("-o").arg(&output);
        if !source.ends_with(".rs") {
            command.arg("-Itests/workloads");
        }
        command.arg(Path::new(FOLDER).join(source));
        compiler.run(command);
        output
    }
}

fn go(name: &str, package: &str, flags: &[&str], environment: &[(&str, &str)]) -> PathBuf {
    let output = compiler::folder("debuginfo").join(name);
    let mut command = GO.command();
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join(package));
    command.env("GO111MODULE", "off").envs(environment.iter().copied());
    command.arg("build").args(flags).arg("-o").arg(&output).arg(".");
    GO.run(command);
    output
}

/// Runs one of binutils' programs.
pub(crate) fn binutils(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("no {program} ({error}): install binutils"));
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

#[test]
fn programs_in_c_cpp_and_rust_have_the_same_names_and_lines() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = supervisor();
    for program in &PROGRAMS {
        let extracted = Extracted::new(&supervisor, &program.build(), folder.path());
        assert!(extracted.content.has_dwarf && extracted.content.has_symtab, "{}", program.0);
        assert_nothing_new(&extracted);
        // GNU's linker puts a symbol of static programs where no section is, and Rust's linker differs in flags.
        if program.0 != "static" && !program.3.ends_with(".rs") {
            assert_no_complaint(&extracted);
        }
        assert_same_names(&extracted.original, &extracted.debug_file, program.4);
    }
}

#[test]
fn programs_in_go_have_the_same_names_and_lines_for_every_architecture() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = supervisor();
    let plain: &[(&str, &str)] = &[("CGO_ENABLED", "0")];
    let programs = [
        go("go", "gochain", &[], plain),
        go("go-pie", "gochain", &["-buildmode=pie"], plain),
        go("go-amd64", "gochain", &[], &[("CGO_ENABLED", "0"), ("GOARCH", "amd64")]),
        go("go-arm64", "gochain", &[], &[("CGO_ENABLED", "0"), ("GOARCH", "arm64")]),
        go("go-cgo", "cgo", &[], &[("CGO_ENABLED", "1")]),
        go("go-plain-dwarf", "gochain", &["-ldflags=-compressdwarf=false"], plain),
    ];
    for program in programs {
        let extracted = Extracted::new(&supervisor, &program, folder.path());
        let content = &extracted.content;
        assert!(content.has_dwarf && content.has_symtab && content.has_go_tables, "{program:?}");
        assert_nothing_new(&extracted);
        assert_same_names(&extracted.original, &extracted.debug_file, 500);
    }
}

#[test]
fn a_stripped_go_program_has_its_own_table_still() {
    let folder = tempfile::tempdir().unwrap();
    let program = go("go-stripped", "gochain", &["-ldflags=-s -w"], &[("CGO_ENABLED", "0")]);
    let extracted = Extracted::new(&supervisor(), &program, folder.path());
    assert!(extracted.content.has_go_tables && !extracted.content.has_dwarf && !extracted.content.has_symtab);
    assert_nothing_new(&extracted);
    assert_same_section(&extracted, ".gopclntab");
}

fn assert_same_section(extracted: &Extracted, name: &str) {
    use object::{Object, ObjectSection};
    let [original, debug_file] = [&extracted.original, &extracted.debug_file].map(|path| {
        let bytes = std::fs::read(path).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let section = file.section_by_name(name).unwrap();
        (section.address(), section.data().unwrap().to_vec())
    });
    assert!(!original.1.is_empty() && original == debug_file, "{name}");
}

#[test]
fn a_stripped_program_and_its_separate_debug_file_have_the_names_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let whole = Program("whole", CPP, &["-O2", "-g"], "templates.cc", 300).build();
    let (debug, stripped) = (path("whole.debug"), path("stripped"));
    binutils("objcopy", &["--only-keep-debug", whole.to_str().unwrap(), &debug]);
    binutils(
        "objcopy",
        &["--strip-all", &format!("--add-gnu-debuglink={debug}"), whole.to_str().unwrap(), &stripped],
    );
    let supervisor = supervisor();

    let of_debug_file = Extracted::new(&supervisor, debug.as_ref(), folder.path());
    assert!(of_debug_file.content.has_dwarf && of_debug_file.content.has_symtab);
    assert_no_complaint(&of_debug_file);
    assert_same_names(&whole, &of_debug_file.debug_file, 300);

    let of_stripped = Extracted::new(&supervisor, stripped.as_ref(), folder.path());
    let content = &of_stripped.content;
    assert!(!content.has_dwarf && !content.has_symtab && content.has_dynsym);
    // The reader of the link, not its writer, is tested: the checksum is computed here anew.
    let crc = crc32(&std::fs::read(&debug).unwrap());
    assert_eq!(content.debug_link, DebugLink::new(b"whole.debug", crc));
    assert_no_complaint(&of_stripped);
    // The link leads to the file beside it.
    assert!(named(&of_stripped.debug_file, &whole) >= 300);
    std::fs::remove_file(&debug).unwrap();
    assert_eq!(named(&of_stripped.debug_file, &whole), 0, "debug information in a file that has none");
}

/// As zlib computes it, a bit at a time.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| if crc & 1 != 0 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), bit))
}
