//! Helpers of the tests.
#![allow(dead_code, reason = "each test binary uses some of them")]

use std::time::Duration;

use bird_sandbox::{Builder, Sandbox};
use bird_test_peer::fixtures;
pub use bird_test_peer::fixtures::PHONE_NUMBER_ID;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

/// Returns a builder of a sandbox without a provisioning delay.
pub fn sandbox() -> Builder {
    Sandbox::builder().provisioning_delay(Duration::ZERO)
}

/// Returns an HTTP client. When bird-sms is built too, reqwest has TLS without a provider and needs one even
/// for HTTP.
pub fn client() -> Client {
    // An error says that another test has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

/// Returns the body of a POST.
pub fn create_request(phone_number_id: &str) -> Value {
    fixtures::create_request(phone_number_id).parse().unwrap()
}

pub fn connectors_url(sandbox: &Sandbox) -> String {
    format!("{}/workspaces/{}/connectors", sandbox.base_url(), sandbox.workspace_id())
}

pub fn with_key(request: RequestBuilder, sandbox: &Sandbox) -> RequestBuilder {
    request.header("authorization", format!("AccessKey {}", sandbox.access_key()))
}

pub fn post(client: &Client, sandbox: &Sandbox, body: &Value) -> RequestBuilder {
    with_key(client.post(connectors_url(sandbox)), sandbox).json(body)
}

pub fn get(client: &Client, sandbox: &Sandbox, id: &str) -> RequestBuilder {
    with_key(client.get(format!("{}/{id}", connectors_url(sandbox))), sandbox)
}

pub async fn json_of(response: Response) -> Value {
    response.json().await.unwrap()
}
