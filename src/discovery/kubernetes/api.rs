//! Requests to the API server over one connection that is kept, and what its answers mean.

use super::cluster::{Cluster, Encryption};
use super::credential::CredentialError;
use super::error::{Access, ApiError};
use super::pace::Pace;
use super::pod::{Node, PodList};
use crate::net::http1::Connection;
use crate::net::lines::Lines;
use crate::net::stream::dial_tcp;
use crate::net::{Limits, NetError};
use http::header::{ACCEPT, AUTHORIZATION, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use kube::core::params::{GetParams, ListParams, WatchParams};
use kube::core::{Request as Resource, Status};
use serde::de::DeserializeOwned;
use smol::Executor;
use std::sync::Arc;
use std::time::Duration;

/// Pods of a page. The server may send more: one that lists from its cache sends all.
const PAGE: u32 = 500;
/// Longest list that is taken, in bytes: a node has some hundred pods, of which each has about 10 KiB.
const MAX_LIST: usize = 64 << 20;
/// Longest line of a watch, in bytes. A pod has at most 1.5 MiB, which is etcd's bound.
const MAX_LINE: usize = 4 << 20;
/// Longest explanation of a refusal that is read, in bytes.
const MAX_REFUSAL: usize = 64 << 10;
/// Longest explanation that is shown, in characters.
const MAX_MESSAGE: usize = 400;
/// Longest pause that a server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// From where the server lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// From its memory: it has an index by nodes, and spares etcd. It may be some moments old.
    Cache,
    /// From etcd, in pages, and as of now.
    Store,
}

/// The agent's side of the conversation.
pub(super) struct Api {
    cluster: Arc<Cluster>,
    executor: Arc<Executor<'static>>,
    answer: Duration,
    fields: String,
    labels: String,
    node: String,
    connection: Option<Connection>,
    /// What the last request proved itself by.
    shown: Option<HeaderValue>,
}

impl Api {
    pub(super) fn new(
        cluster: Arc<Cluster>,
        executor: Arc<Executor<'static>>,
        pace: &Pace,
        node: &str,
        label_selector: &str,
    ) -> Self {
        Self {
            cluster,
            executor,
            answer: pace.answer,
            fields: format!("spec.nodeName={node}"),
            labels: label_selector.to_owned(),
            node: node.to_owned(),
            connection: None,
            shown: None,
        }
    }

    /// The node.
    pub(super) async fn node(&mut self) -> Result<Node, ApiError> {
        let access = Access::GetNode;
        let request = self.resource("nodes").get(&self.node, &GetParams::default());
        self.object(access, build(access, request)?).await
    }

    /// A page of pods: the first, or the one that the page before named.
    pub(super) async fn pods(&mut self, origin: Origin, page: Option<&str>) -> Result<PodList, ApiError> {
        let access = Access::ListPods;
        let mut parameters = ListParams::default().fields(&self.fields).limit(PAGE);
        parameters.label_selector = self.label_selector();
        parameters.continue_token = page.map(str::to_owned);
        let mut request = build(access, self.resource("pods").list(&parameters))?;
        // The builder never asks for both a page and the cache: servers that honour one ignore the other.
        if origin == Origin::Cache && page.is_none() {
            *request.uri_mut() = format!("{}&resourceVersion=0", request.uri())
                .parse()
                .map_err(|error: http::uri::InvalidUri| wrong(access, &error))?;
        }
        self.object(access, request).await
    }

    /// What happens to pods after a state, for at most `seconds`.
    pub(super) async fn watch(&mut self, version: &str, seconds: u32) -> Result<Lines, ApiError> {
        let access = Access::WatchPods;
        let mut parameters = WatchParams::default().fields(&self.fields).timeout(seconds);
        parameters.label_selector = self.label_selector();
        let request = build(access, self.resource("pods").watch(&parameters, version))?;
        let limits = Limits { deadline: self.answer, bytes: MAX_LINE };
        let request = self.sign(request).await?;
        let (head, lines) = loop {
            let (mut connection, is_new) = self.connection().await?;
            match connection.stream(request.clone(), limits).await {
                // It was closed while nobody looked.
                Err(NetError::Http { .. }) if !is_new => (),
                result => {
                    let answer = result?;
                    self.connection = Some(connection);
                    break answer.into_parts();
                }
            }
        };
        if head.status == StatusCode::OK {
            return Ok(lines);
        }
        let body = lines.rest(Limits { bytes: MAX_REFUSAL, ..limits }).await;
        self.forget_connection();
        Err(refusal(access, head.status, &head.headers, &body))
    }

    /// The next request is made over a new connection.
    pub(super) fn forget_connection(&mut self) {
        self.connection = None;
    }

    /// Whether there is by now something else to show than what was shown last.
    pub(super) async fn has_other_credential(&self) -> bool {
        self.authorization().await.is_ok_and(|now| now != self.shown)
    }

    async fn object<T: DeserializeOwned>(
        &mut self,
        access: Access,
        request: Request<Vec<u8>>,
    ) -> Result<T, ApiError> {
        let limits = Limits { deadline: self.answer, bytes: MAX_LIST };
        let request = self.sign(request).await?;
        let (head, body) = loop {
            let (mut connection, is_new) = self.connection().await?;
            match connection.exchange(request.clone(), limits).await {
                // It was closed while nobody looked.
                Err(NetError::Http { .. }) if !is_new => (),
                result => {
                    let answer = result?;
                    self.connection = Some(connection);
                    break answer.into_parts();
                }
            }
        };
        if head.status != StatusCode::OK {
            return Err(refusal(access, head.status, &head.headers, &body));
        }
        serde_json::from_slice(&body).map_err(|source| ApiError::Decode { access, source })
    }

