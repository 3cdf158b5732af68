//! `/query`: the profile that a selector finds, as pprof or as a page.

use super::answer::Answer;
use super::route::QueryParameters;
use super::selector::Selector;
use super::{Context, State, layout, profile_page};
use crate::profile::publish::LONGEST_CLOSING;
use crate::profile::{Profile, Window};
use smol::future::FutureExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Queries that may wait for a window at the same time.
pub(super) const MAX_WAITING: usize = 16;
/// A window is published a little after its end.
const GRACE: Duration = Duration::from_secs(1);

/// How long a query waits for a window that holds a match. While a window waits for names, it waits for that one too.
pub(super) fn longest_wait(state: &State) -> Duration {
    state.profiling_duration + GRACE
}

/// Waits for a profile, unless the last one will do and exists.
pub(super) async fn answer(context: &Arc<Context>, parameters: QueryParameters) -> Answer {
    let debug = parameters.debug;
    let failure = |status, text: String| {
        if debug { layout::message(status, "Show Profile", &text) } else { Answer::text(status, text) }
    };
    let Some(text) = parameters.selector else {
        return failure(400, "the parameter `query` is missing: query={name=\"value\"}".to_owned());
    };
    let selector = match Selector::parse(&text) {
        Ok(selector) => selector,
        Err(error) => return failure(400, error.to_string()),
    };
    match find(context, &selector, parameters.latest).await {
        Ok(window) => {
            let context = context.clone();
            smol::unblock(move || render(&context, &window, &selector, debug)).await
        }
        Err(Miss::NothingInTime) => {
            let waited = longest_wait(&context.state).as_secs();
            failure(404, format!("no profile of {selector} came within {waited} seconds"))
        }
        Err(Miss::TooManyWait) => {
            failure(503, "too many queries wait for the next profile".to_owned()).with("Retry-After", "10")
        }
    }
}

/// Why there is no window to show.
enum Miss {
    NothingInTime,
    TooManyWait,
}

async fn find(context: &Context, selector: &Selector, latest: bool) -> Result<Arc<Window>, Miss> {
    let windows = &context.state.windows;
    let deadline = Instant::now() + longest_wait(&context.state);
    if let Some(window) = windows.latest().filter(|window| latest && holds_match(window, selector)) {
        return Ok(window);
    }
    let _permit = context.waiting.try_acquire().ok_or(Miss::TooManyWait)?;
    loop {
        let next = windows.next().ok_or(Miss::TooManyWait)?;
        let window = async { next.recv().await.ok() }
            .or(async {
                smol::Timer::at(deadline).await;
                if windows.is_closing() {
                    smol::Timer::after(LONGEST_CLOSING + GRACE).await;
                }
                None
            })
            .await
            .ok_or(Miss::NothingInTime)?;
        if holds_match(&window, selector) {
            return Ok(window);
        }
    }
}

fn holds_match(window: &Window, selector: &Selector) -> bool {
    window.profiles.iter().any(|profile| selector.matches(&profile.target.labels))
}

fn render(context: &Context, window: &Window, selector: &Selector, debug: bool) -> Answer {
    let profiles: Vec<&Profile> =
        window.profiles.iter().filter(|profile| selector.matches(&profile.target.labels)).collect();
    if debug {
        return Answer::page(200, profile_page::render(&context.state.node, window, &profiles, selector));
    }
    Answer::new(200, "application/vnd.google.protobuf+gzip", (context.state.encode)(window, &profiles))
        .with("Content-Disposition", "attachment; filename=\"profile.pb.gz\"")
}
