//! The responses of a sandbox without faults.

mod common;

use std::time::Duration;

use bird_sandbox::{ReceivedRequest, Sandbox, StartError};
use common::{
    PHONE_NUMBER_ID, client, connectors_url, create_request, get, json_of, post, sandbox, with_key,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Sends a request and asserts that the response is an error as Bird documents it.
async fn refused(request: reqwest::RequestBuilder, status: u16, code: &str) -> Value {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert!(response.headers().contains_key("x-request-id"));
    let body = json_of(response).await;
    assert_eq!(body["code"], code, "{body}");
    assert!(body["message"].is_string(), "{body}");
    body
}

async fn details(body: &Value) -> Value {
    let sandbox = sandbox().start().await.unwrap();
    let body = refused(post(&client(), &sandbox, body), 422, "InvalidPayload").await;
    assert!(sandbox.connectors().is_empty());
    body["details"].clone()
}

#[tokio::test]
async fn the_channel_appears_after_the_delay() {
    let delay = Duration::from_millis(60);
    let sandbox = Sandbox::builder().provisioning_delay(delay).start().await.unwrap();
    let client = client();
    let response = post(&client, &sandbox, &create_request(PHONE_NUMBER_ID)).send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert!(response.headers().contains_key("x-request-id"));
    let created = json_of(response).await;
    assert_eq!(created["channel"], Value::Null);
    assert_eq!(created["workspaceId"], sandbox.workspace_id().to_string());
    assert_eq!(created["name"], "My SMS channel");
    assert_eq!(created["connectorTemplateSlug"], "sms-messagebird");
    assert_eq!(created["arguments"]["phoneNumberId"], PHONE_NUMBER_ID);

    tokio::time::sleep(delay).await;
    let id = created["id"].as_str().unwrap();
    let response = get(&client, &sandbox, id).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let ready = json_of(response).await;
    let stored = &sandbox.connectors()[0];
    assert_eq!(ready["id"], stored.id.to_string());
    assert_eq!(ready["channel"]["channelId"], stored.channel_id.to_string());
    assert_eq!(ready["channel"]["platform"], "sms-messagebird");
    assert!(ready["number"].is_object());
    assert_ne!(ready["updatedAt"], created["updatedAt"]);
}

#[tokio::test]
async fn without_a_delay_the_response_to_the_post_has_the_channel() {
    let sandbox = sandbox().start().await.unwrap();
    let response =
        post(&client(), &sandbox, &create_request(PHONE_NUMBER_ID)).send().await.unwrap();
    assert!(json_of(response).await["channel"]["channelId"].is_string());
}

#[tokio::test]
async fn an_endless_delay_never_provisions() {
    let sandbox = Sandbox::builder().provisioning_delay(Duration::MAX).start().await.unwrap();
    let response =
        post(&client(), &sandbox, &create_request(PHONE_NUMBER_ID)).send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(json_of(response).await["channel"], Value::Null);
}

#[tokio::test]
async fn a_missing_or_wrong_key_is_refused_before_all_else() {
    let sandbox = sandbox().post_limit(0).start().await.unwrap();
    let client = client();
    for key in [None, Some("AccessKey wrong"), Some("Bearer jwt")] {
        for path in ["/workspaces/x/connectors", "/nowhere"] {
            let mut request = client.post(format!("{}{path}", sandbox.base_url())).body("{");
            if let Some(key) = key {
                request = request.header("authorization", key);
            }
            refused(request, 401, "Unauthorized").await;
        }
    }
}

#[tokio::test]
async fn an_unknown_workspace_connector_or_path_is_not_found() {
    let sandbox = sandbox().start().await.unwrap();
    let (client, base, other) = (client(), sandbox.base_url(), Uuid::new_v4());
    let elsewhere = format!("{base}/workspaces/{other}/connectors");
    // An unknown workspace comes before an unreadable body.
    let request = with_key(client.post(elsewhere), &sandbox).body("{");
    assert_eq!(refused(request, 404, "NotFound").await["message"], "Workspace not found");
    let request = get(&client, &sandbox, &other.to_string());
    assert_eq!(refused(request, 404, "NotFound").await["message"], "Connector not found");
    refused(with_key(client.get(format!("{base}/channels")), &sandbox), 404, "NotFound").await;
}

#[tokio::test]
async fn an_id_that_is_not_a_uuid_is_a_bad_request() {
    let sandbox = sandbox().start().await.unwrap();
    let client = client();
    for id in ["ws_123", &Uuid::new_v4().simple().to_string()] {
        let url = format!("{}/workspaces/{id}/connectors", sandbox.base_url());
        refused(with_key(client.post(url), &sandbox), 400, "BadRequest").await;
        refused(get(&client, &sandbox, id), 400, "BadRequest").await;
    }
}

#[tokio::test]
async fn another_method_is_not_allowed() {
    let sandbox = sandbox().start().await.unwrap();
    let (client, id) = (client(), Uuid::new_v4());
    let one = format!("{}/{id}", connectors_url(&sandbox));
    for (request, allow) in
        [(client.get(connectors_url(&sandbox)), "POST"), (client.delete(one), "GET")]
    {
        let request = with_key(request, &sandbox);
        let response = request.try_clone().unwrap().send().await.unwrap();
        assert_eq!(response.headers()["allow"], allow);
        refused(request, 405, "MethodNotAllowed").await;
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_a_bad_request() {
    let sandbox = sandbox().start().await.unwrap();
    let client = client();
    let request = || with_key(client.post(connectors_url(&sandbox)), &sandbox);
    let json = "application/json; charset=utf-8";
    refused(request().header("content-type", json).body("{"), 400, "BadRequest").await;
    refused(request().header("content-type", json), 400, "BadRequest").await;
    refused(request().body("{}"), 400, "BadRequest").await;
    let form = "application/x-www-form-urlencoded";
    refused(request().header("content-type", form).body("{}"), 400, "BadRequest").await;
    let large = vec![b' '; 4 * 1024 * 1024];
    refused(request().header("content-type", json).body(large), 400, "BadRequest").await;
}

#[tokio::test]
async fn an_unknown_field_is_named() {
    let mut body = create_request(PHONE_NUMBER_ID);
    body["foo"] = json!(1);
    assert_eq!(details(&body).await, json!({ ".foo": ["property \"foo\" is unsupported"] }));
}

#[tokio::test]
async fn a_missing_name_and_a_missing_phone_number_are_named_together() {
    let body = json!({ "connectorTemplateRef": "sms-messagebird:1" });
    assert_eq!(
        details(&body).await,
        json!({
            ".name": ["property \"name\" is missing"],
            ".arguments.phoneNumberId": ["property \"phoneNumberId\" is missing"],
        })
    );
}

#[tokio::test]
async fn null_arguments_lack_a_phone_number() {
    let mut body = create_request(PHONE_NUMBER_ID);
    body["arguments"] = Value::Null;
    let missing = json!(["property \"phoneNumberId\" is missing"]);
    assert_eq!(details(&body).await, json!({ ".arguments.phoneNumberId": missing }));
}

#[tokio::test]
async fn an_unknown_template_is_named_and_so_is_a_missing_one() {
    let mut body = create_request(PHONE_NUMBER_ID);
    body["connectorTemplateRef"] = json!("fax:1");
    assert!(details(&body).await[".connectorTemplateRef"].is_array());
    body["connectorTemplateRef"] = json!(7);
    assert!(details(&body).await[".connectorTemplateRef"].is_array());
    body.as_object_mut().unwrap().remove("connectorTemplateRef");
    assert!(details(&body).await[".connectorTemplateRef"].is_array());
}

#[tokio::test]
async fn a_field_of_another_type_is_named_and_its_value_is_not_repeated() {
    let secret = 90_817_263;
    let mut body = create_request("not a uuid");
    body["securityArguments"] = json!({ "scheme": { "token": secret } });
    body["channelConversationalStatusEnabled"] = json!("yes");
    let details = details(&body).await;
    let mut fields: Vec<_> = details.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(
        fields,
        [
            ".arguments.phoneNumberId",
            ".channelConversationalStatusEnabled",
            ".securityArguments.scheme.token"
        ]
    );
    assert!(!details.to_string().contains(&secret.to_string()), "{details}");
}

#[tokio::test]
async fn a_body_that_is_not_an_object_is_invalid() {
    assert!(details(&json!([])).await.is_object());
}

#[tokio::test]
async fn a_phone_number_can_be_installed_once() {
    let sandbox = sandbox().start().await.unwrap();
    let client = client();
    let request = post(&client, &sandbox, &create_request(PHONE_NUMBER_ID));
    assert_eq!(request.send().await.unwrap().status(), 201);
    let again = create_request(&PHONE_NUMBER_ID.to_uppercase());
    refused(post(&client, &sandbox, &again), 409, "AlreadyExists").await;
    assert_eq!(sandbox.connectors().len(), 1);
    let other = create_request(&Uuid::new_v4().to_string());
    assert_eq!(post(&client, &sandbox, &other).send().await.unwrap().status(), 201);
}

#[tokio::test]
async fn beyond_the_limit_of_its_method_a_request_gets_a_429_with_retry_after() {
    let sandbox = sandbox().get_limit(1).post_limit(0).start().await.unwrap();
    let client = client();
    let response = post(&client, &sandbox, &create_request(PHONE_NUMBER_ID)).send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
    refused(post(&client, &sandbox, &create_request(PHONE_NUMBER_ID)), 429, "TooManyRequests")
        .await;
    assert!(sandbox.connectors().is_empty());
    let id = Uuid::new_v4().to_string();
    assert_eq!(get(&client, &sandbox, &id).send().await.unwrap().status(), 404);
    refused(get(&client, &sandbox, &id), 429, "TooManyRequests").await;
}

#[tokio::test]
async fn received_requests_are_recorded() {
    let sandbox = sandbox().start().await.unwrap();
    let client = client();
    let body = create_request(PHONE_NUMBER_ID);
    post(&client, &sandbox, &body).send().await.unwrap();
    get(&client, &sandbox, "nothing").send().await.unwrap();
    assert_eq!((sandbox.post_count(), sandbox.get_count()), (1, 1));
    assert_eq!([201, 400, 404].map(|status| sandbox.response_count(status)), [1, 1, 0]);
    let requests = sandbox.requests();
    assert_eq!(requests[0].method, "POST");
    assert!(requests[0].path.ends_with("/connectors"));
    assert_eq!(requests[0].status, Some(201));
    assert_eq!(serde_json::from_str::<Value>(&requests[0].body).unwrap(), body);
    assert_eq!((requests[1].method.as_str(), requests[1].status), ("GET", Some(400)));

    let long = vec![b'x'; 2 * ReceivedRequest::BODY_KEPT];
    with_key(client.post(connectors_url(&sandbox)).body(long), &sandbox).send().await.unwrap();
    assert_eq!(sandbox.requests()[2].body.len(), ReceivedRequest::BODY_KEPT);
}

#[tokio::test]
async fn debug_omits_the_key_and_the_bodies() {
    let builder = sandbox().access_key("open-sesame");
    assert!(!format!("{builder:?}").contains("sesame"));
    let sandbox = builder.start().await.unwrap();
    let mut body = create_request(PHONE_NUMBER_ID);
    body["invitationToken"] = json!("rosebud");
    let response = post(&client(), &sandbox, &body).send().await.unwrap();
    assert_eq!(response.status(), 201);
    let shown = format!("{sandbox:?} {:?} {:?}", sandbox.requests(), sandbox.connectors());
    assert!(!shown.contains("sesame") && !shown.contains("rosebud"), "{shown}");
}

#[tokio::test]
async fn the_key_and_the_workspace_can_be_configured() {
    let id = Uuid::new_v4();
    let sandbox = sandbox().access_key("k").workspace_id(id).start().await.unwrap();
    assert_eq!((sandbox.access_key(), sandbox.workspace_id()), ("k", id));
    let response =
        post(&client(), &sandbox, &create_request(PHONE_NUMBER_ID)).send().await.unwrap();
    assert_eq!(response.status(), 201);
}

#[tokio::test]
async fn an_address_other_than_loopback_is_refused() {
    let error = Sandbox::builder().listen(([0, 0, 0, 0], 0).into()).start().await.unwrap_err();
    assert!(matches!(error, StartError::NotLoopback(_)), "{error}");
}

#[tokio::test]
async fn a_port_in_use_is_an_error() {
    let sandbox = sandbox().start().await.unwrap();
    let address = sandbox.base_url()["http://".len()..].parse().unwrap();
    let error = Sandbox::builder().listen(address).start().await.unwrap_err();
    assert!(matches!(error, StartError::Listen(..)), "{error}");
}

#[tokio::test]
async fn after_a_shutdown_no_connection_is_served() {
    let sandbox = sandbox().start().await.unwrap();
    let client = client();
    let request = get(&client, &sandbox, "kept-alive");
    let again = request.try_clone().unwrap();
    // The connection stays in the pool of the client.
    request.send().await.unwrap().bytes().await.unwrap();
    sandbox.shutdown().await;
    assert!(again.send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn dropping_the_sandbox_ends_its_connections() {
    use tokio::io::AsyncReadExt;

    let sandbox = sandbox().start().await.unwrap();
    let address = sandbox.base_url()["http://".len()..].to_owned();
    let mut idle = tokio::net::TcpStream::connect(address).await.unwrap();
    drop(sandbox);
    let end = tokio::time::timeout(Duration::from_secs(10), idle.read(&mut [0])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}
