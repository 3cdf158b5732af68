//! `/query?debug=1`: one profile as a page.

use super::call_tree::{CallTree, Folded, NodeId, ROOT};
use super::figures::{count, percent, seconds, share, timestamp};
use super::functions::{FunctionCost, worth_showing};
use super::html::Html;
use super::layout::{bar, chips, fact, page, query_link};
use super::report::{Report, shared_labels};
use super::selector::Selector;
use super::targets::cpu_time;
use crate::profile::{Profile, SampleCount, Window};
use std::time::Duration;

/// Functions of each order that the table shows.
const MAX_FUNCTIONS: usize = 300;
/// Nodes of the tree that the page shows.
const MAX_NODES: usize = 3000;
/// Levels of the tree that the page shows.
const MAX_DEPTH: usize = 100;
/// A node below one in so many of all samples is not shown by itself.
const SMALLEST_SHARE: u64 = 200;
/// A node of at least one in so many of all samples is open at first.
const OPEN_SHARE: u64 = 5;

/// The page of profiles that a selector found in a window.
pub(super) fn render(node: &str, window: &Window, profiles: &[&Profile], selector: &Selector) -> String {
    let report = Report::of(window, profiles);
    let page_of = Page { window, profiles, selector, report };
    page(&format!("{selector} · {node} · Parca Agent"), false, |html| {
        html.element("header", &[("class", "top")], |html| {
            html.element("p", &[("class", "product")], |html| {
                html.labelled("a", &[("href", "/")], "Parca Agent");
                html.text(" / ");
                html.text(node);
            });
            page_of.title(html);
        });
        html.element("main", &[("id", "main")], |html| {
            page_of.facts(html);
            page_of.functions(html);
            page_of.tree(html);
        });
    })
}

struct Page<'a> {
    window: &'a Window,
    profiles: &'a [&'a Profile],
    selector: &'a Selector,
    report: Report,
}

impl Page<'_> {
    fn title(&self, html: &mut Html) {
        if self.selector.is_empty() {
            html.labelled("h1", &[], "Whole host");
        } else {
            html.labelled("h1", &[("class", "selector")], &self.selector.to_string());
        }
        let [profile] = self.profiles else {
            let shared = shared_labels(self.profiles.iter().map(|profile| &profile.target.labels));
            html.element("p", &[("class", "shared")], |html| {
                html.text(&format!("{} targets, merged ", self.profiles.len()));
                chips(html, shared.iter());
            });
            return;
        };
        html.element("p", &[("class", "shared")], |html| chips(html, profile.target.labels.iter()));
    }

    fn facts(&self, html: &mut Html) {
        let window = self.window;
        html.element("dl", &[("class", "facts")], |html| {
            let used = self.time(self.report.samples);
            let cores = if window.duration.is_zero() {
                String::new()
            } else {
                format!("{:.2} cores", used.as_secs_f64() / window.duration.as_secs_f64())
            };
            fact(html, "CPU time", &seconds(used), &cores);
            fact(html, "Samples", &count(self.report.samples), "");
            let start = timestamp(window.start).replace('T', " ").replace('Z', " UTC");
            fact(html, "Window", &start, &format!("+ {}", seconds(window.duration)));
        });
        html.element("p", &[("class", "actions")], |html| {
            let selector = self.selector.to_string();
            html.labelled(
                "a",
                &[("class", "button"), ("href", &query_link(&selector, false))],
                "Download Pprof",
            );
            html.text(" ");
            html.labelled(
                "a",
                &[("class", "button"), ("href", &query_link(&selector, true))],
                "Show the last profile",
            );
            if !self.selector.is_empty() {
                html.text(" ");
                html.labelled("a", &[("class", "button"), ("href", &query_link("{}", true))], "Whole host");
            }
        });
    }

    fn functions(&self, html: &mut Html) {
        let all = self.report.functions.by_own();
        let shown = worth_showing(&all, MAX_FUNCTIONS);
        html.element("section", &[("aria-labelledby", "functions")], |html| {
            html.element("div", &[("class", "bar-of-tools")], |html| {
                html.element("h2", &[("id", "functions")], |html| {
                    html.text("Functions ");
                    let figure = if shown.len() < all.len() {
                        format!("{} of {}, those with the most self or total time", shown.len(), all.len())
                    } else {
                        all.len().to_string()
                    };
                    html.labelled("small", &[], &figure);
                });
            });
            html.element("table", &[("class", "functions sortable")], |html| {
                html.element("thead", &[], function_head);
                html.element("tbody", &[], |html| shown.iter().for_each(|cost| self.function(html, cost)));
            });
        });
    }

    fn function(&self, html: &mut Html, cost: &FunctionCost) {
        let Some(name) = self.report.names.get(cost.name) else { return };
        html.element("tr", &[], |html| {
            html.labelled("th", &[("scope", "row"), ("class", "name")], &name.function);
            html.labelled("td", &[("class", "binary"), ("title", &name.binary)], &name.binary);
            for (label, samples) in [("Self", cost.own), ("Total", cost.total)] {
                let sort = samples.to_string();
                let attributes = [("class", "number share"), ("data-label", label), ("data-sort", &sort)];
                html.element("td", &attributes, |html| {
                    html.text(&percent(samples, self.report.samples));
                    bar(html, share(samples, self.report.samples));
                });
                html.labelled("td", &[("class", "number time")], &seconds(self.time(samples)));
                html.labelled("td", &[("class", "number samples")], &count(samples));
            }
        });
    }

    fn tree(&self, html: &mut Html) {
        html.element("section", &[("aria-labelledby", "tree")], |html| {
            html.element("div", &[("class", "bar-of-tools")], |html| {
                html.element("h2", &[("id", "tree")], |html| {
                    html.text("Call tree ");
                    html.labelled("small", &[], "callers first, total time of each");
                });
                html.element("span", &[("id", "tree-tools"), ("hidden", "")], |html| {
                    html.labelled("button", &[("type", "button"), ("data-open", "1")], "Expand all");
                    html.text(" ");
                    html.labelled("button", &[("type", "button"), ("data-open", "0")], "Collapse all");
                });
            });
            let mut branch = Branch { page: self, left: MAX_NODES };
            html.element("div", &[("class", "tree")], |html| branch.children(html, ROOT, 0));
            let note = format!(
                "Calls below 0.5 % of all samples are added up as “other”, as is what lies deeper than \
                 {MAX_DEPTH} calls or beyond {MAX_NODES} lines. The downloaded profile holds everything."
            );
            html.labelled("p", &[("class", "note")], &note);
        });
    }

    fn time(&self, samples: u64) -> Duration {
        cpu_time(SampleCount(samples), self.window.period)
    }
}

