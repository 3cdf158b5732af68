//! An API server that has pods: it lists them page by page, and then nothing ever happens to them.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Pods of a page, as many as a client mostly asks for.
const PAGE: usize = 500;

/// Labels and annotations of each.
const LABELS: usize = 20;
const ANNOTATIONS: usize = 10;

/// A server on the loopback interface, until it is dropped.
pub(super) struct ApiServer {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl ApiServer {
    /// Serves so many pods, each with one container.
    pub(super) fn start(pods: usize) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
        let address = listener.local_addr().context("a port has no address")?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let listener = thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                // It ends when the client does.
                thread::spawn(move || serve(connection, pods));
            }
        });
        Ok(Self { address, is_over, listener: Some(listener) })
    }

    /// The text of a kubeconfig file that leads to it.
    pub(super) fn kubeconfig(&self) -> String {
        format!(
            "current-context: bench\ncontexts:\n- name: bench\n  context: {{cluster: bench, user: bench}}\n\
             clusters:\n- name: bench\n  cluster: {{server: \"http://{}\"}}\n\
             users:\n- name: bench\n  user: {{}}\n",
            self.address
        )
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes the listener.
        if TcpStream::connect(self.address).is_ok()
            && let Some(listener) = self.listener.take()
        {
            let _ = listener.join();
        }
    }
}

/// Answers requests one after the other until the client goes away.
fn serve(mut stream: TcpStream, pods: usize) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let target = head.split(' ').nth(1).unwrap_or_default();
        if target.contains("watch=true") {
            write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            return io::copy(&mut reader.by_ref(), &mut io::sink()).map(drop);
        }
        let body = answer(target, pods).to_string();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    }
}

/// The node, or a page of pods.
fn answer(target: &str, pods: usize) -> Value {
    if target.contains("/nodes/") {
        return json!({ "kind": "Node", "apiVersion": "v1", "metadata": { "name": "bench" } });
    }
    let (_, query) = target.split_once('?').unwrap_or_default();
    let page = query.split('&').find_map(|pair| pair.strip_prefix("continue=")?.parse().ok());
    let first: usize = page.unwrap_or_default();
    let next = pods.min(first + PAGE);
    let items: Vec<Value> = (first..next).map(pod).collect();
    let token = if next < pods { next.to_string() } else { String::new() };
    json!({
        "kind": "PodList", "apiVersion": "v1", "items": items,
        "metadata": { "resourceVersion": "1", "continue": token },
    })
}

fn pod(number: usize) -> Value {
    let family = |count: usize, prefix: &str, value: &str| -> Value {
        let entry =
            |index| (format!("{prefix}-{index:02}"), format!("{value}-{index:02}-{number:05}").into());
        Value::Object((0..count).map(entry).collect())
    };
    json!({
        "metadata": {
            "name": format!("web-5d4f8c7b9d-{number:05}"), "namespace": "shop", "resourceVersion": "1",
            "uid": format!("00000000-0000-4000-8000-{number:012}"),
            "labels": family(LABELS, "app.example.com/label", "value-of-label"),
            "annotations": family(ANNOTATIONS, "example.com/annotation", "value of an annotation, somewhat longer"),
            "ownerReferences": [{ "kind": "ReplicaSet", "name": "web-5d4f8c7b9d", "controller": true }],
        },
        "spec": { "nodeName": "bench", "containers": [{ "name": "main" }] },
        "status": {
            "phase": "Running", "podIP": "10.0.0.7", "hostIP": "10.1.0.7",
            "containerStatuses": [{
                "name": "main", "image": "registry.example.com/shop/web:1.2.3",
                "containerID": format!("containerd://{number:064x}"),
                "state": { "running": { "startedAt": "2024-01-01T00:00:00Z" } },
            }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_hold_every_pod_once() {
        let (mut target, mut ids) = ("/api/v1/pods?limit=500".to_owned(), Vec::new());
        loop {
            let page = answer(&target, 1201);
            for pod in page["items"].as_array().unwrap() {
                ids.push(pod["status"]["containerStatuses"][0]["containerID"].as_str().unwrap().to_owned());
                assert_eq!(pod["metadata"]["labels"].as_object().unwrap().len(), LABELS);
                assert_eq!(pod["metadata"]["annotations"].as_object().unwrap().len(), ANNOTATIONS);
            }
            match page["metadata"]["continue"].as_str().unwrap() {
                "" => break,
                next => target = format!("/api/v1/pods?limit=500&continue={next}"),
            }
        }
        let all = ids.len();
        ids.dedup();
        assert_eq!((all, ids.len()), (1201, 1201));
    }

    #[test]
    fn a_connection_serves_several_requests_and_then_a_watch_without_end() {
        let server = ApiServer::start(3).unwrap();
        let mut stream = TcpStream::connect(server.address).unwrap();
        for _ in 0..2 {
            write!(stream, "GET /api/v1/pods HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(&mut stream);
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).unwrap();
            }
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            let list: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(list["items"].as_array().unwrap().len(), 3);
        }
        write!(stream, "GET /api/v1/pods?watch=true HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut head = [0; 15];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
    }
}
