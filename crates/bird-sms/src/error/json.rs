use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::Error;
use crate::{ConnectorId, Warning};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    error: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
    connector_state: &'static str,
    connector_id: Option<ConnectorId>,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<Warning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    attempts: u32,
    elapsed_seconds: f64,
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (response, malformed) = (self.response(), self.malformed());
        let request_id = response
            .and_then(|response| response.request_id.as_deref())
            .or_else(|| malformed?.request_id.as_deref());
        Json {
            error: match self {
                Self::Configuration(_) => "configuration",
                Self::Refused(_) => "refused",
                Self::Unreachable(_) => "unreachable",
                Self::OutcomeUnknown(_) => "outcome-unknown",
                Self::CreatedIdUnknown(_) => "created-id-unknown",
                Self::NotReady(_) => "not-ready",
                Self::Read(_) => "read",
                Self::Journal(_) => "journal",
            },
            message: self.chain(),
            hint: self.help(),
            connector_state: self.connector_state().kind(),
            connector_id: self.connector_id(),
            retryable: self.is_retryable(),
            warning: self.warning(),
            status: self.status(),
            code: response.and_then(|response| response.code.as_deref()),
            details: response
                .map(|response| &response.details)
                .filter(|details| !details.is_empty()),
            request_id,
            attempts: self.attempts().count,
            elapsed_seconds: self.attempts().elapsed.as_secs_f64(),
        }
        .serialize(serializer)
    }
}
