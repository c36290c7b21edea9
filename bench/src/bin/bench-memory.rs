//! How much memory an install takes while it waits for its channel: what a thousand of them have allocated
//! more than none.

use std::time::Duration;

use bird_bench::server::{NAME, NUMBER, WORKSPACE};
use bird_sms::{AccessKey, Backoff, Client, Event, PollPolicy, RateLimits};
use clap::Parser;
use tokio::task::JoinSet;

const INSTALLS: u32 = 1000;

#[derive(Parser)]
struct Args {
    /// Where the server is
    #[arg(long)]
    url: String,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let hour = Duration::from_hours(1);
    let backoff = Backoff { initial: hour, multiplier: 1.0, max: hour, jitter: 0.0 };
    let client = Client::builder()
        .base_url(args.url)
        .access_key(AccessKey::new("secret")?)
        .poll_policy(PollPolicy { backoff, ..Default::default() })
        .rate_limits(RateLimits { posts_per_second: u32::MAX, gets_per_second: u32::MAX })
        .install_timeout(2 * hour)
        .build()?;
    let workspace = client.workspace(WORKSPACE.parse()?);
    let number = NUMBER.parse()?;
    let mut waiting = JoinSet::new();
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..INSTALLS {
                let (created, is_created) = tokio::sync::oneshot::channel();
                let created = std::sync::Mutex::new(Some(created));
                let install = workspace.install_sms_channel(NAME, number).observe(move |event| {
                    if let Event::Created { .. } = event
                        && let Ok(mut created) = created.lock()
                    {
                        created.take().map(|created| created.send(()));
                    }
                });
                waiting.spawn(install.into_future());
                let _ = is_created.await;
            }
        });
    });
    anyhow::ensure!(waiting.try_join_next().is_none(), "an install does not wait");
    println!(
        "{INSTALLS} installs that wait for their channel hold {} bytes each, with the task that runs them.",
        counted.bytes_current / i64::from(INSTALLS)
    );
    Ok(())
}
