use super::{Identity, Oldest, Tls, TlsError, Trust};
use crate::net::http1::Connection;
use crate::net::stream::dial_tcp;
use crate::net::{Limits, NetError};
use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer};
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::server::WebPkiClientVerifier;
use futures_rustls::rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const CA: &[u8] = include_bytes!("../../../tests/support/certificates/ca.pem");
const OTHER_CA: &[u8] = include_bytes!("../../../tests/support/certificates/other_ca.pem");
const SERVER: &[u8] = include_bytes!("../../../tests/support/certificates/server.pem");
const SERVER_KEY: &[u8] = include_bytes!("../../../tests/support/certificates/server.key");
const CLIENT: &[u8] = include_bytes!("../../../tests/support/certificates/client.pem");
const CLIENT_KEY: &[u8] = include_bytes!("../../../tests/support/certificates/client.key");
const DEADLINE: Duration = Duration::from_secs(20);

const CLIENT_IDENTITY: Option<Identity<'static>> = Some(Identity { certificates: CLIENT, key: CLIENT_KEY });

/// A server that answers one request on each connection with the number of the client's certificates.
fn serve(demands_certificate: bool) -> u16 {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CA).unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let clients =
        if demands_certificate { clients.build() } else { clients.allow_unauthenticated().build() }.unwrap();
    let chain = vec![CertificateDer::from_pem_slice(SERVER).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(SERVER_KEY).unwrap();
    let config = builder.unwrap().with_client_cert_verifier(clients).with_single_cert(chain, key).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let session = ServerConnection::new(config.clone()).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(session, stream.unwrap()));
            let mut line = String::new();
            // A client that turns back is part of the tests.
            while stream.read_line(&mut line).is_ok_and(|length| length > 2) {
                line.clear();
            }
            let count = stream.get_ref().conn.peer_certificates().map_or(0, <[_]>::len);
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{count}");
            let _ = stream.get_mut().write_all(answer.as_bytes());
        }
    });
    port
}

/// What the server answers over TLS.
fn ask(
    port: u16,
    trust: Trust<'_>,
    identity: Option<Identity<'_>>,
    server: &str,
) -> Result<String, NetError> {
    let tls = Tls::new(trust, Oldest::V12, identity, &["http/1.1"]).unwrap();
    let executor = smol::Executor::new();
    smol::block_on(executor.run(async {
        let dialed = dial_tcp("127.0.0.1", port, DEADLINE).await?;
        let mut connection = Connection::begin(tls.wrap(dialed, server, DEADLINE).await?, &executor).await?;
        let request = http::Request::get("/").header("host", "localhost").body(Vec::new()).unwrap();
        let answer = connection.exchange(request, Limits { deadline: DEADLINE, bytes: 100 }).await?;
        Ok(String::from_utf8(answer.into_body()).unwrap())
    }))
}

fn reason(result: Result<String, NetError>) -> String {
    let error = result.unwrap_err();
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    format!("{error}: {cause}")
}

#[test]
fn whom_the_authority_vouches_for_is_believed_by_name_and_address() {
    let port = serve(false);
    let both = [CA, OTHER_CA].concat();
    for (trust, server) in [(CA, "localhost"), (CA, "127.0.0.1"), (CA, "::1"), (both.as_slice(), "localhost")]
    {
        assert_eq!(ask(port, Trust::Authorities(trust), None, server).unwrap(), "0", "{server}");
    }
}

#[test]
fn others_are_not_and_it_is_said_why() {
    let port = serve(false);
    let cases = [
        (Trust::Authorities(OTHER_CA), "localhost", "UnknownIssuer"),
        (Trust::Authorities(CA), "example.org", "not valid for name"),
        (Trust::Authorities(CA), "not a name", "invalid dns name"),
    ];
    for (trust, server, expected) in cases {
        let reason = reason(ask(port, trust, None, server));
        assert!(reason.contains(expected), "{reason}");
        assert!(reason.starts_with(&format!("failed to agree on TLS with 127.0.0.1:{port}")), "{reason}");
    }
}

#[test]
fn anyone_is_believed_only_if_asked_for() {
    let port = serve(false);
    assert_eq!(ask(port, Trust::Anyone, None, "example.org").unwrap(), "0");
}

#[test]
fn a_client_shows_its_certificate() {
    let port = serve(true);
    assert_eq!(ask(port, Trust::Authorities(CA), CLIENT_IDENTITY, "localhost").unwrap(), "1");
    // With TLS 1.3 the server's refusal comes after the handshake.
    assert!(ask(port, Trust::Authorities(CA), None, "localhost").is_err());
}

#[test]
fn a_peer_that_speaks_no_tls_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent plain text.\n").unwrap();
        stream
    });
    let reason = reason(ask(port, Trust::Authorities(CA), None, "localhost"));
    assert!(reason.contains("failed to agree on TLS"), "{reason}");
}

#[test]
fn a_handshake_has_a_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = Tls::new(Trust::Authorities(CA), Oldest::V12, None, &[]).unwrap();
    let result = smol::block_on(async {
        let dialed = dial_tcp("127.0.0.1", port, DEADLINE).await.unwrap();
        tls.wrap(dialed, "localhost", Duration::from_millis(50)).await.map(|_| ())
    });
    assert!(matches!(result, Err(NetError::Late { .. })), "{result:?}");
}

#[test]
fn what_is_no_pem_is_refused_before_anyone_is_dialed() {
    let trust = Trust::Authorities(CA);
    let error = |trust, identity| Tls::new(trust, Oldest::V12, identity, &[]).err();
    assert!(matches!(error(Trust::Authorities(b"garbage"), None), Some(TlsError::NoAuthority)));
    assert!(matches!(error(Trust::Authorities(CLIENT_KEY), None), Some(TlsError::NoAuthority)));
    let identity = |certificates, key| Some(Identity { certificates, key });
    let part = |identity| match error(trust, identity) {
        Some(TlsError::Pem { part, .. }) => part,
        other => panic!("{:?}", other.map(|error| error.to_string())),
    };
    assert_eq!(part(identity(b"", CLIENT_KEY)), "certificate");
    assert_eq!(part(identity(CLIENT, CLIENT)), "key");
    assert!(matches!(error(trust, identity(CLIENT, SERVER_KEY)), Some(TlsError::Identity(_))));
}
