//! The source's own numbers.

use super::Kind;
use super::error::Reason;
use super::source::Answer;
use crate::metrics::{Counter, Exposition};

/// What was asked, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) known: Counter,
    pub(super) unknown: Counter,
    pub(super) failed: Counter,
    errors: [[Counter; Reason::ALL.len()]; Kind::ALL.len()],
    /// Docker's events that say something new.
    pub(super) events: Counter,
    /// Lines among them that are none.
    pub(super) bad_events: Counter,
    /// Labels and annotations that were too many or too long.
    pub(super) dropped_labels: Counter,
    /// Containers that no one has requested for long.
    pub(super) forgotten: Counter,
    /// Containers that were told of when too many were known.
    pub(super) crowded_out: Counter,
    /// Sockets of Docker that could not be listened to, as too many were waiting for it.
    pub(super) unheard: Counter,
}

impl Figures {
    pub(super) fn answer(&self, answer: Answer) {
        match answer {
            Answer::Known => self.known.increment(),
            Answer::Unknown => self.unknown.increment(),
            Answer::Failed => self.failed.increment(),
        }
    }

    pub(super) fn error(&self, kind: Kind, reason: Reason) {
        self.errors[kind as usize][reason as usize].increment();
    }

    pub(super) fn collect(&self, exposition: &mut Exposition) {
        exposition.counter(
            "container_runtime_answers",
            "Requests for a container, by what the container runtimes told.",
            [
                (&[("result", Answer::Known.name())][..], self.known.get()),
                (&[("result", Answer::Unknown.name())][..], self.unknown.get()),
                (&[("result", Answer::Failed.name())][..], self.failed.get()),
            ],
        );
        let errors: Vec<_> = Kind::ALL
            .iter()
            .flat_map(|kind| Reason::ALL.iter().map(move |reason| (*kind, *reason)))
            .map(|(kind, reason)| {
                let labels = [("runtime", kind.name()), ("reason", reason.name())];
                (labels, self.errors[kind as usize][reason as usize].get())
            })
            .collect();
        exposition.counter(
            "container_runtime_errors",
            "Questions that a container runtime did not answer, by reason.",
            errors.iter().map(|(labels, count)| (&labels[..], *count)),
        );
        exposition.counter(
            "container_runtime_events",
            "Docker's events about a container's start, new name or end, and lines that are no event.",
            [
                (&[("result", "read")][..], self.events.get()),
                (&[("result", "malformed")][..], self.bad_events.get()),
            ],
        );
        let plain = [
            (
                "container_labels_dropped",
                "Labels and annotations of containers that were too many or too long.",
                &self.dropped_labels,
            ),
            (
                "container_runtime_forgotten",
                "Containers that were forgotten because nobody requested them for long.",
                &self.forgotten,
            ),
            (
                "container_runtime_crowded_out",
                "Containers that a runtime told of when too many were known.",
                &self.crowded_out,
            ),
            (
                "container_runtime_unheard",
                "Times that a Docker was not listened to because too many waited for it.",
                &self.unheard,
            ),
        ];
        for (name, help, counter) in plain {
            exposition.counter(name, help, [(&[][..], counter.get())]);
        }
    }
}
