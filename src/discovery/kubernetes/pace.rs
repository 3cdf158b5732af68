//! How patient the source is.

use std::time::Duration;

/// Pauses and deadlines. Tests take shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The shortest pause after an error.
    pub shortest_pause: Duration,
    /// The longest pause after an error, unless the server asks for more.
    pub longest_pause: Duration,
    /// Up to which a list is put off when a watch cannot go on: all agents may be told so together.
    pub relist_spread: Duration,
    /// How long a connection, an answer, or the head of a watch may take.
    pub answer: Duration,
    /// How long the server is asked to watch, in whole seconds. Proxies tend to cut connections at five
    /// minutes.
    pub watch: Duration,
    /// How long after that the watch may still be open: then the server is taken for gone.
    pub grace: Duration,
    /// A watch that ends sooner is an error, or a server that ends each at once would be asked without pause.
    pub shortest_watch: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            shortest_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
            relist_spread: Duration::from_secs(5),
            answer: Duration::from_secs(30),
            watch: Duration::from_secs(290),
            grace: Duration::from_secs(30),
            shortest_watch: Duration::from_secs(1),
        }
    }
}
