//! `/unwind` and `/api/v1/unwind`: how the code of each object file is unwound, and how that goes.

use super::Context;
use super::answer::Answer;
use super::figures::{count, percent};
use super::html::Html;
use super::layout::{cell, columns, heading, page};
use crate::unwind::report::{ObjectReport, TableReport};
use parca_agent_common::unwind::StackEnd;
use parca_agent_common::unwind::rule::Row;
use serde::Serialize;
use std::collections::BTreeMap;

/// Files on the page. All are in the JSON.
const SHOWN: usize = 500;

#[derive(Serialize)]
struct Body {
    objects: Vec<ObjectBody>,
}

#[derive(Serialize)]
struct ObjectBody {
    path: String,
    build_id: Option<String>,
    /// `loaded`, `underway`, `wanted`, or why there is none.
    table: &'static str,
    source: Option<&'static str>,
    rows: Option<u64>,
    row_bytes: Option<u64>,
    rules: Option<usize>,
    functions: Option<u64>,
    unsupported_rows: Option<u64>,
    stacks: u64,
    whole_stacks: u64,
    /// Stacks that ended in this file, by why.
    ended: BTreeMap<&'static str, u64>,
}

/// As JSON.
pub(super) fn answer(context: &Context) -> Answer {
    let objects = reports(context).iter().map(body).collect();
    Answer::json(&Body { objects })
}

/// Nothing before the collector runs.
fn reports(context: &Context) -> Vec<ObjectReport> {
    context.state.unwind.get().map(|unwind| unwind()).unwrap_or_default()
}

fn body(report: &ObjectReport) -> ObjectBody {
    let summary = match report.table {
        TableReport::Loaded(summary) => Some(summary),
        TableReport::Underway | TableReport::None(_) | TableReport::Wanted => None,
    };
    let rows = summary.map(|summary| summary.statistics.rows);
    let ended = StackEnd::ALL.iter().zip(report.stacks.ended).filter(|(_, count)| *count > 0);
    let info = report.object.info.get().and_then(|info| info.as_ref().ok());
    ObjectBody {
        path: String::from_utf8_lossy(&report.object.path).into_owned(),
        build_id: info.map(|info| info.build_id.to_string()),
        table: standing(report.table),
        source: summary.map(|summary| summary.source.name()),
        rows,
        row_bytes: rows.map(|rows| rows * size_of::<Row>() as u64),
        rules: summary.map(|summary| summary.rules),
        functions: summary.map(|summary| summary.statistics.functions),
        unsupported_rows: summary.map(|summary| summary.statistics.unsupported_rows),
        stacks: report.stacks.all,
        whole_stacks: report.stacks.whole,
        ended: ended.map(|(end, count)| (end.name(), count)).collect(),
    }
}

fn standing(table: TableReport) -> &'static str {
    match table {
        TableReport::Loaded(_) => "loaded",
        TableReport::Underway => "underway",
        TableReport::Wanted => "wanted",
        TableReport::None(reason) => reason.name(),
    }
}

/// As a page.
pub(super) fn answer_page(context: &Context) -> Answer {
    let bodies: Vec<_> = reports(context).iter().map(body).collect();
    let title = format!("Unwinding · {} · Parca Agent", context.state.node);
    Answer::page(
        200,
        page(&title, false, |html| {
            heading(html, "How stacks are unwound");
            html.element("main", &[("id", "main")], |html| {
                let text = "Each file of code, the table by which it is unwound, and of the stacks with code of \
                    it, how many go back to where the program or thread began.";
                html.labelled("p", &[], text);
                html.element("table", &[("class", "targets unwind")], |html| table(html, &bodies));
                if bodies.len() > SHOWN {
                    let rest = format!("{} more are in /api/v1/unwind.", bodies.len() - SHOWN);
                    html.labelled("p", &[], &rest);
                }
            });
        }),
    )
}

fn table(html: &mut Html, bodies: &[ObjectBody]) {
    columns(
        html,
        &[
            ("File", ""),
            ("Table", ""),
            ("Rows", "number"),
            ("Stacks", "number"),
            ("Whole", "number"),
            ("Others ended here by", ""),
        ],
    );
    html.element("tbody", &[], |html| bodies.iter().take(SHOWN).for_each(|body| row(html, body)));
}

fn row(html: &mut Html, body: &ObjectBody) {
    html.element("tr", &[], |html| {
        html.labelled("th", &[("scope", "row")], &body.path);
        cell(html, "Table", "source", body.source.unwrap_or(body.table));
        cell(html, "Rows", "number", &body.rows.map_or_else(|| "–".to_owned(), count));
        cell(html, "Stacks", "number", &count(body.stacks));
        let whole = if body.stacks > 0 { percent(body.whole_stacks, body.stacks) } else { "–".to_owned() };
        cell(html, "Whole", "number", &whole);
        let whole_ends = [StackEnd::Complete.name(), StackEnd::ChainEnd.name()];
        let others = body.ended.iter().filter(|(end, _)| !whole_ends.contains(end));
        let others: Vec<_> = others.map(|(end, number)| format!("{end} {}", count(*number))).collect();
        let others = if others.is_empty() { "–".to_owned() } else { others.join(", ") };
        cell(html, "Others ended here by", "", &others);
    });
}
