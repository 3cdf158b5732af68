//! BPF instructions, and the release in which a kernel first took each.
//!
//! Encoding: RFC 9669. Releases: the kernel's `kernel/bpf/verifier.c`, whose `check_*` functions refuse
//! what they do not know.

use crate::release::{Fault, Release};

/// One slot of eight bytes. A 64-bit constant fills two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) opcode: u8,
    pub(crate) destination: u8,
    pub(crate) source: u8,
    pub(crate) offset: i16,
    pub(crate) immediate: i32,
}

/// Instruction classes: the lower three bits of the opcode.
const CLASS: u8 = 0x07;
const LD: u8 = 0x00;
const LDX: u8 = 0x01;
const ST: u8 = 0x02;
const STX: u8 = 0x03;
const ALU: u8 = 0x04;
const JMP: u8 = 0x05;
const JMP32: u8 = 0x06;
const ALU64: u8 = 0x07;

/// The opcode of a 64-bit constant, the only one of two slots.
pub(crate) const LOAD_CONSTANT: u8 = 0x18;
pub(crate) const CALL: u8 = 0x85;
pub(crate) const EXIT: u8 = 0x95;
pub(crate) const JUMP: u8 = 0x05;
/// `gotol` of CPU v4: its distance is in the immediate.
const LONG_JUMP: u8 = 0x06;

/// Every kernel with eBPF.
const EVER: Release = Release(3, 18);
/// 32-bit jumps, "CPU v3".
const JUMP_32: Release = Release(5, 1);
/// Atomic operations other than an addition without result.
const ATOMICS: Release = Release(5, 12);
/// Sign-extending loads and moves, signed division, `bswap` and `gotol`, "CPU v4".
const CPU_V4: Release = Release(6, 6);
/// `may_goto`.
const MAY_GOTO: Release = Release(6, 9);
/// Loads with acquire and stores with release order.
const ACQUIRE_RELEASE: Release = Release(6, 15);

impl Instruction {
    pub(crate) fn decode(bytes: [u8; 8]) -> Self {
        let [opcode, registers, offset_low, offset_high, immediate @ ..] = bytes;
        Self {
            opcode,
            destination: registers & 0x0f,
            source: registers >> 4,
            offset: i16::from_le_bytes([offset_low, offset_high]),
            immediate: i32::from_le_bytes(immediate),
        }
    }

    fn class(self) -> u8 {
        self.opcode & CLASS
    }

    /// The distance of a jump, from the slot behind it; `None` for what does not jump.
    pub(crate) fn jump(self) -> Option<i64> {
        match self.class() {
            _ if matches!(self.opcode, CALL | EXIT) => None,
            JMP32 if self.opcode == LONG_JUMP => Some(self.immediate.into()),
            JMP | JMP32 => Some(self.offset.into()),
            _ => None,
        }
    }

    /// Whether the slot behind it is never reached from it.
    pub(crate) fn ends_flow(self) -> bool {
        matches!(self.opcode, JUMP | LONG_JUMP | EXIT)
    }

    /// What a kernel of this release refuses in the instruction itself, whatever is around it. Which
    /// helper a call calls is another question.
    pub(crate) fn fault(self, floor: Release) -> Option<Fault> {
        match self.feature() {
            Some((what, since)) => Fault::unless_known(floor, since, what),
            None => Some(Fault::Refused(format!("no kernel has an opcode {:#04x} like this", self.opcode))),
        }
    }

    fn feature(self) -> Option<(&'static str, Release)> {
        match self.class() {
            LD => self.constant(),
            LDX | ST => self.load_or_store(),
            STX => self.register_store(),
            ALU | ALU64 => self.arithmetic(),
            JMP => self.jump_or_call(),
            JMP32 => match self.opcode {
                LONG_JUMP => Some(("a jump over 32 bits of distance", CPU_V4)),
                _ => Some(("a 32-bit jump", JUMP_32)),
            },
            _ => None,
        }
    }

