//! Tests a client generated from parts of `OpenAPI` that Bird's contracts do not use.

use std::time::Duration;

use bird_api::RequestContext;
use bird_test_peer::{Peer, Reply};
use client::types::{Item, ItemColor, NewItem, NewItemLogin};
use reqwest::header::HeaderValue;
use serde_json::json;

#[expect(clippy::struct_field_names, dead_code, reason = "generated, and used in part")]
mod client {
    include!("generator/client.rs");
}

impl progenitor_client::ClientHooks<RequestContext> for client::Client {}

fn http_client() -> reqwest::Client {
    // bird-sms enables rustls in reqwest without a crypto provider, so a test must install one, even for HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

fn context() -> RequestContext {
    RequestContext::new(HeaderValue::from_static("AccessKey hidden"))
}

fn put(base: &str, key: Option<&str>) -> reqwest::Result<reqwest::Request> {
    let client = client::Client::new_with_client(base, http_client(), context());
    let item = NewItem::new("n".into(), "p".into());
    client.put_item_request(7, key, &uuid::Uuid::nil(), &item)
}

#[test]
fn header_parameters_become_request_headers() {
    let request = put(client::Client::DEFAULT_BASE_URL, Some("one")).unwrap();
    assert_eq!(request.url().as_str(), "https://one.example/items/7");
    assert_eq!(request.headers()["Idempotency-Key"], "one");
    assert_eq!(request.headers()["X-Trace"], "00000000-0000-0000-0000-000000000000");
    let request = put(client::Client::DEFAULT_BASE_URL, None).unwrap();
    assert!(!request.headers().contains_key("Idempotency-Key"));
    let error = put(client::Client::DEFAULT_BASE_URL, Some("two\nlines")).unwrap_err();
    assert!(error.is_builder());
}

#[tokio::test]
async fn an_exchange_sends_header_parameters() {
    let peer = Peer::script([Reply::status(204)]).await.unwrap();
    let base = peer.base_url();
    let client = bird_api::Client::new_with_client(&base, http_client(), context());
    let response = client.exchange(put(&base, Some("one")).unwrap(), Duration::from_secs(60)).await;
    assert_eq!(response.unwrap().status, 204);
    let headers = &peer.requests()[0].headers;
    for (name, value) in [("idempotency-key", "one"), ("authorization", "AccessKey hidden")] {
        assert!(headers.contains(&(name.to_owned(), value.to_owned())), "{headers:?}");
    }
}

#[test]
fn a_default_value_is_not_sent() {
    let item = NewItem::new("n".into(), "p".into());
    assert_eq!(serde_json::to_value(&item).unwrap(), json!({"name": "n", "password": "p"}));
}

#[test]
fn secrets_are_redacted_at_every_level() {
    let mut item = NewItem::new("visible".into(), "hidden".into());
    item.note = Some("hidden".into());
    let login = json!({"token": "hidden"});
    item.login = Some(serde_json::from_value::<NewItemLogin>(login).unwrap());
    let shown = format!("{item:?}");
    assert!(shown.contains("visible") && !shown.contains("hidden"), "{shown}");
}

#[test]
fn a_response_beyond_the_documented_limits_decodes() {
    let item =
        json!({"parent": null, "level": 3, "color": "blue", "day": "soon", "tags": ["a", "b"]});
    let item: Item = serde_json::from_value(item).unwrap();
    assert_eq!((item.parent, item.level), (None, 3));
    assert_eq!(item.color, Some(ItemColor::Unknown("blue".into())));
    let item =
        json!({"parent": {"id": "a"}, "level": 1, "color": null, "tags": null, "size": "tiny"});
    let item: Item = serde_json::from_value(item).unwrap();
    assert_eq!((item.color, item.tags, item.since), (None, None, None::<jiff::Timestamp>));
    assert_eq!(item.size.unwrap().to_string(), "tiny");
}
