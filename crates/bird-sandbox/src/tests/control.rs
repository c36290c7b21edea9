//! Tests observing and changing a running sandbox, with the library and the control API.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::HOST;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Api, assert_fits, immediate, send, valid, valid_but};
use crate::state::{Config, State};
use crate::{AlreadyExists, ConnectorSeed, ReceivedRequest, Sandbox};

/// A phone number id that differs from the one in [`valid`].
const OTHER: &str = "00000000-0000-4000-8000-00000000000A";

/// Sends a control request, asserts that the response is `no-store`, and returns the status and the JSON body.
async fn control(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

impl Api {
    fn control(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, &format!("/_sandbox/{path}"))
    }

    async fn state(&self) -> Value {
        control(self.control(Method::GET, "state")).await.1
    }

    async fn add_fault(&self, fault: &str) -> (u16, Value) {
        control(self.control(Method::POST, "faults").json(&json!({ "fault": fault }))).await
    }

    async fn seed(&self, seed: &Value) -> (u16, Value) {
        control(self.control(Method::POST, "connectors").json(seed)).await
    }
}

#[tokio::test]
async fn a_fault_for_a_phone_number_fails_only_its_requests() {
    let api = Api::start(immediate()).await;
    let other = valid_but("/arguments/phoneNumberId", OTHER.into());
    let (_, created) = api.post(&valid()).await;
    for fault in [format!("post:500#{OTHER}"), format!("get:503x2@1#{OTHER}")] {
        api.sandbox.add_fault(fault.parse().unwrap());
    }
    assert_eq!(api.post(&valid()).await.0, 409);
    assert_eq!(api.post(&other).await.0, 500);
    let (status, installed) = api.post(&other).await;
    assert_eq!(status, 201);
    let mut seen = Vec::new();
    for _ in 0..4 {
        assert_eq!(api.get(created["id"].as_str().unwrap()).await.0, 200);
        seen.push(api.get(installed["id"].as_str().unwrap()).await.0);
    }
    assert_eq!(seen, [200, 503, 503, 200]);
    assert!(api.sandbox.faults().is_empty());
}

#[tokio::test]
async fn injected_statuses_have_the_body_of_bird_or_a_gateway() {
    let api = Api::start(immediate()).await;
    let inject = async |status: u16| {
        api.sandbox.add_fault(format!("post:{status}").parse().unwrap());
        let response = api.request(Method::POST, &api.connectors()).json(&valid()).send().await;
        let response = response.unwrap();
        assert_eq!(response.status(), status);
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        (content_type, response.text().await.unwrap())
    };
    for status in [400, 401, 403, 404, 409, 422, 429, 500, 503, 599] {
        let (content_type, body) = inject(status).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_fits("ApiError", &body);
        let code = (status == 422).then_some("InvalidPayload");
        assert_eq!((body["code"].as_str(), &*content_type), (code, "application/json"));
        assert_eq!(body["details"].is_object(), status == 422);
    }
    for (status, title) in [(502, "502 Bad Gateway"), (504, "504 Gateway"), (522, "522 Web server")]
    {
        let (content_type, body) = inject(status).await;
        assert!(body.starts_with("<html>") && body.contains(&format!("<h1>{title}")), "{body}");
        assert_eq!(content_type, "text/html");
    }
    assert!(api.sandbox.connectors().is_empty());
}

#[tokio::test]
async fn faults_can_be_added_and_removed_at_run_time() {
    let api = Api::with_fault("get:503x3").await;
    assert_eq!(api.get("x").await.0, 503);
    let (status, added) = api.add_fault("post:429@1").await;
    assert_eq!((status, &added), (201, &json!({ "id": 2, "fault": "post:429@1" })));
    let third = api.sandbox.add_fault("random:7:0".parse().unwrap());
    let faults = json!([
        { "id": 1, "fault": "get:503x3", "remaining": 2 },
        { "id": 2, "fault": "post:429@1", "remaining": 1 },
        { "id": third, "fault": "random:7:0", "remaining": null },
    ]);
    assert_eq!(api.state().await["faults"], faults);
    assert_eq!(serde_json::to_value(api.sandbox.faults()).unwrap(), faults);

    // `@1` lets one POST pass.
    assert_eq!([api.post(&valid()).await.0, api.post(&valid()).await.0], [201, 429]);
    let remove = |id: &str| control(api.control(Method::DELETE, &format!("faults{id}")));
    assert_eq!([remove("/1").await.0, remove("/1").await.0, remove("/x").await.0], [204, 404, 404]);
    assert_eq!(api.get("x").await.0, 404);
    assert!(api.sandbox.remove_fault(third) && !api.sandbox.remove_fault(third));
    api.add_fault("get:503").await;
    assert_eq!(remove("").await.0, 204);
    assert!(api.sandbox.faults().is_empty());
    // Control requests are neither counted nor recorded.
    assert_eq!((api.sandbox.post_count(), api.sandbox.requests().len()), (2, 4));
}

