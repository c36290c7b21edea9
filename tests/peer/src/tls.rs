//! TLS servers whose certificates come from an authority that the test creates.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
pub use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

static AUTHORITIES: AtomicU32 = AtomicU32::new(0);

/// A certificate authority that no client trusts by default.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    /// Creates an authority with a new key.
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("an empty list of names is valid");
        // If two authorities had the same name, a client would report a bad signature instead of an unknown authority.
        let number = AUTHORITIES.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("Test CA {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be generated");
        Self(CertifiedIssuer::self_signed(params, key).expect("it can be signed"))
    }

    /// Returns the certificate of the authority, to configure as a trusted root.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Returns a TLS server with a certificate for a host name.
    pub fn server(&self, host: &str) -> TlsAcceptor {
        self.issue(host, false, |_| {})
    }

    /// Returns a TLS server that requires a [client certificate](Self::client_pem) of this authority.
    pub fn server_requiring_client_certificate(&self, host: &str) -> TlsAcceptor {
        self.issue(host, true, |_| {})
    }

    /// Returns a client certificate with its private key.
    pub fn client_pem(&self) -> String {
        let key = KeyPair::generate().expect("a key can be generated");
        let params = CertificateParams::new(["client".to_owned()]).expect("the name is valid");
        let certificate = params.signed_by(&key, &self.0).expect("it can be signed");
        certificate.pem() + &key.serialize_pem()
    }

    /// Returns a TLS server whose certificate has expired.
    pub fn expired_server(&self, host: &str) -> TlsAcceptor {
        self.issue(host, false, |params| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        })
    }

    fn issue(
        &self,
        host: &str,
        mutual: bool,
        change: impl FnOnce(&mut CertificateParams),
    ) -> TlsAcceptor {
        let mut params = CertificateParams::new([host.to_owned()]).expect("the host name is valid");
        change(&mut params);
        let key = KeyPair::generate().expect("a key can be generated");
        let certificate = params.signed_by(&key, &self.0).expect("it can be signed");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("the key is in PKCS #8");
        let provider = Arc::new(default_provider());
        let mut clients = RootCertStore::empty();
        clients.add(self.0.der().clone()).expect("the authority is valid");
        let clients = WebPkiClientVerifier::builder_with_provider(clients.into(), provider.clone());
        let clients = if mutual { clients } else { clients.allow_unauthenticated() };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                config
                    .with_client_cert_verifier(clients.build().expect("there is a root"))
                    .with_single_cert(vec![certificate.der().clone()], key)
            })
            .expect("the key matches the certificate");
        TlsAcceptor::from(Arc::new(config))
    }
}
