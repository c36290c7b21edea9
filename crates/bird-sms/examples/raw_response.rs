//! Prints the response to a GET byte for byte, even if this version cannot decode it. The path is relative to the workspace:
//!
//! ```sh
//! cargo run -p bird-sms --example raw_response -- connectors/CONNECTOR_ID
//! cargo run -p bird-sms --example raw_response -- numbers-long-code?limit=99
//! ```
//!
//! The example reads `BIRD_ACCESS_KEY` and `BIRD_WORKSPACE_ID`, and `BIRD_API_URL` if that is set. It sends one GET.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use bird_sms::reqwest::header::{ACCEPT, HeaderValue};
use bird_sms::reqwest::{Method, Request};
use bird_sms::{Client, WorkspaceId};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let workspace: WorkspaceId = std::env::var("BIRD_WORKSPACE_ID")?.parse()?;
    let client = Client::from_env()?;
    let path = std::env::args().nth(1).ok_or("give a path, such as connectors/CONNECTOR_ID")?;
    let url = format!("{}/workspaces/{workspace}/{path}", client.base_url());
    let mut request = Request::new(Method::GET, url.parse()?);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let response = client.raw().exchange(request, Duration::from_secs(30)).await?;
    if !response.status.is_success() {
        return Err(format!("the API responded with {}", response.status).into());
    }
    std::io::stdout().write_all(&response.body)?;
    Ok(())
}
