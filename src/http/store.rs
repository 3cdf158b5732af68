//! The store in the head of the page, and `/api/v1/store`.

use super::Context;
use super::answer::Answer;
use super::figures::count;
use super::html::Html;
use super::layout::fact;
use crate::store::status::StoreStatus;
use serde::Serialize;

#[derive(Serialize)]
struct Body {
    store: Option<StoreBody>,
}

#[derive(Serialize)]
struct StoreBody {
    address: String,
    up: Option<bool>,
    last_error: Option<String>,
    samples_waiting: u64,
    samples_delivered: u64,
    samples_dropped: u64,
}

/// The numbers; `null` where there is no store.
pub(super) fn answer(context: &Context) -> Answer {
    Answer::json(&Body { store: status(context).map(StoreBody::from) })
}

impl From<StoreStatus> for StoreBody {
    fn from(status: StoreStatus) -> Self {
        Self {
            address: status.peer,
            up: status.is_up,
            last_error: status.error,
            samples_waiting: status.waiting,
            samples_delivered: status.delivered,
            samples_dropped: status.dropped,
        }
    }
}

fn status(context: &Context) -> Option<StoreStatus> {
    context.state.store.get().map(|status| status())
}

/// One line among the facts, if there is a store.
pub(super) fn facts(html: &mut Html, context: &Context) {
    let Some(status) = status(context) else { return };
    let mut notes = Vec::new();
    if status.waiting > 0 {
        notes.push(format!("{} samples wait", count(status.waiting)));
    }
    if status.dropped > 0 {
        notes.push(format!("{} lost", count(status.dropped)));
    }
    fact(html, "Store", status.state(), &notes.join(", "));
}

/// Why a store does not take profiles.
pub(super) fn notice(html: &mut Html, context: &Context) {
    let Some(StoreStatus { is_up: Some(false), peer, error, .. }) = status(context) else { return };
    html.element("p", &[("class", "notice"), ("role", "status")], |html| {
        let error = error.unwrap_or_default();
        html.text(&format!("The store {peer} does not take profiles at the moment, so they wait: {error}"));
    });
}
