//! Prints how much memory an install holds while it waits for its channel, alone and in a batch: URL.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use bird_bench::ready::Ready;
use bird_bench::server::{NAME, NUMBER, WORKSPACE};
use bird_sms::{
    AccessKey, Backoff, Client, Event, PollInterval, PollPolicy, RateLimits, SmsConnectorRequest,
};
use futures_util::StreamExt;
use tokio::task::JoinSet;

const INSTALLS: u32 = 1000;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let url = args.next().context("no URL")?;
    if let (Some(rows), Some(concurrency)) = (args.next(), args.next()) {
        return batch(rows.parse()?, concurrency.parse()?);
    }
    installs(url)?;
    batches()
}

fn installs(url: String) -> anyhow::Result<()> {
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

/// Runs batches of different sizes, each in a process of its own, and prints their peak memory.
fn batches() -> anyhow::Result<()> {
    println!("\n| rows | at a time | peak MiB | most rows in progress |\n|---|---|---|---|");
    let mut peaks = Vec::new();
    for (rows, concurrency) in [(1_000, 20_000), (100_000, 20_000), (100_000, 100_000)] {
        let mut batch = Command::new(std::env::current_exe()?);
        batch.args(["batch", &rows.to_string(), &concurrency.to_string()]);
        let output = batch.stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "a batch failed");
        let printed = String::from_utf8(output.stdout)?;
        let (kib, most) = printed.trim().split_once(' ').context("not two figures")?;
        let (kib, most): (f64, f64) = (kib.parse()?, most.parse()?);
        println!("| {rows} | {concurrency} | {:.1} | {most} |", kib / 1024.0);
        peaks.push((kib, most));
    }
    let verdict = |holds| if holds { "holds" } else { "missed" };
    let [few, default, all] = peaks[..] else { unreachable!("three batches") };
    let ratio = default.0 / few.0;
    println!(
        "\n100,000 rows, with the default of 20,000 at a time, need at most 3 times the memory of 1,000: {} \
         ({ratio:.2}; {:.2} with all at a time)",
        verdict(ratio <= 3.0),
        all.0 / few.0
    );
    let bytes = (all.0 - few.0) * 1024.0 / (all.1 - few.1);
    println!(
        "A row in progress of a batch takes at most 4 KiB: {} ({bytes:.0} bytes)",
        verdict(bytes <= 4096.0)
    );
    Ok(())
}

/// Installs a batch without a server, and prints the peak memory in KiB and the most rows that were in progress.
fn batch(rows: u64, concurrency: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let transport = Ready::new(vec![Duration::from_secs(5)]);
    let client = Client::builder()
        .access_key(AccessKey::new("secret")?)
        .transport(Arc::new(transport))
        // Two hundred times the limits of the vendor, so that nobody waits for an hour.
        .rate_limits(RateLimits { posts_per_second: 100_000, gets_per_second: 10_000 })
        .build()?;
    let workspace = client.workspace(WORKSPACE.parse()?);
    let number = NUMBER.parse()?;
    let taken = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&taken);
    let requests = (0..rows).map(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        SmsConnectorRequest::new(NAME, number)
    });
    let outcomes = workspace.install_sms_channels(requests).concurrency(concurrency).start();
    let most = runtime.block_on(async {
        let mut outcomes = std::pin::pin!(outcomes.enumerate());
        let mut most = 0;
        while let Some((ended, outcome)) = outcomes.next().await {
            outcome.result?;
            most = most.max(taken.load(Ordering::Relaxed) - u64::try_from(ended)?);
        }
        anyhow::Ok(most)
    })?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")).context("no VmHWM")?;
    println!("{peak} {most}");
    Ok(())
}
