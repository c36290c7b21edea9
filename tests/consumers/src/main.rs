//! A program that doesn't depend on reqwest itself, but uses the reqwest that bird-sms exports.

use bird_sms::reqwest;

#[path = "install.rs"]
mod install;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    install::install_after(&reqwest::Client::new()).await
}
