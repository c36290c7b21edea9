//! A client that a user might write from Bird's documentation, with reqwest, serde, and structs with all fields.
//! It has no rate limits, typed errors or retries.

#![expect(dead_code, clippy::struct_field_names, reason = "the structs follow the documentation")]

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An HTTP client with its base URL and access key.
pub struct HandWritten {
    http: reqwest::Client,
    url: String,
    key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreateConnector {
    connector_template_ref: String,
    name: String,
    arguments: Arguments,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Arguments {
    phone_number_id: String,
    use_case_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connector {
    id: String,
    workspace_id: Option<String>,
    routing_key: Option<String>,
    name: String,
    region: Option<String>,
    description: Option<String>,
    arguments: Option<serde_json::Value>,
    channel: Option<Channel>,
    number: Option<Number>,
    connector_template_slug: Option<String>,
    connector_template_ref: Option<String>,
    data_fetching: Option<DataFetching>,
    data_capture: Option<DataCapture>,
    created_at: String,
    updated_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Channel {
    channel_id: Option<String>,
    platform: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Number {
    profile_id: Option<String>,
    number_id: Option<String>,
    phone_number: Option<String>,
    capabilities: Option<String>,
    number_type: Option<String>,
    endpoint_type: Option<String>,
    country: Option<String>,
    profile_attachments: Option<Vec<ProfileAttachment>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProfileAttachment {
    capability: Option<String>,
    profile_id: Option<String>,
    variables: Option<Variables>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Variables {
    connector_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataFetching {
    schedule: Option<String>,
    streams: Option<Vec<DataStream>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataStream {
    event_name: Option<String>,
    stream_name: Option<String>,
    event_stream_name: Option<String>,
    filter: Option<String>,
    initial_state: Option<String>,
    end_condition: Option<String>,
    incremental: Option<bool>,
    duplicates_filter_capacity: Option<i64>,
    cursor_field: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataCapture {
    capture_endpoint: Option<String>,
}

impl HandWritten {
    /// Returns a client for the server at `url`.
    #[must_use]
    pub fn new(http: reqwest::Client, url: &str, key: &str) -> Self {
        Self { http, url: url.to_owned(), key: key.to_owned() }
    }

    /// Installs a channel and returns its id.
    pub async fn install(
        &self,
        workspace: &str,
        name: &str,
        number: &str,
        use_case: &str,
    ) -> Result<String, reqwest::Error> {
        let url = format!("{}/workspaces/{workspace}/connectors", self.url);
        let body = CreateConnector {
            connector_template_ref: "sms-messagebird:1".to_owned(),
            name: name.to_owned(),
            arguments: Arguments {
                phone_number_id: number.to_owned(),
                use_case_id: Some(use_case.to_owned()),
            },
        };
        let request = self
            .http
            .post(&url)
            .header("Authorization", format!("AccessKey {}", self.key))
            .header("Accept", "application/json")
            .json(&body);
        let connector: Connector = request.send().await?.error_for_status()?.json().await?;
        for _ in 0..60 {
            let request = self
                .http
                .get(format!("{url}/{}", connector.id))
                .header("Authorization", format!("AccessKey {}", self.key))
                .header("Accept", "application/json");
            let connector: Connector = request.send().await?.error_for_status()?.json().await?;
            if let Some(id) = connector.channel.and_then(|channel| channel.channel_id) {
                return Ok(id);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("the channel is not ready after a minute")
    }
}
