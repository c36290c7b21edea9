//! The Rust code of the README, which is derived from this file. The code compiles, and is not meant to be run.

#![allow(dead_code, reason = "the code is shown, and is not run")]

use std::sync::{Arc, Mutex};

use bird_sms::{ConnectorId, Journal, PhoneNumberId, SmsConnectorRequest, UseCaseId, Workspace};

async fn install(
    phone_number_id: PhoneNumberId,
    use_case_id: UseCaseId,
) -> Result<(), Box<dyn std::error::Error>> {
    // [install]
    let workspace = bird_sms::Workspace::from_env()?; // BIRD_ACCESS_KEY and BIRD_WORKSPACE_ID
    let channel = workspace
        .install_sms_channel("My SMS channel", phone_number_id)
        .use_case_id(use_case_id)
        .await?;
    println!("{}", channel.id);
    // [/install]
    Ok(())
}

struct Database(Mutex<Vec<ConnectorId>>);

impl Database {
    fn save(&self, id: ConnectorId) {
        self.0.lock().unwrap().push(id);
    }
}

async fn in_two_steps(
    workspace: Workspace,
    request: SmsConnectorRequest,
    db: Database,
    connector_id: ConnectorId,
) -> Result<(), Box<dyn std::error::Error>> {
    // [two-steps]
    let pending = workspace.create_sms_connector(&request).await?; // the connector exists now
    db.save(pending.connector_id());
    let channel = pending.wait().await?;

    // in another process
    let same_channel = workspace.pending_channel(connector_id).wait().await?;
    // [/two-steps]
    assert_eq!(channel, same_channel);
    Ok(())
}

async fn batch(
    workspace: Workspace,
    requests: Vec<SmsConnectorRequest>,
    journal: Arc<dyn Journal>,
) {
    // [batch]
    let batch = workspace.install_sms_channels(requests).journal(journal);
    let mut outcomes = batch.start();
    while let Some(outcome) = outcomes.next().await {
        match outcome.result {
            Ok(channel) => println!("{}: {}", outcome.request.phone_number_id(), channel.id),
            Err(error) => eprintln!("{}: {error}", outcome.request.phone_number_id()),
        }
    }
    // [/batch]
}

fn main() {}
