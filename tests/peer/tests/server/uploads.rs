//! Uploads of debug information.

use crate::client::{LIMIT, channel};
use crate::peer::Peer;
use peer::proto::debuginfo::debuginfo_service_client::DebuginfoServiceClient;
use peer::proto::debuginfo::upload_request::Data;
use peer::proto::debuginfo::{
    BuildIdType, DebuginfoType, InitiateUploadRequest, MarkUploadFinishedRequest,
    ShouldInitiateUploadRequest, ShouldInitiateUploadResponse, UploadInfo, UploadInstructions, UploadRequest,
    UploadResponse,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::net::TcpStream;
use tonic::transport::Channel;
use tonic::{Code, Status};

const BUILD_ID: &str = "0123456789abcdef";
const FILE: &[u8] = b"not really debug information";

struct Client(DebuginfoServiceClient<Channel>);

impl Client {
    fn new(peer: &Peer) -> Self {
        Self(DebuginfoServiceClient::new(channel(peer)))
    }

    async fn should(&mut self, build_id: &str) -> Result<ShouldInitiateUploadResponse, Status> {
        let request = ShouldInitiateUploadRequest {
            build_id: build_id.to_owned(),
            build_id_type: BuildIdType::Gnu.into(),
            ..ShouldInitiateUploadRequest::default()
        };
        self.0.should_initiate_upload(request).await.map(tonic::Response::into_inner)
    }

    async fn initiate(&mut self, size: i64, hash: &str) -> Result<UploadInstructions, Status> {
        let request = InitiateUploadRequest {
            build_id: BUILD_ID.to_owned(),
            size,
            hash: hash.to_owned(),
            build_id_type: BuildIdType::Gnu.into(),
            ..InitiateUploadRequest::default()
        };
        let response = self.0.initiate_upload(request).await?;
        Ok(response.into_inner().upload_instructions.unwrap())
    }

    /// Announces the file as it is.
    async fn announce(&mut self) -> UploadInstructions {
        self.initiate(i64::try_from(FILE.len()).unwrap(), &sha256(FILE)).await.unwrap()
    }

    async fn upload(&mut self, messages: Vec<Data>) -> Result<UploadResponse, Status> {
        let messages: Vec<_> = messages.into_iter().map(|data| UploadRequest { data: Some(data) }).collect();
        self.0.upload(tokio_stream::iter(messages)).await.map(tonic::Response::into_inner)
    }

    async fn finish(&mut self, upload_id: &str) -> Result<(), Status> {
        let request = MarkUploadFinishedRequest {
            build_id: BUILD_ID.to_owned(),
            upload_id: upload_id.to_owned(),
            r#type: DebuginfoType::DebuginfoUnspecified.into(),
        };
        self.0.mark_upload_finished(request).await.map(drop)
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn info(upload_id: &str) -> Data {
    Data::Info(UploadInfo {
        build_id: BUILD_ID.to_owned(),
        upload_id: upload_id.to_owned(),
        ..UploadInfo::default()
    })
}

fn chunk(bytes: &'static [u8]) -> Data {
    Data::ChunkData(bytes.into())
}

fn last_violation(peer: &Peer) -> String {
    peer.state()["violations"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned()
}

fn folder_flags(folder: &tempfile::TempDir) -> [&str; 2] {
    ["--directory", folder.path().to_str().unwrap()]
}

async fn takes_an_upload(peer: Peer, folder: &tempfile::TempDir) {
    let mut client = Client::new(&peer);
    let first = client.should(BUILD_ID).await.unwrap();
    assert!(first.should_initiate_upload && first.reason.starts_with("First time"), "{first:?}");
    let instructions = client.announce().await;
    assert_eq!((instructions.upload_strategy, instructions.build_id.as_str()), (1, BUILD_ID));
    let second = client.should(BUILD_ID).await.unwrap();
    assert!(!second.should_initiate_upload && second.reason.contains("in-progress"), "{second:?}");
    let status = client.initiate(1, "1").await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let name = &instructions.upload_id;
    let answer = client.upload(vec![info(name), chunk(&FILE[..10]), chunk(&FILE[10..])]).await.unwrap();
    assert_eq!((answer.size, answer.build_id.as_str()), (FILE.len() as u64, BUILD_ID));
    client.finish(name).await.unwrap();
    let third = client.should(BUILD_ID).await.unwrap();
    assert!(!third.should_initiate_upload && third.reason.contains("already exists"), "{third:?}");
    assert_eq!(client.initiate(1, "1").await.unwrap_err().code(), Code::AlreadyExists);

    let path = folder.path().join(name);
    assert_eq!(std::fs::read(&path).unwrap(), FILE);
    let state = peer.state();
    let expected = json!([{
        "upload_id": name, "build_id": BUILD_ID, "build_id_type": "gnu", "type": "debuginfo",
        "hash": sha256(FILE), "declared": FILE.len(), "size": FILE.len(), "sha256": sha256(FILE),
        "path": path, "by": "grpc", "finished": true,
    }]);
    assert_eq!((&state["uploads"], &state["asked"]), (&expected, &json!({ BUILD_ID: 3 })));
    peer.assert_no_violations();
}

#[tokio::test]
async fn an_upload_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    takes_an_upload(Peer::start(&folder_flags(&folder)), &folder).await;
}

#[tokio::test]
async fn the_python_server_takes_it_too() {
    let folder = tempfile::tempdir().unwrap();
    takes_an_upload(Peer::start_python(&folder_flags(&folder)), &folder).await;
}

async fn names_each_rule(peer: Peer) {
    let mut client = Client::new(&peer);
    assert_eq!(client.should("xyz0").await.unwrap_err().code(), Code::InvalidArgument);
    assert!(last_violation(&peer).contains("is not valid"));
    assert_eq!(client.initiate(0, "1").await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(client.initiate(1, "").await.unwrap_err().code(), Code::InvalidArgument);
    assert!(last_violation(&peer).contains("must be set"));
    assert_eq!(client.upload(vec![info("other")]).await.unwrap_err().code(), Code::FailedPrecondition);
    assert!(last_violation(&peer).contains("was not announced"));

    let name = client.announce().await.upload_id;
    assert_eq!(client.finish(&name).await.unwrap_err().code(), Code::FailedPrecondition);
    assert!(last_violation(&peer).contains("nothing was uploaded"));
    let cases = [vec![], vec![chunk(FILE)], vec![info(&name), chunk(FILE), info(&name)]];
    for (messages, expected) in cases.into_iter().zip(["first message", "first message", "without a chunk"]) {
        assert_eq!(client.upload(messages).await.unwrap_err().code(), Code::InvalidArgument);
        assert!(last_violation(&peer).contains(expected), "{}", last_violation(&peer));
    }
    client.upload(vec![info(&name), chunk(&FILE[1..])]).await.unwrap();
    let state = peer.state();
    let violations: Vec<&Value> = state["violations"].as_array().unwrap().iter().rev().take(2).collect();
    assert!(violations[1].as_str().unwrap().contains("27 bytes where 28 were announced"), "{violations:?}");
    assert!(violations[0].as_str().unwrap().contains("SHA-256"), "{violations:?}");
}

#[tokio::test]
async fn what_is_against_a_rule_is_noted() {
    names_each_rule(Peer::start(&[])).await;
}

#[tokio::test]
async fn the_python_server_knows_the_same_rules() {
    names_each_rule(Peer::start_python(&[])).await;
}

#[tokio::test]
async fn every_step_can_be_ordered() {
    let peer = Peer::start(&[]);
    let mut client = Client::new(&peer);
    peer.behave(json!({ "debuginfo": { "should": false, "reason": "no" } }));
    let answer = client.should(BUILD_ID).await.unwrap();
    assert_eq!((answer.should_initiate_upload, answer.reason.as_str()), (false, "no"));
    peer.behave(json!({ "debuginfo": { "initiate_status": 9 } }));
    assert_eq!(client.initiate(1, "1").await.unwrap_err().code(), Code::FailedPrecondition);
    peer.behave(json!({ "debuginfo": { "strategy": "unspecified", "upload_status": 13, "should": true } }));
    let instructions = client.announce().await;
    assert_eq!(instructions.upload_strategy, 0);
    let name = &instructions.upload_id;
    assert_eq!(client.upload(vec![info(name), chunk(FILE)]).await.unwrap_err().code(), Code::Internal);
    peer.behave(json!({ "debuginfo": { "finish_status": 14 } }));
    client.upload(vec![info(name), chunk(FILE)]).await.unwrap();
    assert_eq!(client.finish(name).await.unwrap_err().code(), Code::Unavailable);
    let url = "https://169.254.169.254/latest";
    peer.behave(json!({ "debuginfo": { "strategy": "signed_url", "signed_url": url, "should": true } }));
    let instructions = client.announce().await;
    assert_eq!((instructions.upload_strategy, instructions.signed_url.as_str()), (2, url));
    peer.assert_no_violations();
}

/// Sends a request head and a body to where a signed URL leads; returns the first bytes of the answer.
fn put(peer: &Peer, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(peer.put_address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(head.replace('\n', "\r\n").as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = vec![0; 256];
    let length = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_signed_url_leads_here_and_takes_a_put() {
    let folder = tempfile::tempdir().unwrap();
    let peer = Peer::start(&folder_flags(&folder));
    let mut client = Client::new(&peer);
    peer.behave(json!({ "debuginfo": { "strategy": "signed_url" } }));
    let instructions = client.announce().await;
    let base = format!("http://{}", peer.put_address());
    let target = instructions.signed_url.strip_prefix(&base).unwrap();
    let head = format!("PUT {target} HTTP/1.1\nHost: a\nContent-Length: {}\n\n", FILE.len());
    assert!(put(&peer, &head, FILE).starts_with("HTTP/1.1 200"));
    client.finish(&instructions.upload_id).await.unwrap();
    let upload = &peer.state()["uploads"][0];
    assert_eq!((&upload["by"], &upload["finished"]), (&json!("put"), &json!(true)));
    assert_eq!(std::fs::read(upload["path"].as_str().unwrap()).unwrap(), FILE);
    peer.assert_no_violations();
}

#[tokio::test]
async fn a_put_is_answered_as_ordered() {
    let peer = Peer::start(&[]);
    let name = Client::new(&peer).announce().await.upload_id;
    let head = format!("PUT /{name} HTTP/1.1\nContent-Length: {}\n\n", FILE.len());
    let cases = [
        (json!({ "status": 403 }), "HTTP/1.1 403 "),
        (
            json!({ "redirect": "http://169.254.169.254/" }),
            "HTTP/1.1 307 X\r\nLocation: http://169.254.169.254/",
        ),
        (json!("continue"), "HTTP/1.1 100 Continue\r\n"),
        (json!("ok"), "HTTP/1.1 200 "),
    ];
    for (order, expected) in cases {
        peer.behave(json!({ "debuginfo": { "put": order } }));
        let answer = put(&peer, &head, FILE);
        assert!(answer.starts_with(expected), "{order}: {answer}");
    }
    peer.assert_no_violations();
}

#[tokio::test]
async fn a_put_has_rules_too() {
    let peer = Peer::start(&[]);
    let name = Client::new(&peer).announce().await.upload_id;
    let cases = [
        (format!("POST /{name} HTTP/1.1\nContent-Length: 1\n\n"), "405", "method POST"),
        (format!("PUT /{name} HTTP/1.1\nTransfer-Encoding: chunked\n\n"), "411", "no Content-Length"),
        ("PUT /other HTTP/1.1\nContent-Length: 1\n\n".to_owned(), "404", "was not announced"),
        (format!("PUT /{name} HTTP/1.1\nContent-Length: 1\n\n"), "200", "1 bytes where 28"),
    ];
    for (head, status, expected) in cases {
        let answer = put(&peer, &head, b"a");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {answer}");
        let state = peer.state();
        let violations = state["violations"].as_array().unwrap();
        assert!(violations.iter().any(|text| text.as_str().unwrap().contains(expected)), "{violations:?}");
    }
    let head = format!("PUT /{name} HTTP/1.1\nAuthorization: Bearer a\nContent-Length: {}\n\n", FILE.len());
    put(&peer, &head, FILE);
    assert!(last_violation(&peer).contains("a token"));
}
