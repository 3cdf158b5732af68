//! `/metrics`.

use super::Context;
use super::answer::Answer;
use crate::metrics::Format;

/// The agent's own numbers, in the format that the Accept header asks for.
pub(super) fn answer(context: &Context, accept: &str) -> Answer {
    let format = Format::accepted(accept);
    Answer::new(200, format.content_type(), context.state.registry.scrape(format)).with("Vary", "Accept")
}
