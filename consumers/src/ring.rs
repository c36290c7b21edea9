//! A program with the feature `ring`, whose other clients need a default provider.

use bird_sms::reqwest;

#[path = "install.rs"]
mod install;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "a second provider")?;
    install::beside(&reqwest::Client::new()).await
}
