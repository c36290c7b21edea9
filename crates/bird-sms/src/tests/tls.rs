//! TLS with certificates from an authority that each test creates.

use bird_test_peer::tls::Ca;
use bird_test_peer::{Peer, Reply};

use super::*;
use crate::{ConfigurationError, Error, TransportErrorKind};

/// Creates a connector at a peer whose certificate must be refused, and returns the text of the error. Asserts that a
/// wait fails as well, and that nothing is retried or sent.
async fn refused(peer: &Peer, trusted: &Ca, kind: TransportErrorKind) -> String {
    let (builder, runtime) = without_sleep(&peer.base_url());
    let workspace = workspace(builder.root_certificates_pem(trusted.pem()));
    let error = workspace.create_sms_connector(&request()).await.unwrap_err();
    assert_eq!(unreachable(&error), (kind, 1), "a refused certificate should not be retried");
    let wait = workspace.pending_channel(connector_id()).wait().await.unwrap_err();
    assert!(matches!(wait, Error::Read(..)), "{wait:?}");
    assert!(runtime.slept().is_empty());
    assert!(peer.requests().is_empty(), "nothing should be sent");
    error.chain()
}

#[tokio::test]
async fn a_certificate_from_a_trusted_authority_is_accepted() {
    let ca = Ca::new();
    let peer = Peer::tls(ca.server("localhost"), [Reply::json(201, ready())]).await.unwrap();
    let (builder, _) = without_sleep(&peer.base_url());
    let workspace = workspace(builder.root_certificates_pem(ca.pem()));
    assert!(peer.base_url().starts_with("https://"));
    let _ = workspace.create_sms_connector(&request()).await.unwrap();
    assert_eq!(peer.posts(), 1);
}

#[tokio::test]
async fn a_server_can_require_a_client_certificate() {
    let ca = Ca::new();
    for certificate in [Some(ca.client_pem()), None] {
        let replies = [Reply::json(201, ready())];
        let peer =
            Peer::tls(ca.server_requiring_client_certificate("localhost"), replies).await.unwrap();
        let mut builder = without_sleep(&peer.base_url()).0.root_certificates_pem(ca.pem());
        let accepted = certificate.is_some();
        if let Some(pem) = certificate {
            builder = builder.client_certificate_pem(pem);
        }
        let created = workspace(builder).create_sms_connector(&request()).await;
        assert_eq!((created.is_ok(), peer.posts()), (accepted, accepted.into()));
    }
}

#[test]
fn a_client_certificate_without_its_key_is_refused() {
    let ca = Ca::new();
    let pem = ca.client_pem();
    let (certificate, key) = pem.split_at(pem.find("-----BEGIN PRIVATE").unwrap());
    for pem in ["", certificate, key, &key[..100]] {
        let builder = without_sleep("https://bird.example").0.client_certificate_pem(pem);
        let shown = format!("{builder:?}") + &builder.build().unwrap_err().to_string();
        assert!(shown.contains("client certificate"), "{shown}");
        assert!(!shown.contains(key.lines().nth(1).unwrap()), "{shown}");
    }
}

#[tokio::test]
async fn an_untrusted_certificate_is_refused_at_once_with_the_cause() {
    use TransportErrorKind::{Certificate, CertificateExpired};
    let ca = Ca::new();
    let other = Ca::new();
    for (server, kind, cause) in [
        (other.server("localhost"), Certificate, "UnknownIssuer"),
        (ca.server("bird.example"), Certificate, "not valid for name"),
        (ca.expired_server("localhost"), CertificateExpired, "expired"),
    ] {
        let peer = Peer::tls(server, []).await.unwrap();
        let error = refused(&peer, &ca, kind).await;
        assert!(error.contains(cause), "{error}");
        assert!(error.contains("certificate"), "{error}");
    }
}

#[test]
fn text_that_is_not_a_certificate_is_refused() {
    let no_certificate = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    for pem in ["", "hello", no_certificate] {
        let error = without_sleep("https://bird.example").0.root_certificates_pem(pem).build();
        assert!(matches!(error, Err(ConfigurationError::Tls(_))), "{pem}: {error:?}");
    }
}

/// Builds the clients in a child process whose environment has no root certificates.
#[cfg(target_os = "linux")]
#[test]
fn without_root_certificates_only_loopback_and_custom_transports_work() {
    const CHILD: &str = "BIRD_SMS_TEST_CHILD";
    if std::env::var_os(CHILD).is_none() {
        let name = "without_root_certificates_only_loopback_and_custom_transports_work";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.arg(name).env(CHILD, "1");
        child.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/dev/null");
        let printed = String::from_utf8(child.output().unwrap().stdout).unwrap();
        assert!(printed.contains("test result: ok. 1 passed"), "{printed}");
        return;
    }
    let builder = |url| without_sleep(url).0.allow_http();
    for url in ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"] {
        assert!(builder(url).build().is_ok(), "{url}");
        // `configure_http` may add a proxy that speaks TLS, so root certificates are required.
        let configured = builder(url).configure_http(|http| http).build();
        assert_eq!(configured.unwrap_err(), ConfigurationError::NoTrustedRoots, "{url}");
    }
    for url in ["https://bird.example", "https://localhost:1", "http://bird.example"] {
        let error = builder(url).build().unwrap_err();
        assert_eq!(error, ConfigurationError::NoTrustedRoots, "{url}");
    }
    let sandbox = bird_sandbox::Sandbox::builder().in_memory();
    assert!(builder("https://bird.example").transport(sandbox.transport()).build().is_ok());
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_that_does_not_speak_tls() {
    let peer = Peer::script([]).await.unwrap();
    let (builder, _) = without_sleep(&peer.base_url().replace("http://", "https://"));
    let error = workspace(builder).create_sms_connector(&request()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    assert!(peer.requests().is_empty());
}
