//! Installs many channels with a journal in a file, is shut down in the middle, and resumes:
//! `cargo run -p bird-sms --example batch_with_journal`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use bird_sms::uuid::Uuid;
use bird_sms::{FileJournal, SmsConnectorRequest, Workspace};

mod sandbox;

/// Installs the channels that are missing, and returns how many are ready. Shuts down after `limit` outcomes.
async fn run(workspace: &Workspace, path: &Path, limit: usize) -> Result<usize, Box<dyn Error>> {
    let journal = Arc::new(FileJournal::open(path, workspace)?);
    let requests =
        (1..=10).map(|n| SmsConnectorRequest::new(format!("SMS {n}"), Uuid::from_u128(n).into()));
    let mut outcomes =
        workspace.install_sms_channels(requests).concurrency(3).journal(journal).start();
    let mut ended = 0;
    let mut ready = 0;
    while let Some(outcome) = outcomes.next().await {
        ended += 1;
        match outcome.result {
            Ok(channel) => {
                ready += 1;
                println!("{}: {}", outcome.request.phone_number_id(), channel.id);
            }
            Err(error) => {
                println!("{}: {}", outcome.request.phone_number_id(), error.chain());
            }
        }
        if ended == limit {
            // The batch waits for POSTs in flight, but sends nothing else.
            outcomes.shut_down();
        }
    }
    Ok(ready)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let (sandbox, workspace) = sandbox::start(&[]).await?;
    // The journal and the lock file of the workspace are in this folder.
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("channels.jsonl");
    println!("the first run: {} ready", run(&workspace, &path, 2).await?);
    println!("the second run: {} ready", run(&workspace, &path, usize::MAX).await?);
    // The second run created no second connector for any number.
    assert_eq!(sandbox.connectors().len(), 10);
    Ok(())
}
