//! Tests the requests that the client builds for the operations of the API.

use bird_api::types::CreateConnectorReq;
use bird_api::{Client, RequestContext};
use reqwest::header::{ACCEPT, HeaderValue};

fn client() -> Client {
    let key = HeaderValue::from_static("AccessKey hidden");
    client_of("https://api.example", RequestContext::new(key))
}

fn client_of(base: &str, context: RequestContext) -> Client {
    // bird-sms enables rustls in reqwest without a crypto provider, so a test must install one, even for HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new_with_client(base, reqwest::Client::new(), context)
}

#[test]
fn creating_a_connector_posts_to_its_workspace() {
    let workspace = "a1405560-c8d3-4b1a-877d-3f449ad95352".parse().unwrap();
    let body = CreateConnectorReq::new("n".into());
    let request = client().create_connector_request(&workspace, &body).unwrap();
    assert_eq!(request.method(), "POST");
    assert_eq!(
        request.url().as_str(),
        "https://api.example/workspaces/a1405560-c8d3-4b1a-877d-3f449ad95352/connectors"
    );
    assert_eq!(request.headers()[ACCEPT], "application/json");
    assert_eq!(request.body().unwrap().as_bytes().unwrap(), br#"{"name":"n"}"#);
}

#[test]
fn reading_a_connector_sends_a_get_to_its_path() {
    let id = "a1405560-c8d3-4b1a-877d-3f449ad95352".parse().unwrap();
    let request = client().get_connector_request(&id, &id).unwrap();
    assert_eq!(request.method(), "GET");
    assert_eq!(
        request.url().path(),
        "/workspaces/a1405560-c8d3-4b1a-877d-3f449ad95352/connectors/a1405560-c8d3-4b1a-877d-3f449ad95352"
    );
    assert!(request.headers().get("api-version").is_none());
}

#[test]
fn an_invalid_base_url_fails_building_the_request() {
    let context = RequestContext::new(HeaderValue::from_static("AccessKey hidden"));
    for base in ["", "api.example", "data:text"] {
        let client = client_of(base, context.clone());
        let error = client.get_connector_request(&uuid::Uuid::nil(), &uuid::Uuid::nil());
        assert!(error.unwrap_err().is_builder(), "{base}");
    }
}

#[test]
fn a_list_request_encodes_only_the_given_parameters() {
    let workspace = uuid::Uuid::nil();
    let request = client().list_long_codes_request(&workspace, Some(99), Some("+1"), None, None);
    let url = request.unwrap().url().to_string();
    let path = format!("https://api.example/workspaces/{workspace}/numbers-long-code");
    assert_eq!(url, format!("{path}?limit=99&numberString=%2B1"));
}

#[test]
fn debug_output_contains_no_secret() {
    let mut body = CreateConnectorReq::new("visible".into());
    body.invitation_token = Some("hidden".into());
    let scheme = [("user".to_owned(), "hidden".to_owned())].into();
    body.security_arguments = Some([("basic".to_owned(), scheme)].into());
    let shown = format!("{body:?} {:?}", client());
    assert!(shown.contains("visible") && !shown.contains("hidden"), "{shown}");
}
