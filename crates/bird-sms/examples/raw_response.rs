//! Prints the response to the GET of a connector byte for byte, even if this version cannot decode it. Without an id,
//! prints the first page of the list of connectors:
//!
//! ```sh
//! cargo run -p bird-sms --example raw_response -- CONNECTOR_ID
//! cargo run -p bird-sms --features list-connectors --example raw_response
//! ```
//!
//! The example reads `BIRD_ACCESS_KEY`, `BIRD_WORKSPACE_ID` and, if it is set, `BIRD_API_URL`, and sends one GET.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use bird_sms::{Client, ConnectorId, WorkspaceId};
use reqwest::Request;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let workspace: WorkspaceId = std::env::var("BIRD_WORKSPACE_ID")?.parse()?;
    let client = Client::from_env()?;
    let request = match std::env::args().nth(1) {
        Some(id) => {
            let id: ConnectorId = id.parse()?;
            client.raw().get_connector_request(workspace.as_uuid(), id.as_uuid())?
        }
        None => list_request(&client, workspace)?,
    };
    let response = client.raw().exchange(request, Duration::from_secs(30)).await?;
    if !response.status.is_success() {
        return Err(format!("the API responded with {}", response.status).into());
    }
    std::io::stdout().write_all(&response.body)?;
    Ok(())
}

#[cfg(feature = "list-connectors")]
fn list_request(client: &Client, workspace: WorkspaceId) -> Result<Request, Box<dyn Error>> {
    use bird_api::{ClientInfo, list_connectors};

    let raw = client.raw();
    let http = (raw.client().clone(), raw.inner().clone());
    let list = list_connectors::Client::new_with_client(raw.baseurl(), http.0, http.1);
    Ok(list.list_connectors_request(workspace.as_uuid(), Some(99), None, None)?)
}

#[cfg(not(feature = "list-connectors"))]
fn list_request(_: &Client, _: WorkspaceId) -> Result<Request, Box<dyn Error>> {
    Err("give the id of a connector, or build the example with the feature list-connectors".into())
}
