//! `/`: the page of all targets.

use super::Context;
use super::activity::TargetActivity;
use super::answer::Answer;
use super::figures::{age, count, percent, seconds, share};
use super::html::Html;
use super::layout::{bar, cell, chips, columns, exact_selector, fact, label_names, page, query_link};
use super::report::shared_labels;
use super::store;
use super::targets::{age_of, cpu_time};
use crate::discovery::status::State;
use crate::label::LabelSet;
use crate::profile::{SampleCount, Window};
use std::collections::BTreeSet;
use std::time::Duration;

/// The page.
pub(super) fn answer(context: &Context) -> Answer {
    let window = context.state.windows.latest();
    if let Some(window) = &window {
        context.activity.record(window);
    }
    let title = format!("{} · Parca Agent", context.state.node);
    Answer::page(
        200,
        page(&title, true, |html| {
            html.element("header", &[("class", "top")], |html| {
                html.labelled("p", &[("class", "product")], "Parca Agent");
                html.labelled("h1", &[], &context.state.node);
            });
            html.element("main", &[("id", "main"), ("data-refresh", "5")], |html| {
                facts(html, context, window.as_deref());
                failing_sources(html, context);
                store::notice(html, context);
                match &window {
                    Some(window) => Table::new(window, context.activity.targets()).render(html),
                    None => waiting(html, context),
                }
                html.element("p", &[("class", "more")], |html| {
                    html.labelled("a", &[("href", "/targets")], "Targets and where they come from");
                    html.text(" · ");
                    html.labelled("a", &[("href", "/unwind")], "How stacks are unwound");
                });
            });
        }),
    )
}

fn facts(html: &mut Html, context: &Context, window: Option<&Window>) {
    html.element("dl", &[("class", "facts")], |html| {
        if let Some(window) = window {
            let samples: u64 = window.profiles.iter().map(|profile| profile.total().0).sum();
            let used = cpu_time(SampleCount(samples), window.period).as_secs_f64();
            let cores = per_second(used, window.duration);
            let of_host = cores / context.state.cpus.max(1) as f64 * 100.0;
            fact(
                html,
                "CPU in use",
                &format!("{of_host:.1} %"),
                &format!("{cores:.2} of {} cores", context.state.cpus),
            );
            fact(html, "Samples", &format!("{:.0} /s", per_second(samples as f64, window.duration)), "");
            fact(
                html,
                "Window",
                &seconds(window.duration),
                &format!("{} ago", age(age_of(window.start + window.duration))),
            );
        } else {
            fact(html, "Window", &seconds(context.state.profiling_duration), "");
        }
        store::facts(html, context);
        fact(html, "Uptime", &age(context.started.elapsed()), "");
        fact(html, "Version", env!("CARGO_PKG_VERSION"), "");
    });
}

/// Sources of targets that cannot be asked at the moment: names may be missing because of that.
fn failing_sources(html: &mut Html, context: &Context) {
    let report = context.state.discovery.get().map(|discovery| discovery.sources()).unwrap_or_default();
    let failing: Vec<_> = report.iter().filter(|source| source.state == State::Failing).collect();
    if failing.is_empty() {
        return;
    }
    html.element("p", &[("class", "notice"), ("role", "status")], |html| {
        let names: Vec<_> = failing.iter().map(|source| source.name).collect();
        html.text(&format!("Cannot be asked for targets at the moment: {}. ", names.join(", ")));
        html.labelled("a", &[("href", "/targets")], "Why");
    });
}

/// The truth before the first window.
fn waiting(html: &mut Html, context: &Context) {
    let left = context.state.profiling_duration.saturating_sub(context.started.elapsed()).as_secs();
    html.element("section", &[("class", "empty"), ("aria-live", "polite")], |html| {
        html.labelled("h2", &[], "No profile yet");
        let text = if left > 0 {
            format!("Samples are collected in windows. First profile in {left} s.")
        } else {
            "The first window is over; its profile is due any moment.".to_owned()
        };
        html.labelled("p", &[], &text);
    });
}

/// Something per second of a window.
fn per_second(amount: f64, duration: Duration) -> f64 {
    if duration.is_zero() { 0.0 } else { amount / duration.as_secs_f64() }
}

struct Table<'a> {
    window: &'a Window,
    targets: Vec<TargetActivity>,
    /// Labels that every row has, shown once.
    shared: LabelSet,
    /// Every label name in use.
    names: BTreeSet<String>,
    total: u64,
}

