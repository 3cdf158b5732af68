use super::rule::{by_depth, prologue_rest};
use super::{GoError, RowAt, Rule, rows};
use crate::object::ObjectAddress;
use crate::unwind::machine::Machine;
use parca_agent_common::unwind::rule::{Cfa, SavedFp};
use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use proptest::sample::Index;

/// Address of the code, 64 bytes of it.
const TEXT: u64 = 0x10c0;
/// Address of Go's table, at [`TABLE_AT`] in the file.
const TABLE: u64 = 0x2100;
const TABLE_AT: usize = 0x100;

#[derive(Clone, Copy)]
enum Format {
    Go116,
    Go118,
    Go120,
    Go126,
}

const FORMATS: [Format; 4] = [Format::Go116, Format::Go118, Format::Go120, Format::Go126];
const MACHINES: [Machine; 2] = [Machine::X86_64, Machine::Aarch64];

/// A program without sections of two functions, `main.main` and `second`, each 32 bytes long. The first makes
/// a frame at its second instruction and gives it up again.
fn program(format: Format, machine: Machine, second: &str, flags: u8) -> Vec<u8> {
    let number: u16 = if machine == Machine::X86_64 { 62 } else { 183 };
    let table = table(format, machine, second, flags);
    let mut file = vec![0; 64];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file[18..20].copy_from_slice(&number.to_le_bytes());
    file[32..40].copy_from_slice(&64_u64.to_le_bytes());
    file[54..56].copy_from_slice(&56_u16.to_le_bytes());
    file[56..58].copy_from_slice(&2_u16.to_le_bytes());
    for (flags, offset, address, size) in
        [(5_u32, 0xc0_u64, TEXT, 64_u64), (4, TABLE_AT as u64, TABLE, table.len() as u64)]
    {
        file.extend(1_u32.to_le_bytes());
        file.extend(flags.to_le_bytes());
        [offset, address, address, size, size, 16].iter().for_each(|word| file.extend(word.to_le_bytes()));
    }
    file.resize(TABLE_AT, 0);
    file.extend(table);
    file
}

