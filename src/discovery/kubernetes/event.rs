//! A line of a watch.

use super::pod::Pod;
use kube::core::{Status, WatchEvent};

/// What has happened since the last line.
#[derive(Debug)]
pub enum Event {
    /// A pod is new, or not as it was.
    Pod(Box<Pod>),
    /// A pod is gone, or does not match the selectors any more.
    Deleted(Box<Pod>),
    /// Nothing, but the server is further.
    Bookmark {
        /// How far.
        version: String,
    },
    /// The watch is over.
    Error {
        /// As an HTTP status code.
        code: u16,
        /// Why, for people.
        message: String,
        /// Seconds to wait, if the server says so.
        retry_after: Option<u32>,
    },
}

/// Decodes a line. It is bounded in length by whoever reads it.
pub fn decode(line: &[u8]) -> Result<Event, serde_json::Error> {
    Ok(match serde_json::from_slice::<WatchEvent<Pod>>(line)? {
        WatchEvent::Added(pod) | WatchEvent::Modified(pod) => Event::Pod(Box::new(pod)),
        WatchEvent::Deleted(pod) => Event::Deleted(Box::new(pod)),
        WatchEvent::Bookmark(bookmark) => Event::Bookmark { version: bookmark.metadata.resource_version },
        WatchEvent::Error(status) => {
            let Status { code, message, details, .. } = *status;
            let seconds = details.map(|details| details.retry_after_seconds);
            Event::Error { code, message, retry_after: seconds.filter(|seconds| *seconds != 0) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Event, decode};

    #[test]
    fn lines_of_every_kind() {
        let line = br#"{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web-0",
            "managedFields":[{"fieldsV1":{"f:metadata":{}}}],"creationTimestamp":null,"resourceVersion":"7"},
            "status":{"containerStatuses":null}}}"#;
        let Event::Pod(pod) = decode(line).unwrap() else { panic!("a pod") };
        assert_eq!((pod.metadata.name.as_str(), pod.metadata.resource_version.as_str()), ("web-0", "7"));
        let line = br#"{"object":{"metadata":{"uid":"u"}},"type":"DELETED"}"#;
        assert!(matches!(decode(line).unwrap(), Event::Deleted(pod) if pod.metadata.uid == "u"));
        let line = br#"{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":
            {"resourceVersion":"12746","creationTimestamp":null},"spec":{"containers":null},"status":{}}}"#;
        assert!(matches!(decode(line).unwrap(), Event::Bookmark { version } if version == "12746"));
        let line = br#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},
            "status":"Failure","message":"too old resource version: 1 (9)","reason":"Expired","code":410}}"#;
        assert!(matches!(decode(line).unwrap(), Event::Error { code: 410, retry_after: None, .. }));
        let line = br#"{"type":"ERROR","object":{"code":429,"details":{"retryAfterSeconds":3}}}"#;
        assert!(matches!(decode(line).unwrap(), Event::Error { code: 429, retry_after: Some(3), .. }));
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        for line in ["", "null", "[]", "{}", r#"{"type":"ADDED"}"#, r#"{"type":"X","object":{}}"#, "<html>"] {
            assert!(decode(line.as_bytes()).is_err(), "{line}");
        }
    }
}