impl<'a> Table<'a> {
    fn new(window: &'a Window, targets: Vec<TargetActivity>) -> Self {
        Self {
            window,
            shared: shared_labels(targets.iter().map(|activity| &activity.target.labels)),
            names: label_names(targets.iter().map(|activity| &activity.target.labels)),
            total: targets.iter().map(|activity| activity.samples.0).sum(),
            targets,
        }
    }

    fn render(&self, html: &mut Html) {
        html.element("section", &[("aria-labelledby", "targets")], |html| {
            html.element("div", &[("class", "bar-of-tools")], |html| {
                html.element("h2", &[("id", "targets")], |html| {
                    html.text("Active profilers ");
                    html.labelled("small", &[("id", "shown")], &self.targets.len().to_string());
                });
                let filter = [
                    ("id", "filter"),
                    ("type", "search"),
                    ("placeholder", "Filter by label"),
                    ("aria-label", "Filter by label"),
                    ("autocomplete", "off"),
                    ("hidden", ""),
                ];
                html.void("input", &filter);
            });
            if self.shared.iter().next().is_some() {
                html.element("p", &[("class", "shared")], |html| {
                    html.text("On every profile: ");
                    chips(html, self.shared.iter());
                });
            }
            html.element("table", &[("class", "targets")], |html| self.table(html));
        });
    }

    fn table(&self, html: &mut Html) {
        columns(
            html,
            &[
                ("Target", ""),
                ("Source", ""),
                ("CPU", "number"),
                ("Samples", "number"),
                ("Last profile", "number"),
                ("Last error", ""),
                ("Profile", ""),
            ],
        );
        html.element("tbody", &[], |html| {
            self.whole_host(html);
            self.targets.iter().for_each(|activity| self.row(html, activity));
        });
    }

    fn whole_host(&self, html: &mut Html) {
        html.element("tr", &[("class", "whole")], |html| {
            html.labelled("th", &[("scope", "row")], "Whole host");
            cell(html, "Source", "source", "all");
            self.cost(html, SampleCount(self.total));
            cell(html, "Last profile", "number", &ago(age_of(self.window.start + self.window.duration)));
            cell(html, "Last error", "error none", "–");
            links(html, "{}", "whole host");
        });
    }

    fn row(&self, html: &mut Html, activity: &TargetActivity) {
        let labels = &activity.target.labels;
        let text = labels.to_string();
        let class = if activity.samples.0 == 0 { "target idle" } else { "target" };
        html.element("tr", &[("class", class), ("data-labels", &text)], |html| {
            html.element("th", &[("scope", "row")], |html| {
                chips(html, labels.iter().filter(|(name, _)| self.shared.get(name).is_none()));
            });
            cell(html, "Source", "source", activity.target.source.name());
            self.cost(html, activity.samples);
            cell(html, "Last profile", "number", &ago(age_of(activity.last_profile)));
            match &activity.last_error {
                Some(error) => cell(html, "Last error", "error", error),
                None => cell(html, "Last error", "error none", "–"),
            }
            links(html, &exact_selector(labels, &self.names), &text);
        });
    }

    fn cost(&self, html: &mut Html, samples: SampleCount) {
        let cores = per_second(cpu_time(samples, self.window.period).as_secs_f64(), self.window.duration);
        let title = format!("{} of all samples", percent(samples.0, self.total));
        html.element("td", &[("class", "number cpu"), ("data-label", "CPU"), ("title", &title)], |html| {
            html.labelled("span", &[], &format!("{cores:.2}"));
            html.labelled("small", &[], " cores");
            bar(html, share(samples.0, self.total));
        });
        cell(html, "Samples", "number", &count(samples.0));
    }
}

fn ago(duration: Duration) -> String {
    format!("{} ago", age(duration))
}

fn links(html: &mut Html, selector: &str, of: &str) {
    html.element("td", &[("class", "links"), ("data-label", "Profile")], |html| {
        for (text, debug) in [("Show Profile", true), ("Download Pprof", false)] {
            let (link, name) = (query_link(selector, debug), format!("{text} of {of}"));
            html.labelled("a", &[("href", &link), ("aria-label", &name)], text);
            html.text(" ");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::per_second;
    use std::time::Duration;

    #[test]
    fn a_window_without_length_has_no_rate() {
        assert_eq!(per_second(5.0, Duration::ZERO), 0.0);
        assert_eq!(per_second(5.0, Duration::from_secs(10)), 0.5);
    }
}
