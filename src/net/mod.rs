//! Connections to other programs: dialed with a deadline, and spoken to over HTTP by futures of the agent's own
//! executor.
//!
//! Who uses a connection says how long an answer may take and how long it may be: no peer can hold a task for
//! ever, nor fill the agent's memory.

pub mod deadline;
pub mod grpc;
pub mod http1;
mod line_buffer;
pub mod lines;
pub mod proxy;
pub mod stream;
pub mod tls;

use std::time::Duration;

/// What a peer may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the request to the last byte of the answer; for an answer that is read as it comes, to its head.
    pub deadline: Duration,
    /// Bytes of an answer's body.
    pub bytes: usize,
}

/// Why a peer gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// It could not be reached.
    #[error("failed to connect to {peer}")]
    Connect {
        /// An address or a path.
        peer: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not whom it should be, does not know the agent, or speaks no TLS.
    #[error("failed to agree on TLS with {peer}")]
    Tls {
        /// An address.
        peer: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It took too long.
    #[error("no answer from {peer} within {} s", deadline.as_secs_f32())]
    Late {
        /// An address or a path.
        peer: String,
        /// How long it had.
        deadline: Duration,
    },
    /// It broke off, or does not speak HTTP.
    #[error("{peer} did not answer as HTTP demands")]
    Http {
        /// An address or a path.
        peer: String,
        /// Why.
        #[source]
        source: hyper::Error,
    },
    /// It ended its answer in the middle of a line.
    #[error("{peer} broke off in the middle of a line")]
    Cut {
        /// An address or a path.
        peer: String,
    },
    /// It said more than anyone wants to hear.
    #[error("{peer} answered with over {bytes} bytes")]
    TooLong {
        /// An address or a path.
        peer: String,
        /// The bound.
        bytes: usize,
    },
}

impl NetError {
    /// It had so long.
    pub fn late(peer: &str, deadline: Duration) -> Self {
        Self::Late { peer: peer.to_owned(), deadline }
    }
}
