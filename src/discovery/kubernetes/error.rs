//! What goes wrong between the agent and the API server, in words that help to set it right.

use super::cluster::EncryptionError;
use super::credential::CredentialError;
use crate::net::NetError;
use http::StatusCode;
use std::fmt;
use std::time::Duration;

/// What the agent must be allowed to do. Roles cannot say of which node: it asks for the pods of its own alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To ask once for all pods.
    ListPods,
    /// To be told of what happens to them.
    WatchPods,
    /// To read the labels of the node.
    GetNode,
}

impl Access {
    /// The word that a role has for it.
    pub fn verb(self) -> &'static str {
        match self {
            Self::ListPods => "list",
            Self::WatchPods => "watch",
            Self::GetNode => "get",
        }
    }

    /// What a role calls the objects.
    pub fn resource(self) -> &'static str {
        match self {
            Self::ListPods | Self::WatchPods => "pods",
            Self::GetNode => "nodes",
        }
    }
}

/// `pods: list`
impl fmt::Display for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.resource(), self.verb())
    }
}

/// Why the API server did not tell what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No connection, or no answer over it.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Certificates of no use.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// A token of no use.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// A request that cannot be made.
    #[error("the request for {access} cannot be made: {problem}")]
    Request {
        /// What it was about.
        access: Access,
        /// Why not.
        problem: String,
    },
    /// The server does not know who the agent is.
    #[error("the API server does not accept the agent's credentials (401): {message}")]
    Unauthorized {
        /// What it says.
        message: String,
    },
    /// The server knows who the agent is, and does not let it.
    #[error(
        "the API server refuses `{access}` (403): grant verb `{}` on resource `{}` by a ClusterRole: {message}",
        access.verb(), access.resource()
    )]
    Forbidden {
        /// What it was about.
        access: Access,
        /// What it says.
        message: String,
    },
    /// What was known is too old to go on from.
    #[error("the API server has forgotten the state to go on from (410)")]
    Gone,
    /// Another status.
    #[error("the API server answers {status} to `{access}`: {message}")]
    Status {
        /// What it was about.
        access: Access,
        /// What it says.
        status: StatusCode,
        /// What it says.
        message: String,
        /// When to ask again, if it says so.
        retry_after: Option<Duration>,
    },
    /// What came is not what should have.
    #[error("the API server's answer to `{access}` makes no sense")]
    Decode {
        /// What it was about.
        access: Access,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A list that one cannot go on from.
    #[error("the API server's list of pods has {0}")]
    List(&'static str),
    /// A watch that the server ended by an error.
    #[error("the API server ends a watch of pods ({code}): {message}")]
    Event {
        /// As an HTTP status code.
        code: u16,
        /// What it says.
        message: String,
        /// When to ask again, if it says so.
        retry_after: Option<Duration>,
    },
    /// A watch that was over before anything could come.
    #[error("the API server ended a watch of pods within {} ms", .0.as_millis())]
    Short(Duration),
}

/// Every reason, as a label.
pub(super) const REASONS: [&str; 14] = [
    "connect",
    "tls",
    "late",
    "http",
    "too_long",
    "credential",
    "request",
    "unauthorized",
    "forbidden",
    "gone",
    "throttled",
    "status",
    "decode",
    "event",
];

impl ApiError {
    /// One of [`REASONS`].
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Net(NetError::Connect { .. }) => "connect",
            Self::Net(NetError::Tls { .. }) | Self::Encryption(_) => "tls",
            Self::Net(NetError::Late { .. }) => "late",
            Self::Net(NetError::Http { .. } | NetError::Cut { .. }) | Self::Short(_) => "http",
            Self::Net(NetError::TooLong { .. }) => "too_long",
            Self::Credential(_) => "credential",
            Self::Request { .. } => "request",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::Gone => "gone",
            Self::Status { status, .. } if *status == StatusCode::TOO_MANY_REQUESTS => "throttled",
            Self::Event { code: 429, .. } => "throttled",
            Self::Status { .. } => "status",
            Self::Decode { .. } | Self::List(_) => "decode",
            Self::Event { .. } => "event",
        }
    }

    /// How long the server wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } | Self::Event { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
