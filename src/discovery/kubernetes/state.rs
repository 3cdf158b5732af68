//! What the source has done so far, for metrics and readiness.

use super::error::{ApiError, REASONS};
use super::event::Event;
use crate::metrics::{Counter, Exposition, Gauge};
use std::sync::atomic::{AtomicBool, Ordering};

const EVENTS: [&str; 4] = ["pod", "deleted", "bookmark", "error"];

/// Numbers of the source, which all may read.
#[derive(Debug, Default)]
pub struct KubernetesState {
    is_synced: AtomicBool,
    pods: Gauge,
    forgotten_pods: Counter,
    refused_pods: Counter,
    /// Values that were cut: see [`super::labels`].
    pub(super) cut_values: Counter,
    lists: Counter,
    watches: Counter,
    events: [Counter; EVENTS.len()],
    errors: [Counter; REASONS.len()],
}

impl KubernetesState {
    /// Whether all pods of the node have been told since the start.
    pub fn synced(&self) -> bool {
        self.is_synced.load(Ordering::Acquire)
    }

    /// A source that has told of all pods.
    #[cfg(test)]
    pub(in crate::discovery) fn set_synced(&self) {
        self.is_synced.store(true, Ordering::Release);
    }

    /// Lists of all pods that were taken in.
    pub fn lists(&self) -> u64 {
        self.lists.get()
    }

    /// Watches that the server began.
    pub fn watches(&self) -> u64 {
        self.watches.get()
    }

    /// Errors for a reason, as the metric names it.
    pub fn errors(&self, reason: &str) -> u64 {
        let errors = REASONS.iter().zip(&self.errors);
        errors.filter(|(name, _)| **name == reason).map(|(_, count)| count.get()).sum()
    }

    /// Pods that have ended and were forgotten for others.
    pub fn forgotten_pods(&self) -> u64 {
        self.forgotten_pods.get()
    }

    /// Times that there was no room for a pod.
    pub fn refused_pods(&self) -> u64 {
        self.refused_pods.get()
    }

    /// Writes all of it.
    pub fn collect(&self, exposition: &mut Exposition) {
        let single = |value: u64| [(&[][..], value)];
        exposition.gauge(
            "kubernetes_synced",
            "Whether the pods of the node have been listed since the start.",
            [(&[][..], f64::from(u8::from(self.synced())))],
        );
        exposition.gauge(
            "kubernetes_pods",
            "Pods of the node that have containers.",
            [(&[][..], self.pods.get() as f64)],
        );
        exposition.counter(
            "kubernetes_pods_forgotten",
            "Pods that have ended and were forgotten for others, of which there were too many.",
            single(self.forgotten_pods.get()),
        );
        exposition.counter(
            "kubernetes_pods_refused",
            "Times that a pod was not taken in because there are too many.",
            single(self.refused_pods.get()),
        );
        exposition.counter(
            "kubernetes_label_values_cut",
            "Labels and annotations of pods and the node whose value was cut to 2048 bytes, each time that they were told.",
            single(self.cut_values.get()),
        );
        exposition.counter("kubernetes_lists", "Lists of pods taken in.", single(self.lists.get()));
        exposition.counter("kubernetes_watches", "Watches of pods begun.", single(self.watches.get()));
        for (name, help, label, names, counters) in [
            ("kubernetes_events", "Events of watches.", "type", &EVENTS[..], &self.events[..]),
            ("kubernetes_errors", "Errors of the API server.", "reason", &REASONS[..], &self.errors[..]),
        ] {
            let labels: Vec<_> = names.iter().map(|name| [(label, *name)]).collect();
            let samples = labels.iter().zip(counters).map(|(labels, count)| (&labels[..], count.get()));
            exposition.counter(name, help, samples);
        }
    }

    pub(super) fn has_listed(&self) {
        self.lists.increment();
        self.is_synced.store(true, Ordering::Release);
    }

    pub(super) fn watches_again(&self) {
        self.watches.increment();
    }

    pub(super) fn has_pods(&self, count: usize) {
        self.pods.set(count as u64);
    }

    pub(super) fn forgot_pods(&self, count: usize) {
        self.forgotten_pods.add(count as u64);
    }

    pub(super) fn refused_pod(&self) {
        self.refused_pods.increment();
    }

    pub(super) fn heard(&self, event: &Event) {
        let index = match event {
            Event::Pod(_) => 0,
            Event::Deleted(_) => 1,
            Event::Bookmark { .. } => 2,
            Event::Error { .. } => 3,
        };
        self.events[index].increment();
    }

    pub(super) fn failed(&self, error: &ApiError) {
        if let Some(index) = REASONS.iter().position(|reason| *reason == error.reason()) {
            self.errors[index].increment();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::KubernetesState;
    use crate::discovery::kubernetes::error::ApiError;
    use crate::metrics::{Format, Registry};
    use std::sync::Arc;

    #[test]
    fn every_number_has_a_name() {
        let state = Arc::new(KubernetesState::default());
        state.has_listed();
        state.failed(&ApiError::Gone);
        state.forgot_pods(7);
        state.refused_pod();
        let registry = Registry::default();
        let shared = state.clone();
        registry.register(move |exposition| shared.collect(exposition));
        let text = registry.scrape(Format::Prometheus);
        for line in [
            "parca_agent_kubernetes_synced 1",
            "parca_agent_kubernetes_pods 0",
            "parca_agent_kubernetes_pods_forgotten_total 7",
            "parca_agent_kubernetes_pods_refused_total 1",
            "parca_agent_kubernetes_label_values_cut_total 0",
            "parca_agent_kubernetes_lists_total 1",
            "parca_agent_kubernetes_watches_total 0",
            "parca_agent_kubernetes_events_total{type=\"bookmark\"} 0",
            "parca_agent_kubernetes_errors_total{reason=\"gone\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert_eq!((state.errors("gone"), state.errors("tls")), (1, 0));
    }
}
