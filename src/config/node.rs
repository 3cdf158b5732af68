//! The name of the node.

use std::fmt;
use std::str::FromStr;

/// Name of the host that the agent runs on; in Kubernetes, the node's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName(String);

impl NodeName {
    /// The name itself.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Not the name of a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no node name: 1 to 253 bytes, no control characters")]
pub struct NodeNameError {
    /// What was written.
    pub given: String,
}

impl FromStr for NodeName {
    type Err = NodeNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Kubernetes allows 253 bytes; Linux host names have at most 64.
        if (1..=253).contains(&text.len()) && !text.chars().any(char::is_control) {
            Ok(Self(text.into()))
        } else {
            Err(NodeNameError { given: text.into() })
        }
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::NodeName;

    #[test]
    fn node_names() {
        assert_eq!("ip-10-0-0-1".parse::<NodeName>().unwrap().into_string(), "ip-10-0-0-1");
        for text in ["", "a\nb", &"x".repeat(254)] {
            assert!(text.parse::<NodeName>().is_err(), "{text:?}");
        }
    }
}
