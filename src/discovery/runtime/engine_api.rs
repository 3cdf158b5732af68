//! Docker's HTTP API, which Podman has, too.

use super::error::AskError;
use crate::net::Limits;
use crate::net::http1::Connection;
use crate::net::stream::Dialed;
use http::{HeaderMap, Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use smol::Executor;
use std::collections::BTreeMap;

/// A connection for a few questions.
pub(super) struct Client {
    connection: Connection,
    limits: Limits,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Docker,
    /// With the version of its own API, which is part of each of that API's paths.
    Podman {
        version: String,
    },
}

impl Client {
    pub(super) async fn begin(
        dialed: Dialed,
        executor: &Executor<'static>,
        limits: Limits,
    ) -> Result<Self, AskError> {
        Ok(Self { connection: Connection::begin(dialed, executor).await?, limits })
    }

    /// Finds out who it is.
    pub(super) async fn identify(&mut self) -> Result<Server, AskError> {
        let answer = self.get("/_ping").await?;
        let header = |headers: &HeaderMap, name| {
            headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        if answer.status() != StatusCode::OK {
            return Err(self.refused(answer.status()));
        }
        if let Some(version) = header(answer.headers(), "libpod-api-version") {
            let is_version = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
            if !version.is_empty() && version.len() < 64 && version.bytes().all(is_version) {
                return Ok(Server::Podman { version });
            }
        } else if header(answer.headers(), "api-version").is_some() {
            return Ok(Server::Docker);
        }
        Err(self.malformed("answer of Docker or Podman", None))
    }

    /// The JSON at a path; `None` if there is nothing.
    pub(super) async fn json<T: DeserializeOwned>(
        &mut self,
        path: &str,
        what: &'static str,
    ) -> Result<Option<T>, AskError> {
        let answer = self.get(path).await?;
        match answer.status() {
            StatusCode::OK => {
                // What is not UTF-8 costs a name, not the container.
                let text = String::from_utf8_lossy(answer.body());
                match serde_json::from_str(&text) {
                    Ok(value) => Ok(Some(value)),
                    Err(error) => Err(self.malformed(what, Some(error))),
                }
            }
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(self.refused(status)),
        }
    }

    /// The connection, for an answer that has no end.
    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }

    async fn get(&mut self, path: &str) -> Result<Response<Vec<u8>>, AskError> {
        Ok(self.connection.exchange(request(path), self.limits).await?)
    }

    fn refused(&self, status: StatusCode) -> AskError {
        AskError::Status { peer: self.connection.peer().to_owned(), status: status.as_u16() }
    }

    pub(super) fn malformed(&self, what: &'static str, source: Option<serde_json::Error>) -> AskError {
        AskError::Malformed { peer: self.connection.peer().to_owned(), what, source }
    }
}

/// A request that changes nothing.
pub(super) fn request(path: &str) -> Request<Vec<u8>> {
    let mut request = Request::new(Vec::new());
    // Paths are made of names that hold no other characters than a path may.
    *request.uri_mut() = path.parse().unwrap_or_default();
    request.headers_mut().insert(http::header::HOST, http::HeaderValue::from_static("localhost"));
    request
}

/// Labels, which are `null` where there are none.
pub(super) type Labels = Option<BTreeMap<String, String>>;

/// The part of a container's configuration that both have.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Config {
    pub(super) image: Option<String>,
    pub(super) labels: Labels,
}

/// Labels as pairs.
pub(super) fn pairs(labels: Labels) -> Vec<(String, String)> {
    labels.unwrap_or_default().into_iter().collect()
}
