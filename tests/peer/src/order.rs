//! How the server is to behave.

use crate::proto::rpc;
use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;
use http_body_util::Full;
use prost::Message;
use serde::Deserialize;
use serde_json::Value;
use std::future;
use std::time::Duration;
use tonic::body::Body;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

/// What a message to the real server may take, in bytes.
pub const MESSAGE_LIMIT: usize = 64 << 20;

/// A way to behave, as a command names it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub enum How {
    /// As it should.
    Simple(Simple),
    /// Answer with a status.
    Status(Failure),
    /// Answer as something on the way does that is no server of gRPC.
    Page(Page),
}

/// All but a status and a page.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Simple {
    /// As it should.
    Ok,
    /// The same as `Ok`, and the opposite of `Close`.
    Open,
    /// Never answer.
    Hang,
    /// Answer after so many milliseconds.
    SlowMs(u64),
    /// Answer, and send GOAWAY behind it.
    Goaway,
    /// Send GOAWAY as soon as a connection is there.
    GoawayFirst,
    /// Answer with so many bytes.
    BigReply(u64),
    /// Reset the stream of a request that has been read.
    Reset,
    /// End the connection of a request that has been read.
    Cut,
    /// Accept, and say nothing at all.
    NoSettings,
    /// Accept, and answer in another protocol.
    Garbage,
    /// Answer without trailers, and so without a status.
    NoTrailers,
    /// Neither listen nor keep a connection.
    Close,
    /// Refuse messages of more than so many bytes, as grpc-go does.
    Limit(usize),
    /// Refuse messages that have a series with this label.
    Refuse(Refusal),
    /// What to say of uploads; beside the rest.
    Debuginfo(Box<Uploads>),
}

/// A status to answer with.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// gRPC's number.
    pub status: i32,
    #[serde(default)]
    message: String,
    /// `grpc-retry-pushback-ms`; a negative one says not to come again.
    pushback_ms: Option<i64>,
    /// RetryInfo in `grpc-status-details-bin`.
    retry_info_ms: Option<u64>,
}

/// A page for people.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// HTTP's number.
    http: u16,
    /// Its type of content.
    #[serde(default = "html")]
    r#type: String,
    /// What is in it.
    #[serde(default = "sorry")]
    body: String,
}

fn html() -> String {
    "text/html".to_owned()
}

fn sorry() -> String {
    "<html><head><title>Sorry</title></head><body><h1>Sorry</h1></body></html>".to_owned()
}

impl Page {
    /// The answer. Nothing, if no answer has such a number or type.
    pub fn response(&self) -> http::Result<Response<Body>> {
        let head = Response::builder().status(self.http).header(CONTENT_TYPE, &self.r#type);
        head.body(Body::new(Full::new(Bytes::from(self.body.clone()))))
    }
}

/// Which series to refuse, and how.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    status: i32,
    name: String,
    value: String,
}

/// What to say of uploads. What is not given is as the real server has it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uploads {
    /// The answer of ShouldInitiateUpload.
    pub should: Option<bool>,
    /// And its reason.
    pub reason: Option<String>,
    /// How files are wanted.
    #[serde(default)]
    pub strategy: Strategy,
    /// Where to, instead of this server's own address.
    pub signed_url: Option<String>,
    /// A code for InitiateUpload to fail with.
    pub initiate_status: Option<i32>,
    /// A code for Upload to fail with, after its first message.
    pub upload_status: Option<i32>,
    /// A code for MarkUploadFinished to fail with.
    pub finish_status: Option<i32>,
    /// What a PUT gets.
    #[serde(default)]
    pub put: Put,
}

/// How a client is told to send a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By the Upload call.
    #[default]
    Grpc,
    /// By PUT to a URL.
    SignedUrl,
    /// The server does not say.
    Unspecified,
}

/// What a PUT gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Put {
    /// It is taken.
    #[default]
    Ok,
    /// This HTTP status, after the body.
    Status(u16),
    /// A redirection to this URL, before the body.
    Redirect(String),
    /// Interim answers without end.
    Continue,
    /// The body is read and not answered.
    Hang,
}

impl TryFrom<Value> for How {
    type Error = serde_json::Error;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        if value.get("status").is_some() {
            return serde_json::from_value(value).map(Self::Status);
        }
        if value.get("http").is_some() {
            return serde_json::from_value(value).map(Self::Page);
        }
        serde_json::from_value(value).map(Self::Simple)
    }
}

impl How {
    /// What `exchange` found ordered for a request.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or(Self::Simple(Simple::Ok))
    }

    /// Whether it is about connections rather than requests, so that those there are have to end.
    pub fn is_for_connections(&self) -> bool {
        matches!(
            self,
            Self::Simple(Simple::Close | Simple::Garbage | Simple::NoSettings | Simple::GoawayFirst)
        )
    }

    /// The message limit in force.
    pub fn limit(&self) -> usize {
        match self {
            Self::Simple(Simple::Limit(limit)) => *limit,
            _ => MESSAGE_LIMIT,
        }
    }

    /// Objects to a message with a label.
    pub fn check_label(&self, name: &str, value: &str) -> Result<(), Status> {
        match self {
            Self::Simple(Simple::Refuse(refusal)) if refusal.name == name && refusal.value == value => {
                Err(Status::new(Code::from_i32(refusal.status), format!("{name}={value} is not wanted")))
            }
            _ => Ok(()),
        }
    }

    /// What a handler has to do before it answers. It tells whether the client will know that its request was
    /// carried out: only then may what is in it count.
    pub async fn before(&self) -> Result<bool, Status> {
        match self {
            Self::Status(failure) => return Err(failure.status()),
            // Nobody sees it: the page goes in its place.
            Self::Page(_) => return Err(Status::unavailable("a page")),
            Self::Simple(Simple::Hang) => future::pending::<()>().await,
            Self::Simple(Simple::SlowMs(milliseconds)) => {
                tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
            }
            Self::Simple(Simple::BigReply(_) | Simple::NoTrailers | Simple::Reset | Simple::Cut) => {
                return Ok(false);
            }
            Self::Simple(_) => {}
        }
        Ok(true)
    }
}

