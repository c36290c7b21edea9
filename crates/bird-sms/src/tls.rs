//! TLS by rustls with the platform's roots.

use std::error::Error as StdError;

#[cfg(feature = "rustls")]
pub(crate) use with_rustls::{config, is_certificate_error, roots};

/// Without rustls, the HTTP client is ready-made and its errors are its own.
#[cfg(not(feature = "rustls"))]
pub(crate) fn is_certificate_error(_error: &(dyn StdError + 'static)) -> bool {
    false
}

#[cfg(feature = "rustls")]
mod with_rustls {
    use std::sync::{Arc, OnceLock};

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
    use rustls_platform_verifier::Verifier;

    use super::StdError;
    use crate::ConfigurationError;

    /// The provider is given by name: reqwest would look for a default of the whole process, which is
    /// not ours to set.
    pub(crate) fn config(
        extra_roots: Vec<CertificateDer<'static>>,
    ) -> Result<ClientConfig, ConfigurationError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = PlatformVerifier {
            provider: Arc::clone(&provider),
            extra_roots,
            verifier: OnceLock::new(),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ConfigurationError::Tls(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(config)
    }

    /// The certificates of a PEM file.
    pub(crate) fn roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigurationError> {
        let roots: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| ConfigurationError::Tls(error.to_string()))?;
        if roots.is_empty() {
            return Err(ConfigurationError::Tls("the PEM text has no certificate".to_owned()));
        }
        Ok(roots)
    }

    /// Whether rustls refused the certificate of the server.
    pub(crate) fn is_certificate_error(error: &(dyn StdError + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(Error::InvalidCertificate(_)) = error.downcast_ref::<Error>() {
                return true;
            }
            // An `io::Error` is not the source of itself: what it wraps has to be asked for.
            next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        false
    }

    /// The verifier of the platform, made at the first handshake: on Linux that reads some 145 files,
    /// which a client that never speaks TLS need not pay for.
    #[derive(Debug)]
    struct PlatformVerifier {
        provider: Arc<CryptoProvider>,
        extra_roots: Vec<CertificateDer<'static>>,
        verifier: OnceLock<Result<Verifier, Error>>,
    }

    impl ServerCertVerifier for PlatformVerifier {
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
                    let (roots, provider) = (self.extra_roots.clone(), Arc::clone(&self.provider));
                    if roots.is_empty() {
                        Verifier::new(provider)
                    } else {
                        Verifier::new_with_extra_roots(roots, provider)
                    }
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
