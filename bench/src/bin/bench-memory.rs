//! Prints how much memory an install holds while it waits for its channel: URL.

use std::time::Duration;

use anyhow::{Context, ensure};
use bird_bench::server::{NAME, NUMBER, WORKSPACE};
use bird_sms::{AccessKey, Backoff, Client, Event, PollInterval, PollPolicy, RateLimits};
use tokio::task::JoinSet;

const INSTALLS: u32 = 1000;

fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).context("no URL")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let hour = Duration::from_secs(3600);
    let backoff = Backoff { initial: hour, multiplier: 1.0, max: hour, jitter: 0.0 };
    let client = Client::builder()
        .base_url(url)
        .access_key(AccessKey::new("secret")?)
        .poll_policy(PollPolicy { interval: PollInterval::Backoff(backoff), ..Default::default() })
        .rate_limits(RateLimits { posts_per_second: u32::MAX, gets_per_second: u32::MAX })
        .install_timeout(2 * hour)
        .build()?;
    let workspace = client.workspace(WORKSPACE.parse()?);
    let number = NUMBER.parse()?;
    let mut waiting = JoinSet::new();
    let (created, mut is_created) = tokio::sync::mpsc::unbounded_channel();
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..INSTALLS {
                let created = created.clone();
                let install = workspace.install_sms_channel(NAME, number).observe(move |event| {
                    if let Event::Created { .. } = event {
                        let _ = created.send(());
                    }
                });
                waiting.spawn(install.into_future());
                is_created.recv().await;
            }
        });
    });
    ensure!(waiting.try_join_next().is_none(), "an install has ended");
    println!(
        "{INSTALLS} installs that wait for their channel hold {} bytes each, with the task of the install.",
        counted.bytes_current / i64::from(INSTALLS)
    );
    Ok(())
}