impl Failure {
    fn status(&self) -> Status {
        let mut metadata = MetadataMap::new();
        if let Some(pushback) = self.pushback_ms {
            metadata.insert("grpc-retry-pushback-ms", MetadataValue::from(pushback));
        }
        let details = self.retry_info_ms.map_or_else(Bytes::new, |milliseconds| self.details(milliseconds));
        Status::with_details_and_metadata(Code::from_i32(self.status), &self.message, details, metadata)
    }

    fn details(&self, milliseconds: u64) -> Bytes {
        let delay = Duration::from_millis(milliseconds);
        let retry_info = rpc::RetryInfo { retry_delay: delay.try_into().ok() };
        let any = prost_types::Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: retry_info.encode_to_vec(),
        };
        let status = rpc::Status { code: self.status, message: self.message.clone(), details: vec![any] };
        status.encode_to_vec().into()
    }
}

/// What is ordered now.
#[derive(Debug)]
pub struct Orders {
    how: How,
    /// The only method that it is for.
    method: Option<String>,
    /// For how many requests or connections yet; for all without a number.
    left: Option<u64>,
    uploads: Uploads,
}

impl Default for Orders {
    fn default() -> Self {
        Self { how: How::Simple(Simple::Ok), method: None, left: None, uploads: Uploads::default() }
    }
}

impl Orders {
    /// Takes an order, which ends the one before.
    pub fn set(&mut self, how: How, method: Option<String>, times: Option<u64>) {
        match how {
            How::Simple(Simple::Debuginfo(uploads)) => self.uploads = *uploads,
            how => (self.how, self.method, self.left) = (how, method, times),
        }
    }

    /// How to treat a new connection.
    pub fn take_for_connection(&mut self) -> How {
        if self.how.is_for_connections() { self.take() } else { How::Simple(Simple::Ok) }
    }

    /// How to treat a request for a method.
    pub fn take_for_request(&mut self, method: &str) -> How {
        let is_meant = self.method.as_ref().is_none_or(|only| only == method);
        if self.how.is_for_connections() || !is_meant { How::Simple(Simple::Ok) } else { self.take() }
    }

    fn take(&mut self) -> How {
        match &mut self.left {
            None => self.how.clone(),
            Some(0) => How::Simple(Simple::Ok),
            Some(left) => {
                *left -= 1;
                self.how.clone()
            }
        }
    }

    /// Whether the server should listen.
    pub fn is_open(&self) -> bool {
        self.how != How::Simple(Simple::Close)
    }

    /// What to say of uploads.
    pub fn uploads(&self) -> Uploads {
        self.uploads.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn how(text: &str) -> How {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_order_is_read_by_its_name() {
        let cases = [
            (r#""hang""#, How::Simple(Simple::Hang)),
            (r#"{"slow_ms":3}"#, How::Simple(Simple::SlowMs(3))),
            (
                r#"{"http":413,"body":""}"#,
                How::Page(Page { http: 413, r#type: "text/html".to_owned(), body: String::new() }),
            ),
            (r#"{"debuginfo":{}}"#, How::Simple(Simple::Debuginfo(Box::default()))),
            (
                r#"{"status":8,"pushback_ms":-1}"#,
                How::Status(Failure {
                    status: 8,
                    message: String::new(),
                    pushback_ms: Some(-1),
                    retry_info_ms: None,
                }),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(how(text), expected, "{text}");
        }
        for text in [
            r#""fast""#,
            r#"{"status":8,"pushback":1}"#,
            r#"{"http":502,"text":""}"#,
            r#"{"debuginfo":{"shall":true}}"#,
            "3",
        ] {
            assert!(serde_json::from_str::<How>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_order_holds_for_its_method_and_as_often_as_it_says() {
        let mut orders = Orders::default();
        orders.set(how(r#""hang""#), Some("WriteRaw".to_owned()), Some(1));
        assert_eq!(orders.take_for_request("Upload"), how(r#""ok""#));
        assert_eq!(orders.take_for_request("WriteRaw"), how(r#""hang""#));
        assert_eq!(orders.take_for_request("WriteRaw"), how(r#""ok""#));
    }

    #[test]
    fn connections_and_requests_take_what_is_meant_for_them() {
        let mut orders = Orders::default();
        orders.set(how(r#""garbage""#), None, Some(1));
        assert_eq!(orders.take_for_request("WriteRaw"), how(r#""ok""#));
        assert_eq!(orders.take_for_connection(), how(r#""garbage""#));
        assert_eq!(orders.take_for_connection(), how(r#""ok""#));
    }

    #[test]
    fn what_is_said_of_uploads_stays_when_something_else_is_ordered() {
        let mut orders = Orders::default();
        orders.set(how(r#"{"debuginfo":{"should":false}}"#), None, None);
        orders.set(how(r#""hang""#), None, None);
        assert_eq!(orders.uploads().should, Some(false));
        assert_eq!(orders.take_for_request("Upload"), how(r#""hang""#));
    }
}
