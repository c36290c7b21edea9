//! A service that installs channels in the background: `cargo run -p bird-sms --example axum_service`.
//!
//! `POST /channels` responds as soon as the connector exists, with its id, and a task waits for the channel. `GET
//! /channels/{connector_id}` responds with the channel when it is ready.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use bird_sms::{ConnectorId, ConnectorState, PendingChannel, SmsConnectorRequest, Workspace};
use serde_json::{Value, json};

mod sandbox;

#[derive(Clone)]
struct Service {
    workspace: Workspace,
    /// In a real service a table of a database. Rows without a channel are resumed with
    /// [`Workspace::pending_channel`] when the service starts.
    channels: Arc<Mutex<HashMap<ConnectorId, Option<Value>>>>,
}

impl Service {
    fn store(&self, id: ConnectorId, channel: Option<Value>) {
        self.channels.lock().unwrap().insert(id, channel);
    }

    /// Waits for the channel in a task of its own, which a client that disconnects does not cancel.
    fn wait_in_background(self, pending: PendingChannel) {
        let id = pending.connector_id();
        tokio::spawn(async move {
            match pending.wait().await {
                Ok(channel) => self.store(id, Some(json!(channel))),
                // The row stays as it is: the connector exists, and the wait can be repeated.
                Err(error) => eprintln!("{}", error.chain()),
            }
        });
    }
}

async fn install(
    State(service): State<Service>,
    Json(request): Json<SmsConnectorRequest>,
) -> (StatusCode, Json<Value>) {
    // A task, because a creation must not be cancelled while its POST is in flight.
    let workspace = service.workspace.clone();
    let created = tokio::spawn(async move { workspace.create_sms_connector(&request).await });
    match created.await.expect("the creation does not panic") {
        Ok(pending) => {
            let id = pending.connector_id();
            service.store(id, None);
            service.wait_in_background(pending);
            (StatusCode::ACCEPTED, Json(json!({ "connectorId": id })))
        }
        Err(error) => {
            let status = match error.connector_state() {
                ConnectorState::NotCreated if error.is_retryable() => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                ConnectorState::NotCreated => StatusCode::UNPROCESSABLE_ENTITY,
                // Nobody may retry this: a connector may exist.
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, Json(json!(error)))
        }
    }
}

async fn channel(
    State(service): State<Service>,
    Path(id): Path<ConnectorId>,
) -> (StatusCode, Json<Value>) {
    match service.channels.lock().unwrap().get(&id).cloned() {
        Some(Some(channel)) => (StatusCode::OK, Json(channel)),
        Some(None) => (StatusCode::ACCEPTED, Json(json!({ "connectorId": id }))),
        None => (StatusCode::NOT_FOUND, Json(json!({}))),
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let (_sandbox, workspace) = sandbox::start(&[]).await?;
    let app = Router::new()
        .route("/channels", post(install))
        .route("/channels/{connector_id}", get(channel))
        .with_state(Service { workspace, channels: Arc::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/channels", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    // A client of the service.
    let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
    let request = SmsConnectorRequest::new("My SMS channel", number);
    let http = reqwest::Client::new();
    let accepted = http.post(&url).json(&request).send().await?;
    println!("{}", accepted.status());
    let connector: Value = accepted.json().await?;
    // The sandbox, as Bird, has one connector for a phone number.
    let refused = http.post(&url).json(&request).send().await?;
    println!("{} {}", refused.status(), refused.text().await?);
    let url = format!("{url}/{}", connector["connectorId"].as_str().unwrap_or_default());
    loop {
        let response = http.get(&url).send().await?;
        println!("{}", response.status());
        if response.status() != StatusCode::ACCEPTED {
            println!("{}", response.text().await?);
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
