//! A sandbox in the same process, and its workspace, for the examples.

use std::error::Error;
use std::time::Duration;

use bird_sandbox::{Fault, Sandbox};
use bird_sms::{AccessKey, Client, Workspace};

/// Starts a sandbox with these faults, and returns it with its workspace. The sandbox runs until it is dropped.
///
/// Your own program uses `Workspace::from_env()` instead.
pub async fn start(faults: &[&str]) -> Result<(Sandbox, Workspace), Box<dyn Error>> {
    let faults =
        faults.iter().map(|fault| fault.parse::<Fault>()).collect::<Result<Vec<_>, _>>()?;
    let delay = Duration::from_millis(100);
    let sandbox = Sandbox::builder().provisioning_delay(delay).faults(faults).start().await?;
    let client = Client::builder()
        .access_key(AccessKey::new(sandbox.access_key())?)
        .base_url(sandbox.base_url())
        .build()?;
    let workspace = client.workspace(sandbox.workspace_id().into());
    Ok((sandbox, workspace))
}
