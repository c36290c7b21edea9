//! Tests a service without Bird, with a paused clock: `cargo run -p bird-sms --example testing`.

use std::error::Error;
use std::time::Duration;

use bird_sandbox::Sandbox;
use bird_sms::{AccessKey, ChannelId, Client, ConnectorState, PhoneNumberId, Workspace};

/// The code under test.
async fn onboard(workspace: &Workspace, number: PhoneNumberId) -> Result<ChannelId, String> {
    match workspace.install_sms_channel("Onboarding", number).await {
        Ok(channel) => Ok(channel.id),
        Err(error) => Err(match error.connector_state() {
            ConnectorState::NotCreated => "retry".to_owned(),
            ConnectorState::Exists(id) => format!("continue with {id}"),
            ConnectorState::Unknown | ConnectorState::ExistsIdUnknown => {
                "ask an operator".to_owned()
            }
        }),
    }
}

// In a test: `#[tokio::test(start_paused = true)]`. With a paused clock, a minute passes as soon as nothing else is to
// do.
#[tokio::main(flavor = "current_thread", start_paused = true)]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    for (fault, expected) in [
        (None, None),
        // Bird's own error, after which a retry is safe.
        (Some("post:503"), None),
        // The connection is lost after the request: a connector may exist.
        (Some("post:reset"), Some("ask an operator")),
    ] {
        let mut sandbox = Sandbox::builder().provisioning_delay(Duration::from_secs(60));
        if let Some(fault) = fault {
            sandbox = sandbox.fault(fault.parse()?);
        }
        let sandbox = sandbox.start().await?;
        let workspace = Client::builder()
            .access_key(AccessKey::new(sandbox.access_key())?)
            .base_url(sandbox.base_url())
            .build()?
            .workspace(sandbox.workspace_id().into());
        let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
        let result = onboard(&workspace, number).await;
        println!("{fault:?}: {result:?} after {} POSTs", sandbox.post_count());
        assert_eq!(result.err().as_deref(), expected);
        sandbox.shutdown().await;
    }
    Ok(())
}
