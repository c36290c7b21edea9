//! Tests the endpoints of numbers, requirements and use cases.

use serde_json::{Value, json};

use super::{Api, immediate, valid};
use crate::Sandbox;
use crate::contract::of_schema;

const NUMBER: &str = "00000000-0000-4000-8000-031612345678";

/// Gets a path below the workspace, and asserts that the contract documents the response.
async fn get(api: &Api, path: &str) -> (u16, Value) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contract/numbers.yaml");
    let contract: Value = yaml_serde::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let path = format!("/workspaces/{}/{path}", api.sandbox.workspace_id());
    let response = api.request(reqwest::Method::GET, &path).send().await.unwrap();
    let status = response.status().as_u16();
    let body = response.json().await.unwrap();
    let schema = match path.split(['/', '?']).skip(3).collect::<Vec<_>>()[..] {
        _ if status >= 400 => "ApiError",
        ["numbers-long-code", id, ..] if !id.contains('=') => "LongCode",
        ["numbers-long-code", ..] => "LongCodeList",
        ["numbers-short-code", ..] => "ShortCodeList",
        ["numbers-alpha", ..] => "AlphaSenderList",
        ["use-cases", ..] => "UseCaseList",
        _ => "RequirementList",
    };
    let problem = of_schema(&contract, schema).validate(&body).err().map(|it| it.to_string());
    assert_eq!(problem, None, "{path} {body}");
    (status, body)
}

/// Gets a path, and returns one field of each result.
async fn results(api: &Api, path: &str, field: &str) -> Vec<Value> {
    let (status, page) = get(api, path).await;
    assert_eq!(status, 200, "{page}");
    page["results"].as_array().unwrap().iter().map(|result| result[field].clone()).collect()
}

#[tokio::test]
async fn paging_lists_each_number_once_and_ends() {
    let builder =
        (100..350).fold(immediate().get_limit(500), |it, n| it.number(&format!("+31612345{n}")));
    let api = Api::start(builder).await;
    let mut seen = Vec::new();
    let mut path = "numbers-long-code?limit=99".to_owned();
    loop {
        let (_, page) = get(&api, &path).await;
        seen.extend(
            page["results"].as_array().unwrap().iter().map(|it| it["numberString"].clone()),
        );
        let Some(token) = page["nextPageToken"].as_str() else { break };
        path = format!("numbers-long-code?limit=99&pageToken={token}");
    }
    let all: Vec<_> = (100..350).map(|n| json!(format!("+31612345{n}"))).collect();
    assert_eq!(seen, all);
    let newest = results(&api, "numbers-long-code?reverse=true&limit=1", "numberString").await;
    assert_eq!(newest, ["+31612345349"]);
    assert_eq!(results(&api, "numbers-long-code", "id").await.len(), 10);
    for wrong in ["limit=100", "limit=0", "limit=ten", "pageToken=x", "reverse=perhaps"] {
        assert_eq!(get(&api, &format!("numbers-long-code?{wrong}")).await.0, 400, "{wrong}");
    }
    assert_eq!(get(&api, "use-cases?limit=1000").await.0, 200);
}

#[tokio::test]
async fn the_number_filter_matches_leading_digits() {
    let builder = immediate().number("+31612345678").number("+3161234567").number("+1");
    let api = Api::start(builder).await;
    for (filter, count) in [("%2B31", 2), ("31612345678", 1), ("%2B3161234567", 2), ("+31", 0)] {
        let path = format!("numbers-long-code?numberString={filter}");
        assert_eq!(results(&api, &path, "id").await.len(), count, "{filter}");
    }
}

#[tokio::test]
async fn a_number_shows_its_connector_once_it_is_created() {
    let sandbox = Sandbox::builder().number("+31612345678").post_limit(500);
    let api = Api::start(sandbox).await;
    let path = format!("numbers-long-code/{NUMBER}");
    let (status, number) = get(&api, &path).await;
    assert_eq!((status, &number["countryCode"]), (200, &json!("NL")));
    assert_eq!(number["endpoint"]["dependencies"], json!([]));
    let mut body = valid();
    body["arguments"]["phoneNumberId"] = json!(NUMBER);
    let (_, connector) = api.post(&body).await;
    let used = json!([{ "type": "connector", "connectorId": connector["id"] }]);
    assert_eq!(get(&api, &path).await.1["endpoint"]["dependencies"], used);
    let listed = results(&api, "numbers-long-code", "endpoint").await;
    assert_eq!(listed[0]["dependencies"], used);
    // An unlisted id can be read as a number once it is installed.
    let unlisted = valid()["arguments"]["phoneNumberId"].as_str().unwrap().to_owned();
    let path = format!("numbers-long-code/{unlisted}");
    assert_eq!(get(&api, &path).await.0, 404);
    api.post(&valid()).await;
    assert_eq!(get(&api, &path).await.1["endpoint"]["dependencies"].as_array().unwrap().len(), 1);
    assert_eq!(results(&api, "numbers-long-code", "id").await, [NUMBER]);
}

#[tokio::test]
async fn a_required_use_case_is_unsatisfied_until_it_is_given() {
    let api = Api::start(immediate().require_use_case(NUMBER.parse().unwrap())).await;
    let path = format!("endpoints/{NUMBER}/compliance-requirements");
    assert_eq!(results(&api, &path, "status").await, ["unsatisfied"]);
    let mut body = valid();
    body["arguments"]["phoneNumberId"] = json!(NUMBER);
    assert_eq!(api.post(&body).await.0, 201);
    assert_eq!(results(&api, &path, "status").await, ["satisfied"]);
    let unknown = path.replace('6', "7");
    assert_eq!(get(&api, &unknown).await.0, 404);
}

#[tokio::test]
async fn short_codes_senders_and_use_cases_are_listed() {
    let api = Api::start(immediate()).await;
    assert_eq!(results(&api, "numbers-short-code", "numberString").await, ["12345"]);
    assert_eq!(results(&api, "numbers-alpha", "alphaString").await, ["Example"]);
    assert_eq!(results(&api, "use-cases", "status").await, ["created", "created"]);
    assert_eq!(results(&api, "numbers-long-code", "id").await.len(), 10);
}
