//! What the tests share.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::time::Duration;

use bird_sandbox::{Builder, Sandbox};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

pub const PHONE_NUMBER: &str = "2cffb55c-120e-91a8-8f10-ed9d1b412d29";

/// A sandbox whose channels are there at once, to be changed by the test.
pub fn sandbox() -> Builder {
    Sandbox::builder().provisioning_delay(Duration::ZERO)
}

/// Built along with bird-sms, reqwest has TLS without a provider and asks for one even for plain HTTP.
pub fn client() -> Client {
    // An error says that another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

pub fn connector(phone_number: &str) -> Value {
    json!({
        "connectorTemplateRef": "sms-messagebird:1",
        "name": "My SMS channel",
        "arguments": { "phoneNumberId": phone_number },
    })
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
