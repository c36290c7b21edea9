//! A program that has no reqwest of its own, and takes that of bird-sms.

use bird_sms::reqwest;

#[path = "install.rs"]
mod install;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    install::beside(&reqwest::Client::new()).await
}
