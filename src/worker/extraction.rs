//! Plans of debug files as they cross from the worker to the agent.
//!
//! ```text
//! extraction      has u8, a bit for each kind | debug link | alternate link | parts u32 | part...
//! debug link      length u16 | name | CRC u32, or 0 u16
//! alternate link  length u16 | path | length u8 | build id, or 0 u16
//! part            0 | length u32 | byte..., or 1 | from u64 | length u64, or 2 | zeros u8
//! ```
//! The agent copies bytes of a file by what it decodes, so every length and order is checked here; that they lie in the
//! file, the [reader](crate::debuginfo::reader) checks.

use super::protocol::{ProtocolError, Reader};
use crate::debuginfo::plan::{
    AlternateLink, Content, DebugLink, Extraction, MAX_PARTS, NoExtraction, Part, Plan, PlanError,
};
use crate::object::FileOffset;

/// A reply to [`JobKind::Extract`](super::protocol::JobKind::Extract), as it is sent.
pub fn encode_extraction(result: &Result<Extraction, NoExtraction>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match result {
        Ok(extraction) => {
            bytes.push(0);
            encode_content(&extraction.content, &mut bytes);
            encode_parts(extraction.plan.parts(), &mut bytes);
        }
        Err(reason) => bytes.push(tag_of(*reason)),
    }
    bytes
}

/// Its place in [`NoExtraction::ALL`], counted from 1.
fn tag_of(reason: NoExtraction) -> u8 {
    let mut tags = (1..).zip(NoExtraction::ALL);
    tags.find_map(|(tag, each)| (each == reason).then_some(tag)).unwrap_or(1)
}

fn encode_content(content: &Content, bytes: &mut Vec<u8>) {
    let bits = has(content).into_iter().rev().fold(0, |bits, has| bits << 1 | u8::from(has));
    bytes.push(bits);
    // The lengths are bounded where links are made, below 4096 and 256.
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes();
    match &content.debug_link {
        Some(link) => {
            bytes.extend(length(&link.name));
            bytes.extend(&link.name);
            bytes.extend(link.crc.to_le_bytes());
        }
        None => bytes.extend([0, 0]),
    }
    match &content.alternate_link {
        Some(link) => {
            bytes.extend(length(&link.path));
            bytes.extend(&link.path);
            bytes.push(u8::try_from(link.build_id.len()).unwrap_or(u8::MAX));
            bytes.extend(&link.build_id);
        }
        None => bytes.extend([0, 0]),
    }
}

fn has(content: &Content) -> [bool; 5] {
    [
        content.has_dwarf,
        content.has_symtab,
        content.has_dynsym,
        content.has_go_tables,
        content.has_gnu_debugdata,
    ]
}

fn encode_parts(parts: &[Part], bytes: &mut Vec<u8>) {
    // Bounded where a plan is made: MAX_PARTS, MAX_ZEROS; its own bytes by the headers that the worker reads.
    bytes.extend(u32::try_from(parts.len()).unwrap_or(u32::MAX).to_le_bytes());
    for part in parts {
        match part {
            Part::Bytes(own) => {
                bytes.push(0);
                bytes.extend(u32::try_from(own.len()).unwrap_or(u32::MAX).to_le_bytes());
                bytes.extend(own);
            }
            Part::Copy { from, length } => {
                bytes.push(1);
                bytes.extend(from.0.to_le_bytes());
                bytes.extend(length.to_le_bytes());
            }
            Part::Zeros(length) => bytes.extend([2, u8::try_from(*length).unwrap_or(u8::MAX)]),
        }
    }
}

