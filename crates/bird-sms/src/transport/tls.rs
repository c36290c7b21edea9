//! TLS by rustls: with ring or aws-lc-rs, and the roots of the platform or those that are bundled.

use std::error::Error as StdError;

use crate::TransportErrorKind;

#[cfg(feature = "__rustls")]
pub(crate) use with_rustls::{config, no_trust};

/// Returns `None`: without rustls, the HTTP client is the caller's, and its error types are not known.
#[cfg(not(feature = "__rustls"))]
pub(crate) fn no_trust(_error: &(dyn StdError + 'static)) -> Option<TransportErrorKind> {
    None
}

#[cfg(feature = "__rustls")]
mod with_rustls {
    use std::sync::{Arc, OnceLock};

    use super::{StdError, TransportErrorKind};
    use crate::ConfigurationError;
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    #[cfg(feature = "aws-lc-rs")]
    use rustls::crypto::aws_lc_rs::default_provider;
    #[cfg(not(feature = "aws-lc-rs"))]
    use rustls::crypto::ring::default_provider;
    use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
    use rustls::{
        CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
        SignatureScheme,
    };
    use secrecy::{ExposeSecret, SecretSlice};

    /// Builds the TLS configuration from further root certificates and a client certificate with its key, both as PEM.
    /// The provider is explicit, because reqwest would use the default of the process, which a library should not set.
    pub(crate) fn config(
        extra_roots: Option<&[u8]>,
        client_certificate: Option<&SecretSlice<u8>>,
    ) -> Result<ClientConfig, ConfigurationError> {
        let extra_roots = extra_roots.map(roots).transpose()?.unwrap_or_default();
        let provider = Arc::new(default_provider());
        let verifier = LazyVerifier {
            provider: Arc::clone(&provider),
            extra_roots,
            verifier: OnceLock::new(),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ConfigurationError::Tls(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match client_certificate {
            None => config.with_no_client_auth(),
            Some(pem) => {
                let pem = pem.expose_secret();
                let key = PrivateKeyDer::from_pem_slice(pem).ok();
                let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok();
                chain
                    .zip(key)
                    .and_then(|(chain, key)| config.with_client_auth_cert(chain, key).ok())
                    .ok_or_else(|| ConfigurationError::Tls(NO_CLIENT_CERTIFICATE.to_owned()))?
            }
        };
        Ok(config)
    }

    /// Does not have the cause, which could show a part of the key.
    const NO_CLIENT_CERTIFICATE: &str =
        "the PEM text of the client certificate has no certificate, or not its private key";

    /// Builds a verifier that trusts Mozilla's root certificates and `extra_roots`.
    #[cfg(feature = "bundled-roots")]
    fn verifier(
        extra_roots: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for root in extra_roots {
            roots.add(root)?;
        }
        let verifier =
            rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| Error::General(error.to_string()))?;
        Ok(verifier)
    }

    /// Builds a verifier that trusts the root certificates of the platform and `extra_roots`.
    #[cfg(not(feature = "bundled-roots"))]
    fn verifier(
        extra_roots: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        use rustls_platform_verifier::Verifier;
        Ok(Arc::new(if extra_roots.is_empty() {
            Verifier::new(provider)?
        } else {
            Verifier::new_with_extra_roots(extra_roots, provider)?
        }))
    }

    /// Parses the certificates of a PEM file.
    fn roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigurationError> {
        let roots: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| ConfigurationError::Tls(error.to_string()))?;
        if roots.is_empty() {
            return Err(ConfigurationError::Tls("the PEM text has no certificate".to_owned()));
        }
        let mut usable = RootCertStore::empty();
        for root in &roots {
            usable.add(root.clone()).map_err(|error| {
                let problem = format!("a certificate of the PEM text cannot be used: {error}");
                ConfigurationError::Tls(problem)
            })?;
        }
        Ok(roots)
    }

    /// Returns why the server is not trusted, if that is the cause of the error.
    pub(crate) fn no_trust(error: &(dyn StdError + 'static)) -> Option<TransportErrorKind> {
        let mut next = Some(error);
        while let Some(error) = next {
            match error.downcast_ref() {
                Some(Error::InvalidCertificate(
                    CertificateError::Expired
                    | CertificateError::ExpiredContext { .. }
                    | CertificateError::NotValidYet
                    | CertificateError::NotValidYetContext { .. },
                )) => return Some(TransportErrorKind::CertificateExpired),
                Some(Error::InvalidCertificate(_)) => return Some(TransportErrorKind::Certificate),
                Some(Error::Other(OtherError(error))) if error.is::<NoTrustedRoots>() => {
                    return Some(TransportErrorKind::NoTrustedRoots);
                }
                _ => {}
            }
            // `io::Error::source` skips the error that an `io::Error` wraps.
            next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }

    /// The error of a verifier that found no root certificates.
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct NoTrustedRoots(Error);

    /// A verifier that is built at the first handshake. Building the verifier reads about 145 files on Linux, which a
    /// client without TLS does not need.
    #[derive(Debug)]
    struct LazyVerifier {
        provider: Arc<CryptoProvider>,
        extra_roots: Vec<CertificateDer<'static>>,
        verifier: OnceLock<Result<Arc<dyn ServerCertVerifier>, Error>>,
    }

    impl ServerCertVerifier for LazyVerifier {
        fn verify_server_cert(
            &self,
            end_entity: &CertificateDer<'_>,
            intermediates: &[CertificateDer<'_>],
            server_name: &ServerName<'_>,
            ocsp_response: &[u8],
            now: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            self.verifier
                .get_or_init(|| {
                    verifier(self.extra_roots.clone(), Arc::clone(&self.provider))
                        .map_err(|error| Error::Other(OtherError(Arc::new(NoTrustedRoots(error)))))
                })
                .as_ref()
                .map_err(Clone::clone)?
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls12_signature(message, cert, dss, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls13_signature(message, cert, dss, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.provider.signature_verification_algorithms.supported_schemes()
        }
    }
}
