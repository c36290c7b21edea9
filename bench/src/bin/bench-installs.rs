//! Runs installs, and prints how long they took in seconds.

use std::time::Instant;

use bird_bench::Args;
use clap::Parser;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let began = Instant::now();
    bird_bench::run(&args).await?;
    println!("{}", began.elapsed().as_secs_f64());
    Ok(())
}
