//! The inspector page in a browser.

mod browser;

use std::time::Duration;

use bird_sandbox::{ConnectorSeed, Sandbox};
use browser::Browser;
use reqwest::Client;
use serde_json::json;
use uuid::Uuid;

const NUMBER: &str = "2cffb55c-120e-91a8-8f10-ed9d1b412d29";

async fn sandbox() -> Sandbox {
    Sandbox::builder().provisioning_delay(Duration::ZERO).start().await.unwrap()
}

/// Sends a POST with the name of a connector, and returns whether there was a response.
async fn create(sandbox: &Sandbox, name: &str) -> bool {
    // When bird-sms is built too, reqwest has TLS without a provider and needs one even for HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/workspaces/{}/connectors", sandbox.base_url(), sandbox.workspace_id());
    let body = json!({
        "name": name,
        "connectorTemplateRef": "sms-messagebird:1",
        "arguments": { "phoneNumberId": Uuid::new_v4() },
    });
    let key = format!("AccessKey {}", sandbox.access_key());
    client.post(url).header("authorization", key).json(&body).send().await.is_ok()
}

/// Returns an expression for the text of what a selector finds.
fn text(selector: &str) -> String {
    format!("[...document.querySelectorAll({selector:?})].map((node) => node.textContent).join()")
}

#[tokio::test]
async fn requests_and_connectors_appear_as_text_and_rows_that_are_shown_stay() {
    let sandbox = sandbox().await;
    let Some(mut page) = Browser::open(&sandbox.inspector_url()).await else { return };
    page.wait_for(
        &text("#requests .empty").replace(".join()", ".join().includes('bird-sms install')"),
    )
    .await;
    let markup = "<img src=x onerror=alert(1)>";
    create(&sandbox, markup).await;
    page.wait_for("document.querySelectorAll('#requests tbody tr').length === 1").await;
    assert_eq!(page.evaluate("document.querySelector('#requests .empty').hidden").await, true);
    let shown = page.evaluate(&text("#requests tbody td")).await;
    assert!(shown.as_str().unwrap().ends_with(",POST,…/connectors,201 Created"), "{shown}");
    let shown = page.evaluate(&text("#connectors tbody")).await;
    let channel = sandbox.connectors()[0].channel_id;
    assert!(shown.as_str().unwrap().starts_with(markup), "{shown}");
    assert!(shown.as_str().unwrap().ends_with(&format!("Ready{channel}")), "{shown}");

    page.evaluate("document.querySelector('#requests tbody tr').id = 'first'").await;
    sandbox.add_fault("post:lost".parse().unwrap());
    assert!(!create(&sandbox, "lost").await);
    page.wait_for("document.querySelectorAll('#requests tbody tr').length === 2").await;
    let shown = page.evaluate(&text("#requests tbody tr:first-child .response")).await;
    assert_eq!(shown, "No responsefault post:lost");
    assert_eq!(page.evaluate(&text("#first .response")).await, "201 Created");

    let mut seed = ConnectorSeed::new("pending", Uuid::new_v4());
    seed.provisioning_delay = Some(Duration::MAX.into());
    sandbox.seed_connector(&seed).unwrap();
    page.wait_for("document.querySelectorAll('#connectors tbody tr').length === 3").await;
    let shown = page.evaluate(&text("#connectors tbody tr:first-child .channel")).await;
    assert_eq!(shown, "Provisioning");

    // A paused page does not change, and a page whose sandbox has ended says so.
    page.evaluate("document.querySelector('#pause').click()").await;
    assert_eq!(page.evaluate(&text("#live")).await, "Paused");
    page.evaluate("document.querySelector('#pause').click()").await;
    let key = sandbox.access_key().to_owned();
    sandbox.shutdown().await;
    page.wait_for("document.querySelector('#live').textContent.includes('does not respond')").await;
    let html = page.evaluate("document.documentElement.outerHTML").await;
    assert!(!html.as_str().unwrap().contains(&key));
}

