//! A transport of the caller, in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bird_api::transport::{Exchange, Transport};
use bird_api::{ExchangeError, ExchangeErrorKind, Response};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::*;
use crate::ConnectorState;

type Outcome = Result<Response, ExchangeError>;

/// Gives the outcomes in their order, and records the requests.
#[derive(Debug, Default)]
struct Script {
    outcomes: Mutex<VecDeque<Outcome>>,
    requests: Mutex<Vec<String>>,
}

impl Transport for Script {
    fn exchange(&self, request: reqwest::Request, _timeout: Duration) -> Exchange {
        let key = request.headers()["authorization"].to_str().unwrap();
        assert!(key == format!("AccessKey {KEY}"), "another key");
        self.requests.lock().unwrap().push(format!("{} {}", request.method(), request.url()));
        let outcome = self.outcomes.lock().unwrap().pop_front().unwrap();
        Box::pin(async { outcome })
    }
}

fn response(status: StatusCode, body: String) -> Response {
    Response::new(status, HeaderMap::new(), body.into())
}

fn lost(may_have_been_sent: bool) -> Outcome {
    Err(ExchangeError::new(ExchangeErrorKind::Disconnected, may_have_been_sent))
}

async fn install(
    outcomes: impl Into<VecDeque<Outcome>>,
) -> (Result<SmsChannel, Error>, Vec<String>) {
    let script =
        Arc::new(Script { outcomes: Mutex::new(outcomes.into()), requests: Mutex::default() });
    let client = without_sleep("https://bird.example").0.transport(Arc::clone(&script) as _);
    let result = workspace(client).install_sms_channel("n", NUMBER.parse().unwrap()).await;
    let requests = script.requests.lock().unwrap().clone();
    (result, requests)
}

#[tokio::test]
async fn an_install_sends_everything_with_the_transport_of_the_caller() {
    let outcomes = [
        lost(false),
        Ok(response(StatusCode::CREATED, pending())),
        lost(true),
        Ok(response(StatusCode::OK, ready())),
    ];
    let (result, requests) = install(outcomes).await;
    assert_eq!(result.unwrap().id.to_string(), CHANNEL);
    let post = format!("POST https://bird.example/workspaces/{WORKSPACE}/connectors");
    let get = format!("GET https://bird.example/workspaces/{WORKSPACE}/connectors/{CONNECTOR}");
    assert_eq!(requests, [post.clone(), post, get.clone(), get]);
}

#[tokio::test]
async fn a_post_that_the_transport_may_have_sent_is_not_sent_again() {
    let (result, requests) = install([lost(true)]).await;
    assert_eq!(result.unwrap_err().connector_state(), ConnectorState::Unknown);
    assert_eq!(requests.len(), 1);
}

/// Responds to a POST at once, and to each GET with a 503 after 400 ms. Has the timeouts of the GETs.
#[derive(Debug, Default)]
struct SlowGets(Mutex<Vec<Duration>>);

impl Transport for SlowGets {
    fn exchange(&self, request: reqwest::Request, timeout: Duration) -> Exchange {
        if request.method() == reqwest::Method::POST {
            return Box::pin(async { Ok(response(StatusCode::CREATED, pending())) });
        }
        self.0.lock().unwrap().push(timeout);
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            Ok(response(StatusCode::SERVICE_UNAVAILABLE, String::new()))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_poll_leaves_the_time_that_the_responses_before_it_took() {
    let transport = Arc::new(SlowGets::default());
    let client = Client::builder()
        .access_key(AccessKey::new(KEY).unwrap())
        .transport(Arc::clone(&transport) as _)
        .seed(1)
        .install_timeout(Duration::from_secs(10));
    let result = workspace(client).install_sms_channel("n", NUMBER.parse().unwrap()).await;
    assert!(matches!(result, Err(Error::NotReady(_))), "{result:?}");
    let timeouts = transport.0.lock().unwrap().clone();
    assert!(timeouts.len() > 2, "{timeouts:?}");
    assert!(*timeouts.last().unwrap() >= Duration::from_millis(400), "{timeouts:?}");
}