/// Reads a reply to [`JobKind::Extract`](super::protocol::JobKind::Extract).
pub fn decode_extraction(bytes: &[u8]) -> Result<Result<Extraction, NoExtraction>, ProtocolError> {
    let mut reader = Reader(bytes);
    let tag = reader.u8()?;
    let result = match NoExtraction::ALL.get(usize::from(tag).wrapping_sub(1)) {
        Some(reason) => Err(*reason),
        None if tag == 0 => {
            let content = decode_content(&mut reader)?;
            Ok(Extraction { plan: decode_plan(&mut reader)?, content })
        }
        None => return Err(ProtocolError::UnknownTag { what: "reply", tag }),
    };
    reader.end()?;
    Ok(result)
}

fn decode_content(reader: &mut Reader<'_>) -> Result<Content, ProtocolError> {
    let bits = reader.u8()?;
    let content = Content {
        has_dwarf: bits & 1 != 0,
        has_symtab: bits & 2 != 0,
        has_dynsym: bits & 4 != 0,
        has_go_tables: bits & 8 != 0,
        has_gnu_debugdata: bits & 16 != 0,
        debug_link: decode_debug_link(reader)?,
        alternate_link: decode_alternate_link(reader)?,
    };
    if bits >= 32 {
        return Err(ProtocolError::UnknownTag { what: "content", tag: bits });
    }
    Ok(content)
}

fn decode_debug_link(reader: &mut Reader<'_>) -> Result<Option<DebugLink>, ProtocolError> {
    let length = usize::from(reader.u16()?);
    if length == 0 {
        return Ok(None);
    }
    let name = reader.take(length)?;
    let link = DebugLink::new(name, reader.u32()?);
    link.map(Some).ok_or(ProtocolError::Length { what: "name of a debug file", length })
}

fn decode_alternate_link(reader: &mut Reader<'_>) -> Result<Option<AlternateLink>, ProtocolError> {
    let length = usize::from(reader.u16()?);
    if length == 0 {
        return Ok(None);
    }
    let path = reader.take(length)?;
    let id_length = usize::from(reader.u8()?);
    let link = AlternateLink::new(path, reader.take(id_length)?);
    link.map(Some).ok_or(ProtocolError::Length { what: "path of a debug file", length })
}

fn decode_plan(reader: &mut Reader<'_>) -> Result<Plan, ProtocolError> {
    let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    if count > MAX_PARTS {
        return Err(ProtocolError::Length { what: "parts", length: count });
    }
    let parts = (0..count).map(|_| decode_part(reader)).collect::<Result<_, _>>()?;
    Plan::new(parts).map_err(|error| match error {
        PlanError::Disorder(_) | PlanError::OutsideFile { .. } => {
            ProtocolError::Disorder { what: "copies of a file" }
        }
        PlanError::TooManyParts(length) => ProtocolError::Length { what: "parts", length },
        PlanError::Length(length) => {
            ProtocolError::Length { what: "part", length: usize::try_from(length).unwrap_or(usize::MAX) }
        }
    })
}

fn decode_part(reader: &mut Reader<'_>) -> Result<Part, ProtocolError> {
    match reader.u8()? {
        0 => {
            let length = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
            Ok(Part::Bytes(reader.take(length)?.to_vec()))
        }
        1 => Ok(Part::Copy { from: FileOffset(reader.u64()?), length: reader.u64()? }),
        2 => Ok(Part::Zeros(u64::from(reader.u8()?))),
        tag => Err(ProtocolError::UnknownTag { what: "part", tag }),
    }
}

#[cfg(test)]
mod tests {
    use super::{decode_extraction, encode_extraction};
    use crate::debuginfo::plan::{
        AlternateLink, Content, DebugLink, Extraction, MAX_PARTS, NoExtraction, Part, Plan,
    };
    use crate::object::FileOffset;
    use crate::worker::protocol::ProtocolError;
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    fn extraction() -> Extraction {
        let parts = vec![
            Part::Bytes(b"head".to_vec()),
            Part::Zeros(7),
            Part::Copy { from: FileOffset(10), length: 1 << 40 },
            Part::Copy { from: FileOffset(10 + (1 << 40)), length: 1 },
        ];
        let content = Content {
            has_symtab: true,
            has_gnu_debugdata: true,
            debug_link: DebugLink::new(b"a\xff.debug", 0x1234_5678),
            alternate_link: AlternateLink::new(b"/b", &[1, 2, 3]),
            ..Content::default()
        };
        Extraction { plan: Plan::new(parts).unwrap(), content }
    }

