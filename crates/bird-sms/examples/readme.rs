//! The Rust code of the README, which quotes this file: `cargo run -p bird-sms --example readme`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use bird_sandbox::Sandbox;
use bird_sms::uuid::Uuid;
use bird_sms::{
    AccessKey, Client, ConnectorState, FileJournal, PhoneNumberId, SmsConnectorRequest, UseCaseId,
    Workspace,
};

#[expect(dead_code, reason = "needs an account, so it is only compiled")]
async fn install(
    phone_number_id: PhoneNumberId,
    use_case_id: UseCaseId,
) -> Result<(), Box<dyn Error>> {
    // [install]
    let workspace = Workspace::from_env()?; // BIRD_ACCESS_KEY and BIRD_WORKSPACE_ID
    let install = workspace.install_sms_channel("My SMS channel", phone_number_id);
    match install.use_case_id(use_case_id).await {
        Ok(channel) => println!("channel {} is ready", channel.id),
        Err(error) => match error.connector_state() {
            ConnectorState::NotCreated => eprintln!("no connector: {}", error.chain()),
            ConnectorState::Exists(id) => eprintln!("wait for {id}: {}", error.chain()),
            state => eprintln!("{state:?}, so don't call again: {}", error.chain()),
        },
    }
    // [/install]
    Ok(())
}

async fn batch(
    workspace: &Workspace,
    requests: Vec<SmsConnectorRequest>,
    path: &Path,
) -> Result<(), Box<dyn Error>> {
    // [batch]
    let journal = Arc::new(FileJournal::open(path, workspace)?);
    let mut outcomes = workspace.install_sms_channels(requests).journal(journal).start();
    while let Some(outcome) = outcomes.next().await {
        let number = outcome.request.phone_number_id();
        match outcome.result {
            Ok(channel) => println!("{number}: {}", channel.id),
            Err(error) => eprintln!("{number}: {}", error.chain()),
        }
    }
    // [/batch]
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let number = |n| PhoneNumberId::from(Uuid::from_u128(n));
    // [sandbox]
    let sandbox = Sandbox::builder().fault("post:lost".parse()?).in_memory();
    let client = Client::builder()
        .access_key(AccessKey::new(sandbox.access_key())?)
        .transport(sandbox.transport())
        .build()?;
    let workspace = client.workspace(sandbox.workspace_id().into());
    // The response to the POST is lost. The install finds the connector, and creates no second one.
    workspace.install_sms_channel("Test", number(1)).await?;
    assert_eq!(sandbox.connectors().len(), 1);
    // [/sandbox]
    let folder = tempfile::tempdir()?;
    let requests = (2..5).map(|n| SmsConnectorRequest::new(format!("SMS {n}"), number(n)));
    batch(&workspace, requests.collect(), &folder.path().join("channels.jsonl")).await?;
    assert_eq!(sandbox.connectors().len(), 4);
    Ok(())
}
