//! What `cargo xtask bench` measures.
//!
//! One *install* is a POST that is answered 201 without a channel, and a GET that is answered with it,
//! over connections that are kept alive on loopback. Each contender does that in its own way, and proves
//! it with the id of the channel.

pub mod contenders;
pub mod server;

use std::sync::Arc;

use clap::{Parser, ValueEnum};
use futures_util::{StreamExt, stream};

use contenders::{BirdSms, Contender, Generated, HandWritten, Raw};

/// What to measure.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Who installs
    pub contender: Name,
    /// Where the server is
    #[arg(long)]
    pub url: String,
    /// How many installs
    #[arg(long)]
    pub installs: usize,
    /// How many of them at a time
    #[arg(long, default_value_t = 1)]
    pub concurrency: usize,
}

/// A contender in Rust.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Name {
    /// A request written by hand to a socket, and a scan for the id
    Raw,
    /// reqwest and serde, as people write it
    HandWritten,
    /// The generated client alone
    Generated,
    /// bird-sms
    BirdSms,
}

/// Runs the installs of a contender.
///
/// # Errors
///
/// When one of them fails.
pub async fn run(args: &Args) -> anyhow::Result<()> {
    match args.contender {
        Name::Raw => Raw::run(args).await,
        Name::HandWritten => installs::<HandWritten>(args).await,
        Name::Generated => installs::<Generated>(args).await,
        Name::BirdSms => installs::<BirdSms>(args).await,
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
        anyhow::ensure!(channel_id? == server::CHANNEL, "another channel");
    }
    Ok(())
}
