use reqwest::{Certificate, Identity};
use secrecy::{ExposeSecret, SecretSlice};

use super::ClientBuilder;
use crate::ConfigurationError;

/// Settings for certificates, with the feature `rustls` or `rustls-no-provider`.
impl ClientBuilder {
    /// Trusts these certificates (PEM) in addition to the platform's, for a proxy that inspects TLS or a private server.
    pub fn root_certificates_pem(self, pem: impl Into<Vec<u8>>) -> Self {
        let pem = pem.into();
        self.try_configure_http(move |http| Ok(http.tls_certs_merge(roots(&pem)?)))
    }

    /// Authenticates with this client certificate, for a gateway that requires mutual TLS. The PEM contains the certificate,
    /// its chain and its private key.
    pub fn client_certificate_pem(self, pem: impl Into<Vec<u8>>) -> Self {
        let pem = SecretSlice::from(pem.into());
        self.try_configure_http(move |http| {
            // The original error could contain a part of the private key.
            let identity = Identity::from_pem(pem.expose_secret()).map_err(|_| {
                tls("the PEM text of the client certificate lacks a certificate or a private key")
            })?;
            Ok(http.identity(identity))
        })
    }
}

fn roots(pem: &[u8]) -> Result<Vec<Certificate>, ConfigurationError> {
    let roots = Certificate::from_pem_bundle(pem);
    let roots = roots.map_err(|_| tls("the PEM text of the root certificates is damaged"))?;
    if roots.is_empty() {
        return Err(tls("the PEM text of the root certificates contains no certificate"));
    }
    Ok(roots)
}

fn tls(problem: &str) -> ConfigurationError {
    ConfigurationError::Tls(problem.to_owned())
}
