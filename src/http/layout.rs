//! What all pages share.

use super::answer::Answer;
use super::assets::VERSION;
use super::html::Html;
use crate::label::{LabelSet, escape_value};
use std::collections::BTreeSet;

/// A whole page.
pub(super) fn page(title: &str, refresh: bool, body: impl FnOnce(&mut Html)) -> String {
    let mut html = Html::document();
    html.element("html", &[("lang", "en")], |html| {
        html.element("head", &[], |html| head(html, title, refresh));
        html.element("body", &[], |html| {
            html.labelled("a", &[("class", "skip"), ("href", "#main")], "Skip to content");
            body(html);
        });
    });
    html.finish()
}

fn head(html: &mut Html, title: &str, refresh: bool) {
    html.void("meta", &[("charset", "utf-8")]);
    html.void("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    html.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    html.labelled("title", &[], title);
    // An empty icon spares the browser's request for one.
    html.void("link", &[("rel", "icon"), ("href", "data:,")]);
    let style = format!("/ui/style.css?v={VERSION}");
    html.void("link", &[("rel", "stylesheet"), ("href", &style)]);
    let script = format!("/ui/page.js?v={VERSION}");
    html.element("script", &[("src", &script), ("defer", "")], |_| ());
    if refresh {
        html.element("noscript", &[], |html| {
            html.void("meta", &[("http-equiv", "refresh"), ("content", "10")]);
        });
    }
}

/// A page that only says something.
pub(super) fn message(status: u16, title: &str, text: &str) -> Answer {
    let page = page(&format!("{title} · Parca Agent"), false, |html| {
        html.element("main", &[("id", "main"), ("class", "message")], |html| {
            html.labelled("h1", &[], title);
            html.labelled("p", &[("role", "alert")], text);
            html.element("p", &[], |html| html.labelled("a", &[("href", "/")], "All targets"));
        });
    });
    Answer::page(status, page)
}

/// Labels, each in a frame of its own.
pub(super) fn chips<'a>(html: &mut Html, labels: impl IntoIterator<Item = (&'a str, &'a str)>) {
    html.element("span", &[("class", "chips")], |html| {
        for (name, value) in labels {
            html.element("span", &[("class", "chip")], |html| {
                html.labelled("span", &[("class", "chip-name")], name);
                html.labelled("span", &[("class", "chip-value")], &escape_value(value));
            });
            html.text(" ");
        }
    });
}

/// The head of a page below the first one, with the way back.
pub(super) fn heading(html: &mut Html, title: &str) {
    html.element("header", &[("class", "top")], |html| {
        html.element("p", &[("class", "product")], |html| {
            html.labelled("a", &[("href", "/")], "Parca Agent");
        });
        html.labelled("h1", &[], title);
    });
}

/// The head of a table: names of columns, and their classes.
pub(super) fn columns(html: &mut Html, columns: &[(&str, &str)]) {
    html.element("thead", &[], |html| {
        html.element("tr", &[], |html| {
            for (name, class) in columns {
                html.labelled("th", &[("scope", "col"), ("class", class)], name);
            }
        });
    });
}

/// A cell of a table. On a narrow screen the name of its column stands beside it.
pub(super) fn cell(html: &mut Html, name: &str, class: &str, text: &str) {
    html.labelled("td", &[("class", class), ("data-label", name)], text);
}

/// One number of the head of a page, with its name.
pub(super) fn fact(html: &mut Html, name: &str, value: &str, note: &str) {
    html.element("div", &[("class", "fact")], |html| {
        html.labelled("dt", &[], name);
        html.element("dd", &[], |html| {
            html.text(value);
            if !note.is_empty() {
                html.text(" ");
                html.labelled("small", &[], note);
            }
        });
    });
}

/// A bar for a share, 0 to 1. The number beside it says the same.
pub(super) fn bar(html: &mut Html, share: f64) {
    let width = format!("{:.2}", share.clamp(0.0, 1.0) * 100.0);
    let attributes = [
        ("class", "bar"),
        ("viewBox", "0 0 100 4"),
        ("preserveAspectRatio", "none"),
        ("aria-hidden", "true"),
    ];
    html.element("svg", &attributes, |html| {
        html.element("rect", &[("class", "bar-track"), ("width", "100"), ("height", "4")], |_| ());
        html.element("rect", &[("class", "bar-fill"), ("width", &width), ("height", "4")], |_| ());
    });
}

/// The address of a profile, answered from the last window if possible.
pub(super) fn query_link(selector: &str, debug: bool) -> String {
    let debug = if debug { "debug=1&" } else { "" };
    format!("/query?{debug}latest=1&query={}", super::percent::encode(selector))
}

/// A selector that matches this label set and none of those around it: where the set lacks one of the
/// label names in use, the selector says so.
pub(super) fn exact_selector(labels: &LabelSet, names: &BTreeSet<String>) -> String {
    let present = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape_value(value)));
    let absent = names.iter().filter(|name| labels.get(name).is_none()).map(|name| format!("{name}=\"\""));
    format!("{{{}}}", present.chain(absent).collect::<Vec<_>>().join(","))
}

/// Every label name in use.
pub(super) fn label_names<'a>(sets: impl IntoIterator<Item = &'a LabelSet>) -> BTreeSet<String> {
    sets.into_iter().flat_map(LabelSet::iter).map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::{exact_selector, label_names};
    use crate::http::selector::Selector;
    use crate::label::LabelSet;

    #[test]
    fn an_exact_selector_matches_one_set_only() {
        let sets: [LabelSet; 3] = [
            [("comm", "a")].into_iter().collect(),
            [("comm", "a"), ("cgroup", "/x")].into_iter().collect(),
            [("comm", "b")].into_iter().collect(),
        ];
        for set in &sets {
            let selector = Selector::parse(&exact_selector(set, &label_names(&sets))).unwrap();
            let matched: Vec<_> = sets.iter().filter(|other| selector.matches(other)).collect();
            assert_eq!(matched, [set]);
        }
    }
}