    #[test]
    fn an_extraction_reads_as_it_was_written() {
        let all = Content {
            has_dwarf: true,
            has_symtab: true,
            has_dynsym: true,
            has_go_tables: true,
            has_gnu_debugdata: true,
            ..Content::default()
        };
        let few = Extraction { plan: Plan::new(vec![]).unwrap(), content: all };
        for result in [Ok(extraction()), Ok(few)].into_iter().chain(NoExtraction::ALL.map(Err)) {
            assert_eq!(decode_extraction(&encode_extraction(&result)), Ok(result));
        }
    }

    #[test]
    fn a_lying_extraction_is_an_error() {
        let whole = encode_extraction(&Ok(extraction()));
        for cut in 0..whole.len() {
            assert_eq!(decode_extraction(&whole[..cut]), Err(ProtocolError::Short), "cut to {cut}");
        }
        assert_eq!(decode_extraction(&[&whole[..], &[0]].concat()), Err(ProtocolError::Trailing(1)));
        assert_eq!(decode_extraction(&[12]), Err(ProtocolError::UnknownTag { what: "reply", tag: 12 }));
        let changed = |index: usize, value: u8| {
            let mut bytes = whole.clone();
            bytes[index] = value;
            decode_extraction(&bytes).unwrap_err()
        };
        assert_eq!(changed(1, 255), ProtocolError::UnknownTag { what: "content", tag: 255 });
        assert_eq!(changed(4, b'/'), ProtocolError::Length { what: "name of a debug file", length: 8 });
        assert_eq!(changed(18, 0), ProtocolError::Length { what: "path of a debug file", length: 2 });
        assert_eq!(changed(27, 1), ProtocolError::Length { what: "parts", length: (1 << 24) + 4 });
    }

    #[test]
    fn lying_parts_are_an_error() {
        let decoded = |count: u32, parts: &[u8]| {
            decode_extraction(&[&[0; 6][..], &count.to_le_bytes(), parts].concat()).unwrap_err()
        };
        let copy = |from: u64, length: u64| [&[1][..], &from.to_le_bytes(), &length.to_le_bytes()].concat();
        let disorder = ProtocolError::Disorder { what: "copies of a file" };
        assert_eq!(decoded(2, &[copy(5, 5), copy(9, 1)].concat()), disorder);
        assert_eq!(decoded(1, &copy(u64::MAX, 1)), disorder);
        assert_eq!(decoded(1, &[2, 64]), ProtocolError::Length { what: "part", length: 64 });
        assert_eq!(decoded(1, &[2, 0]), ProtocolError::Length { what: "part", length: 0 });
        assert_eq!(decoded(1, &[0, 255, 255, 255, 255]), ProtocolError::Short);
        assert_eq!(decoded(1, &[3]), ProtocolError::UnknownTag { what: "part", tag: 3 });
        let many = u32::try_from(MAX_PARTS + 1).unwrap();
        assert_eq!(decoded(many, &[]), ProtocolError::Length { what: "parts", length: MAX_PARTS + 1 });
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same_bytes(bytes in vec(any::<u8>(), 0..256), parts in 0_u8..3) {
            let bytes = [&[0, 3, 0, 0, 0, 0, parts, 0, 0, 0][..], &bytes].concat();
            if let Ok(result) = decode_extraction(&bytes) {
                prop_assert_eq!(encode_extraction(&result), bytes);
            }
        }

        #[test]
        fn hostile_replies_never_panic(bytes in vec(any::<u8>(), 0..256)) {
            let _ = decode_extraction(&bytes);
        }
    }
}
