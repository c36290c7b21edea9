//! Tests the sandbox over HTTP.

mod control;
mod faults;
mod numbers;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use uuid::Uuid;

use crate::contract::of_schema;
use crate::{Builder, CONTRACT, Sandbox, StartError};

const MANY: &str = "/workspaces/{workspaceId}/connectors";
const ONE: &str = "/workspaces/{workspaceId}/connectors/{connectorId}";

/// A sandbox and an HTTP client for it.
struct Api {
    sandbox: Sandbox,
    client: Client,
}

/// Returns a builder of a sandbox without a provisioning delay.
fn immediate() -> Builder {
    Sandbox::builder().provisioning_delay(Duration::ZERO)
}

impl Api {
    async fn start(builder: Builder) -> Self {
        // bird-sms enables rustls in reqwest without a crypto provider, so a test must install one, even for HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { sandbox: builder.start().await.unwrap(), client }
    }

    async fn with_fault(fault: &str) -> Self {
        Self::start(immediate().fault(fault.parse().unwrap())).await
    }

    fn connectors(&self) -> String {
        MANY.replace("{workspaceId}", &self.sandbox.workspace_id().to_string())
    }

    fn key(&self) -> String {
        format!("AccessKey {}", self.sandbox.access_key())
    }

    fn without_key(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.sandbox.base_url()))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.without_key(method, path).header("authorization", self.key())
    }

    async fn post(&self, body: &Value) -> (u16, Value) {
        send(self.request(Method::POST, &self.connectors()).json(body)).await
    }

    async fn get(&self, id: &str) -> (u16, Value) {
        send(self.request(Method::GET, &format!("{}/{id}", self.connectors()))).await
    }

    /// Sends a POST with this `Content-Length`, and returns the first line of the response up to the status.
    async fn head_of_post(&self, key: &str, body: &[u8], length: usize) -> String {
        let path = self.connectors();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\n{key}content-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(address(&self.sandbox)).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut status = [0; 12];
        let read = stream.read_exact(&mut status);
        timeout(Duration::from_secs(10), read).await.unwrap().unwrap();
        String::from_utf8_lossy(&status).into_owned()
    }

    /// Sends a valid POST over a new connection, and returns all bytes that arrive until the server closes it.
    async fn raw_post(&self) -> std::io::Result<Vec<u8>> {
        let body = valid().to_string();
        let address = address(&self.sandbox);
        let request = format!(
            "POST {} HTTP/1.1\r\nhost: {address}\r\nauthorization: {}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.connectors(),
            self.key(),
            body.len(),
        );
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await?;
        Ok(response)
    }
}

fn address(sandbox: &Sandbox) -> SocketAddr {
    sandbox.base_url().trim_start_matches("http://").parse().unwrap()
}

fn contract() -> Value {
    serde_json::from_str(CONTRACT).unwrap()
}

/// Returns the contract's example of a POST body.
fn valid() -> Value {
    contract()["paths"][MANY]["post"]["requestBody"]["content"]["application/json"]["examples"]
        ["smsChannel"]["value"]
        .take()
}

/// Returns the example body with the value at a JSON pointer replaced.
fn valid_but(pointer: &str, value: Value) -> Value {
    let mut body = valid();
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

#[track_caller]
fn assert_fits(schema: &str, value: &Value) {
    let problem = of_schema(&contract(), schema).validate(value).err();
    assert!(problem.is_none(), "{schema} {value}: {problem:?}");
}

/// Sends a request, and asserts that the contract documents the response. A 405 or 5xx only has to match the error schema.
async fn send_for_headers(request: RequestBuilder) -> (u16, HeaderMap, Value) {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let (method, path) = match *request.method() {
        Method::POST => ("post", MANY),
        _ => ("get", ONE),
    };
    let response = client.execute(request).await.unwrap();
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "application/json");
    assert!(headers.contains_key("x-request-id"));
    let body = response.json().await.unwrap();
    let documented = &contract()["paths"][path][method]["responses"][status.to_string()];
    assert!(documented.is_object() || status == 405 || status >= 500, "{method} {status}");
    assert_fits(if status < 300 { "Connector" } else { "ApiError" }, &body);
    (status, headers, body)
}

