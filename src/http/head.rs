//! The head of a request: read strictly, and written anew for the inner server.
//!
//! What is not plainly a request of RFC 9112 is refused and never interpreted: nothing that two parsers
//! could read in two ways gets past here.

use super::refusal::Refusal;
use std::net::IpAddr;

/// Longest head, bytes.
pub(super) const MAX_HEAD: usize = 16 * 1024;
const END: &[u8] = b"\r\n\r\n";

/// What the inner server needs to know of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    method: &'static str,
    version: &'static str,
    /// Path and query, printable ASCII.
    target: String,
    /// `None` for HTTP/1.0 without one.
    host: Option<String>,
    accept: Option<String>,
}

/// Where the head ends in what was read so far; `None` while more must be read.
pub fn end(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    if let Some(start) = bytes.windows(END.len()).position(|window| window == END) {
        let length = start + END.len();
        return if length > MAX_HEAD { Err(Refusal::HeadTooLarge) } else { Ok(Some(length)) };
    }
    // A line feed alone ends a line for some parsers only; waiting for more would not mend it.
    let mut previous = 0;
    for &byte in bytes {
        if byte == b'\n' && previous != b'\r' {
            return Err(Refusal::Malformed);
        }
        previous = byte;
    }
    if bytes.len() >= MAX_HEAD { Err(Refusal::HeadTooLarge) } else { Ok(None) }
}

impl Head {
    /// Reads a head, from its first byte to the empty line.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let text = bytes.strip_suffix(END).ok_or(Refusal::Malformed)?;
        let mut lines = split_lines(text);
        let (method, target, version) = request_line(lines.next().unwrap_or_default())?;
        let mut head = Self { method, version, target, host: None, accept: None };
        for line in lines {
            head.header(line)?;
        }
        if head.host.is_none() && head.version == "HTTP/1.1" {
            return Err(Refusal::BadHost);
        }
        Ok(head)
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let colon = line.iter().position(|byte| *byte == b':').ok_or(Refusal::Malformed)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if !is_token(name) || value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(Refusal::Malformed);
        }
        let printable = || String::from_utf8(value.to_vec()).ok().filter(|text| text.is_ascii());
        match name.to_ascii_lowercase().as_slice() {
            b"host" if self.host.is_some() => return Err(Refusal::BadHost),
            b"host" => self.host = Some(printable().ok_or(Refusal::BadHost)?),
            b"accept" => self.accept = printable(),
            b"transfer-encoding" => return Err(Refusal::Body),
            b"content-length" if value.is_empty() || !value.iter().all(u8::is_ascii_digit) => {
                return Err(Refusal::Malformed);
            }
            b"content-length" if value.iter().any(|digit| *digit != b'0') => return Err(Refusal::Body),
            _ => (),
        }
        Ok(())
    }

    /// Whether the request meant this machine. A page of any web site can make a browser ask a loopback
    /// address, under a name that the site resolves to it (DNS rebinding); the Host header tells.
    pub fn host_is_allowed(&self, bound: IpAddr) -> bool {
        let Some(host) = &self.host else { return true };
        let Some(name) = host_name(host) else { return false };
        if !bound.is_loopback() {
            return true;
        }
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        name.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| address == bound || address.is_loopback())
    }

    /// The request as the inner server shall see it: nothing that was not read here.
    pub fn canonical(&self) -> String {
        let Self { method, version, target, accept, .. } = self;
        let accept = accept.as_ref().map(|accept| format!("Accept: {accept}\r\n")).unwrap_or_default();
        format!("{method} {target} {version}\r\n{accept}Connection: close\r\n\r\n")
    }
}

fn split_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    // A carriage return inside a line is a control byte, and refused where the line is read.
    text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

type RequestLine = (&'static str, String, &'static str);

