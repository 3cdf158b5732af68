//! Why a runtime told nothing.

use crate::net::NetError;
use crate::net::grpc::{Code, RpcError};
use std::io;

/// Why a socket gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It cannot be looked at.
    #[error("failed to look for {peer}")]
    Inaccessible {
        /// The path of the socket.
        peer: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something else is at its path.
    #[error("{peer} is no socket")]
    NotSocket {
        /// The path.
        peer: String,
    },
    /// It broke off, or took too long.
    #[error(transparent)]
    Net(#[from] NetError),
    /// It broke off, or refused a call.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// It refused a request.
    #[error("{peer} answered with status {status}")]
    Status {
        /// The path of the socket.
        peer: String,
        /// Of HTTP.
        status: u16,
    },
    /// It answered with something else than its API demands.
    #[error("{peer} answered with what is no {what}")]
    Malformed {
        /// The path of the socket.
        peer: String,
        /// What the answer should have been.
        what: &'static str,
        /// What is wrong, if JSON is.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// It speaks neither of the two APIs.
    #[error("{peer} speaks neither CRI ({cri}) nor the API of Docker ({engine_api})")]
    Stranger {
        /// The path of the socket.
        peer: String,
        /// Why not.
        cri: String,
        /// Why not.
        engine_api: String,
    },
}

/// Why a socket gave no answer, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Connect,
    Late,
    Protocol,
    TooLong,
    Refused,
    Malformed,
}

impl Reason {
    pub(super) const ALL: [Self; 6] =
        [Self::Connect, Self::Late, Self::Protocol, Self::TooLong, Self::Refused, Self::Malformed];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Late => "late",
            Self::Protocol => "protocol",
            Self::TooLong => "too_long",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
        }
    }
}

impl AskError {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Inaccessible { .. } | Self::NotSocket { .. } => Reason::Connect,
            Self::Net(error) | Self::Rpc(RpcError::Net(error)) => match error {
                NetError::Late { .. } => Reason::Late,
                NetError::Http { .. } => Reason::Protocol,
                NetError::TooLong { .. } => Reason::TooLong,
                // Among others: more kinds of connections have more ways to fail.
                _ => Reason::Connect,
            },
            Self::Rpc(RpcError::Broken { .. } | RpcError::NotGrpc { .. }) | Self::Stranger { .. } => {
                Reason::Protocol
            }
            Self::Rpc(error) => match error.code() {
                Some(Code::OutOfRange | Code::ResourceExhausted) => Reason::TooLong,
                Some(Code::Internal) => Reason::Malformed,
                _ => Reason::Refused,
            },
            Self::Status { .. } => Reason::Refused,
            Self::Malformed { .. } => Reason::Malformed,
        }
    }

    /// Whether it is the fault of one container, so that the socket may be asked for others: who gives a container
    /// labels of megabytes must not hide all others.
    pub(super) fn is_of_one_container(&self) -> bool {
        match self {
            Self::Rpc(error) => !matches!(error.code(), None | Some(Code::Unavailable)),
            Self::Net(error) => matches!(error, NetError::TooLong { .. }),
            Self::Status { .. } | Self::Malformed { .. } => true,
            Self::Inaccessible { .. } | Self::NotSocket { .. } | Self::Stranger { .. } => false,
        }
    }
}
