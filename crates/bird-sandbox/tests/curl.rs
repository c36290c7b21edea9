//! The two commands of the vendor's documentation "Installing an SMS channel", with host, ids and key filled in.

mod common;

use std::process::Stdio;

use bird_test_peer::fixtures::USE_CASE_ID;
use common::{PHONE_NUMBER_ID, connectors_url, sandbox};
use serde_json::Value;

/// Runs curl. Returns `None` when it is not installed.
async fn curl(arguments: Vec<String>) -> Option<Value> {
    let output = tokio::task::spawn_blocking(move || {
        std::process::Command::new("curl")
            .args(["--silent", "--noproxy", "*", "--location"])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
    });
    let output = output.await.unwrap().ok()?;
    assert!(output.status.success(), "{output:?}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[tokio::test]
async fn the_commands_of_the_vendors_documentation_work() {
    let sandbox = sandbox().start().await.unwrap();
    let url = connectors_url(&sandbox);
    let header = |text: &str| ["--header".to_owned(), text.to_owned()];
    let key = format!("Authorization: AccessKey {}", sandbox.access_key());
    let body = format!(
        r#"{{
            "connectorTemplateRef": "sms-messagebird:1",
            "name": "My SMS channel",
            "arguments": {{
                "phoneNumberId": "{PHONE_NUMBER_ID}",
                "useCaseId": "{USE_CASE_ID}"
            }},
            "channelConversationalStatusEnabled": true
        }}"#
    );
    let mut create = vec![url.clone()];
    create.extend(header("Content-Type: application/json"));
    create.extend(header("Accept: application/json"));
    create.extend(header(&key));
    create.extend(["--data".to_owned(), body]);
    let Some(created) = curl(create).await else { return };

    let mut show = vec![format!("{url}/{}", created["id"].as_str().unwrap())];
    show.extend(header("Accept: application/json"));
    show.extend(header(&key));
    let shown = curl(show).await.unwrap();
    assert_eq!(shown["channel"]["channelId"], sandbox.connectors()[0].channel_id.to_string());
}