#[tokio::test]
async fn an_invalid_control_request_is_refused_with_the_reason() {
    let api = Api::start(immediate()).await;
    let faults = || api.control(Method::POST, "faults");
    let long = json!({ "fault": "x".repeat(20_000) });
    for (request, status, reason) in [
        (faults().json(&json!({ "fault": "post:oops" })), 400, "expected METHOD:KIND"),
        (faults().json(&json!({})), 400, "missing field `fault`"),
        (faults().json(&json!({ "fault": "get:503", "x": 1 })), 400, "unknown field `x`"),
        (faults().json(&long), 400, "too long"),
        (faults().body("fault=post:503"), 400, "content type"),
        (api.control(Method::POST, "connectors").json(&json!({})), 400, "missing field `name`"),
        (api.control(Method::GET, "nothing"), 404, "Path not found"),
        (api.control(Method::PUT, "faults"), 404, "Path not found"),
    ] {
        let (code, body) = control(request).await;
        assert_eq!(code, status);
        assert!(body["message"].as_str().unwrap().contains(reason), "{reason}: {body}");
    }
    assert!(api.sandbox.faults().is_empty());
}

#[tokio::test]
async fn a_seeded_connector_behaves_like_a_created_one() {
    let api = Api::start(Sandbox::builder().provisioning_delay(Duration::MAX)).await;
    let id = Uuid::new_v4();
    let channel_id = Uuid::new_v4();
    let seed = json!({
        "name": "earlier",
        "phoneNumberId": valid()["arguments"]["phoneNumberId"],
        "id": id,
        "channelId": channel_id,
    });
    let (status, seeded) = api.seed(&seed).await;
    assert_eq!((status, &seeded["channel"]["channelId"]), (201, &json!(channel_id)));
    assert_fits("Connector", &seeded);
    assert_eq!(api.get(&id.to_string()).await, (200, seeded));
    assert_eq!(api.post(&valid()).await.0, 409);
    assert_eq!(api.seed(&seed).await.0, 409);

    let other = json!({ "name": "n", "phoneNumberId": OTHER, "provisioningDelay": "1h" });
    let (status, pending) = api.seed(&other).await;
    assert_eq!((status, &pending["channel"]), (201, &Value::Null));
    let taken = ConnectorSeed { id: Some(id), ..ConnectorSeed::new("n", Uuid::new_v4()) };
    assert_eq!(api.sandbox.seed_connector(&taken), Err(AlreadyExists));
    let new = api.sandbox.seed_connector(&ConnectorSeed::new("n", Uuid::new_v4())).unwrap();
    assert_eq!(api.sandbox.connectors()[2].id, new);
    assert_eq!(api.sandbox.post_count(), 1);
}

#[tokio::test]
async fn the_state_is_limited_and_omits_bodies_and_the_key() {
    let api = Api::start(immediate().access_key("open-sesame")).await;
    let mut body = valid_but("/name", "open-sesame".into());
    body["invitationToken"] = json!("rosebud");
    api.post(&body).await;
    api.get("open-sesame").await;
    for _ in 0..2 {
        let seed = ConnectorSeed::new("seeded", Uuid::new_v4());
        api.sandbox.seed_connector(&seed).unwrap();
    }
    let text = api.state().await.to_string();
    assert!(!text.contains("sesame") && !text.contains("rosebud"), "{text}");

    let (_, state) = control(api.control(Method::GET, "state?limit=1")).await;
    assert_eq!(state["workspaceId"], api.sandbox.workspace_id().to_string());
    assert_eq!(
        (&state["connectors"]["total"], &state["requests"]["total"]),
        (&3.into(), &2.into())
    );
    let connectors = state["connectors"]["results"].as_array().unwrap();
    let stored = &api.sandbox.connectors()[2];
    assert_eq!((connectors.len(), &connectors[0]["id"]), (1, &json!(stored.id)));
    assert_eq!(connectors[0]["channelId"], json!(stored.channel_id));
    let requests = state["requests"]["results"].as_array().unwrap();
    assert_eq!((requests.len(), &requests[0]["method"]), (1, &"GET".into()));
}