async fn send(request: RequestBuilder) -> (u16, Value) {
    let (status, _, body) = send_for_headers(request).await;
    (status, body)
}

#[test]
fn every_body_in_the_contract_has_valid_examples() {
    fn visit(contract: &Value, node: &Value) {
        if let Some(body) = node.pointer("/content/application~1json") {
            let schema = body["schema"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            let examples = body["examples"].as_object();
            for example in examples.unwrap_or_else(|| panic!("{schema} has no example")).values() {
                let to = example["$ref"].as_str().map(|to| to.trim_start_matches('#'));
                let example = to.map_or(Some(example), |to| contract.pointer(to)).unwrap();
                assert_fits(schema, &example["value"]);
            }
        }
        match node {
            Value::Object(fields) => fields.values().for_each(|node| visit(contract, node)),
            Value::Array(items) => items.iter().for_each(|node| visit(contract, node)),
            _ => {}
        }
    }
    visit(&contract(), &contract());
}

/// Mock servers send the first example of a response, so it should have a channel. The examples are sorted by name.
#[test]
fn the_first_example_of_a_get_has_a_channel() {
    let contract = contract();
    let get = &contract["paths"][ONE]["get"]["responses"]["200"]["content"]["application/json"];
    let first = get["examples"].as_object().unwrap().values().next().unwrap();
    assert_eq!(first["$ref"], "#/components/examples/ReadyConnector");
}

#[test]
fn all_examples_of_responses_show_the_same_connector() {
    let contract = contract();
    let examples = &contract["components"]["examples"];
    let ready = &examples["ReadyConnector"]["value"];
    for (name, example) in examples.as_object().unwrap() {
        for (field, value) in example["value"].as_object().unwrap() {
            let same = *value == ready[field] || (field == "channel" && value.is_null());
            assert!(same, "{name}: {field}");
        }
    }
    let parameters = [
        ("/components/parameters/WorkspaceId".to_owned(), "workspaceId"),
        (format!("/paths/{}/get/parameters/1", ONE.replace('/', "~1")), "id"),
    ];
    for (parameter, field) in parameters {
        let example = &contract.pointer(&parameter).unwrap()["example"];
        assert_eq!(*example, ready[field], "{parameter}");
    }
}

#[tokio::test]
async fn the_channel_appears_after_the_delay() {
    let delay = Duration::from_millis(60);
    let api = Api::start(Sandbox::builder().provisioning_delay(delay)).await;
    let (status, created) = api.post(&valid()).await;
    assert_eq!((status, &created["channel"]), (201, &Value::Null));
    assert_eq!(created["workspaceId"], api.sandbox.workspace_id().to_string());
    assert_eq!(created["name"], "My SMS channel");
    assert_eq!(created["connectorTemplateSlug"], "sms-messagebird");
    assert_eq!(created["arguments"], valid()["arguments"]);

    tokio::time::sleep(delay).await;
    let stored = &api.sandbox.connectors()[0];
    let (status, ready) = api.get(&stored.id.to_string()).await;
    assert_eq!((status, &ready["id"]), (200, &created["id"]));
    assert_eq!(ready["channel"]["channelId"], stored.channel_id.to_string());
    assert_eq!(ready["channel"]["platform"], "sms-messagebird");
    assert!(ready["number"].is_object());
    assert_ne!(ready["updatedAt"], created["updatedAt"]);
}

#[tokio::test]
async fn a_zero_delay_ends_at_once_and_the_longest_never() {
    for (delay, ready) in [(Duration::ZERO, true), (Duration::MAX, false)] {
        let api = Api::start(Sandbox::builder().provisioning_delay(delay)).await;
        let (status, created) = api.post(&valid()).await;
        assert_eq!((status, created["channel"].is_object()), (201, ready));
    }
}

#[tokio::test]
async fn the_key_is_checked_first_and_the_body_last() {
    let api = Api::start(immediate()).await;
    let many = api.connectors();
    let other = Uuid::new_v4();
    let invalid_ids = ["ws_123".to_owned(), other.simple().to_string()];
    let elsewhere = |id: &str| MANY.replace("{workspaceId}", id);
    let post = || api.request(Method::POST, &many);
    let get = |path: &str| api.request(Method::GET, path);
    let json = "application/json; charset=utf-8";
    let form = "application/x-www-form-urlencoded";
    let mut cases = vec![
        (get(&format!("{many}/{other}")), 404, "Connector not found"),
        (get("/channels"), 404, "Path not found"),
        (get(&many), 405, "Method not allowed"),
        (api.request(Method::DELETE, &format!("{many}/{other}")), 405, "Method not allowed"),
        (post().body("{}"), 400, "The content type is not application/json"),
        (
            post().header("content-type", form).body("{}"),
            400,
            "The content type is not application/json",
        ),
        (post().header("content-type", json), 400, "The body is not JSON"),
        (post().header("content-type", json).body("{"), 400, "The body is not JSON"),
        // The workspace is checked before the content type and the body.
        (
            api.request(Method::POST, &elsewhere(&other.to_string())).body("{"),
            404,
            "Workspace not found",
        ),
    ];
    for id in &invalid_ids {
        cases.push((api.request(Method::POST, &elsewhere(id)), 404, "Workspace not found"));
        cases.push((get(&format!("{many}/{id}")), 404, "Connector not found"));
    }
    // The key is checked first.
    for key in ["", "AccessKey wrong", "Bearer jwt"] {
        for path in ["/workspaces/x/connectors", "/nowhere"] {
            let request = api.without_key(Method::POST, path).header("authorization", key);
            cases.push((request.body("{"), 401, "Access key is missing or invalid"));
        }
    }
    for (request, expected, message) in cases {
        let (status, headers, body) = send_for_headers(request).await;
        assert_eq!((status, body["message"].as_str()), (expected, Some(message)));
        assert_eq!(headers.contains_key("allow"), status == 405);
    }
    assert!(api.sandbox.connectors().is_empty());
}

#[tokio::test]
async fn a_422_names_invalid_fields_without_their_values() {
    let secret = 90_817_263;
    let missing = |name: &str| format!("property \"{name}\" is missing");
    let types = json!({
        "name": "n",
        "connectorTemplateRef": "sms-messagebird:1",
        "arguments": { "phoneNumberId": "not a uuid" },
        "securityArguments": { "scheme": { "token": secret } },
        "channelConversationalStatusEnabled": "yes",
    });
    let api = Api::start(immediate()).await;
    for (body, problems) in [
        (
            json!({ "name": "n", "connectorTemplateRef": "fax:1", "foo": 1 }),
            json!({
                ".foo": ["property \"foo\" is unsupported"],
                ".connectorTemplateRef": ["the sandbox does not have this template"],
            }),
        ),
        (
            json!({ "connectorTemplateRef": "sms-messagebird:1" }),
            json!({
                ".name": [missing("name")],
                ".arguments.phoneNumberId": [missing("phoneNumberId")],
            }),
        ),
        (
            valid_but("/arguments", Value::Null),
            json!({ ".arguments.phoneNumberId": [missing("phoneNumberId")] }),
        ),
        (
            valid_but("/connectorTemplateRef", json!(7)),
            json!({ ".connectorTemplateRef": ["value is not of type \"string\""] }),
        ),
        (
            types,
            json!({
                ".arguments.phoneNumberId": ["value is not a \"uuid\""],
                ".channelConversationalStatusEnabled": ["value is not of type \"boolean\""],
                ".securityArguments.scheme.token": ["value is not of type \"string\""],
            }),
        ),
        (json!([secret]), json!({ "": ["value is not of type \"object\""] })),
    ] {
        let (status, response) = api.post(&body).await;
        assert_eq!((status, &response["code"]), (422, &"InvalidPayload".into()));
        assert_eq!(response["details"], problems, "{body}");
    }
    assert!(api.sandbox.connectors().is_empty());
}

#[tokio::test]
async fn a_phone_number_can_only_be_installed_once() {
    let api = Api::start(immediate()).await;
    assert_eq!(api.post(&valid()).await.0, 201);
    let number = valid()["arguments"]["phoneNumberId"].as_str().unwrap().to_uppercase();
    let (status, body) = api.post(&valid_but("/arguments/phoneNumberId", number.into())).await;
    assert_eq!((status, &body["code"]), (409, &"AlreadyExists".into()));
    assert_eq!(api.sandbox.connectors().len(), 1);
    let other = Uuid::new_v4().to_string();
    assert_eq!(api.post(&valid_but("/arguments/phoneNumberId", other.into())).await.0, 201);
}

#[tokio::test]
async fn a_connector_without_a_template_gets_a_channel_but_no_number() {
    let api = Api::start(immediate()).await;
    // The body with only a name is Bird's example for Node.js.
    for body in
        [json!({ "name": "text" }), json!({ "name": "n", "arguments": { "phoneNumberId": 1 } })]
    {
        let (status, created) = api.post(&body).await;
        assert_eq!((status, &created["name"]), (201, &body["name"]));
        let (status, shown) = api.get(created["id"].as_str().unwrap()).await;
        assert_eq!((status, &shown), (200, &created));
        assert!(shown["channel"]["channelId"].is_string());
        for field in ["/channel/platform", "/number", "/connectorTemplateRef"] {
            assert_eq!(shown.pointer(field), None);
        }
    }
}

#[tokio::test]
async fn a_request_above_the_rate_limit_gets_a_429() {
    let api = Api::start(immediate().get_limit(1).post_limit(0)).await;
    let request = api.request(Method::POST, &api.connectors()).json(&valid());
    let (status, headers, _) = send_for_headers(request).await;
    assert_eq!((status, &headers["retry-after"]), (429, &"1".parse().unwrap()));
    assert!(api.sandbox.connectors().is_empty());
    assert_eq!([api.get("x").await.0, api.get("x").await.0], [404, 429]);
}

#[tokio::test]
async fn received_requests_are_recorded() {
    let api = Api::start(immediate()).await;
    api.post(&valid()).await;
    api.get("nothing").await;
    assert_eq!((api.sandbox.post_count(), api.sandbox.get_count()), (1, 1));
    assert_eq!([201, 400, 404].map(|status| api.sandbox.response_count(status)), [1, 0, 1]);
    let requests = api.sandbox.requests();
    assert_eq!((&*requests[0].method, &requests[0].path), ("POST", &api.connectors()));
    assert_eq!(requests[0].status, Some(201));
    assert_eq!(requests[0].body.parse::<Value>().unwrap(), valid());
    assert_eq!((&*requests[1].method, requests[1].status), ("GET", Some(404)));
    send(api.request(Method::POST, &api.connectors()).body(vec![b'x'; 10_000])).await;
    assert_eq!(api.sandbox.requests()[2].body.len(), 4096);
}

#[tokio::test]
async fn debug_omits_the_configured_key_and_the_bodies() {
    let id = Uuid::new_v4();
    let builder = immediate().access_key("open-sesame").workspace_id(id);
    assert!(!format!("{builder:?}").contains("sesame"));
    let api = Api::start(builder).await;
    assert_eq!((api.sandbox.access_key(), api.sandbox.workspace_id()), ("open-sesame", id));
    let mut body = valid();
    body["invitationToken"] = json!("rosebud");
    assert_eq!(api.post(&body).await.0, 201);
    let sandbox = &api.sandbox;
    let shown = format!("{sandbox:?} {:?} {:?}", sandbox.requests(), sandbox.connectors());
    assert!(!shown.contains("sesame") && !shown.contains("rosebud"), "{shown}");
}

#[tokio::test]
async fn a_remote_address_or_used_port_is_an_error() {
    let everywhere = || immediate().listen(([0, 0, 0, 0], 0).into());
    let error = everywhere().start().await.unwrap_err();
    assert!(matches!(error, StartError::NotLoopback(_)), "{error}");
    let api = Api::start(everywhere().allow_remote()).await;
    assert!(api.sandbox.base_url().starts_with("http://127.0.0.1:"));
    assert_eq!(api.post(&valid()).await.0, 201);
    let other = immediate().start().await.unwrap();
    let error = Sandbox::builder().listen(address(&other)).start().await.unwrap_err();
    assert!(matches!(error, StartError::Listen(..)), "{error}");
}

#[tokio::test]
async fn after_a_shutdown_a_client_cannot_connect() {
    let api = Api::start(immediate()).await;
    let again = api.request(Method::GET, "/");
    // After this request, the client keeps the connection in its pool.
    send(again.try_clone().unwrap()).await;
    api.sandbox.shutdown().await;
    assert!(again.send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn dropping_the_sandbox_ends_its_connections() {
    let sandbox = immediate().start().await.unwrap();
    let mut idle = TcpStream::connect(address(&sandbox)).await.unwrap();
    drop(sandbox);
    let end = timeout(Duration::from_secs(10), idle.read(&mut [0])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

/// Runs curl and returns the JSON that it prints, or `None` if curl cannot be started.
async fn curl(arguments: Vec<String>) -> Option<Value> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--noproxy", "*", "--location"]).args(arguments).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().ok()?;
    assert!(output.status.success(), "{output:?}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Runs the two commands in Bird's documentation "Installing an SMS channel".
#[tokio::test]
async fn the_commands_in_birds_documentation_work() {
    let api = Api::start(immediate()).await;
    let url = format!("{}{}", api.sandbox.base_url(), api.connectors());
    let with_headers = |arguments: &[&str]| {
        let key = format!("Authorization: {}", api.key());
        [&["--header", "Accept: application/json", "--header", &key], arguments]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect()
    };
    let body = valid().to_string();
    let create = [&*url, "--header", "Content-Type: application/json", "--data", &body];
    let Some(created) = curl(with_headers(&create)).await else { return };
    let one = format!("{url}/{}", created["id"].as_str().unwrap());
    let shown = curl(with_headers(&[&one])).await.unwrap();
    assert_eq!(shown["channel"]["channelId"], api.sandbox.connectors()[0].channel_id.to_string());
}

#[tokio::test]
async fn a_number_that_needs_a_use_case_is_refused_without_one() {
    let mut body = valid();
    let number = body["arguments"]["phoneNumberId"].as_str().unwrap().parse().unwrap();
    let use_case = body["arguments"].as_object_mut().unwrap().remove("useCaseId").unwrap();
    let api = Api::start(immediate().require_use_case(number)).await;
    let (status, refused) = api.post(&body).await;
    assert_eq!((status, &refused["code"]), (422, &json!("InvalidPayload")));
    let problem = json!({".arguments.useCaseId": ["property \"useCaseId\" is missing"]});
    assert_eq!(refused["details"], problem);
    body["arguments"]["useCaseId"] = use_case;
    assert_eq!(api.post(&body).await.0, 201);
}

#[tokio::test]
async fn a_request_without_the_key_is_refused_before_its_body_is_read() {
    let api = Api::start(immediate()).await;
    assert_eq!(api.head_of_post("", b"", 200 << 20).await, "HTTP/1.1 401");
}

#[tokio::test]
async fn a_body_above_one_mebibyte_is_refused() {
    let api = Api::start(immediate()).await;
    let key = format!("authorization: {}\r\n", api.key());
    let body = vec![b' '; (1 << 20) + 1];
    assert_eq!(api.head_of_post(&key, &body, 200 << 20).await, "HTTP/1.1 413");
    assert_eq!(api.head_of_post(&key, &body[1..], 1 << 20).await, "HTTP/1.1 400");
}
