//! Faults made by hand, one for each rule: the check must find each, and name place, rule and release.

use crate::file::program_faults;
use crate::instruction::{CALL, EXIT, Instruction, JUMP, LOAD_CONSTANT};
use crate::map::{self, Map};
use crate::release::Violation;
use crate::{BASELINE, BASELINE_FLOOR, file, report};
use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSection};

const MOVE: Instruction = Instruction { opcode: 0xb7, ..NOTHING };
const RETURN: Instruction = Instruction { opcode: EXIT, ..NOTHING };
const NOTHING: Instruction = Instruction { opcode: 0, destination: 0, source: 0, offset: 0, immediate: 0 };

fn op(opcode: u8) -> Instruction {
    Instruction { opcode, ..NOTHING }
}

fn call(helper: i32) -> Instruction {
    Instruction { opcode: CALL, immediate: helper, ..NOTHING }
}

/// What the check says of a program, one line a fault.
fn said_of(program: &[Instruction]) -> Vec<String> {
    let faults = program_faults(program, &BASELINE_FLOOR).into_iter();
    faults
        .map(|(instruction, fault)| Violation { part: "p".to_owned(), instruction, fault }.to_string())
        .collect()
}

#[test]
fn what_4_18_has_is_no_fault() {
    let word = |offset| Instruction { opcode: 0x7b, destination: 10, offset, ..NOTHING };
    let program = [
        Instruction { opcode: LOAD_CONSTANT, source: 1, ..NOTHING },
        NOTHING,
        word(-8),
        Instruction { opcode: 0xdb, ..NOTHING }, // lock *(u64 *)(r0 + 0) += r0
        Instruction { opcode: 0xdc, immediate: 64, ..NOTHING }, // r0 = be64 r0
        Instruction { opcode: 0xc7, immediate: 3, ..NOTHING }, // r0 s>>= 3
        Instruction { opcode: 0xad, offset: 1, ..NOTHING }, // if r0 < r0 goto +1
        call(80),
        call(27),
        Instruction { opcode: JUMP, offset: 1, ..NOTHING },
        RETURN,
        RETURN,
    ];
    assert_eq!(said_of(&program), ["p, instruction 10: is never reached, which no kernel takes"]);
    assert_eq!(said_of(&[&program[..9], &program[10..11]].concat()), [""; 0]);
}

#[test]
fn newer_instructions_are_named_with_their_release() {
    for (instruction, fault) in [
        (op(0x56), "a 32-bit jump came with Linux 5.1"),
        (op(0x1e), "a 32-bit jump came with Linux 5.1"),
        (op(0xc4), "a signed 32-bit shift came with Linux 5.0"),
        (op(0xcc), "a signed 32-bit shift came with Linux 5.0"),
        (
            Instruction { opcode: 0xdb, immediate: 0x01, ..NOTHING },
            "an atomic operation with a result, or other than addition came with Linux 5.12",
        ),
        (
            Instruction { opcode: 0xc3, immediate: 0xf1, ..NOTHING },
            "an atomic operation with a result, or other than addition came with Linux 5.12",
        ),
        (
            Instruction { opcode: 0xdb, immediate: 0x100, ..NOTHING },
            "a load or store with order came with Linux 6.15",
        ),
        (op(0x81), "a sign-extending load came with Linux 6.6"),
        (Instruction { opcode: 0xbf, offset: 8, ..NOTHING }, "a sign-extending move came with Linux 6.6"),
        (Instruction { opcode: 0x37, offset: 1, ..NOTHING }, "a signed division came with Linux 6.6"),
        (Instruction { opcode: 0x9c, offset: 1, ..NOTHING }, "a signed division came with Linux 6.6"),
        (op(0xd7), "an unconditional byte swap came with Linux 6.6"),
        (op(0xe5), "a jump that the kernel counts came with Linux 6.9"),
        (
            Instruction { opcode: CALL, source: 2, ..NOTHING },
            "a call of a kernel function came with Linux 5.13",
        ),
        (Instruction { opcode: CALL, source: 1, ..NOTHING }, "a call of an own function: inline it"),
        (op(0x20), "no kernel has an opcode 0x20 like this"),
        (op(0x8d), "no kernel has an opcode 0x8d like this"),
        (op(0xcb), "no kernel has an opcode 0xcb like this"),
    ] {
        assert_eq!(said_of(&[MOVE, instruction, RETURN]), [format!("p, instruction 1: {fault}")]);
    }
    let long = Instruction { opcode: 0x06, ..NOTHING };
    assert_eq!(
        said_of(&[MOVE, long, RETURN]),
        ["p, instruction 1: a jump over 32 bits of distance came with Linux 6.6"]
    );
}

#[test]
fn newer_kinds_of_constants_are_named_with_their_release() {
    for (source, fault) in [
        (2, "an address in a map's value came with Linux 5.2"),
        (3, "the address of a kernel symbol came with Linux 5.10"),
        (4, "the address of a function came with Linux 5.13"),
        (5, "a map by its index came with Linux 5.14"),
        (9, "no kernel has an opcode 0x18 like this"),
    ] {
        let constant = Instruction { opcode: LOAD_CONSTANT, source, ..NOTHING };
        assert_eq!(said_of(&[constant, NOTHING, RETURN]), [format!("p, instruction 0: {fault}")]);
    }
}