/// Heads of the columns; the script makes those with a kind sort.
fn function_head(html: &mut Html) {
    html.element("tr", &[], |html| {
        for (name, kind, span) in [
            ("Function", "text", "1"),
            ("Binary", "text", "1"),
            ("Self", "number", "3"),
            ("Total", "number", "3"),
        ] {
            let class = if kind == "number" { "number" } else { "" };
            let mut attributes =
                vec![("scope", "col"), ("class", class), ("colspan", span), ("data-kind", kind)];
            if name == "Self" {
                attributes.push(("aria-sort", "descending"));
            }
            html.labelled("th", &attributes, name);
        }
    });
}

/// The part of the tree that is being written.
struct Branch<'a> {
    page: &'a Page<'a>,
    /// Nodes that may still be written.
    left: usize,
}

impl Branch<'_> {
    fn tree(&self) -> &CallTree {
        &self.page.report.tree
    }

    fn children(&mut self, html: &mut Html, parent: NodeId, depth: usize) {
        let (children, mut folded) = if depth < MAX_DEPTH {
            self.tree().children(parent, self.page.report.samples.div_ceil(SMALLEST_SHARE))
        } else {
            let (children, mut folded) = self.tree().children(parent, u64::MAX);
            children.iter().for_each(|child| folded.add(self.tree().total(*child)));
            (Vec::new(), folded)
        };
        for child in children {
            if self.left == 0 {
                folded.add(self.tree().total(child));
            } else {
                self.left -= 1;
                self.node(html, child, depth);
            }
        }
        if folded != Folded::default() {
            html.element("div", &[("class", "leaf other")], |html| {
                self.figures(html, folded.samples);
                html.text(&format!("other ({})", folded.nodes));
            });
        }
    }

    fn node(&mut self, html: &mut Html, id: NodeId, depth: usize) {
        let Some(node) = self.tree().node(id).cloned() else { return };
        if node.own == node.total {
            html.element("div", &[("class", "leaf")], |html| self.line(html, id));
            return;
        }
        let attributes: &[_] = if node.total.saturating_mul(OPEN_SHARE) >= self.page.report.samples {
            &[("open", "")]
        } else {
            &[]
        };
        html.element("details", attributes, |html| {
            html.element("summary", &[], |html| self.line(html, id));
            self.children(html, id, depth + 1);
        });
    }

    fn line(&self, html: &mut Html, id: NodeId) {
        let Some(node) = self.tree().node(id) else { return };
        self.figures(html, node.total);
        if let Some(name) = node.name.and_then(|name| self.page.report.names.get(name)) {
            html.labelled("span", &[("class", "name")], &name.function);
            if !name.binary.is_empty() && !name.function.contains('+') {
                html.text(" ");
                html.labelled("span", &[("class", "binary")], &name.binary);
            }
        }
        if node.own > 0 && node.own < node.total {
            let own = format!(" self {}", percent(node.own, self.page.report.samples));
            html.labelled("small", &[], &own);
        }
    }

    fn figures(&self, html: &mut Html, samples: u64) {
        html.labelled("b", &[], &percent(samples, self.page.report.samples));
        html.text(" ");
        html.labelled("span", &[("class", "time")], &seconds(self.page.time(samples)));
        html.text(" ");
    }
}
