//! What agent and worker say to each other over their socket pair, which keeps packets whole.
//!
//! A request is one packet with one descriptor beside it. The answer is a packet that says the job has
//! started, and then the reply in one or more frames:
//! ```text
//! request  id u64 | job u8 | most bytes of file u64 | most bytes of reply u32
//! started  id u64 | 0
//! frame    id u64 | 1 more follow, 2 last | part of the reply
//! reply    0 | ObjectInfo      or  1 malformed   or  2 too large
//!          0 | Table           or  a number of `NoTable`
//!          0 | Extraction      or  a number of `NoExtraction`
//! ```
//! What a table looks like, [`super::table`] says, and what an extraction, [`super::extraction`].
//! All numbers are little-endian. Both ends are the same executable, so there is no version. The agent
//! reads the worker's bytes as hostile: whatever is not exactly this is a [`ProtocolError`].

use crate::object::build_id::{BuildId, BuildIdKind};
use crate::object::making::{Compiler, FileId, Making};
use crate::object::{FileOffset, LoadSegment, ObjectAddress, ObjectInfo, Unidentified};
use std::ops::RangeInclusive;

/// Most `PT_LOAD` headers of one file. Linkers write 2 to 6; a few tools write hundreds.
pub const MAX_SEGMENTS: usize = 1024;

/// Descriptor lengths that the GNU note may have, bytes. Linkers write 8, 16, 20 or 32.
pub const GNU_BUILD_ID_LENGTH: RangeInclusive<usize> = 4..=64;

/// Lengths that the Go note may have, bytes. The toolchain writes 83.
pub const GO_BUILD_ID_LENGTH: RangeInclusive<usize> = 4..=256;

/// Length of a SHA-256, bytes.
const HASH_LENGTH: usize = 32;

/// Largest packet from the worker, bytes.
pub const MAX_FRAME: usize = 16 << 10;

/// Bytes of a packet before its part of the reply.
const FRAME_HEADER: usize = 9;

/// Bytes of a request.
pub const REQUEST_LENGTH: usize = 21;

/// Which request a packet belongs to, so that a late answer is never taken for another job's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobId(pub u64);

/// What the worker is to do with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Find build id, type and segments: an [`ObjectInfo`].
    Identify,
    /// Make the unwind table: a [`Table`](crate::unwind::Table).
    Unwind,
    /// Plan the debug file: an [`Extraction`](crate::debuginfo::plan::Extraction).
    Extract,
}

/// Bounds of one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the file that the job may read.
    pub read: u64,
    /// Most bytes of the reply.
    pub reply: u32,
}

/// One job, beside whose bytes the file's descriptor travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whose answer to look for.
    pub id: JobId,
    /// What to do.
    pub kind: JobKind,
    /// How much of it.
    pub limits: Limits,
}

/// One packet from the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The worker has the job: from now on what befalls it is the job's doing.
    Started(JobId),
    /// Part of the reply, and whether it is the last.
    Part(JobId, &'a [u8], bool),
}

/// Bytes that neither end would have sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The bytes end inside a value.
    #[error("message ends early")]
    Short,
    /// Bytes are left after the last value.
    #[error("{0} bytes after the end of a message")]
    Trailing(usize),
    /// A tag that nobody defined.
    #[error("unknown {what} {tag}")]
    UnknownTag {
        /// Of what.
        what: &'static str,
        /// Its value.
        tag: u8,
    },
    /// A length outside its bounds.
    #[error("{what} of length {length}")]
    Length {
        /// Of what.
        what: &'static str,
        /// As it was sent.
        length: usize,
    },
    /// Values that do not ascend as they must.
    #[error("{what} out of order")]
    Disorder {
        /// Of what.
        what: &'static str,
    },
    /// A packet of another job, or out of order.
    #[error("packet of another job or out of order")]
    OutOfOrder,
}

impl JobKind {
    /// The bounds that the agent sets for this kind of job.
    pub fn limits(self) -> Limits {
        match self {
            // 256 MiB to hash take 2 s where there are no SHA instructions; 1024 segments of 33 bytes.
            Self::Identify => Limits { read: 256 << 20, reply: 64 << 10 },
            // `.eh_frame` of the largest programs has 60 MB; the reply is 4 bytes a row, 6 million of them.
            Self::Unwind => Limits { read: 96 << 20, reply: 32 << 20 },
            // 65536 sections and as many segments have 8 MB of headers, and a copy and its padding take 19 bytes.
            Self::Extract => Limits { read: 16 << 20, reply: 16 << 20 },
        }
    }
}