#[test]
fn newer_and_withheld_helpers_are_named() {
    for (helper, fault) in [
        (125, "helper 125 came with Linux 5.8"),
        (113, "helper 113 came with Linux 5.5"),
        (130, "helper 130 came with Linux 5.8"),
        (81, "helper 81 came with Linux 4.19"),
        (23, "helper 23 is not for such a program on Linux 4.18"),
        (0, "no kernel has a helper 0"),
        (-1, "no kernel has a helper -1"),
        (5000, "no kernel has a helper 5000"),
    ] {
        assert_eq!(said_of(&[call(helper), RETURN]), [format!("p, instruction 0: {fault}")]);
    }
}

#[test]
fn ways_back_into_constants_and_out_of_the_program_are_named() {
    let jump = |opcode, offset| Instruction { opcode, offset, ..NOTHING };
    let constant = op(LOAD_CONSTANT);
    let cases: [(&[Instruction], &str); 6] = [
        (&[MOVE, jump(0x55, -2), RETURN], "1: a loop, back to instruction 0, came with Linux 5.3"),
        (&[MOVE, jump(0x55, -1), RETURN], "1: a loop, back to instruction 1, came with Linux 5.3"),
        (&[jump(0x55, 1), constant, NOTHING, RETURN], "0: leads into the constant before 2"),
        (&[jump(0x55, 5), RETURN], "0: leads to 6, outside the program"),
        (&[jump(0x55, -3), RETURN], "0: leads to -2, outside the program"),
        (&[MOVE], "0: leads to 1, outside the program"),
    ];
    for (program, fault) in cases {
        assert_eq!(said_of(program), [format!("p, instruction {fault}")]);
    }
    // A jump back is no loop where no way leads from its target to itself.
    let crossing = [jump(0x55, 2), MOVE, RETURN, jump(JUMP, -3)];
    assert_eq!(said_of(&crossing), [""; 0]);
}

#[test]
fn a_program_that_is_too_long_is_named() {
    let mut program = vec![MOVE; 4096];
    program.push(RETURN);
    assert_eq!(said_of(&program), ["p: a program of 4097 instructions, more than 4096, came with Linux 5.2"]);
    assert_eq!(said_of(&program[1..]), [""; 0]);
}

#[test]
fn a_program_with_too_many_ways_is_named() {
    // Each condition doubles the ways to the end.
    let condition = Instruction { opcode: 0x15, offset: 1, ..NOTHING };
    let program = |conditions| [[condition, MOVE].repeat(conditions), vec![RETURN]].concat();
    assert_eq!(said_of(&program(14)), [""; 0]);
    assert_eq!(
        said_of(&program(16)),
        ["p: 196606 instructions on all ways together, more than 131072, came with Linux 5.2"]
    );
    assert_eq!(said_of(&program(500)).len(), 1);
}

#[test]
fn newer_maps_and_flags_are_named() {
    for (kind, flags, fault) in [
        (map::HASH, 0, None),
        (map::RING_BUFFER, 0, Some("a map of kind 27 (ringbuf) came with Linux 5.8")),
        (29, 0, Some("a map of kind 29 (task_storage) came with Linux 5.11")),
        (99, 0, Some("no kernel has a map of kind 99")),
        (9, 0, Some("a map of kind 9 is not among those in use")),
        (map::HASH, 1, Some("map flags 0x1: programs of perf events want none")),
    ] {
        let said = Map { kind, flags }.fault(&BASELINE_FLOOR).map(|fault| fault.to_string());
        assert_eq!(said.as_deref(), fault);
    }
}

/// Where a section of the real object begins in its file.
fn start_of(section: &str) -> usize {
    let file = ElfFile64::<LittleEndian>::parse(BASELINE).unwrap();
    let section = file.section_by_name(section).unwrap();
    section.file_range().unwrap().0 as usize
}

/// The real object with some bytes replaced.
fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = BASELINE.to_vec();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

/// The real object with a section named otherwise.
fn section_renamed(from: &[u8], to: &[u8]) -> Vec<u8> {
    changed(BASELINE.windows(from.len()).position(|window| window == from).unwrap(), to)
}

#[test]
fn a_fault_in_the_real_object_is_found() {
    let program = start_of("perf_event");
    let ring_buffer = changed(start_of("maps"), &map::RING_BUFFER.to_le_bytes());
    let renamed = section_renamed(b"perf_event\0", b"sock_event\0");
    for (file, fault) in [
        (
            changed(program, &[CALL, 0, 0, 0, 125, 0, 0, 0]),
            "take_sample, instruction 0: helper 125 came with Linux 5.8",
        ),
        (
            changed(program, &[0x56, 0, 0, 0, 0, 0, 0, 0]),
            "take_sample, instruction 0: a 32-bit jump came with Linux 5.1",
        ),
        (ring_buffer, "map ACTIVE: a map of kind 27 (ringbuf) came with Linux 5.8"),
        (renamed.clone(), "sock_event: no kind of program that is in use"),
        (renamed, "object: holds no program"),
        (section_renamed(b"license\0", b".rodata\0"), ".rodata: read-only data came with Linux 5.2"),
        (section_renamed(b"license\0", b".bss.ab\0"), ".bss.ab: global data came with Linux 5.2"),
        (section_renamed(b"license\0", b".BTF\0cd\0"), ".BTF: type information"),
        (section_renamed(b"license\0", b"version\0"), "version: no section that the loader knows"),
        (section_renamed(b"maps\0", b"bpfs\0"), "a reference to COUNTERS, no map and no data"),
    ] {
        let report = report(&file, &BASELINE_FLOOR);
        assert!(report.contains(fault), "{fault}:\n{report}");
    }
}

#[test]
fn what_is_no_object_is_an_error() {
    assert!(file::check(b"", &BASELINE_FLOOR).is_err());
}
