//! When to list and when to watch.

use super::api::{Api, Origin, one_line, pause};
use super::cluster::Cluster;
use super::error::{Access, ApiError};
use super::event::{self, Event};
use super::inventory::Inventory;
use super::labels;
use super::pod::Pod;
use super::state::KubernetesState;
use super::{Options, Pace};
use crate::backoff::{Backoff, random_fraction};
use crate::discovery::catalogue::Catalogue;
use crate::discovery::status::SourceStatus;
use crate::label::LabelSet;
use crate::net::NetError;
use crate::net::deadline::within;
use http::StatusCode;
use smol::{Executor, Timer, future};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pages of a list: a server that names a next page for ever is not followed.
const MAX_PAGES: usize = 1000;

/// Keeps the catalogue at what the API server says of this node. It never ends: dropping it does.
pub async fn run(
    cluster: Cluster,
    options: Options,
    catalogue: Arc<Catalogue>,
    status: Arc<SourceStatus>,
    state: Arc<KubernetesState>,
    executor: Arc<Executor<'static>>,
) {
    log::info!(server = cluster.to_string(), node = options.node; "asking the API server for pods");
    if cluster.believes_anyone() {
        log::warn!(
            server = cluster.to_string();
            "insecure-skip-tls-verify: whoever answers is taken for the API server, and is sent credentials"
        );
    }
    let api = Api::new(Arc::new(cluster), executor, &options.pace, &options.node, &options.label_selector);
    let backoff = Backoff::new(options.pace.shortest_pause, options.pace.longest_pause);
    let source = Source {
        api,
        options: &options,
        catalogue: &catalogue,
        status: &status,
        state: &state,
        inventory: Inventory::new(state.clone()),
        of_node: LabelSet::default(),
        node: NodeKnowledge::Unknown,
        position: Position::default(),
        backoff,
        watching_since: None,
    };
    source.run().await;
}

struct Source<'a> {
    api: Api,
    options: &'a Options,
    catalogue: &'a Catalogue,
    status: &'a SourceStatus,
    state: &'a KubernetesState,
    inventory: Inventory,
    /// Labels of the node, as containers have them.
    of_node: LabelSet,
    node: NodeKnowledge,
    position: Position,
    backoff: Backoff,
    /// Since when the server has been telling of changes.
    watching_since: Option<Instant>,
}

/// What came of the last request for the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NodeKnowledge {
    /// It was not asked for, or the server failed: it is asked again after each watch.
    Unknown,
    /// All is known.
    Known,
    /// The server will not tell.
    Refused,
}

/// How far the source has come.
#[derive(Debug)]
struct Position {
    /// The state to watch from; `None` if there must be a list first.
    version: Option<String>,
    /// From where the next list is.
    origin: Origin,
    /// Whether nothing came since the last list.
    is_fresh: bool,
    /// Watches in a row that the server ended by an error, without anything else.
    error_events: u32,
    /// Whether the credential was read again since the server last accepted one.
    tried_again: bool,
}

impl Default for Position {
    fn default() -> Self {
        Self { version: None, origin: Origin::Cache, is_fresh: true, error_events: 0, tried_again: false }
    }
}

impl Position {
    /// The server is further.
    fn advance(&mut self, version: String) {
        if !version.is_empty() {
            self.version = Some(version);
        }
        self.is_fresh = false;
        self.error_events = 0;
    }

    /// What an error means for what is to be done next.
    fn fall_back(&mut self, error: &ApiError) {
        let was_list = self.version.is_none();
        match error {
            ApiError::Gone => {
                // What the cache lists is too old itself.
                if !was_list && self.is_fresh {
                    self.origin = Origin::Store;
                }
                self.version = None;
            }
            ApiError::Net(NetError::TooLong { .. }) if was_list => self.origin = Origin::Store,
            // A watch from the same state would say the same again.
            ApiError::Net(NetError::TooLong { .. }) | ApiError::Decode { .. } => self.version = None,
            ApiError::Event { .. } => {
                self.error_events += 1;
                if self.error_events > 1 {
                    self.version = None;
                }
            }
            _ => (),
        }
    }
}