impl Request {
    /// As it is sent.
    pub fn encode(&self) -> [u8; REQUEST_LENGTH] {
        let mut bytes = [0; REQUEST_LENGTH];
        let kind = match self.kind {
            JobKind::Identify => 0_u8,
            JobKind::Unwind => 1,
            JobKind::Extract => 2,
        };
        let fields = self.id.0.to_le_bytes().into_iter().chain([kind]);
        let limits = self.limits.read.to_le_bytes().into_iter().chain(self.limits.reply.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(fields.chain(limits)) {
            *to = from;
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader(bytes);
        let id = JobId(reader.u64()?);
        let kind = match reader.u8()? {
            0 => JobKind::Identify,
            1 => JobKind::Unwind,
            2 => JobKind::Extract,
            tag => return Err(ProtocolError::UnknownTag { what: "job", tag }),
        };
        let limits = Limits { read: reader.u64()?, reply: reader.u32()? };
        reader.end()?;
        Ok(Self { id, kind, limits })
    }
}

impl<'a> Packet<'a> {
    /// Reads one packet.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut reader = Reader(bytes);
        let id = JobId(reader.u64()?);
        match reader.u8()? {
            0 => reader.end().map(|()| Self::Started(id)),
            1 => Ok(Self::Part(id, reader.0, false)),
            2 => Ok(Self::Part(id, reader.0, true)),
            tag => Err(ProtocolError::UnknownTag { what: "packet", tag }),
        }
    }
}

/// The packet that says a job has started.
pub fn started(id: JobId) -> Vec<u8> {
    packet(id, 0, &[])
}

/// The packets of a reply.
pub fn frames(id: JobId, reply: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let count = reply.len().div_ceil(MAX_FRAME - FRAME_HEADER).max(1);
    (0..count).map(move |index| {
        let start = index * (MAX_FRAME - FRAME_HEADER);
        let end = reply.len().min(start + MAX_FRAME - FRAME_HEADER);
        let tag = if index + 1 == count { 2 } else { 1 };
        packet(id, tag, reply.get(start..end).unwrap_or_default())
    })
}

fn packet(id: JobId, tag: u8, part: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FRAME_HEADER + part.len());
    bytes.extend(id.0.to_le_bytes());
    bytes.push(tag);
    bytes.extend(part);
    bytes
}

/// A reply in the making: joins the frames of one job and holds them to its limit.
#[derive(Debug)]
pub struct Reply {
    id: JobId,
    limit: usize,
    started: bool,
    bytes: Vec<u8>,
}

impl Reply {
    /// The reply to `request`, nothing of it received.
    pub fn new(request: &Request) -> Self {
        let limit = usize::try_from(request.limits.reply).unwrap_or(usize::MAX);
        Self { id: request.id, limit, started: false, bytes: Vec::new() }
    }

    /// The worker took the request.
    pub fn started(&self) -> bool {
        self.started
    }

    /// Adds a packet; true when the reply is whole.
    pub fn add(&mut self, packet: &[u8]) -> Result<bool, ProtocolError> {
        match Packet::decode(packet)? {
            Packet::Started(id) if id == self.id && !self.started => {
                self.started = true;
                Ok(false)
            }
            Packet::Part(id, part, last) if id == self.id && self.started => {
                let length = self.bytes.len().saturating_add(part.len());
                if length > self.limit || (part.is_empty() && !last) {
                    return Err(ProtocolError::Length { what: "reply", length });
                }
                self.bytes.extend(part);
                Ok(last)
            }
            Packet::Started(_) | Packet::Part(..) => Err(ProtocolError::OutOfOrder),
        }
    }

