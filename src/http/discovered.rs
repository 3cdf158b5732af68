//! `/targets`: what each source told, which labels a target had before and after the rules, and what dropped it.

use super::Context;
use super::answer::Answer;
use super::figures::{age, count};
use super::html::Html;
use super::layout::{cell, chips, columns, exact_selector, heading, label_names, page, query_link};
use super::report::shared_labels;
use crate::discovery::policy::{Divisor, LeftOut, Outcome};
use crate::discovery::report::{Report, TargetEntry};
use crate::discovery::status::{Snapshot, State};
use crate::label::LabelSet;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Targets on the page. All are in the JSON.
const SHOWN: usize = 500;

/// A source, as JSON.
#[derive(Serialize)]
pub(super) struct SourceBody {
    name: &'static str,
    state: &'static str,
    state_age_seconds: u64,
    last_success_age_seconds: Option<u64>,
    last_error: Option<String>,
    errors: u64,
}

/// What was discovered, as JSON.
#[derive(Serialize)]
pub(super) struct DiscoveredBody {
    source: &'static str,
    /// `profiled`, or why it is not.
    state: &'static str,
    /// Of how many samples one is kept.
    one_of: Option<u16>,
    /// The rule that dropped it.
    rule: Option<RuleBody>,
    names: usize,
    labels: BTreeMap<String, String>,
    discovered_labels: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct RuleBody {
    /// From 0, in the order of the configuration.
    index: usize,
    text: String,
}

/// Nothing before the collector runs.
pub(super) fn report(context: &Context) -> Report {
    context.state.discovery.get().map(|discovery| discovery.report()).unwrap_or_default()
}

/// All sources.
pub(super) fn sources(report: &Report) -> Vec<SourceBody> {
    let seconds = |since: Instant| since.elapsed().as_secs();
    let body = |source: &Snapshot| SourceBody {
        name: source.name,
        state: source.state.name(),
        state_age_seconds: seconds(source.since),
        last_success_age_seconds: source.last_success.map(seconds),
        last_error: source.last_error.clone(),
        errors: source.errors,
    };
    report.sources.iter().map(body).collect()
}

/// All targets of late, those left out among them.
pub(super) fn discovered(report: &Report) -> Vec<DiscoveredBody> {
    report.targets.iter().map(body).collect()
}

fn body(entry: &TargetEntry) -> DiscoveredBody {
    let (state, one_of, labels) = match &entry.outcome {
        Outcome::Profiled { target, divisor: Divisor(divisor) } => {
            ("profiled", Some(divisor.get()), &target.labels)
        }
        Outcome::LeftOut { why, labels } => (why.name(), None, &**labels),
    };
    let rule = match &entry.outcome {
        Outcome::LeftOut { why: LeftOut::Rule { rule }, .. } => {
            Some(RuleBody { index: *rule, text: entry.rule.clone().unwrap_or_default() })
        }
        _ => None,
    };
    let map =
        |labels: &LabelSet| labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    DiscoveredBody {
        source: entry.source.map_or("none", |source| source.name()),
        state,
        one_of,
        rule,
        names: entry.names,
        labels: map(labels),
        discovered_labels: map(&entry.discovered),
    }
}

/// The page.
pub(super) fn answer(context: &Context) -> Answer {
    let report = report(context);
    let title = format!("Targets · {} · Parca Agent", context.state.node);
    Answer::page(
        200,
        page(&title, false, |html| {
            heading(html, "Targets and where they come from");
            html.element("main", &[("id", "main")], |html| {
                source_table(html, &report);
                target_table(html, &report);
            });
        }),
    )
}

fn source_table(html: &mut Html, report: &Report) {
    html.element("section", &[], |html| {
        html.labelled("h2", &[], "Sources");
        html.element("table", &[("class", "targets sources")], |html| {
            columns(
                html,
                &[
                    ("Source", ""),
                    ("State", ""),
                    ("Since", "number"),
                    ("Last told", "number"),
                    ("Reason or last error", ""),
                ],
            );
            html.element("tbody", &[], |html| {
                for source in &report.sources {
                    html.element("tr", &[], |html| {
                        html.labelled("th", &[("scope", "row")], source.name);
                        cell(html, "State", "source", source.state.name());
                        cell(html, "Since", "number", &age(source.since.elapsed()));
                        let told = source.last_success.map(|told| format!("{} ago", age(told.elapsed())));
                        cell(html, "Last told", "number", told.as_deref().unwrap_or("–"));
                        let class = if source.state == State::Failing { "error" } else { "error none" };
                        cell(
                            html,
                            "Reason or last error",
                            class,
                            source.last_error.as_deref().unwrap_or("–"),
                        );
                    });
                }
            });
        });
    });
}

fn target_table(html: &mut Html, report: &Report) {
    let is_profiled = |entry: &&TargetEntry| matches!(entry.outcome, Outcome::Profiled { .. });
    let (profiled, left_out): (Vec<_>, Vec<_>) = report.targets.iter().partition(is_profiled);
    let labels = profiled.iter().filter_map(|entry| match &entry.outcome {
        Outcome::Profiled { target, .. } => Some(&target.labels),
        Outcome::LeftOut { .. } => None,
    });
    let shown = Shown { shared: shared_labels(labels.clone()), names: label_names(labels) };
    html.element("section", &[], |html| {
        counted(html, "Left out", left_out.len());
        if left_out.is_empty() {
            html.labelled("p", &[], "Everything that runs is profiled.");
        } else {
            shown.table(html, &left_out);
        }
    });
    html.element("section", &[], |html| {
        counted(html, "Profiled", profiled.len());
        html.element("p", &[("class", "shared")], |html| {
            html.text(
                "In the last five minutes. A row opens to all labels that rules may read. On every profile: ",
            );
            chips(html, shown.shared.iter());
        });
        shown.table(html, &profiled);
    });
}

fn counted(html: &mut Html, text: &str, count: usize) {
    html.element("h2", &[], |html| {
        html.text(text);
        html.text(" ");
        html.labelled("small", &[], &count.to_string());
    });
}

/// What all rows have in common.
struct Shown {
    /// Labels that all profiles have.
    shared: LabelSet,
    /// Names of labels in use.
    names: BTreeSet<String>,
}

impl Shown {
    fn table(&self, html: &mut Html, entries: &[&TargetEntry]) {
        html.element("table", &[("class", "targets discovered")], |html| {
            columns(
                html,
                &[
                    ("Target", ""),
                    ("Source", ""),
                    ("Process names", "number"),
                    ("State", ""),
                    ("Profile", ""),
                ],
            );
            html.element("tbody", &[], |html| {
                entries.iter().take(SHOWN).for_each(|entry| self.row(html, entry));
            });
        });
        if entries.len() > SHOWN {
            let rest = format!("{} more are in /api/v1/targets.", entries.len() - SHOWN);
            html.labelled("p", &[], &rest);
        }
    }

