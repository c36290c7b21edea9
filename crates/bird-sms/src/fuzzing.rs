//! Entry points of the fuzz targets in `fuzz/`, which are compiled only with `cfg(fuzzing)`.

use std::time::{Duration, SystemTime};

use bird_api::Response;
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

use crate::model::{ConnectorStatus, recover_id};
use crate::{AccessKey, Connector, ErrorResponse, MalformedResponse};

fn response(status: StatusCode, body: &[u8]) -> Response {
    Response::new(status, HeaderMap::new(), Bytes::copy_from_slice(body))
}

/// Decodes a body as a connector in every way that an install does, and checks that the results agree.
pub fn connector(body: &[u8]) {
    let response = response(StatusCode::OK, body);
    let status = ConnectorStatus::decode(body);
    if let Ok(status) = &status {
        assert_eq!(recover_id(&response.body), Some(status.id));
    }
    if let (Ok(connector), Ok(status)) =
        (Connector::decode(&response.body, &AccessKey::new("fuzzed-key").expect("a key")), &status)
    {
        assert_eq!((connector.id, connector.channel_id), (status.id, status.channel_id));
    }
    if let Err(problem) = status {
        let key = AccessKey::new("key").expect("a key");
        let malformed = MalformedResponse::new(&response, &problem, &key);
        assert!(malformed.to_string().len() < 2000);
    }
}

/// Decodes a body as an error, and checks that its text is bounded and does not contain the key.
pub fn error(body: &[u8]) {
    let key = AccessKey::new("fuzzed-key").expect("a key");
    let shown = ErrorResponse::new(&response(StatusCode::BAD_REQUEST, body), &key);
    assert!(!format!("{shown} {shown:?}").contains("fuzzed-key"));
    assert!(shown.to_string().len() < 4 * 1024 * 1024);
}

/// Parses a `Retry-After`, and checks that the delay is at most the cap.
pub fn retry_after(value: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, value);
    let cap = Duration::from_secs(60);
    for now in [SystemTime::UNIX_EPOCH, SystemTime::now()] {
        assert!(crate::transport::retry_after(&headers, now, cap).is_none_or(|delay| delay <= cap));
    }
}
