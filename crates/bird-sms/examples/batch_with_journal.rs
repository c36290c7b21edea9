//! Installs many channels with a journal in a file, is stopped in the middle, and resumes:
//! `cargo run -p bird-sms --example batch_with_journal`.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use bird_sms::uuid::Uuid;
use bird_sms::{
    BatchItem, Journal, JournalEntry, JournalFuture, JournalState, PhoneNumberId,
    SmsConnectorRequest, Workspace,
};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

mod sandbox;

/// A file with a JSON object on each line. The file of the command `bird-sms batch` has a checksum in each line, too.
struct JournalFile(Mutex<File>);

#[derive(Serialize, Deserialize)]
struct Line {
    phone_number_id: PhoneNumberId,
    #[serde(flatten)]
    entry: JournalEntry,
}

impl Journal for JournalFile {
    fn append<'a>(
        &'a self,
        request: &'a SmsConnectorRequest,
        entry: JournalEntry,
    ) -> JournalFuture<'a> {
        Box::pin(async move {
            let line = Line { phone_number_id: request.phone_number_id(), entry };
            let mut file = self.0.lock().unwrap();
            // One write for each line, and on disk before the next step is taken.
            file.write_all(format!("{}\n", serde_json::to_string(&line)?).as_bytes())?;
            file.sync_data()
        })
    }
}

/// Reads what earlier runs did.
fn read(path: &Path) -> io::Result<JournalState> {
    let mut state = JournalState::default();
    for line in std::fs::read_to_string(path)?.lines() {
        let line: Line = serde_json::from_str(line)?;
        state.apply(line.phone_number_id, &line.entry, None);
    }
    Ok(state)
}

/// Installs what is missing, and returns the number of channels that are ready. Stops after `limit` outcomes.
async fn run(workspace: &Workspace, path: &Path, limit: usize) -> io::Result<usize> {
    let file = File::options().create(true).append(true).open(path)?;
    let state = read(path)?;
    workspace.add_provisioning_times(state.provisioning_times());
    let items = (1..=10).map(move |n| {
        let number = Uuid::from_u128(n).into();
        let request = SmsConnectorRequest::new(format!("SMS {n}"), number);
        BatchItem::resume(request, state.row(number))
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let mut stop = Some(stop);
    let mut outcomes = workspace
        .install_sms_channels(items)
        .concurrency(3)
        .journal(JournalFile(Mutex::new(file)))
        .with_graceful_shutdown(async { stopped.await.unwrap_or_default() })
        .start();
    let (mut ended, mut ready) = (0, 0);
    while let Some(outcome) = outcomes.next().await {
        ended += 1;
        match outcome.result {
            Ok(channel) => {
                ready += 1;
                println!("{}: {}", outcome.request.phone_number_id(), channel.id);
            }
            Err(error) => println!("{}: {error}", outcome.request.phone_number_id()),
        }
        if ended == limit {
            // POSTs in flight are awaited. Nothing else is sent.
            stop.take();
        }
    }
    Ok(ready)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let (sandbox, workspace) = sandbox::start(&[]).await?;
    let path =
        std::env::temp_dir().join(format!("journal-{}.jsonl", Uuid::from_u128(fastrand::u128(..))));
    println!("the first run: {} ready", run(&workspace, &path, 2).await?);
    println!("the second run: {} ready", run(&workspace, &path, usize::MAX).await?);
    // Each number was created once, whatever the first run had done.
    assert_eq!(sandbox.connectors().len(), 10);
    std::fs::remove_file(&path)?;
    Ok(())
}
