//! A scrape of the agent's metrics.

use std::collections::BTreeMap;

/// Every series and its value, as one scrape showed them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads the Prometheus text format, strictly.
    pub(crate) fn parse(text: &str) -> Self {
        let mut series = BTreeMap::new();
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let kind = comment.split(' ').next();
                assert!(matches!(kind, Some("HELP" | "TYPE")), "{line:?}");
                continue;
            }
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?} has no value"));
            let bare = name.split('{').next().unwrap_or_default();
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            assert!(!bare.is_empty() && bare.bytes().all(is_name), "{line:?}");
            assert_eq!(name.contains('{'), name.ends_with('}'), "{line:?}");
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line:?}"));
            assert!(series.insert(name.to_owned(), value).is_none(), "{name} twice");
        }
        Self(series)
    }

    /// The one series of that name and those labels, which must exist. The prefix of all is left out.
    pub(crate) fn value(&self, series: &str) -> f64 {
        let full = format!("parca_agent_{series}");
        *self.0.get(&full).unwrap_or_else(|| panic!("no {full} in {self:?}"))
    }

    /// All series of a name together; there must be one.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let (bare, labelled) = (format!("parca_agent_{name}"), format!("parca_agent_{name}{{"));
        let found = self.0.iter().filter(|(series, _)| **series == bare || series.starts_with(&labelled));
        let values: Vec<f64> = found.map(|(_, value)| *value).collect();
        assert!(!values.is_empty(), "no {bare} in {self:?}");
        values.iter().sum()
    }

    /// Asserts that every sample taken is written, queued or dropped.
    pub(crate) fn assert_books_balance(&self) {
        let [taken, written] = ["samples_taken_total", "samples_written_total"].map(|name| self.sum(name));
        let (queued, dropped) = (self.sum("samples_queued"), self.sum("samples_dropped_total"));
        assert_eq!(taken, written + queued + dropped, "{written} + {queued} + {dropped}: {self:?}");
    }
}
