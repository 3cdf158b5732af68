//! Routes: which handler a request target leads to, and with what parameters.

use super::percent::decode_form;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// The page of all targets.
    Index,
    /// A profile.
    Query(QueryParameters),
    /// The agent's own numbers.
    Metrics,
    /// Whether the process is alive.
    Healthy,
    /// Whether it samples and finds targets.
    Ready,
    /// The page's numbers, as JSON.
    Targets,
    /// Where targets come from.
    Discovered,
    /// How each file is unwound.
    Unwind,
    /// The same, as JSON.
    UnwindNumbers,
    /// How the store does.
    Store,
    /// A file of the page, by name.
    Asset(String),
    /// Nothing that exists.
    Unknown,
    /// The query part is not well formed.
    BadQuery,
}

/// Parameters of `/query`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryParameters {
    /// The selector's text; `None` when it was not given.
    pub selector: Option<String>,
    /// A page to look at, and not a file.
    pub debug: bool,
    /// The last finished window will do, if it holds a match.
    pub latest: bool,
}

impl Route {
    /// The route of a request target in origin form: a path and perhaps a query part.
    pub fn of(target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match path {
            "/" => Self::Index,
            "/query" => QueryParameters::parse(query).map_or(Self::BadQuery, Self::Query),
            "/metrics" => Self::Metrics,
            "/-/healthy" | "/healthy" => Self::Healthy,
            "/-/ready" | "/ready" => Self::Ready,
            "/api/v1/targets" => Self::Targets,
            "/targets" => Self::Discovered,
            "/unwind" => Self::Unwind,
            "/api/v1/unwind" => Self::UnwindNumbers,
            "/api/v1/store" => Self::Store,
            _ => path.strip_prefix("/ui/").map_or(Self::Unknown, |name| Self::Asset(name.to_owned())),
        }
    }
}

impl QueryParameters {
    /// Reads the query part. Parameters of other names are passed over; of several, the first counts.
    fn parse(query: &str) -> Option<Self> {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode_form(value)?;
            match decode_form(name)?.as_str() {
                "query" if parameters.selector.is_none() => parameters.selector = Some(value),
                "debug" => parameters.debug = is_on(&value),
                "latest" => parameters.latest = is_on(&value),
                _ => (),
            }
        }
        Some(parameters)
    }
}

fn is_on(value: &str) -> bool {
    matches!(value, "1" | "true")
}

#[cfg(test)]
mod tests {
    use super::{QueryParameters, Route};

    #[test]
    fn targets_lead_to_routes() {
        for (target, route) in [
            ("/", Route::Index),
            ("/?x=y", Route::Index),
            ("/metrics", Route::Metrics),
            ("/metrics/", Route::Unknown),
            ("/-/healthy", Route::Healthy),
            ("/healthy", Route::Healthy),
            ("/-/ready", Route::Ready),
            ("/ready", Route::Ready),
            ("/api/v1/targets", Route::Targets),
            ("/targets", Route::Discovered),
            ("/unwind", Route::Unwind),
            ("/api/v1/unwind", Route::UnwindNumbers),
            ("/api/v1/store", Route::Store),
            ("/ui/style.css", Route::Asset("style.css".to_owned())),
            ("/etc/passwd", Route::Unknown),
            ("/query?query=%zz", Route::BadQuery),
        ] {
            assert_eq!(Route::of(target), route, "{target}");
        }
    }

    #[test]
    fn the_query_part_is_a_form() {
        let expected =
            QueryParameters { selector: Some("{a=\"b c\"}".to_owned()), debug: true, latest: false };
        assert_eq!(
            Route::of("/query?debug=1&&other=%20&query=%7Ba=%22b+c%22}&query=second&latest=0"),
            Route::Query(expected)
        );
        assert_eq!(Route::of("/query"), Route::Query(QueryParameters::default()));
    }
}