    fn row(&self, html: &mut Html, entry: &TargetEntry) {
        let (labels, state, link) = match &entry.outcome {
            Outcome::Profiled { target, divisor } => {
                let state = match divisor.0.get() {
                    1 => "profiled".to_owned(),
                    divisor => format!("profiled, one of {divisor} samples"),
                };
                (&target.labels, state, Some(query_link(&exact_selector(&target.labels, &self.names), true)))
            }
            Outcome::LeftOut { why, labels } => (&**labels, left_out(*why, entry), None),
        };
        html.element("tr", &[("class", if link.is_some() { "target" } else { "target idle" })], |html| {
            html.element("th", &[("scope", "row")], |html| {
                html.element("details", &[], |html| {
                    html.element("summary", &[], |html| {
                        let own = || labels.iter().filter(|(name, _)| self.shared.get(name).is_none());
                        if own().next().is_none() {
                            html.text("no labels of its own");
                        }
                        chips(html, own());
                    });
                    chips(html, entry.discovered.iter());
                });
            });
            cell(html, "Source", "source", entry.source.map_or("none", |source| source.name()));
            cell(html, "Process names", "number", &count(entry.names as u64));
            cell(html, "State", "state", &state);
            html.element("td", &[("class", "links"), ("data-label", "Profile")], |html| match &link {
                Some(link) => {
                    let name = format!("Show Profile of {labels}");
                    html.labelled("a", &[("href", link), ("aria-label", &name)], "Show Profile");
                }
                None => html.text("–"),
            });
        });
    }
}

fn left_out(why: LeftOut, entry: &TargetEntry) -> String {
    match why {
        LeftOut::NotDiscovered => "left out: no source claims it".to_owned(),
        LeftOut::PodNotSelected => "left out: its pod is not selected".to_owned(),
        LeftOut::Rule { rule } => {
            format!("dropped by rule {}: {}", rule + 1, entry.rule.as_deref().unwrap_or_default())
        }
        LeftOut::SamplingRatio => "left out by the sampling ratio".to_owned(),
    }
}
