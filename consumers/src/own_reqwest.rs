//! A program that has a reqwest of its own.

#[path = "install.rs"]
mod install;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    install::beside(&reqwest::Client::new()).await
}
