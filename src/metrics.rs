//! The agent's own numbers, and the text that a scraper reads.
//!
//! Each part owns its counters, and writes them when asked by a function it gave to the [`Registry`];
//! so a number lives beside the code that moves it, and a scrape never waits for a part.

use crate::label::escape_value;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The sum by now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that rises and falls.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Its value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Which text a scraper asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
}

impl Format {
    /// The format for the value of an Accept header.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Value of the Content-Type header.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Every metric name begins so.
const PREFIX: &str = "parca_agent_";

/// Text of one scrape, in the making.
#[derive(Debug)]
pub struct Exposition {
    format: Format,
    text: String,
}

impl Exposition {
    /// Writes one counter; `name` is without prefix and without `_total`. One sample for each set of
    /// labels.
    pub fn counter<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, u64)>,
    ) {
        let samples = samples.into_iter().map(|(labels, value)| (labels, value.to_string()));
        self.counter_family(&format!("{PREFIX}{name}"), help, samples);
    }

    /// A counter whose name, without `_total`, is a convention of its own, such as `process_cpu_seconds`.
    pub fn counter_named<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) {
        let samples = samples.into_iter().map(|(labels, value)| (labels, value.to_string()));
        self.counter_family(name, help, samples);
    }

    fn counter_family<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl Iterator<Item = (Labels<'a>, String)>,
    ) {
        let total = format!("{name}_total");
        // OpenMetrics names the family without the suffix of its samples.
        self.family(if self.format == Format::OpenMetrics { name } else { &total }, "counter", help);
        for (labels, value) in samples {
            self.sample(&total, labels, &value);
        }
    }

    /// Writes one gauge; `name` is without prefix. One sample for each set of labels.
    pub fn gauge<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) {
        self.gauge_named(&format!("{PREFIX}{name}"), help, samples);
    }

    /// A gauge whose name is a convention of its own, such as `process_resident_memory_bytes`.
    pub fn gauge_named<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) {
        self.family(name, "gauge", help);
        for (labels, value) in samples {
            self.sample(name, labels, &value.to_string());
        }
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: &str) {
        self.text.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{label}=\"{}\"", escape_value(text));
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

/// Names and values of one sample. Never a process id or a path: their number has no bound.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

type Collector = Box<dyn Fn(&mut Exposition) + Send + Sync>;

/// Everything that a scrape shows.
#[derive(Default)]
pub struct Registry {
    collectors: Mutex<Vec<Collector>>,
}

impl Registry {
    /// Adds a part. It is called at each scrape, and must not wait for anything.
    pub fn register(&self, collector: impl Fn(&mut Exposition) + Send + Sync + 'static) {
        if let Ok(mut collectors) = self.collectors.lock() {
            collectors.push(Box::new(collector));
        }
    }

    /// The text of one scrape.
    pub fn scrape(&self, format: Format) -> String {
        let mut exposition = Exposition { format, text: String::new() };
        if let Ok(collectors) = self.collectors.lock() {
            collectors.iter().for_each(|collect| collect(&mut exposition));
        }
        if format == Format::OpenMetrics {
            exposition.text.push_str("# EOF\n");
        }
        exposition.text
    }
}

#[cfg(test)]
mod tests {
    use super::{Counter, Format, Registry};
    use std::sync::Arc;

    fn scrape(format: Format) -> String {
        let registry = Registry::default();
        let lost = Arc::new(Counter::default());
        lost.add(3);
        registry.register(move |exposition| {
            exposition.counter("samples_lost", "Samples lost.", [(&[("reason", "a\"b")][..], lost.get())]);
            exposition.gauge("targets", "Targets.", [(&[][..], 2.0)]);
        });
        registry.scrape(format)
    }

    #[test]
    fn prometheus_text_names_the_family_as_its_samples() {
        assert_eq!(
            scrape(Format::Prometheus),
            "# HELP parca_agent_samples_lost_total Samples lost.\n# TYPE parca_agent_samples_lost_total counter\n\
             parca_agent_samples_lost_total{reason=\"a\\\"b\"} 3\n\
             # HELP parca_agent_targets Targets.\n# TYPE parca_agent_targets gauge\nparca_agent_targets 2\n"
        );
    }

    #[test]
    fn open_metrics_names_the_family_without_total_and_ends() {
        let text = scrape(Format::OpenMetrics);
        assert!(
            text.contains("# TYPE parca_agent_samples_lost counter\nparca_agent_samples_lost_total{"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
