//! A reader of the agent's metrics: the text that a Prometheus server gets.

/// Every metric name of the agent begins so.
const PREFIX: &str = "parca_agent_";

/// One scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Metrics(Vec<(String, f64)>);

impl Metrics {
    /// Reads a scrape; passes over comments and over metrics that are not the agent's own.
    pub(crate) fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(sample).collect())
    }

    /// The sum over all labels of a metric, named without prefix; 0 where there is none.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.sum_with(name, "")
    }

    /// The same over those labels that hold a text, as `end="complete"`.
    pub(crate) fn sum_with(&self, name: &str, label: &str) -> f64 {
        let series = self.0.iter().filter_map(|(series, value)| {
            let labels = series.strip_prefix(name)?;
            ((labels.is_empty() || labels.starts_with('{')) && labels.contains(label)).then_some(value)
        });
        series.sum()
    }
}

/// Name with labels, and value, of a line.
fn sample(line: &str) -> Option<(String, f64)> {
    let (series, value) = line.strip_prefix(PREFIX)?.rsplit_once(' ')?;
    Some((series.to_owned(), value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_of_a_metric_are_added() {
        let text = "# HELP parca_agent_lost_total Lost.\n# TYPE parca_agent_lost_total counter\n\
            parca_agent_lost_total{reason=\"a b\"} 3\nparca_agent_lost_total{reason=\"c\"} 4\n\
            parca_agent_lost_totals 100\nprocess_resident_memory_bytes 5\n";
        let metrics = Metrics::parse(text);
        assert_eq!(metrics.sum("lost_total"), 7.0);
        assert_eq!(metrics.sum_with("lost_total", "reason=\"c\""), 4.0);
        assert_eq!(metrics.sum("resident_memory_bytes"), 0.0);
    }
}
