//! Runs installs.

use clap::Parser;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    bird_bench::run(&bird_bench::Args::parse()).await
}
