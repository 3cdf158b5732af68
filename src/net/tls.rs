//! TLS for a client: by rustls, whose cryptography is ring's.

use super::NetError;
use super::deadline::within;
use super::stream::Dialed;
use futures_rustls::TlsConnector;
use futures_rustls::pki_types::pem::{self, PemObject};
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use futures_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use futures_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use futures_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Whose word is taken for who a peer is.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// Of these authorities alone, as PEM.
    Authorities(&'a [u8]),
    /// Of the authorities that the host trusts; where it has none, of those that browsers trusted when the agent was
    /// built.
    Host,
    /// Nobody's: any peer is taken for whom it says it is. Whoever offers this warns of it.
    Anyone,
}

/// The oldest version that a peer may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oldest {
    /// Version 1.2.
    V12,
    /// Version 1.3.
    V13,
}

/// Who the agent is: a chain of certificates and the key of the first, as PEM.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// The agent's own certificate first.
    pub certificates: &'a [u8],
    /// PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key: &'a [u8],
}

const ONLY_V13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate in what should hold authorities.
    #[error("the certificate authority holds no usable PEM certificate")]
    NoAuthority,
    /// The client's certificate or key is not PEM.
    #[error("the client {part} is no PEM: {source}")]
    Pem {
        /// `certificate` or `key`.
        part: &'static str,
        /// Why not.
        source: pem::Error,
    },
    /// The client's certificate and key are of no use.
    #[error("the client certificate and key cannot be used")]
    Identity(#[source] rustls::Error),
    /// The cryptography lacks a version of TLS.
    #[error("failed to prepare TLS")]
    Prepare(#[source] rustls::Error),
}

/// What every connection to one peer has in common.
#[derive(Clone)]
pub struct Tls(TlsConnector);

impl Tls {
    /// `protocols` are those to be spoken inside, such as `http/1.1` or `h2`.
    pub fn new(
        trust: Trust<'_>,
        oldest: Oldest,
        identity: Option<Identity<'_>>,
        protocols: &[&str],
    ) -> Result<Self, TlsError> {
        // Named here, since a provider of the process would be whichever part of the agent came first.
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(match oldest {
                Oldest::V12 => rustls::ALL_VERSIONS,
                Oldest::V13 => ONLY_V13,
            })
            .map_err(TlsError::Prepare)?;
        let builder = match trust {
            Trust::Authorities(pem) => builder.with_root_certificates(authorities(pem)?),
            Trust::Host => builder.with_root_certificates(host_authorities()),
            Trust::Anyone => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(BelieveAnyone(provider)))
            }
        };
        let mut config = match identity {
            Some(identity) => {
                let (certificates, key) = identity.parse()?;
                builder.with_client_auth_cert(certificates, key).map_err(TlsError::Identity)?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Wraps a stream. `server` is the name or address that the peer's certificate must be for.
    pub async fn wrap(&self, dialed: Dialed, server: &str, deadline: Duration) -> Result<Dialed, NetError> {
        let Dialed { peer, stream } = dialed;
        let handshake = async {
            let server = ServerName::try_from(server.to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            self.0.connect(server, stream).await
        };
        match within(deadline, handshake).await {
            Some(Ok(stream)) => Ok(Dialed { peer, stream: Box::new(stream) }),
            Some(Err(source)) => Err(NetError::Tls { peer, source }),
            None => Err(NetError::Late { peer, deadline }),
        }
    }
}

impl Identity<'_> {
    fn parse(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let bad = |part| move |source| TlsError::Pem { part, source };
        let certificates = CertificateDer::pem_slice_iter(self.certificates)
            .collect::<Result<Vec<_>, _>>()
            .map_err(bad("certificate"))?;
        if certificates.is_empty() {
            return Err(bad("certificate")(pem::Error::NoItemsFound));
        }
        Ok((certificates, PrivateKeyDer::from_pem_slice(self.key).map_err(bad("key"))?))
    }
}

/// The cryptography of the agent, for a client that has TLS of its own.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Certificates of the authorities that the host trusts; there may be none.
pub fn host_certificates() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// Certificates of authorities in PEM.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
    if found.is_empty() { Err(TlsError::NoAuthority) } else { Ok(found) }
}

/// One bad certificate among many does not spoil the rest: bundles hold relics.
fn authorities(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).filter_map(Result::ok));
    if store.is_empty() { Err(TlsError::NoAuthority) } else { Ok(store) }
}

fn host_authorities() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let error = found.errors.first().map(ToString::to_string).unwrap_or_default();
        log::debug!(error = error.as_str(); "the host has no certificate authorities, the agent's own are used");
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    store
}

/// Takes any certificate, but still sees to it that the peer holds its key.
#[derive(Debug)]
struct BelieveAnyone(Arc<CryptoProvider>);

impl ServerCertVerifier for BelieveAnyone {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
