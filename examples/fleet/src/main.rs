//! The command of the fleet: `fleet --help`.

use std::io::BufRead;
use std::path::PathBuf;

use anyhow::Context;
use bird_sms::{RateLimits, WorkspaceId};
use clap::{Parser, Subcommand};
use fleet::{SCHEMA, Worker, connect, enqueue};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_postgres::Config;

/// Install SMS channels in many Bird workspaces with many processes
#[derive(Parser)]
struct Args {
    /// The database, as `postgresql://…` or `host=… user=…`
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database: Config,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create the tables
    Init,
    /// Add the requests of standard input, as JSON Lines, to the jobs of a workspace; open failed jobs again
    Enqueue { workspace_id: WorkspaceId },
    /// Install until SIGTERM or SIGINT; run as many of these as you like
    Work {
        /// The file with the access key of each workspace, as JSON: {"…": {"accessKey": "…"}}
        #[arg(long)]
        credentials: PathBuf,
        /// The number of workspaces to work in at a time
        #[arg(long, default_value_t = 4)]
        concurrency: usize,
        /// The number of POSTs per second that a workspace accepts
        #[arg(long, default_value_t = 500)]
        posts_per_second: u32,
        /// The number of GETs per second that a workspace accepts
        #[arg(long, default_value_t = 50)]
        gets_per_second: u32,
    },
    /// Print the number of jobs of each workspace
    Status,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Args { database, command } = Args::parse();
    match command {
        Command::Init => connect(&database).await?.batch_execute(SCHEMA).await?,
        Command::Enqueue { workspace_id } => {
            let mut requests = Vec::new();
            for (line, number) in std::io::stdin().lock().lines().zip(1..) {
                let request = serde_json::from_str(&line?);
                requests.push(request.with_context(|| format!("line {number}"))?);
            }
            let added = enqueue(&connect(&database).await?, workspace_id, &requests).await?;
            println!("{added} added");
        }
        Command::Work { credentials, concurrency, posts_per_second, gets_per_second } => {
            let text = std::fs::read(&credentials)
                .with_context(|| format!("cannot read {}", credentials.display()))?;
            let credentials = serde_json::from_slice(&text).context("the credentials")?;
            let (mut terminate, mut interrupt) =
                (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            let (stop, stopped) = watch::channel(false);
            tokio::spawn(async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                stop.send_replace(true);
            });
            let limits = RateLimits { posts_per_second, gets_per_second };
            Worker { database, credentials, limits }.run(concurrency, stopped).await;
        }
        Command::Status => {
            let counts =
                "SELECT workspace_id::text, status, count(*) FROM jobs GROUP BY 1, 2 ORDER BY 1, 2";
            for row in connect(&database).await?.query(counts, &[]).await? {
                let (workspace_id, status): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
                println!("{workspace_id}: {} {status}", row.try_get::<_, i64>(2)?);
            }
        }
    }
    Ok(())
}