    /// What was received.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A reply to [`JobKind::Identify`], as it is sent.
pub fn encode_identified(result: &Result<ObjectInfo, Unidentified>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match result {
        Ok(info) => {
            bytes.push(0);
            encode_info(info, &mut bytes);
        }
        Err(Unidentified::TooLarge) => bytes.push(2),
        Err(_) => bytes.push(1),
    }
    bytes
}

fn encode_info(info: &ObjectInfo, bytes: &mut Vec<u8>) {
    bytes.push(match info.build_id.kind {
        BuildIdKind::Gnu => 0,
        BuildIdKind::Go => 1,
        BuildIdKind::Hash => 2,
    });
    // The lengths are bounded where they are found, far below 65536.
    bytes.extend(u16::try_from(info.build_id.bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend(&info.build_id.bytes);
    bytes.extend(info.elf_type.to_le_bytes());
    bytes.extend(info.machine.to_le_bytes());
    bytes.extend(u16::try_from(info.segments.len()).unwrap_or(u16::MAX).to_le_bytes());
    for segment in &info.segments {
        let numbers = [segment.file_offset.0, segment.address.0, segment.file_size, segment.memory_size];
        bytes.extend(numbers.into_iter().flat_map(u64::to_le_bytes));
        bytes.push(u8::from(segment.executable));
    }
    encode_making(&info.making, bytes);
}

fn encode_making(making: &Making, bytes: &mut Vec<u8>) {
    bytes.push(u8::from(making.is_static));
    bytes.push(u8::from(making.is_stripped));
    bytes.push(u8::from(making.file_id.is_some()));
    bytes.extend(making.file_id.map_or([0; 16], |id| id.0));
    let compiler = making.compiler.as_ref().map(Compiler::as_str).unwrap_or_default();
    bytes.push(u8::try_from(compiler.len()).unwrap_or_default());
    bytes.extend(compiler.as_bytes());
}

/// Reads a reply to [`JobKind::Identify`].
pub fn decode_identified(bytes: &[u8]) -> Result<Result<ObjectInfo, Unidentified>, ProtocolError> {
    let mut reader = Reader(bytes);
    let result = match reader.u8()? {
        0 => Ok(decode_info(&mut reader)?),
        1 => Err(Unidentified::Malformed),
        2 => Err(Unidentified::TooLarge),
        tag => return Err(ProtocolError::UnknownTag { what: "reply", tag }),
    };
    reader.end()?;
    Ok(result)
}

fn decode_info(reader: &mut Reader<'_>) -> Result<ObjectInfo, ProtocolError> {
    let (kind, lengths) = match reader.u8()? {
        0 => (BuildIdKind::Gnu, GNU_BUILD_ID_LENGTH),
        1 => (BuildIdKind::Go, GO_BUILD_ID_LENGTH),
        2 => (BuildIdKind::Hash, HASH_LENGTH..=HASH_LENGTH),
        tag => return Err(ProtocolError::UnknownTag { what: "build id", tag }),
    };
    let length = usize::from(reader.u16()?);
    if !lengths.contains(&length) {
        return Err(ProtocolError::Length { what: "build id", length });
    }
    let build_id = BuildId { kind, bytes: reader.take(length)?.into() };
    let elf_type = reader.u16()?;
    let machine = reader.u16()?;
    let count = usize::from(reader.u16()?);
    if count > MAX_SEGMENTS {
        return Err(ProtocolError::Length { what: "segments", length: count });
    }
    let segments = (0..count).map(|_| decode_segment(reader)).collect::<Result<_, _>>()?;
    Ok(ObjectInfo { build_id, elf_type, machine, segments, making: decode_making(reader)? })
}

fn decode_making(reader: &mut Reader<'_>) -> Result<Making, ProtocolError> {
    let (is_static, is_stripped, has_id) = (reader.bool()?, reader.bool()?, reader.bool()?);
    let id = reader.take(16)?.first_chunk().copied().map(FileId);
    let length = usize::from(reader.u8()?);
    let text = reader.take(length)?;
    let compiler = match std::str::from_utf8(text) {
        Ok("") => None,
        Ok(text) => Some(Compiler::new(text).ok_or(ProtocolError::Length { what: "compiler", length })?),
        Err(_) => return Err(ProtocolError::Length { what: "compiler", length }),
    };
    Ok(Making { file_id: id.filter(|_| has_id), is_static, is_stripped, compiler })
}

fn decode_segment(reader: &mut Reader<'_>) -> Result<LoadSegment, ProtocolError> {
    Ok(LoadSegment {
        file_offset: FileOffset(reader.u64()?),
        address: ObjectAddress(reader.u64()?),
        file_size: reader.u64()?,
        memory_size: reader.u64()?,
        executable: reader.bool()?,
    })
}

/// The bytes not yet read.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], ProtocolError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(ProtocolError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(ProtocolError::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn bool(&mut self) -> Result<bool, ProtocolError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(ProtocolError::UnknownTag { what: "truth value", tag }),
        }
    }