    /// The source register says what the constant is. In a file it is 0 for maps, too: a relocation
    /// tells, and the loader writes 1.
    fn constant(self) -> Option<(&'static str, Release)> {
        if self.opcode != LOAD_CONSTANT {
            // Loads from a packet, which only socket and traffic filters have.
            return None;
        }
        Some(match self.source {
            0 | 1 => ("a constant", EVER),
            2 => ("an address in a map's value", Release(5, 2)),
            3 => ("the address of a kernel symbol", Release(5, 10)),
            4 => ("the address of a function", Release(5, 13)),
            5 | 6 => ("a map by its index", Release(5, 14)),
            _ => return None,
        })
    }

    fn load_or_store(self) -> Option<(&'static str, Release)> {
        match self.opcode & 0xe0 {
            0x60 => Some(("a load or store", EVER)),
            0x80 if self.class() == LDX => Some(("a sign-extending load", CPU_V4)),
            _ => None,
        }
    }

    fn register_store(self) -> Option<(&'static str, Release)> {
        const ADD: i32 = 0x00;
        const ACQUIRE: i32 = 0x100;
        const RELEASE: i32 = 0x110;
        match self.opcode & 0xf8 {
            0x60 | 0x68 | 0x70 | 0x78 => Some(("a store", EVER)),
            0xc0 | 0xd8 if self.immediate == ADD => Some(("an atomic addition", EVER)),
            0xc0..=0xd8 if matches!(self.immediate, ACQUIRE | RELEASE) => {
                Some(("a load or store with order", ACQUIRE_RELEASE))
            }
            0xc0 | 0xd8 => Some(("an atomic operation with a result, or other than addition", ATOMICS)),
            _ => None,
        }
    }

    /// The offset of arithmetic was zero until "CPU v4" gave it a meaning.
    fn arithmetic(self) -> Option<(&'static str, Release)> {
        const DIVIDE: u8 = 0x30;
        const MODULO: u8 = 0x90;
        const MOVE: u8 = 0xb0;
        const SHIFT_SIGNED: u8 = 0xc0;
        const END: u8 = 0xd0;
        match self.opcode & 0xf0 {
            END if self.class() == ALU64 => Some(("an unconditional byte swap", CPU_V4)),
            DIVIDE | MODULO if self.offset != 0 => Some(("a signed division", CPU_V4)),
            MOVE if self.offset != 0 => Some(("a sign-extending move", CPU_V4)),
            // "BPF_ARSH not supported for 32 bit ALU", said the verifier before.
            SHIFT_SIGNED if self.class() == ALU => Some(("a signed 32-bit shift", Release(5, 0))),
            0x00..=END if self.offset == 0 => Some(("arithmetic", EVER)),
            _ => None,
        }
    }

    fn jump_or_call(self) -> Option<(&'static str, Release)> {
        match self.opcode {
            JUMP => Some(("a jump", EVER)),
            CALL => Some(match self.source {
                0 => ("a call of a helper", EVER),
                1 => ("a call of an own function", Release(4, 16)),
                2 => ("a call of a kernel function", Release(5, 13)),
                _ => return None,
            }),
            EXIT => Some(("an exit", EVER)),
            0xe5 => Some(("a jump that the kernel counts", MAY_GOTO)),
            // Conditions: with an immediate, then with a register. Those of "less" came with 4.14.
            _ => match self.opcode & 0xf0 {
                0x10..=0x70 => Some(("a condition", EVER)),
                0xa0..=0xd0 => Some(("a condition of less", Release(4, 14))),
                _ => None,
            },
        }
    }
}

/// The slots of a section; the rest of its length, which a loader refuses, is no slot.
pub(crate) fn decode(bytes: &[u8]) -> Vec<Instruction> {
    let (slots, _) = bytes.as_chunks();
    slots.iter().map(|slot| Instruction::decode(*slot)).collect()
}
