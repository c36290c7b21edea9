//! The programs that `cargo xtask bench` runs.
//!
//! An *install* is a POST with the response 201 without a channel, and a GET with the response that has the
//! channel, over connections that are kept alive on loopback. Each contender returns the id of the channel.

#![expect(clippy::missing_errors_doc, reason = "an error ends the program")]

pub mod contenders;
mod hand_written;
pub mod ready;
pub mod server;

use std::sync::Arc;

use anyhow::{bail, ensure};
use contenders::{BirdSms, Contender, Generated, Raw};
use futures_util::{StreamExt, stream};
use hand_written::HandWritten;

/// What to measure.
#[derive(Clone, Debug, clap::Parser)]
pub struct Args {
    /// raw, hand-written, generated or bird-sms
    pub contender: String,
    /// The base URL of the server
    pub url: String,
    /// The number of installs
    pub installs: usize,
    /// The number of installs at a time
    pub concurrency: usize,
}

/// Runs the installs of a contender.
pub async fn run(args: &Args) -> anyhow::Result<()> {
    match args.contender.as_str() {
        "raw" => installs::<Raw>(args).await,
        "hand-written" => installs::<HandWritten>(args).await,
        "generated" => installs::<Generated>(args).await,
        "bird-sms" => installs::<BirdSms>(args).await,
        other => bail!("there is no contender {other}"),
    }
}

async fn installs<C: Contender>(args: &Args) -> anyhow::Result<()> {
    let contender = Arc::new(C::new(&args.url)?);
    let mut installs = stream::iter(0..args.installs)
        .map(|_| {
            let contender = Arc::clone(&contender);
            // Tasks, as in a server that does one install for each of its own requests.
            async move { tokio::spawn(async move { contender.install().await }).await? }
        })
        .buffer_unordered(args.concurrency);
    while let Some(channel_id) = installs.next().await {
        ensure!(channel_id? == server::CHANNEL, "another channel");
    }
    Ok(())
}
