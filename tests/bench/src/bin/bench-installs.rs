//! Installs channels, one after the other: CONTENDER URL INSTALLS.

use std::time::Duration;

use anyhow::{bail, ensure};
use bird_bench::hand_written::HandWritten;
use bird_bench::server::{CHANNEL, NAME, NUMBER, USE_CASE, WORKSPACE};
use bird_sms::{AccessKey, Client, PollPolicy, RateLimits, UseCaseId, Workspace};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // Every client of reqwest needs a provider, although no server here speaks TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [contender, url, installs] = &args[..] else { bail!("CONTENDER URL INSTALLS") };
    let installs: u32 = installs.parse()?;
    match &**contender {
        "bird-sms" => {
            let workspace = workspace(url)?;
            for _ in 0..installs {
                let install = workspace.install_sms_channel(NAME, NUMBER.parse()?);
                let channel = install.use_case_id(USE_CASE.parse::<UseCaseId>()?).await?;
                ensure!(channel.id.to_string() == CHANNEL, "another channel");
            }
        }
        "hand-written" => {
            let client = HandWritten::new(http_client()?, url, "secret");
            for _ in 0..installs {
                let channel = client.install(WORKSPACE, NAME, NUMBER, USE_CASE).await?;
                ensure!(channel == CHANNEL, "another channel");
            }
        }
        other => bail!("there is no contender {other}"),
    }
    Ok(())
}

/// Returns a workspace without a delay before the first poll, and without rate limits.
fn workspace(url: &str) -> anyhow::Result<Workspace> {
    let interval = Some(Duration::from_nanos(1));
    let client = Client::builder()
        .access_key(AccessKey::new("secret")?)
        .base_url(url)
        .poll_policy(PollPolicy { interval, ..Default::default() })
        .rate_limits(RateLimits { posts_per_second: u32::MAX, gets_per_second: u32::MAX })
        .build()?;
    Ok(client.workspace(WORKSPACE.parse()?))
}

/// Returns an HTTP client without root certificates: the server does not speak TLS.
fn http_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().tls_certs_only([]).build()
}