fn request_line(line: &[u8]) -> Result<RequestLine, Refusal> {
    let line = std::str::from_utf8(line).map_err(|_| Refusal::Malformed)?;
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::Malformed);
    };
    if !is_token(method.as_bytes()) {
        return Err(Refusal::Malformed);
    }
    let version = match version {
        "HTTP/1.1" => "HTTP/1.1",
        "HTTP/1.0" => "HTTP/1.0",
        _ if version.starts_with("HTTP/") => return Err(Refusal::BadVersion),
        _ => return Err(Refusal::Malformed),
    };
    let method = match method {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" if target == "/symbolz" => return Err(Refusal::Symbolz),
        _ => return Err(Refusal::BadMethod),
    };
    check_target(target)?;
    Ok((method, target.to_owned(), version))
}

/// No route has an escape or a parent directory in its path, so none is let through.
fn check_target(target: &str) -> Result<(), Refusal> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let well_formed = path.starts_with('/')
        && path.bytes().all(plain)
        && path.split('/').all(|segment| segment != ".." && segment != ".")
        && query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if well_formed { Ok(()) } else { Err(Refusal::BadTarget) }
}

/// `token` of RFC 9110, section 5.6.2.
fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// The name in `name`, `name:port`, `[address]` or `[address]:port`; `None` where it is none of these.
fn host_name(host: &str) -> Option<&str> {
    let (name, rest) = match host.find(']') {
        Some(bracket) if host.starts_with('[') => host.split_at(bracket + 1),
        Some(_) => return None,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port_is_valid = match rest.strip_prefix(':') {
        Some(port) => port.bytes().all(|digit| digit.is_ascii_digit()),
        None => rest.is_empty(),
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]%".contains(&byte);
    (port_is_valid && !name.is_empty() && name.bytes().all(allowed)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{END, Head, MAX_HEAD, end};
    use crate::http::refusal::Refusal;
    use proptest::prelude::{any, proptest};

    fn parse(line: &str, headers: &str) -> Result<Head, Refusal> {
        Head::parse(format!("{line}\r\n{headers}\r\n").as_bytes())
    }

    #[test]
    fn requests_are_forwarded_or_refused() {
        let host = "Host: localhost\r\n";
        for (line, headers, expected) in [
            ("GET / HTTP/1.1", host, Ok("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")),
            (
                "HEAD /a?b={c=\"d\"} HTTP/1.0",
                "",
                Ok("HEAD /a?b={c=\"d\"} HTTP/1.0\r\nConnection: close\r\n\r\n"),
            ),
            (
                "GET / HTTP/1.1",
                "host:x\r\nX: \u{e9}\r\nAccept:  text/html\t\r\nConnection: keep-alive\r\n",
                Ok("GET / HTTP/1.1\r\nAccept: text/html\r\nConnection: close\r\n\r\n"),
            ),
            (
                "GET / HTTP/1.1",
                "Host: a\r\nContent-Length: 0\r\n",
                Ok("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"),
            ),
            ("GET / HTTP/1.1", "", Err(Refusal::BadHost)),
            ("GET / HTTP/1.1", "Host: a\r\nHost: a\r\n", Err(Refusal::BadHost)),
            ("TRACE / HTTP/1.1", host, Err(Refusal::BadMethod)),
            ("PUT / HTTP/1.1", host, Err(Refusal::BadMethod)),
            ("get / HTTP/1.1", host, Err(Refusal::BadMethod)),
            ("G(T / HTTP/1.1", host, Err(Refusal::Malformed)),
            ("GET /", host, Err(Refusal::Malformed)),
            ("GET  / HTTP/1.1", host, Err(Refusal::Malformed)),
            ("GET / HTTP/1.1 ", host, Err(Refusal::Malformed)),
            ("", host, Err(Refusal::Malformed)),
            ("GET / http/1.1", host, Err(Refusal::Malformed)),
            ("GET / HTTP/2.0", host, Err(Refusal::BadVersion)),
            ("GET http://a/ HTTP/1.1", host, Err(Refusal::BadTarget)),
            ("GET * HTTP/1.1", host, Err(Refusal::BadTarget)),
            ("GET /../etc HTTP/1.1", host, Err(Refusal::BadTarget)),
            ("GET /a/./b HTTP/1.1", host, Err(Refusal::BadTarget)),
            ("GET /..%2fetc HTTP/1.1", host, Err(Refusal::BadTarget)),
            ("GET /%2e%2e/ HTTP/1.1", host, Err(Refusal::BadTarget)),
            ("GET /a\\b HTTP/1.1", host, Err(Refusal::BadTarget)),
            ("GET /\u{1} HTTP/1.1", host, Err(Refusal::BadTarget)),
            ("GET /?\u{7f} HTTP/1.1", host, Err(Refusal::BadTarget)),
            ("GET /?\u{e9} HTTP/1.1", host, Err(Refusal::BadTarget)),
            ("GET / HTTP/1.1", "Host: a\r\nContent-Length: 5\r\n", Err(Refusal::Body)),
            ("GET / HTTP/1.1", "Host: a\r\nContent-Length: -1\r\n", Err(Refusal::Malformed)),
            ("GET / HTTP/1.1", "Host: a\r\nTransfer-Encoding: chunked\r\n", Err(Refusal::Body)),
            ("GET / HTTP/1.1", "Host: a\r\n folded\r\n", Err(Refusal::Malformed)),
            ("GET / HTTP/1.1", "Host: a\r\nName : b\r\n", Err(Refusal::Malformed)),
            ("GET / HTTP/1.1", "Host: a\r\nA: b\rc\r\n", Err(Refusal::Malformed)),
            ("GET / HTTP/1.1", "Host: a\r\nA: b\0c\r\n", Err(Refusal::Malformed)),
        ] {
            let canonical = parse(line, headers).map(|head| head.canonical());
            assert_eq!(canonical.as_deref().map_err(|refusal| *refusal), expected, "{line:?} {headers:?}");
        }
    }

    #[test]
    fn the_end_is_found_or_will_not_come() {
        assert_eq!(end(b"GET / HTTP/1.1\r\n"), Ok(None));
        assert_eq!(end(b"GET / HTTP/1.1\r\n\r\nrest"), Ok(Some(18)));
        assert_eq!(end(b"GET / HTTP/1.1\n\n"), Err(Refusal::Malformed));
        assert_eq!(end(&[b'a'; MAX_HEAD]), Err(Refusal::HeadTooLarge));
        let mut long = vec![b'a'; MAX_HEAD];
        long.extend(END);
        assert_eq!(end(&long), Err(Refusal::HeadTooLarge));
    }

    #[test]
    fn a_loopback_server_answers_to_its_own_names_only() {
        for (bound, host, allowed) in [
            ("127.0.0.1", "localhost:7071", true),
            ("127.0.0.1", "LOCALHOST", true),
            ("127.0.0.1", "127.0.0.1:7071", true),
            ("127.0.0.1", "[::1]:7071", true),
            ("127.0.0.2", "127.0.0.2", true),
            ("::1", "[::1]", true),
            ("127.0.0.1", "evil.example:7071", false),
            ("127.0.0.1", "localhost.evil.example", false),
            ("127.0.0.1", "127.0.0.1.evil.example", false),
            ("127.0.0.1", "192.0.2.1", false),
            ("127.0.0.1", "", false),
            ("0.0.0.0", "node-1.example:7071", true),
            ("0.0.0.0", "a b", false),
            ("0.0.0.0", "a:b", false),
            ("0.0.0.0", "a@b", false),
        ] {
            let head = parse("GET / HTTP/1.1", &format!("Host: {host}\r\n")).unwrap();
            assert_eq!(head.host_is_allowed(bound.parse().unwrap()), allowed, "{bound} {host}");
        }
    }

    proptest! {
        #[test]
        fn what_is_forwarded_reads_back_as_itself(bytes in any::<Vec<u8>>(), target in "[ -~]{0,20}") {
            let _ = Head::parse(&bytes);
            if let Ok(head) = parse(&format!("GET {target} HTTP/1.0"), "") {
                assert_eq!(Head::parse(head.canonical().as_bytes()), Ok(head));
            }
        }
    }
}
