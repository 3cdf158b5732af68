//! `/ui/...`: the files of the pages, which are part of the binary.

use super::answer::Answer;

/// Version by which a page asks for its files, so that a browser may keep them.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One file.
pub(super) fn answer(name: &str) -> Answer {
    let (content_type, text) = match name {
        "style.css" => ("text/css; charset=utf-8", include_str!("ui/style.css")),
        "page.js" => ("text/javascript; charset=utf-8", include_str!("ui/page.js")),
        _ => return Answer::text(404, "not found"),
    };
    Answer::new(200, content_type, text).with("Cache-Control", "public, max-age=300")
}
