//! Messages of the store's protocol, with its field numbers and its words.

use prost::Message;

/// What the server has to know of a mapping's file to turn an address into one of the file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
pub struct ExecutableInfo {
    /// `e_type` of the ELF header.
    #[prost(uint32, tag = "1")]
    pub elf_type: u32,
    /// The segment that is mapped.
    #[prost(message, optional, tag = "2")]
    pub load_segment: Option<LoadSegment>,
}

/// A `PT_LOAD` segment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
pub struct LoadSegment {
    /// Where in the file it begins.
    #[prost(uint64, tag = "1")]
    pub offset: u64,
    /// At which address it begins.
    #[prost(uint64, tag = "2")]
    pub vaddr: u64,
}

/// A request of `WriteRaw`.
#[derive(Clone, PartialEq, Message)]
pub struct WriteRawRequest {
    /// Of no meaning to the server.
    #[prost(string, tag = "1")]
    pub tenant: String,
    /// Each series once.
    #[prost(message, repeated, tag = "2")]
    pub series: Vec<RawProfileSeries>,
    /// Whether addresses are those of the file already: with [`ExecutableInfo`] the server finds that out.
    #[prost(bool, tag = "3")]
    pub normalized: bool,
}

/// Profiles of one target.
#[derive(Clone, PartialEq, Message)]
pub struct RawProfileSeries {
    /// Its labels.
    #[prost(message, optional, tag = "1")]
    pub labels: Option<Labels>,
    /// A profile of each window.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<RawSample>,
}

/// Labels of a series.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Labels {
    /// In the order of names.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
}

/// A label.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Label {
    /// Such as Prometheus takes.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Any text.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// One profile.
#[derive(Clone, PartialEq, Message)]
pub struct RawSample {
    /// pprof, compressed by gzip.
    #[prost(bytes = "vec", tag = "1")]
    pub raw_profile: Vec<u8>,
    /// One for each mapping, in its order.
    #[prost(message, repeated, tag = "2")]
    pub executable_info: Vec<ExecutableInfo>,
}

/// The answer.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct WriteRawResponse {}
