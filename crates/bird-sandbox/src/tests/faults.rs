//! Tests faults over HTTP.

use super::*;

#[tokio::test]
async fn a_status_fault_repeats_as_specified_and_creates_nothing() {
    let api = Api::with_fault("post:503x2").await;
    for expected in [503, 503, 201] {
        assert!(api.sandbox.connectors().is_empty());
        assert_eq!(api.post(&valid()).await.0, expected);
    }
    assert_eq!(api.sandbox.post_count(), 3);
}

#[tokio::test]
async fn the_first_of_several_matching_faults_is_injected() {
    let faults = ["post:503", "get:501", "get:503x2"].map(|fault| fault.parse().unwrap());
    let api = Api::start(immediate().faults(faults)).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(api.get("x").await.0);
    }
    assert_eq!(seen, [501, 503, 503, 404]);
}

#[tokio::test]
async fn a_reset_resets_the_connection_and_creates_nothing() {
    let api = Api::with_fault("post:reset").await;
    assert_eq!(api.raw_post().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(api.sandbox.connectors().is_empty());
    assert_eq!(api.sandbox.requests()[0].status, None);
    assert!(api.raw_post().await.unwrap().starts_with(b"HTTP/1.1 201 "));
}

#[tokio::test]
async fn the_connector_exists_after_a_lost_response() {
    let api = Api::with_fault("post:lost").await;
    assert_eq!(api.raw_post().await.unwrap(), b"");
    assert_eq!(api.sandbox.connectors().len(), 1);
    assert_eq!(api.sandbox.requests()[0].status, None);
    assert!(api.raw_post().await.unwrap().starts_with(b"HTTP/1.1 409 "));
}

#[tokio::test]
async fn garbage_is_a_success_with_a_body_that_is_not_json() {
    let api = Api::with_fault("post:garbage").await;
    let response = String::from_utf8(api.raw_post().await.unwrap()).unwrap();
    assert!(
        response.starts_with("HTTP/1.1 201 ") && response.ends_with("{\"garbage"),
        "{response}"
    );
    assert_eq!(api.sandbox.connectors().len(), 1);
}

#[tokio::test]
async fn the_connector_exists_after_a_cut_response() {
    let api = Api::with_fault("post:cut").await;
    let response = String::from_utf8(api.raw_post().await.unwrap()).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 201 ") && body.contains("{\"arguments"), "{response}");
    // A complete body would end with an empty chunk.
    assert!(!body.ends_with("0\r\n\r\n"), "{response}");
    assert_eq!(api.sandbox.connectors().len(), 1);
}

#[tokio::test]
async fn a_request_with_a_delayed_response_is_processed_at_once() {
    let api = Api::start(immediate().response_delay(Duration::from_secs(3600))).await;
    timeout(Duration::from_millis(50), api.raw_post()).await.unwrap_err();
    assert_eq!(api.sandbox.connectors().len(), 1);
}

#[tokio::test]
async fn a_hang_sends_no_response_and_does_not_block_a_shutdown() {
    let api = Api::with_fault("post:hang").await;
    timeout(Duration::from_millis(50), api.raw_post()).await.unwrap_err();
    assert!(api.sandbox.connectors().is_empty());
    assert_eq!((api.sandbox.post_count(), api.sandbox.requests()[0].status), (1, None));

    let api = Api::with_fault("post:hang").await;
    let request = api.request(Method::POST, &api.connectors());
    let hanging = tokio::spawn(request.json(&valid()).send());
    while api.sandbox.post_count() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    timeout(Duration::from_secs(10), api.sandbox.shutdown()).await.unwrap();
    hanging.await.unwrap().unwrap_err();
}
