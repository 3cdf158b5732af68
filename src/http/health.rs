//! `/-/healthy` and `/-/ready`.

use super::Context;
use super::answer::Answer;
use std::sync::atomic::Ordering;

/// The executor runs, or this would not be asked.
pub(super) fn alive() -> Answer {
    Answer::text(200, "alive")
}

/// Whether samples are being taken. The store has no say: its outage must not restart agents.
pub(super) fn ready(context: &Context) -> Answer {
    if context.state.ready.load(Ordering::Acquire) {
        Answer::text(200, "ready")
    } else {
        Answer::text(503, "starting: no samples are taken yet")
    }
}