    /// The connection that there is, or a new one; whether it is new. Whoever takes it puts it back.
    async fn connection(&mut self) -> Result<(Connection, bool), ApiError> {
        if let Some(connection) = self.connection.take().filter(Connection::is_open) {
            return Ok((connection, false));
        }
        let cluster = self.cluster.clone();
        // Certificates are in files, and those of the host in many.
        let tls = smol::unblock(move || cluster.encryption.as_ref().map(Encryption::prepare)).await;
        let tls = tls.transpose()?;
        let cluster = &*self.cluster;
        let mut dialed = dial_tcp(&cluster.host, cluster.port, self.answer).await?;
        if let (Some(tls), Some(Encryption { server_name, .. })) = (tls, &cluster.encryption) {
            dialed = tls.wrap(dialed, server_name, self.answer).await?;
        }
        Ok((Connection::begin(dialed, &self.executor).await?, true))
    }

    /// What to prove it by now, which may be in a file.
    async fn authorization(&self) -> Result<Option<HeaderValue>, CredentialError> {
        let cluster = self.cluster.clone();
        smol::unblock(move || cluster.credential.authorization()).await
    }

    async fn sign(&mut self, mut request: Request<Vec<u8>>) -> Result<Request<Vec<u8>>, ApiError> {
        self.shown = self.authorization().await?;
        let headers = request.headers_mut();
        if let Ok(host) = HeaderValue::from_str(&self.cluster.authority()) {
            headers.insert(HOST, host);
        }
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers
            .insert(USER_AGENT, HeaderValue::from_static(concat!("parca-agent/", env!("CARGO_PKG_VERSION"))));
        headers.extend(self.shown.clone().map(|value| (AUTHORIZATION, value)));
        Ok(request)
    }

    fn resource(&self, plural: &str) -> Resource {
        Resource::new(format!("{}/api/v1/{plural}", self.cluster.prefix))
    }

    fn label_selector(&self) -> Option<String> {
        Some(self.labels.clone()).filter(|labels| !labels.is_empty())
    }
}

fn build(
    access: Access,
    request: Result<Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<Request<Vec<u8>>, ApiError> {
    request.map_err(|error| wrong(access, &error))
}

fn wrong(access: Access, error: &dyn std::error::Error) -> ApiError {
    ApiError::Request { access, problem: error.to_string() }
}

/// The meaning of a status that is not 200.
fn refusal(access: Access, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ApiError {
    let message = match serde_json::from_slice::<Status>(body) {
        Ok(Status { message, .. }) if !message.is_empty() => one_line(&message),
        _ => one_line(&String::from_utf8_lossy(body)),
    };
    match status {
        StatusCode::UNAUTHORIZED => ApiError::Unauthorized { message },
        StatusCode::FORBIDDEN => ApiError::Forbidden { access, message },
        StatusCode::GONE => ApiError::Gone,
        _ => {
            let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = header.and_then(|text| text.trim().parse().ok()).map(pause);
            ApiError::Status { access, status, message, retry_after }
        }
    }
}

/// A pause that a server asks for.
pub(super) fn pause(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into()).min(MAX_RETRY_AFTER)
}

/// The beginning of a text that a server sent, fit to be logged.
pub(super) fn one_line(text: &str) -> String {
    let plain = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    plain.take(MAX_MESSAGE).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{MAX_MESSAGE, MAX_RETRY_AFTER, refusal};
    use crate::discovery::kubernetes::error::{Access, ApiError};
    use http::{HeaderMap, HeaderValue, StatusCode};
    use std::time::Duration;

    fn refuse(status: u16, retry_after: Option<&'static str>, body: &str) -> ApiError {
        let mut headers = HeaderMap::new();
        headers.extend(retry_after.map(|text| (http::header::RETRY_AFTER, HeaderValue::from_static(text))));
        refusal(Access::ListPods, StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
    }

    #[test]
    fn a_refusal_says_what_an_operator_must_grant() {
        let body = r#"{"kind":"Status","message":"pods is forbidden: User \"system:serviceaccount:a:b\" cannot list resource \"pods\"","code":403}"#;
        assert_eq!(
            refuse(403, None, body).to_string(),
            "the API server refuses `pods: list` (403): grant verb `list` on resource `pods` by a ClusterRole: \
             pods is forbidden: User \"system:serviceaccount:a:b\" cannot list resource \"pods\""
        );
    }

    #[test]
    fn a_server_may_ask_for_a_pause_within_bounds() {
        let cases = [
            (Some("3"), Some(Duration::from_secs(3))),
            (Some(" 3 "), Some(Duration::from_secs(3))),
            (Some("4000000000"), Some(MAX_RETRY_AFTER)),
            (Some("99999999999999999999"), None),
            (Some("Wed, 21 Oct 2015 07:28:00 GMT"), None),
            (None, None),
        ];
        for (header, expected) in cases {
            assert_eq!(refuse(429, header, "").retry_after(), expected, "{header:?}");
        }
    }

    #[test]
    fn what_a_stranger_says_is_one_short_line() {
        let text = refuse(502, None, &format!("<html>\n\x1b[31m{}", "x".repeat(10_000))).to_string();
        assert!(!text.chars().any(char::is_control) && text.chars().count() < MAX_MESSAGE + 100, "{text}");
    }
}
