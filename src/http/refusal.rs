//! Refusals: the requests that the guard answers or cuts by itself, and how many there were.

use super::headers;
use crate::metrics::{Counter, Exposition};
use std::collections::BTreeMap;

/// Why a connection got no further than the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The head of the request is longer than 16 KiB.
    HeadTooLarge,
    /// The head was not complete within 5 s.
    HeadTimeout,
    /// Not HTTP, or against its rules.
    Malformed,
    /// A target that no browser sends: absolute, with escapes in its path, or with parent directories.
    BadTarget,
    /// A version other than 1.0 and 1.1.
    BadVersion,
    /// Neither GET nor HEAD.
    BadMethod,
    /// pprof's question for the names that it has not found by itself: where the profile has none, there are none
    /// here. Any answer but 200 would end pprof without a profile.
    Symbolz,
    /// The request announces a body.
    Body,
    /// The Host header names another machine than this one: a web page's attempt to reach a private
    /// address through a name of its own.
    BadHost,
    /// Too many connections; this one was the oldest that could go.
    Evicted,
    /// Too many requests are being answered.
    Busy,
    /// The process is near its limit of open files.
    NoDescriptors,
    /// The inner server cannot be reached.
    Unavailable,
    /// The answer was not read or not ready in time.
    ResponseTimeout,
    /// The client closed or broke the connection.
    Gone,
}

impl Refusal {
    /// Every reason.
    pub(super) const ALL: [Self; 15] = [
        Self::HeadTooLarge,
        Self::HeadTimeout,
        Self::Malformed,
        Self::BadTarget,
        Self::BadVersion,
        Self::BadMethod,
        Self::Symbolz,
        Self::Body,
        Self::BadHost,
        Self::Evicted,
        Self::Busy,
        Self::NoDescriptors,
        Self::Unavailable,
        Self::ResponseTimeout,
        Self::Gone,
    ];

    /// As a metric's label value.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::HeadTooLarge => "head_too_large",
            Self::HeadTimeout => "head_timeout",
            Self::Malformed => "malformed",
            Self::BadTarget => "bad_target",
            Self::BadVersion => "bad_version",
            Self::BadMethod => "bad_method",
            Self::Symbolz => "symbolz",
            Self::Body => "body",
            Self::BadHost => "bad_host",
            Self::Evicted => "evicted",
            Self::Busy => "busy",
            Self::NoDescriptors => "no_descriptors",
            Self::Unavailable => "unavailable",
            Self::ResponseTimeout => "response_timeout",
            Self::Gone => "gone",
        }
    }

    /// Status line and text of the answer; `None` where nobody would read it, or a part of another
    /// answer may be under way.
    fn status(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::HeadTooLarge => {
                ("431 Request Header Fields Too Large", "the request head is longer than 16 KiB")
            }
            Self::HeadTimeout => {
                ("408 Request Timeout", "the request head was not complete within 5 seconds")
            }
            Self::Malformed => ("400 Bad Request", "malformed request"),
            Self::BadTarget => ("400 Bad Request", "malformed request target"),
            Self::BadVersion => ("505 HTTP Version Not Supported", "only HTTP/1.0 and HTTP/1.1 are served"),
            Self::BadMethod => ("405 Method Not Allowed", "only GET and HEAD are served"),
            Self::Symbolz => ("200 OK", "num_symbols: 0"),
            Self::Body => ("413 Content Too Large", "no request here has a body"),
            Self::BadHost => ("400 Bad Request", "the Host header does not name this machine"),
            Self::Evicted | Self::Busy | Self::NoDescriptors => {
                ("503 Service Unavailable", "too many requests")
            }
            Self::Unavailable => ("503 Service Unavailable", "the server is starting again"),
            Self::ResponseTimeout | Self::Gone => return None,
        })
    }

    /// The whole answer.
    pub(super) fn response(self) -> Option<String> {
        let (status, text) = self.status()?;
        let extra = match self {
            Self::BadMethod => "Allow: GET, HEAD\r\n",
            _ if status.starts_with("503") => "Retry-After: 2\r\n",
            _ => "",
        };
        let length = text.len() + 1;
        Some(format!(
            "HTTP/1.1 {status}\r\n{}Cache-Control: no-store\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {length}\r\n{extra}\r\n{text}\n",
            headers::COMMON
        ))
    }
}

/// How often each was given.
#[derive(Debug)]
pub(super) struct Refusals(BTreeMap<Refusal, Counter>);

impl Default for Refusals {
    fn default() -> Self {
        Self(Refusal::ALL.into_iter().map(|refusal| (refusal, Counter::default())).collect())
    }
}

impl Refusals {
    /// Counts one.
    pub(super) fn count(&self, refusal: Refusal) {
        if let Some(counter) = self.0.get(&refusal) {
            counter.increment();
        }
    }

    /// Writes the counters.
    pub(super) fn expose(&self, exposition: &mut Exposition) {
        let labels: Vec<_> = Refusal::ALL.map(|refusal| [("reason", refusal.name())]).into();
        exposition.counter(
            "http_refusals",
            "Connections that were refused or cut before or while they were answered.",
            labels.iter().zip(self.0.values()).map(|(labels, counter)| (&labels[..], counter.get())),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, Refusals};
    use crate::metrics::{Format, Registry};
    use std::collections::BTreeSet;

    #[test]
    fn counters_and_names_go_together() {
        let mut sorted = Refusal::ALL;
        sorted.sort();
        assert_eq!(sorted, Refusal::ALL, "the order of the map is the order of the array");
        assert_eq!(Refusal::ALL.iter().map(|refusal| refusal.name()).collect::<BTreeSet<_>>().len(), 15);
        let refusals = Refusals::default();
        refusals.count(Refusal::BadHost);
        let registry = Registry::default();
        registry.register(move |exposition| refusals.expose(exposition));
        let text = registry.scrape(Format::Prometheus);
        for line in ["{reason=\"bad_host\"} 1\n", "{reason=\"busy\"} 0\n"] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn the_length_of_every_answer_is_true() {
        for response in Refusal::ALL.into_iter().filter_map(Refusal::response) {
            let (head, body) = response.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{response}");
            assert!(head.contains("Connection: close"), "{response}");
        }
    }
}
