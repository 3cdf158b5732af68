//! DWARF expressions, as far as compilers and linkers write them into CFI. They are compared with known shapes
//! and never evaluated, so there is no loop that a file could make.

/// What an expression computes. Registers have DWARF's numbers, offsets are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// register + offset.
    Address {
        /// Which.
        register: u16,
        /// Added to it.
        offset: i64,
    },
    /// \*(register + offset) + addend: gcc keeps the CFA in the frame where it realigns the stack.
    Loaded {
        /// Which.
        register: u16,
        /// Added to it.
        offset: i64,
        /// Added to the word there.
        addend: i64,
    },
    /// What linkers write for `.plt`: SP + 8, and 8 more from a byte of each stub on.
    Plt {
        /// The byte.
        threshold: u8,
    },
    /// Anything else.
    Other,
}

const DEREF: u8 = 0x06;
const PLUS_UCONST: u8 = 0x23;
const LITERAL: u8 = 0x30;
/// `DW_OP_breg0`; the register is in the low five bits.
const BASE_REGISTER: u8 = 0x70;
const REGISTERS: u8 = 32;

/// `breg7(rsp) 8; breg16(rip) 0; lit15; and; lit...` and behind the literal `ge; lit3; shl; plus`.
const PLT_HEAD: [u8; 6] = [0x77, 8, 0x80, 0, 0x3f, 0x1a];
const PLT_TAIL: [u8; 4] = [0x2a, 0x33, 0x24, 0x22];

/// Recognizes an expression.
pub(super) fn shape(bytes: &[u8]) -> Shape {
    plt(bytes).or_else(|| based(bytes)).unwrap_or(Shape::Other)
}

fn plt(bytes: &[u8]) -> Option<Shape> {
    let [literal, tail @ ..] = bytes.strip_prefix(&PLT_HEAD)? else { return None };
    let threshold = literal.checked_sub(LITERAL).filter(|number| *number < 16 && *tail == PLT_TAIL)?;
    Some(Shape::Plt { threshold })
}

fn based(bytes: &[u8]) -> Option<Shape> {
    let (first, rest) = bytes.split_first()?;
    let register = first.checked_sub(BASE_REGISTER).filter(|number| *number < REGISTERS)?;
    let register = u16::from(register);
    let (offset, rest) = signed(rest)?;
    match rest {
        [] => Some(Shape::Address { register, offset }),
        [DEREF] => Some(Shape::Loaded { register, offset, addend: 0 }),
        [DEREF, PLUS_UCONST, rest @ ..] => {
            let (addend, rest) = unsigned(rest)?;
            rest.is_empty().then_some(Shape::Loaded { register, offset, addend })
        }
        _ => None,
    }
}

/// A number of up to 63 bits in LEB128, and what follows it.
fn unsigned(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let length = bytes.iter().take(9).position(|byte| byte & 0x80 == 0)? + 1;
    let (number, rest) = bytes.split_at_checked(length)?;
    let value = number.iter().rev().fold(0, |value, byte| value << 7 | i64::from(byte & 0x7f));
    Some((value, rest))
}

/// The same with a sign.
fn signed(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (value, rest) = unsigned(bytes)?;
    let bits = 7 * (bytes.len() - rest.len());
    let unused = 64 - bits;
    Some((value << unused >> unused, rest))
}

#[cfg(test)]
mod tests {
    use super::{Shape, shape};
    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    #[test]
    fn what_compilers_and_linkers_write_is_recognized() {
        let plt = |literal| [0x77, 8, 0x80, 0, 0x3f, 0x1a, literal, 0x2a, 0x33, 0x24, 0x22];
        let cases: [(&[u8], Shape); 12] = [
            (&plt(0x3b), Shape::Plt { threshold: 11 }),
            (&plt(0x3a), Shape::Plt { threshold: 10 }),
            (&plt(0x40), Shape::Other),
            (&plt(0x3b)[..10], Shape::Other),
            (&[0x76, 0x78, 0x06], Shape::Loaded { register: 6, offset: -8, addend: 0 }),
            (&[0x77, 0xc0, 0x00, 0x06, 0x23, 8], Shape::Loaded { register: 7, offset: 64, addend: 8 }),
            (
                &[0x77, 0x90, 0x7f, 0x06, 0x23, 0x80, 1],
                Shape::Loaded { register: 7, offset: -112, addend: 128 },
            ),
            (&[0x76, 0], Shape::Address { register: 6, offset: 0 }),
            (&[0x8f, 0x50], Shape::Address { register: 31, offset: -48 }),
            (&[0x90, 0x50], Shape::Other),
            (&[0x76, 0x80], Shape::Other),
            (&[], Shape::Other),
        ];
        for (bytes, expected) in cases {
            assert_eq!(shape(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn a_jump_backwards_is_nothing_special() {
        assert_eq!(shape(&[0x2f, 0xfd, 0xff]), Shape::Other);
    }

    proptest! {
        #[test]
        fn hostile_expressions_never_panic(bytes in vec(any::<u8>(), 0..24), register in 0x70_u8..0x90) {
            shape(&bytes);
            shape(&[&[register], &bytes[..]].concat());
        }
    }
}
