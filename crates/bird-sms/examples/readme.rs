//! The Rust code of the README, which is derived from this file. It compiles, but is not meant to be run.

#![allow(dead_code, reason = "the code is shown, and is not run")]

use std::sync::Arc;

use bird_sms::{Journal, PhoneNumberId, SmsConnectorRequest, UseCaseId, Workspace};

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

async fn with_a_journal(
    workspace: Workspace,
    request: SmsConnectorRequest,
    journal: Arc<dyn Journal>,
) -> Result<(), Box<dyn std::error::Error>> {
    // [journal]
    let channel = workspace.install(request).journal(journal).await?;
    // [/journal]
    println!("{}", channel.id);
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
            Err(error) => eprintln!("{}: {}", outcome.request.phone_number_id(), error.chain()),
        }
    }
    // [/batch]
}

fn main() {}