fn table(format: Format, machine: Machine, second: &str, flags: u8) -> Vec<u8> {
    let (magic, field, entry): (u32, usize, usize) = match format {
        Format::Go116 => (0xffff_fffa, 8, 8),
        Format::Go118 => (0xffff_fff0, 4, 4),
        Format::Go120 | Format::Go126 => (0xffff_fff1, 4, 4),
    };
    let names = format!("main.main\0{second}\0");
    // One instruction at depth 0, two at 8 (aarch64: 16), the rest at 0; then one run of all.
    let numbers: [&[u8]; 2] = match machine {
        Machine::X86_64 => [&[0, 2, 1, 16, 2, 15, 29, 0], &[2, 32, 0]],
        Machine::Aarch64 => [&[0, 2, 1, 32, 2, 31, 5, 0], &[2, 8, 0]],
    };
    let head = if field == 8 { 64 } else { 72 };
    let units = head + names.len();
    let numbers_at = units + 8;
    let functions = (numbers_at + numbers.concat().len()).next_multiple_of(8);
    let first = if field == 8 { TEXT } else { 0 };
    let mut words = vec![2, 0];
    match format {
        Format::Go116 => {}
        Format::Go118 | Format::Go120 => words.push(TEXT),
        Format::Go126 => words.push(0),
    }
    words.extend([head, units, units + 4, numbers_at, functions].map(|offset| offset as u64));
    let mut bytes = magic.to_le_bytes().to_vec();
    bytes.extend([0, 0, machine.quantum(), 8]);
    words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    bytes.extend(names.bytes());
    bytes.extend([0; 8]);
    bytes.extend(numbers.concat());
    bytes.resize(functions, 0);
    let place = (5 * field).next_multiple_of(8);
    for word in [first, place as u64, first + 32, place as u64 + 48, first + 64] {
        bytes.extend(&word.to_le_bytes()[..field]);
    }
    bytes.resize(functions + place, 0);
    for (distance, name, depths, flags) in [(0, 0_u32, 1_u32, 0), (32, 10, numbers[0].len() as u32, flags)] {
        let start = bytes.len();
        bytes.extend(&(first + distance).to_le_bytes()[..entry]);
        bytes.extend(name.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(depths.to_le_bytes());
        bytes.resize(start + 48, 0);
        let flags_at = if matches!(format, Format::Go118) { 37 } else { 41 };
        bytes[start + flags_at] = flags;
    }
    if matches!(format, Format::Go126) {
        let module = bytes.len();
        bytes.extend(TABLE.to_le_bytes());
        bytes.resize(module + 160, 0);
        [TEXT, TEXT + 64, TEXT].iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    }
    bytes
}

fn unwound(rows: &[RowAt]) -> Vec<(u64, Rule)> {
    rows.iter().map(|row| (row.address.0 - TEXT, row.rule)).collect()
}

#[test]
fn every_format_gives_the_same_rows() {
    for machine in MACHINES {
        let (step, frame) = if machine == Machine::X86_64 { (1, 8) } else { (4, 16) };
        for format in FORMATS {
            let rows = rows(&program(format, machine, "runtime.goexit", 0)[..]).unwrap().unwrap();
            let expected = [
                (0, by_depth(machine, 0)),
                (step, by_depth(machine, frame)),
                (3 * step, by_depth(machine, 0)),
                (32, Rule::OUTERMOST),
                (64, Rule::UNCOVERED),
            ];
            assert_eq!(unwound(&rows), expected);
        }
    }
}

#[test]
fn names_and_flags_decide_where_depths_are_not_enough() {
    let x86_64 = |name: &str, flags| {
        let rows = rows(&program(Format::Go126, Machine::X86_64, name, flags)[..]).unwrap().unwrap();
        let place = rows.partition_point(|row| row.address <= ObjectAddress(TEXT + 32));
        rows[place - 1]
    };
    let plain = RowAt { address: ObjectAddress(TEXT + 3), rule: by_depth(Machine::X86_64, 0) };
    for (name, flags, kind) in [
        ("main.other", 0, Cfa::Sp),
        ("main.other", 1, Cfa::Outermost),
        ("runtime.sigtramp", 5, Cfa::Sp),
        ("_rt0_amd64_linux", 4, Cfa::Outermost),
        ("_rt0_amd64_linux_lib", 4, Cfa::Sp),
        ("gogo", 6, Cfa::Outermost),
        ("runtime.morestack_noctxt", 4, Cfa::Sp),
    ] {
        assert_eq!(x86_64(name, flags).rule.cfa_kind(), kind, "{name} {flags}");
    }
    assert_eq!(x86_64("main.other", 0), plain);
    // The return address of a handler is the first byte, so the byte before it has the rule.
    let signal = RowAt { address: ObjectAddress(TEXT + 31), rule: Rule::SIGNAL };
    assert_eq!(x86_64("runtime.sigreturn__sigaction", 4), signal);
}

#[test]
fn a_function_that_leaves_its_stack_keeps_its_frame_pointer() {
    for machine in MACHINES {
        let mut bytes = program(Format::Go126, machine, "runtime.goexit", 0);
        // `main.main`, behind the entries of the table of functions.
        let functions = u64::from_le_bytes(bytes[TABLE_AT + 64..TABLE_AT + 72].try_into().unwrap());
        bytes[TABLE_AT + functions as usize + 24 + 41] = 2;
        // Two instructions at the depth of the frame become many.
        let numbers = u64::from_le_bytes(bytes[TABLE_AT + 56..TABLE_AT + 64].try_into().unwrap());
        bytes[TABLE_AT + numbers as usize + 4] = 6;
        let rows = unwound(&rows(&bytes[..]).unwrap().unwrap());
        let quantum = u64::from(machine.quantum());
        let rest = prologue_rest(machine);
        assert_eq!(rows[1], (quantum, by_depth(machine, if quantum == 1 { 8 } else { 16 })));
        assert_eq!((rows[2].0, rows[2].1.cfa_kind()), (quantum + rest, Cfa::Fp));
        assert_eq!(rows[3], (7 * quantum, by_depth(machine, 0)));
        let fp = rows[2].1;
        match machine {
            Machine::X86_64 => assert_eq!(fp, Rule::FRAME_POINTER.on_other_stack()),
            // FP points below the return address; the CFA is two words and one above.
            Machine::Aarch64 => {
                assert_eq!((fp.cfa, fp.extra.cast_signed(), fp.saved_fp()), (3, -2, SavedFp::AtFp));
            }
        }
    }
}

#[test]
fn depths_that_no_rule_holds_are_no_wrong_rules() {
    for (depth, x86_64) in [
        (-8, Rule::UNSUPPORTED),
        (4, Rule::UNSUPPORTED),
        (8 * 32767, Rule::FRAME_POINTER),
        (i64::MAX - 7, Rule::FRAME_POINTER),
        (i64::MIN, Rule::UNSUPPORTED),
    ] {
        assert_eq!(by_depth(Machine::X86_64, depth), x86_64, "{depth}");
        assert_eq!(by_depth(Machine::Aarch64, depth), Rule::UNSUPPORTED, "{depth}");
    }
}

#[test]
fn other_files_are_no_go_programs() {
    let mut other = program(Format::Go126, Machine::X86_64, "a", 0);
    assert_eq!(rows(&b""[..]), Ok(None));
    assert_eq!(rows(&b"\x7fELF"[..]), Ok(None));
    other[TABLE_AT] ^= 4;
    assert_eq!(rows(&other[..]), Ok(None));
    other[18] = 3;
    assert_eq!(rows(&other[..]), Ok(None));
}

#[test]
fn a_table_without_its_code_is_refused() {
    let mut bytes = program(Format::Go126, Machine::X86_64, "a", 0);
    let end = bytes.len();
    // `moduledata.text`, and what must agree with it.
    bytes[end - 8] ^= 1;
    assert_eq!(rows(&bytes[..]), Err(GoError::NoText));
    let mut outside = program(Format::Go118, Machine::X86_64, "a", 0);
    outside[TABLE_AT + 24] ^= 1;
    assert_eq!(rows(&outside[..]), Err(GoError::NoText));
}

#[test]
fn runs_without_length_are_refused() {
    let mut bytes = program(Format::Go120, Machine::X86_64, "a", 0);
    let numbers = u64::from_le_bytes(bytes[TABLE_AT + 56..TABLE_AT + 64].try_into().unwrap());
    bytes[TABLE_AT + numbers as usize + 2] = 0;
    assert_eq!(rows(&bytes[..]), Err(GoError::Malformed));
}

proptest! {
    #[test]
    fn damaged_programs_do_not_panic(
        format in 0..FORMATS.len(),
        machine in 0..MACHINES.len(),
        changes in vec((any::<Index>(), any::<u8>()), 0..6),
        length in any::<Index>(),
    ) {
        let mut bytes = program(FORMATS[format], MACHINES[machine], "runtime.mcall", 2);
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - length.index(64) / 8);
        if let Ok(Some(rows)) = rows(&bytes[..]) {
            assert!(rows.is_sorted_by(|left, right| left.address < right.address && left.rule != right.rule));
        }
    }
}
