//! Who is measured.

mod bird_sms;
mod generated;
mod hand_written;
mod raw;

pub use bird_sms::BirdSms;
pub use generated::Generated;
pub use hand_written::HandWritten;
pub use raw::Raw;

use crate::server::{NAME, NUMBER, USE_CASE, WORKSPACE};

/// Somebody who installs.
pub trait Contender: Sized + Send + Sync + 'static {
    /// A client for this server.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    fn new(url: &str) -> anyhow::Result<Self>;

    /// One install: the id of the channel.
    fn install(&self) -> impl Future<Output = anyhow::Result<String>> + Send;
}

impl Contender for HandWritten {
    fn new(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().tls_backend_preconfigured(no_tls()).build()?;
        Ok(Self::new(http, url, "secret"))
    }

    async fn install(&self) -> anyhow::Result<String> {
        Self::install(self, WORKSPACE, NAME, NUMBER, USE_CASE).await
    }
}

/// TLS that nobody asks for: the workspace builds reqwest without a provider, and the server of the
/// benchmark speaks none.
fn no_tls() -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows the versions of TLS")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}