#[tokio::test]
async fn reads_need_a_loopback_host_and_changes_also_a_token() {
    let api = Api::start(immediate()).await;
    let port = api.sandbox.base_url().rsplit(':').next().unwrap().to_owned();
    let host = |host: &str| format!("{host}:{port}");
    let path = |path| format!("/_sandbox/{path}");
    let page = api.without_key(Method::GET, &path("")).send().await.unwrap().text().await.unwrap();
    let token = page.split("TOKEN = \"").nth(1).unwrap().split('"').next().unwrap();
    let read = |host: &str| api.without_key(Method::GET, &path("state")).header(HOST, host);
    let change = || api.without_key(Method::DELETE, &path("faults"));
    for (request, allowed) in [
        (read(&host("localhost")), true),
        (read(&host("LOCALHOST")), true),
        (read(&host("[::1]")), true),
        (read("127.0.0.2"), true),
        // These are not loopback: names that may resolve to 127.0.0.1, other addresses, and no host.
        (read(&host("rebound.example")), false),
        (read(&host("localhost.rebound.example")), false),
        (read(&host("localhost@rebound.example")), false),
        (read("192.0.2.1"), false),
        (read("0.0.0.0"), false),
        (read(""), false),
        (read("localhost").header(HOST, "rebound.example"), false),
        (read("rebound.example").header("authorization", api.key()), true),
        (read("rebound.example").header("authorization", "AccessKey wrong"), false),
        (change(), false),
        (change().header("sandbox-token", "wrong"), false),
        (change().header("sandbox-token", token), true),
        (change().header("sandbox-token", token).header(HOST, "rebound.example"), false),
        (change().header("authorization", api.key()), true),
        (change().header("authorization", "AccessKey wrong"), false),
    ] {
        let shown = format!("{request:?}");
        let (status, _) = control(request).await;
        assert_eq!(status == 403, !allowed, "{status} {shown}");
        assert!(status < 300 || status == 403, "{status} {shown}");
    }
    // The token is random even with the same seed.
    let seeded = [(); 2].map(|()| State::new(Config { seed: Some(1), ..Config::default() }));
    assert_ne!(seeded[0].token(), seeded[1].token());
}

#[tokio::test]
async fn the_inspector_loads_nothing_remote_and_omits_the_key() {
    let api = Api::start(immediate()).await;
    let get = async |path: &str| api.without_key(Method::GET, path).send().await.unwrap();
    assert_eq!(api.sandbox.inspector_url(), format!("{}/_sandbox/", api.sandbox.base_url()));
    let page = get("/_sandbox").await;
    assert_eq!((page.url().path(), page.status().as_u16()), ("/_sandbox/", 200));
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let html = page.text().await.unwrap();
    assert!(!html.contains("://") && !html.contains(api.sandbox.access_key()));
    assert_eq!(get("/_sandboxes").await.status(), 401);
    assert_eq!(api.sandbox.requests().len(), 1);
}

#[tokio::test]
async fn an_observer_sees_each_request_and_its_fault() {
    let seen: Arc<Mutex<Vec<ReceivedRequest>>> = Arc::default();
    let observed = Arc::clone(&seen);
    let builder = immediate().fault("post:503".parse().unwrap());
    let api =
        Api::start(builder.observe(move |request| observed.lock().unwrap().push(request.clone())))
            .await;
    for _ in 0..2 {
        api.post(&valid()).await;
    }
    send(api.request(Method::GET, &format!("/{}?query", api.sandbox.access_key()))).await;
    assert_eq!(*seen.lock().unwrap(), api.sandbox.requests());
    let json = serde_json::to_value(api.sandbox.requests()).unwrap();
    assert_eq!((&json[0]["status"], &json[0]["fault"]), (&json!(503), &json!("post:503")));
    assert_eq!((&json[1]["status"], &json[1]["fault"]), (&json!(201), &Value::Null));
    assert_eq!((&json[2]["path"], &json[2]["body"]), (&json!("/[redacted]"), &Value::Null));
}
