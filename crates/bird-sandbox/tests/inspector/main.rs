//! Tests the inspector in a browser.

mod browser;

use std::time::Duration;

use bird_sandbox::Sandbox;
use browser::Browser;
use reqwest::Client;
use serde_json::json;
use uuid::Uuid;

/// Creates a connector with this name, and returns the status of the response.
async fn create(sandbox: &Sandbox, name: &str) -> u16 {
    // bird-sms enables rustls in reqwest without a crypto provider, so a test must install one, even for HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/workspaces/{}/connectors", sandbox.base_url(), sandbox.workspace_id());
    let body = json!({
        "name": name,
        "connectorTemplateRef": "sms-messagebird:1",
        "arguments": { "phoneNumberId": Uuid::new_v4() },
    });
    let key = format!("AccessKey {}", sandbox.access_key());
    let response = client.post(url).header("authorization", key).json(&body).send().await;
    response.unwrap().status().as_u16()
}

/// Returns a JavaScript expression for the text of the elements that a selector matches.
fn text(selector: &str) -> String {
    format!("[...document.querySelectorAll({selector:?})].map((node) => node.textContent).join()")
}

#[tokio::test]
async fn a_click_adds_a_fault_and_shows_its_effect() {
    let sandbox = Sandbox::builder().provisioning_delay(Duration::ZERO).start().await.unwrap();
    let Some(mut page) = Browser::open(&sandbox.inspector_url()).await else { return };
    let markup = "<img src=x onerror=alert(1)>";
    assert_eq!(create(&sandbox, markup).await, 201);
    page.wait_for("document.querySelector('#requests tbody tr')").await;
    let shown = page.evaluate(&text("#requests tbody td")).await;
    assert!(shown.as_str().unwrap().ends_with(",POST,…/connectors,201 Created"), "{shown}");
    let shown = page.evaluate(&text("#connectors tbody")).await;
    let connector = &sandbox.connectors()[0];
    let row = format!(
        "{markup}{}{}Ready{}",
        connector.id, connector.phone_number_id, connector.channel_id
    );
    assert_eq!(shown, row);

    let click = "[...document.querySelectorAll('#post button')].find((it) => it.textContent === '503').click()";
    page.evaluate(click).await;
    page.wait_for("document.querySelectorAll('#faults li').length === 1").await;
    assert_eq!(page.evaluate(&text("#said")).await, "Added post:503.");
    assert_eq!(create(&sandbox, "refused").await, 503);
    page.wait_for("document.querySelectorAll('#requests tbody tr').length === 2").await;
    let shown = page.evaluate(&text("#requests tbody tr:first-child td:last-child")).await;
    assert_eq!(shown, "503 Service Unavailablefault post:503");
    page.wait_for("document.querySelectorAll('#faults li').length === 0").await;
    assert_eq!(page.problems, [json!(null); 0]);
    page.close().await;
}
