//! Prints the response to the GET of a connector byte for byte, even if this version cannot decode it:
//!
//! ```sh
//! cargo run -p bird-sms --example raw_response -- CONNECTOR_ID
//! ```
//!
//! The example reads `BIRD_ACCESS_KEY`, `BIRD_WORKSPACE_ID` and, if it is set, `BIRD_API_URL`, and sends one GET.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use bird_sms::{Client, ConnectorId, WorkspaceId};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let workspace: WorkspaceId = std::env::var("BIRD_WORKSPACE_ID")?.parse()?;
    let client = Client::from_env()?;
    let id: ConnectorId = std::env::args().nth(1).ok_or("give the id of a connector")?.parse()?;
    let request = client.raw().get_connector_request(workspace.as_uuid(), id.as_uuid())?;
    let response = client.raw().exchange(request, Duration::from_secs(30)).await?;
    if !response.status.is_success() {
        return Err(format!("the API responded with {}", response.status).into());
    }
    std::io::stdout().write_all(&response.body)?;
    Ok(())
}