    pub(super) fn u8(&mut self) -> Result<u8, ProtocolError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, ProtocolError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, ProtocolError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, ProtocolError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn end(self) -> Result<(), ProtocolError> {
        if self.0.is_empty() { Ok(()) } else { Err(ProtocolError::Trailing(self.0.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        FRAME_HEADER, JobId, JobKind, MAX_FRAME, ProtocolError, Reply, Request, decode_identified,
        encode_identified, frames, started,
    };
    use crate::object::build_id::{BuildId, BuildIdKind};
    use crate::object::making::{Compiler, FileId, Making};
    use crate::object::{FileOffset, LoadSegment, ObjectAddress, ObjectInfo, Unidentified};
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    const REQUEST: Request = Request {
        id: JobId(7),
        kind: JobKind::Identify,
        limits: super::Limits { read: 1 << 20, reply: 64 << 10 },
    };

    fn info(id: &[u8], segments: usize) -> ObjectInfo {
        let segment = |index| LoadSegment {
            file_offset: FileOffset(index << 12),
            address: ObjectAddress(u64::MAX - index),
            file_size: 1,
            memory_size: 2,
            executable: index % 2 == 0,
        };
        ObjectInfo {
            build_id: BuildId { kind: BuildIdKind::Gnu, bytes: id.into() },
            elf_type: 3,
            machine: 62,
            segments: (0..segments as u64).map(segment).collect(),
            making: Making {
                file_id: Some(FileId([7; 16])),
                is_static: true,
                is_stripped: false,
                compiler: Compiler::new("gcc 12.2.0"),
            },
        }
    }

    /// What the agent makes of packets.
    fn receive(packets: impl IntoIterator<Item = Vec<u8>>) -> Result<Vec<u8>, ProtocolError> {
        let mut reply = Reply::new(&REQUEST);
        for packet in packets {
            assert!(packet.len() <= MAX_FRAME);
            if reply.add(&packet)? {
                return Ok(reply.bytes().to_vec());
            }
        }
        Err(ProtocolError::Short)
    }

    #[test]
    fn a_request_reads_as_it_was_written() {
        assert_eq!(Request::decode(&REQUEST.encode()), Ok(REQUEST));
        assert_eq!(Request::decode(&REQUEST.encode()[1..]), Err(ProtocolError::Short));
    }

    #[test]
    fn the_largest_reply_crosses_in_several_frames_within_its_limit() {
        let bytes = encode_identified(&Ok(info(&[1; 64], super::MAX_SEGMENTS)));
        let packets: Vec<_> = frames(REQUEST.id, &bytes).collect();
        assert_eq!(packets.len(), 3);
        let received = receive([started(REQUEST.id)].into_iter().chain(packets)).unwrap();
        assert_eq!(decode_identified(&received), Ok(Ok(info(&[1; 64], super::MAX_SEGMENTS))));
    }

    #[test]
    fn replies_out_of_order_or_bounds_are_errors() {
        let part = |id, bytes: &[u8]| frames(JobId(id), bytes).collect::<Vec<_>>();
        let endless = || vec![super::packet(REQUEST.id, 1, &[0; MAX_FRAME - FRAME_HEADER]); 5];
        let cases: [(&str, Vec<Vec<u8>>); 6] = [
            ("not started", part(7, b"x")),
            ("another job", [vec![started(JobId(7))], part(8, b"x")].concat()),
            ("started twice", vec![started(JobId(7)), started(JobId(7))]),
            ("over the limit", [vec![started(JobId(7))], endless()].concat()),
            ("empty part", vec![started(JobId(7)), super::packet(REQUEST.id, 1, &[])]),
            ("unknown tag", vec![super::packet(REQUEST.id, 3, &[])]),
        ];
        for (name, packets) in cases {
            let error = receive(packets).unwrap_err();
            assert_ne!(error, ProtocolError::Short, "{name}");
        }
    }

    #[test]
    fn a_lying_identification_is_an_error() {
        let whole = encode_identified(&Ok(info(b"abcd", 2)));
        assert!(decode_identified(&whole).unwrap().is_ok());
        for length in 0..whole.len() {
            assert_eq!(decode_identified(&whole[..length]), Err(ProtocolError::Short), "cut to {length}");
        }
        let changed = |index: usize, value: u8| {
            let mut bytes = whole.clone();
            bytes[index] = value;
            decode_identified(&bytes).unwrap_err()
        };
        assert_eq!(changed(0, 3), ProtocolError::UnknownTag { what: "reply", tag: 3 });
        assert_eq!(changed(1, 9), ProtocolError::UnknownTag { what: "build id", tag: 9 });
        assert_eq!(changed(2, 65), ProtocolError::Length { what: "build id", length: 65 });
        assert_eq!(changed(1, 2), ProtocolError::Length { what: "build id", length: 4 }, "hash of 4 bytes");
        assert_eq!(changed(13, 255), ProtocolError::Length { what: "segments", length: 65282 });
        assert_eq!(decode_identified(&[1, 0]), Err(ProtocolError::Trailing(1)));
        assert_eq!(decode_identified(&[2]), Ok(Err(Unidentified::TooLarge)));
    }

    proptest! {
        #[test]
        fn hostile_packets_never_panic(packets in vec(vec(any::<u8>(), 0..64), 0..8)) {
            let mut reply = Reply::new(&REQUEST);
            for packet in packets {
                let _ = reply.add(&packet);
            }
            let _ = decode_identified(reply.bytes());
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(bytes in vec(any::<u8>(), 0..256)) {
            if let Ok(result) = decode_identified(&bytes) {
                prop_assert_eq!(encode_identified(&result), bytes);
            }
        }
    }
}