impl Source<'_> {
    async fn run(mut self) {
        loop {
            if let Err(error) = self.turn().await {
                self.recover(&error).await;
            }
        }
    }

    /// A list, if there must be one, and a watch to its end.
    async fn turn(&mut self) -> Result<(), ApiError> {
        if self.position.version.is_none() {
            self.list().await?;
        }
        let end = self.watch().await;
        let lasted = self.watching_since.take().map(|since| since.elapsed());
        let shortest = self.options.pace.shortest_watch;
        if lasted.is_some_and(|lasted| lasted >= shortest) {
            self.backoff.reset();
        } else if end.is_ok() {
            return Err(ApiError::Short(shortest));
        }
        end?;
        if self.node == NodeKnowledge::Unknown {
            self.read_node().await?;
            if self.node == NodeKnowledge::Known {
                // Its labels are to be on every container.
                self.position.version = None;
            }
        }
        Ok(())
    }

    async fn recover(&mut self, error: &ApiError) {
        self.state.failed(error);
        let is_ordinary = matches!(error, ApiError::Gone) && !self.position.is_fresh;
        if is_ordinary {
            log::info!("the API server has forgotten where the watch of pods was, they are listed again");
        } else {
            self.status.failing(error);
        }
        self.position.fall_back(error);
        self.api.forget_connection();
        if matches!(error, ApiError::Unauthorized { .. })
            && !self.position.tried_again
            && self.api.has_other_credential().await
        {
            self.position.tried_again = true;
            return;
        }
        let mut delay = self.backoff.next(random_fraction());
        if let Some(asked) = error.retry_after() {
            delay += asked;
        }
        if matches!(error, ApiError::Gone) {
            delay += self.options.pace.relist_spread.mul_f64(random_fraction());
        }
        Timer::after(delay).await;
    }

    async fn list(&mut self) -> Result<(), ApiError> {
        self.read_node().await?;
        self.inventory.begin();
        let origin = self.position.origin;
        let mut page = self.api.pods(origin, None).await?;
        // All pages are of the state of the first.
        let version = page.metadata.resource_version;
        for _ in 1..=MAX_PAGES {
            for pod in page.items {
                self.put(&pod);
            }
            if page.metadata.next_page.is_empty() {
                return self.finish_list(version);
            }
            // A page is much to decode, and others wait for the thread.
            future::yield_now().await;
            page = self.api.pods(origin, Some(&page.metadata.next_page)).await?;
        }
        Err(ApiError::List("pages without end"))
    }

    fn finish_list(&mut self, version: String) -> Result<(), ApiError> {
        if version.is_empty() {
            return Err(ApiError::List("no resourceVersion to watch from"));
        }
        self.inventory.finish(self.catalogue, Instant::now());
        self.position = Position { version: Some(version), ..Position::default() };
        self.state.has_pods(self.inventory.pods());
        self.state.has_listed();
        self.status.working();
        Ok(())
    }

    /// Asks for the node, without which pods are still worth listing.
    async fn read_node(&mut self) -> Result<(), ApiError> {
        let refused_before = self.node == NodeKnowledge::Refused;
        let node = match self.api.node().await {
            Ok(node) => {
                self.node = NodeKnowledge::Known;
                Some(node)
            }
            Err(error) => {
                let refused = match &error {
                    ApiError::Forbidden { .. } => true,
                    ApiError::Status { status: StatusCode::NOT_FOUND, .. } => true,
                    ApiError::Status { status, .. } if *status != StatusCode::TOO_MANY_REQUESTS => false,
                    ApiError::Decode { .. } => false,
                    _ => return Err(error),
                };
                self.state.failed(&error);
                self.node = if refused { NodeKnowledge::Refused } else { NodeKnowledge::Unknown };
                if !(refused && refused_before) {
                    let hint = "labels of the node are missing; is --node its name in the cluster?";
                    log::warn!(node = self.options.node, error = error.to_string(); "{hint}");
                }
                None
            }
        };
        let is_news = node.is_some() || self.of_node == LabelSet::default();
        if is_news {
            self.of_node = labels::of_node(&self.options.node, node.as_ref(), &self.state.cut_values);
        }
        Ok(())
    }

    async fn watch(&mut self) -> Result<(), ApiError> {
        let Pace { watch, grace, .. } = self.options.pace;
        let Some(version) = self.position.version.clone() else { return Ok(()) };
        // Up to a fifth less, or agents that were started together would come together each time.
        let duration = watch.mul_f64(1.0 - random_fraction() / 5.0);
        let seconds = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).max(1);
        let deadline = Duration::from_secs(seconds.into()) + grace;
        let end = Instant::now() + deadline;
        let mut lines = self.api.watch(&version, seconds).await?;
        self.watching_since = Some(Instant::now());
        self.state.watches_again();
        self.position.tried_again = false;
        self.status.working();
        let late = || {
            let peer = "a watch that the API server should have ended".to_owned();
            NetError::Late { peer, deadline }
        };
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            let line = within(rest, lines.next(deadline)).await.ok_or_else(late)??;
            let Some(line) = line else { return Ok(()) };
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let decoded = event::decode(&line);
            let event = decoded.map_err(|source| ApiError::Decode { access: Access::WatchPods, source })?;
            self.state.heard(&event);
            self.take_in(event)?;
        }
    }

    fn take_in(&mut self, event: Event) -> Result<(), ApiError> {
        match event {
            Event::Pod(pod) => {
                self.put(&pod);
                self.position.advance(pod.metadata.resource_version);
            }
            Event::Deleted(pod) => {
                self.inventory.delete(&pod.metadata, self.catalogue, Instant::now());
                self.position.advance(pod.metadata.resource_version);
            }
            Event::Bookmark { version } => self.position.advance(version),
            Event::Error { code: 410, .. } => return Err(ApiError::Gone),
            Event::Error { code, message, retry_after } => {
                let message = one_line(&message);
                return Err(ApiError::Event { code, message, retry_after: retry_after.map(pause) });
            }
        }
        self.state.has_pods(self.inventory.pods());
        self.status.working();
        Ok(())
    }

    fn put(&mut self, pod: &Pod) {
        let containers = labels::of_containers(pod, &self.of_node, &self.state.cut_values);
        self.inventory.put(&pod.metadata, containers, self.catalogue, Instant::now());
    }
}
