//! Installs a channel in one call, and prints each step: `cargo run -p bird-sms --example one_call`.

use std::error::Error;
use std::time::Duration;

mod sandbox;

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let (_sandbox, workspace) = sandbox::start(&["post:503"]).await?;
    let installed = workspace
        .install_sms_channel("My SMS channel", "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?)
        .timeout(Duration::from_secs(60))
        .observe(|event| println!("{event:?}"))
        .await;
    match installed {
        Ok(channel) => {
            println!("channel {}", channel.id);
            // The first attempt got a 503. Bird calls a retry safe then, but check for a second connector anyway.
            if let Some(warning) = channel.warning {
                println!("warning: {warning}");
            }
        }
        Err(error) => {
            println!("{}", error.chain());
            println!("{}", error.hint().unwrap_or_default());
            // Find out what exists before you call anything again.
            println!("{:?}, can be retried: {}", error.connector_state(), error.is_retryable());
        }
    }
    Ok(())
}
