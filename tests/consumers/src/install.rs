use std::env::var;

use bird_sms::reqwest;

/// Installs a channel with a client of bird-sms, after another client has sent a request to the same server.
pub async fn install_after(other: &reqwest::Client) -> Result<(), Box<dyn std::error::Error>> {
    let status = other.get(var("BIRD_API_URL")?).send().await?.status();
    let channel = bird_sms::Workspace::from_env()?
        .install_sms_channel("My SMS channel", "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?)
        .await?;
    println!("another client: HTTP {}; channel {}", status.as_u16(), channel.id);
    Ok(())
}
