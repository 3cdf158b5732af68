//! `/api/v1/targets`: what the pages of targets show, as JSON.

use super::Context;
use super::activity::TargetActivity;
use super::answer::Answer;
use super::discovered::{self, DiscoveredBody, SourceBody};
use super::figures::timestamp;
use crate::profile::{SampleCount, Window};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

#[derive(Serialize)]
struct Body<'a> {
    node: &'a str,
    version: &'static str,
    uptime_seconds: u64,
    window: Option<WindowBody>,
    targets: Vec<TargetBody<'a>>,
    sources: Vec<SourceBody>,
    discovered: Vec<DiscoveredBody>,
}

#[derive(Serialize)]
struct WindowBody {
    start: String,
    duration_seconds: f64,
    samples: u64,
    cpu_seconds: f64,
}

#[derive(Serialize)]
struct TargetBody<'a> {
    labels: BTreeMap<&'a str, &'a str>,
    source: &'static str,
    samples: u64,
    cpu_seconds: f64,
    last_profile: String,
    last_profile_age_seconds: u64,
    last_error: Option<&'a str>,
}

/// All targets seen lately; the one with the most samples first.
pub(super) fn answer(context: &Context) -> Answer {
    let window = context.state.windows.latest();
    if let Some(window) = &window {
        context.activity.record(window);
    }
    let period = window.as_ref().map(|window| window.period).unwrap_or_default();
    let activities = context.activity.targets();
    let report = discovered::report(context);
    let body = Body {
        node: &context.state.node,
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: context.started.elapsed().as_secs(),
        window: window.as_deref().map(describe),
        targets: activities.iter().map(|activity| target(activity, period)).collect(),
        sources: discovered::sources(&report),
        discovered: discovered::discovered(&report),
    };
    Answer::json(&body)
}

fn describe(window: &Window) -> WindowBody {
    let samples: u64 = window.profiles.iter().map(|profile| profile.total().0).sum();
    WindowBody {
        start: timestamp(window.start),
        duration_seconds: window.duration.as_secs_f64(),
        samples,
        cpu_seconds: cpu_time(SampleCount(samples), window.period).as_secs_f64(),
    }
}

fn target(activity: &TargetActivity, period: Duration) -> TargetBody<'_> {
    TargetBody {
        labels: activity.target.labels.iter().collect(),
        source: activity.target.source.name(),
        samples: activity.samples.0,
        cpu_seconds: cpu_time(activity.samples, period).as_secs_f64(),
        last_profile: timestamp(activity.last_profile),
        last_profile_age_seconds: age_of(activity.last_profile).as_secs(),
        last_error: activity.last_error.as_deref(),
    }
}

/// The CPU time that samples stand for.
pub(super) fn cpu_time(samples: SampleCount, period: Duration) -> Duration {
    period.saturating_mul(u32::try_from(samples.0).unwrap_or(u32::MAX))
}

/// How long ago a moment was; zero for one that a clock set back has put in the future.
pub(super) fn age_of(moment: SystemTime) -> Duration {
    SystemTime::now().duration_since(moment).unwrap_or_default()
}
