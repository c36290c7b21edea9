//! Each fault, as a client sees it.

mod common;

use std::io::ErrorKind;
use std::time::Duration;

use bird_sandbox::{Fault, Sandbox};
use common::{PHONE_NUMBER_ID, client, create_request, get, post, sandbox};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn with(fault: &str) -> Sandbox {
    sandbox().fault(fault.parse().unwrap()).start().await.unwrap()
}

/// Sends a valid POST over a new connection and reads to its end.
async fn raw_post(sandbox: &Sandbox) -> std::io::Result<Vec<u8>> {
    let body = create_request(PHONE_NUMBER_ID).to_string();
    let address = sandbox.base_url()["http://".len()..].to_owned();
    let request = format!(
        "POST /workspaces/{}/connectors HTTP/1.1\r\nhost: {address}\r\nauthorization: AccessKey {}\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        sandbox.workspace_id(),
        sandbox.access_key(),
        body.len(),
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await?;
    Ok(response)
}

#[tokio::test]
async fn a_status_is_sent_the_given_number_of_times_and_nothing_is_created() {
    let sandbox = with("post:503x2").await;
    let client = client();
    for _ in 0..2 {
        let response =
            post(&client, &sandbox, &create_request(PHONE_NUMBER_ID)).send().await.unwrap();
        assert_eq!(response.status(), 503);
        assert!(response.headers().contains_key("x-request-id"));
        assert!(response.json::<Value>().await.unwrap()["code"].is_string());
        assert!(sandbox.connectors().is_empty());
    }
    let response = post(&client, &sandbox, &create_request(PHONE_NUMBER_ID)).send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(sandbox.post_count(), 3);
}

#[tokio::test]
async fn a_fault_can_pass_requests_first() {
    let sandbox = with("get:500@2").await;
    let client = client();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(get(&client, &sandbox, "x").send().await.unwrap().status().as_u16());
    }
    assert_eq!(seen, [400, 400, 500, 400]);
}

#[tokio::test]
async fn a_429_has_a_retry_after() {
    let sandbox = with("get:429").await;
    let response = get(&client(), &sandbox, "x").send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"1".parse().unwrap())
    );
}

#[tokio::test]
async fn a_reset_resets_the_connection_and_creates_nothing() {
    let sandbox = with("post:reset").await;
    let error = raw_post(&sandbox).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(sandbox.connectors().is_empty());
    assert_eq!(sandbox.requests()[0].status, None);
    assert!(raw_post(&sandbox).await.unwrap().starts_with(b"HTTP/1.1 201 "));
}

#[tokio::test]
async fn a_lost_response_ends_the_connection_and_the_connector_exists() {
    let sandbox = with("post:lost").await;
    assert_eq!(raw_post(&sandbox).await.unwrap(), b"");
    assert_eq!(sandbox.connectors().len(), 1);
    assert_eq!(sandbox.requests()[0].status, None);
    assert!(raw_post(&sandbox).await.unwrap().starts_with(b"HTTP/1.1 409 "));
}

#[tokio::test]
async fn garbage_is_a_success_with_a_body_that_is_not_json() {
    let sandbox = with("post:garbage").await;
    let response =
        post(&client(), &sandbox, &create_request(PHONE_NUMBER_ID)).send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert!(serde_json::from_slice::<Value>(&response.bytes().await.unwrap()).is_err());
    assert_eq!(sandbox.connectors().len(), 1);
}

#[tokio::test]
async fn a_hang_sends_no_response_and_does_not_block_a_shutdown() {
    let sandbox = with("post:hang").await;
    let request = tokio::time::timeout(Duration::from_millis(50), raw_post(&sandbox));
    request.await.unwrap_err();
    assert!(sandbox.connectors().is_empty());
    assert_eq!((sandbox.post_count(), sandbox.requests()[0].status), (1, None));

    let sandbox = with("post:hang").await;
    let client = client();
    let hanging = tokio::spawn(post(&client, &sandbox, &create_request(PHONE_NUMBER_ID)).send());
    while sandbox.post_count() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::timeout(Duration::from_secs(10), sandbox.shutdown()).await.unwrap();
    hanging.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn random_faults_hit_the_same_requests_for_the_same_seed() {
    async fn run() -> Vec<Option<u16>> {
        let sandbox = sandbox().fault(Fault::random(7, 50)).start().await.unwrap();
        let client = client();
        for _ in 0..20 {
            // Without pooling, because the client repeats a GET when its pooled connection breaks.
            let request = get(&client, &sandbox, "x").header("connection", "close");
            let _ = request.send().await;
        }
        sandbox.requests().iter().map(|request| request.status).collect()
    }
    let first = run().await;
    assert_eq!(first, run().await);
    let failed = first.iter().filter(|status| **status != Some(400)).count();
    assert!((1..20).contains(&failed), "{first:?}");
}