#[tokio::test]
async fn faults_are_added_and_removed_with_the_keyboard_alone() {
    let sandbox = sandbox().await;
    let Some(mut page) = Browser::open(&sandbox.inspector_url()).await else { return };
    // Every control can be reached, in the order in which they are shown.
    let mut reached = Vec::new();
    while reached.last().map(String::as_str) != Some("text") {
        page.press("Tab").await;
        let id = page.evaluate("document.activeElement.id").await;
        reached.push(id.as_str().unwrap().to_owned());
        if reached.last().unwrap() == "number" {
            page.type_text(NUMBER).await;
        }
    }
    assert_eq!(reached, ["pause", "method", "times", "kind", "after", "number", "text"]);
    let fault = format!("post:503#{NUMBER}");
    assert_eq!(page.evaluate("document.querySelector('#text').value").await, fault);
    page.press("Enter").await;
    page.wait_for("document.querySelectorAll('#faults li').length === 1").await;
    assert_eq!(page.evaluate(&text("#said")).await, format!("Added {fault}."));
    assert_eq!(sandbox.faults()[0].fault, fault);

    page.type_text("post:oops").await;
    page.press("Enter").await;
    page.wait_for("document.querySelector('[aria-invalid=true]')").await;
    let said = page.evaluate(&text("#said")).await;
    assert!(said.as_str().unwrap().starts_with("expected METHOD:KIND"), "{said}");
    assert_eq!(page.evaluate("document.activeElement.id").await, "text");

    page.type_text("get:reset@1").await;
    page.press("Enter").await;
    page.wait_for("document.querySelectorAll('#faults li').length === 2").await;
    for rest in [1, 0] {
        page.evaluate("document.querySelector('#faults li button').focus()").await;
        page.press("Enter").await;
        page.wait_for(&format!("document.querySelectorAll('#faults li').length === {rest}")).await;
        // The focus is not lost with the button that had it.
        let focused = if rest == 0 { "Faults" } else { "Remove" };
        page.wait_for(&format!("document.activeElement.textContent === {focused:?}")).await;
    }
    assert!(sandbox.faults().is_empty());
    // Chromium reports the 400 as well.
    let others = page.problems.iter().filter(|problem| !problem.to_string().contains(" 400 "));
    assert_eq!(others.count(), 0, "{:?}", page.problems);
}

#[tokio::test]
async fn the_page_is_legible_in_both_colour_schemes_and_at_every_width() {
    let sandbox = sandbox().await;
    let Some(mut page) = Browser::open(&sandbox.inspector_url()).await else { return };
    sandbox.add_fault("post:503".parse().unwrap());
    sandbox.add_fault(format!("get:hangx2#{NUMBER}").parse().unwrap());
    for name in ["first", "x".repeat(300).as_str()] {
        create(&sandbox, name).await;
    }
    page.wait_for("document.querySelectorAll('tbody tr').length === 3").await;
    for (width, scheme) in [(1200, "light"), (1200, "dark"), (400, "light"), (400, "dark")] {
        page.show_as(width, scheme).await;
        let low = page.evaluate(include_str!("contrast.js")).await;
        assert_eq!(low, json!([]), "{width} {scheme}");
        let wide = page.evaluate("document.documentElement.scrollWidth").await;
        assert!(wide.as_u64().unwrap() <= width.into(), "{wide} of {width} {scheme}");
    }
    // A screen reader has a name for each control and region, and tables at every width.
    page.call("Accessibility.enable", json!({})).await;
    let tree = page.call("Accessibility.getFullAXTree", json!({})).await;
    let mut tables = 0;
    for node in tree["nodes"].as_array().unwrap() {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        tables += usize::from(role == "table");
        let controls =
            ["button", "textbox", "spinbutton", "combobox", "group", "region", "table", "form"];
        if controls.contains(&role) {
            let name = node["name"]["value"].as_str().unwrap_or_default();
            assert!(!name.is_empty(), "a {role} without a name");
        }
    }
    assert_eq!(tables, 2);
}

#[tokio::test]
async fn the_page_runs_no_script_but_its_own() {
    let sandbox = sandbox().await;
    let Some(mut page) = Browser::open(&sandbox.inspector_url()).await else { return };
    assert!(page.problems.is_empty(), "{:?}", page.problems);
    let problem = page.try_evaluate("document.body.innerHTML = '<b>x</b>'").await.unwrap_err();
    assert!(problem.contains("TrustedHTML"), "{problem}");
    let inline = "const script = document.createElement('script'); \
                  script.append('window.ran = true'); document.body.append(script); window.ran";
    assert_ne!(page.try_evaluate(inline).await, Ok(json!(true)));
    let elsewhere = "fetch('http://127.0.0.1:1/').then(() => 'sent', (error) => error.message)";
    assert_eq!(page.evaluate(elsewhere).await, "Failed to fetch");
    assert!(page.problems.iter().any(|problem| problem.to_string().contains("connect-src")));
    // The page itself is no request of the API.
    assert!(sandbox.requests().is_empty());
}
