//! The list of connectors.

use super::*;

/// Returns the names on a page, and the token of the next page.
async fn page(api: &Api, query: &str) -> (Vec<String>, Option<String>) {
    let request = api.request(Method::GET, &format!("{}?{query}", api.connectors()));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{query}");
    let page: Value = response.json().await.unwrap();
    let names = page["results"].as_array().unwrap().iter();
    let names = names.map(|connector| connector["name"].as_str().unwrap().to_owned()).collect();
    (names, page["nextPageToken"].as_str().map(str::to_owned))
}

async fn create(api: &Api, n: u32) {
    let number = format!("00000000-0000-4000-8000-{n:012}");
    let mut body = valid_but("/arguments/phoneNumberId", number.into());
    body["name"] = format!("{n}").into();
    assert_eq!(api.post(&body).await.0, 201);
}

#[tokio::test]
async fn pages_follow_each_other_from_the_newest_connector_to_the_oldest() {
    let api = Api::start(immediate()).await;
    for n in 1..=12 {
        create(&api, n).await;
    }
    let (names, next) = page(&api, "").await;
    assert_eq!((names.len(), &*names[0]), (10, "12"));
    // A connector that is created meanwhile is on no later page.
    create(&api, 13).await;
    let (names, last) = page(&api, &format!("pageToken={}", next.unwrap())).await;
    assert_eq!((names, last), (vec!["2".to_owned(), "1".to_owned()], None));
    assert_eq!(page(&api, "limit=13&templateRef=sms-messagebird:1").await.0.len(), 13);
    assert_eq!(page(&api, "templateRef=whatsapp:1").await, (vec![], None));
    for query in ["limit=0", "limit=100", "pageToken=x"] {
        let request = api.request(Method::GET, &format!("{}?{query}", api.connectors()));
        assert_eq!(request.send().await.unwrap().status(), 400, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_connector_is_listed_after_the_lag() {
    let api = Api::start(immediate().list_lag(Duration::from_secs(5))).await;
    create(&api, 1).await;
    assert!(page(&api, "").await.0.is_empty());
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(page(&api, "").await.0, ["1"]);
}

#[tokio::test]
async fn the_list_can_be_forbidden_absent_or_of_another_shape() {
    for (list, status) in [
        (ListEndpoint::Forbidden, 403),
        (ListEndpoint::Absent, 405),
        (ListEndpoint::OtherShape, 200),
    ] {
        let api = Api::start(immediate().list(list)).await;
        let response = api.request(Method::GET, &api.connectors()).send().await.unwrap();
        assert_eq!(response.status(), status, "{list:?}");
        let body: Value = response.json().await.unwrap();
        assert!(body.get("results").is_none());
    }
}
