//! Creates a connector, stores its id, and waits for its channel in "another process":
//! `cargo run -p bird-sms --example two_steps`.

use std::error::Error;

use bird_sms::{ConnectorId, SmsConnectorRequest};

mod sandbox;

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let (_sandbox, workspace) = sandbox::start(&[]).await?;
    let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
    // A request can come from a job queue, because it serializes to JSON.
    let job = serde_json::to_string(&SmsConnectorRequest::new("My SMS channel", number))?;

    // The first process creates the connector, and must store its id.
    let request: SmsConnectorRequest = serde_json::from_str(&job)?;
    let mut pending = workspace.create_sms_connector(&request).await?;
    let stored = pending.connector_id().to_string();
    println!("connector {stored}");
    // A program with its own scheduler can make single polls.
    println!("ready after one poll: {}", pending.poll().await?.is_some());
    drop(pending);

    // Another process resumes from the id.
    let connector_id: ConnectorId = stored.parse()?;
    let channel = workspace.pending_channel(connector_id).wait().await?;
    println!("{}", serde_json::to_string_pretty(&channel)?);
    Ok(())
}
