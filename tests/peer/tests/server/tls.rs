//! Who may talk to the servers: TLS, client certificates, tokens.

use crate::client::{profiles, write};
use crate::peer::Peer;
use peer::proto::profilestore::profile_store_service_client::ProfileStoreServiceClient;
use std::fs;
use std::path::{Path, PathBuf};
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../support/certificates").join(name)
}

fn pem(name: &str) -> String {
    fs::read_to_string(certificate(name)).unwrap()
}

fn client(peer: &Peer, config: ClientTlsConfig) -> ProfileStoreServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("https://{}", peer.address())).unwrap();
    ProfileStoreServiceClient::new(endpoint.tls_config(config).unwrap().connect_lazy())
}

fn trusting(authority: &str) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem(authority)))
}

/// Starts both servers with flags of which some are names of certificates.
fn both(flags: &[&str]) -> [Peer; 2] {
    let path = |flag: &&str| {
        if flag.starts_with("--") {
            (*flag).to_owned()
        } else {
            certificate(flag).to_str().unwrap().to_owned()
        }
    };
    let flags: Vec<String> = flags.iter().map(path).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    [Peer::start(&flags), Peer::start_python(&flags)]
}

#[tokio::test]
async fn a_server_over_tls_is_known_by_its_authority() {
    for peer in both(&["--tls-cert", "server.pem", "--tls-key", "server.key"]) {
        write(&mut client(&peer, trusting("ca.pem"))).await.unwrap();
        let status = write(&mut client(&peer, trusting("other_ca.pem"))).await.unwrap_err();
        assert!(format!("{status:?}").contains("UnknownIssuer"), "{status:?}");
        write(&mut profiles(&peer)).await.unwrap_err();
        assert_eq!(peer.samples(), 7);
    }
}

#[tokio::test]
async fn a_client_is_asked_for_its_certificate() {
    for peer in both(&["--tls-cert", "server.pem", "--tls-key", "server.key", "--client-ca", "ca.pem"]) {
        write(&mut client(&peer, trusting("ca.pem"))).await.unwrap_err();
        let identity = Identity::from_pem(pem("client.pem"), pem("client.key"));
        write(&mut client(&peer, trusting("ca.pem").identity(identity))).await.unwrap();
        assert_eq!(peer.samples(), 7);
    }
}

#[tokio::test]
async fn a_token_is_asked_for_and_can_change() {
    for peer in [Peer::start(&["--token", "old"]), Peer::start_python(&["--token", "old"])] {
        let with = |token: &'static str| {
            let bearer = move |mut request: tonic::Request<()>| {
                request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
                Ok(request)
            };
            ProfileStoreServiceClient::with_interceptor(crate::client::channel(&peer), bearer)
        };
        let request = || crate::client::Written::default().request();
        assert_eq!(write(&mut profiles(&peer)).await.unwrap_err().code(), Code::Unauthenticated);
        with("old").write_raw(request()).await.unwrap();
        peer.set_token("new");
        let status = with("old").write_raw(request()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
        with("new").write_raw(request()).await.unwrap();
        assert_eq!(peer.samples(), 14);
        peer.assert_no_violations();
    }
}
