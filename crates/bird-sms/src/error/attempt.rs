//! The error of one attempt, and the parts of a response that it keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::fmt;

use bird_api::{BodyError, ExchangeError, Response};
use reqwest::header::{HeaderMap, HeaderValue, LOCATION, PROXY_AUTHENTICATE};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::model::printable;
use crate::{AccessKey, ConnectorId, PhoneNumberId, WorkspaceId};

/// The maximum length of a text from a response, in bytes.
const EXCERPT: usize = 512;
/// The maximum number of `details`, and of the strings in each.
const DETAILS: usize = 32;

/// Why one attempt failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// Bird, or a proxy in front of it, responded with a status that is not 2xx.
    #[error(transparent)]
    Response(Box<ErrorResponse>),
    /// There was no response.
    #[error(transparent)]
    Transport(TransportError),
    /// The status of the response is 2xx, but its body cannot be decoded.
    #[error(transparent)]
    Malformed(Box<ErrorResponse>),
    /// The response is about another connector.
    #[error("the response is about another connector, {0}")]
    OtherConnector(ConnectorId),
    /// The response is about a connector of another workspace.
    #[error("the response is about a connector of another workspace, {0}")]
    OtherWorkspace(WorkspaceId),
    /// The connector belongs to another phone number.
    #[error("the connector belongs to phone number {0}")]
    OtherPhoneNumber(PhoneNumberId),
    /// The connector was created from a template that is not for SMS.
    #[error("the connector was created from the template {0}, which is not for SMS")]
    OtherTemplate(String),
}

impl AttemptError {
    /// Returns the response, if its status was not 2xx or its body cannot be decoded.
    #[must_use]
    pub fn response(&self) -> Option<&ErrorResponse> {
        match self {
            Self::Response(response) | Self::Malformed(response) => Some(response),
            _ => None,
        }
    }

    /// Returns the transport error, if there was no response.
    #[must_use]
    pub fn transport(&self) -> Option<&TransportError> {
        match self {
            Self::Transport(error) => Some(error),
            _ => None,
        }
    }
}

/// Why an attempt got no response.
#[derive(Debug)]
#[non_exhaustive]
pub struct TransportError {
    kind: TransportErrorKind,
    source: Option<ExchangeError>,
}

/// The kinds of [`TransportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection was established: TCP or TLS failed.
    Connect,
    /// The name of the server could not be resolved.
    Dns,
    /// The proxy was not reached, or did not connect to the server.
    Proxy,
    /// The server's certificate is not trusted, or not for this host. Never retried.
    Certificate,
    /// The server's certificate has expired or is not valid yet, according to the clock of this machine. Never retried.
    CertificateExpired,
    /// The proxy refused to connect without a user name and a password (407). Never retried.
    ProxyAuthentication,
    /// No response came within the attempt timeout.
    TimedOut,
    /// The connection was lost, or the peer did not speak HTTP.
    Disconnected,
    /// The workspace's rate limiter granted no permit before the deadline, or before the batch was shut down. Nothing
    /// was sent.
    RateLimited,
    /// The caller's `reqwest::Client` followed a redirect, and sent the access key with it. Never retried.
    Redirected,
}

impl TransportErrorKind {
    /// Returns whether every later attempt would fail in the same way.
    pub(crate) fn is_final(self) -> bool {
        matches!(
            self,
            Self::Certificate
                | Self::CertificateExpired
                | Self::ProxyAuthentication
                | Self::Redirected
        )
    }
}

impl TransportError {
    pub(crate) fn new(kind: TransportErrorKind, source: ExchangeError) -> Self {
        Self { kind, source: Some(source) }
    }

    pub(crate) fn rate_limited() -> Self {
        Self { kind: TransportErrorKind::RateLimited, source: None }
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Returns whether the server may have acted on the request.
    ///
    /// # Troubleshooting
    ///
    /// `false` is certain: the request did not leave, so sending it again is safe. `true` after a POST means that a
    /// connector may exist, even if the connection was lost at once.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        self.source.as_ref().is_some_and(ExchangeError::may_have_been_sent)
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.kind, &self.source) {
            (TransportErrorKind::Dns, _) => "the name of the server could not be resolved",
            (TransportErrorKind::Proxy, _) => {
                "the proxy was not reached, or did not connect to the server"
            }
            (TransportErrorKind::Certificate, _) => "the certificate of the server was refused",
            (TransportErrorKind::CertificateExpired, _) => {
                "the certificate of the server has expired or is not valid yet"
            }
            (TransportErrorKind::ProxyAuthentication, _) => {
                "the proxy requires a user name and a password"
            }
            (_, Some(source)) => return source.fmt(f),
            (_, None) => "the rate limit allowed no request in time",
        })
    }
}

impl StdError for TransportError {
    /// Returns the root cause. The errors in between add nothing: their messages are like "client error".
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let mut cause = self.source.as_ref()?.source()?;
        while let Some(next) = cause.source() {
            cause = next;
        }
        Some(cause)
    }
}

/// A response of Bird, or of a proxy in front of it, whose status is not 2xx or whose body cannot be decoded.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ErrorResponse {
    /// The HTTP status.
    pub status: u16,
    /// The id of the request, which Bird's support asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Bird's error code, such as `InvalidPayload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Bird's error message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The problems of each field, by its path; other members of the body, by name; and the `Proxy-Authenticate` header
    /// of a 407. At most 32 entries of 32 strings, each at most 512 bytes and an ellipsis.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Vec<String>>,
    /// The target of a redirect. Redirects are never followed, because the access key would be sent along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The start of a body that is not Bird's JSON: at most 512 bytes and an ellipsis, with control characters
    /// replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// Why the body of a 2xx cannot be decoded, with the path of the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether the body is incomplete because the connection was lost or the attempt timed out.
    #[serde(skip)]
    pub truncated: bool,
    /// Whether this is a 401, and the key looks like one for another product of Bird.
    #[serde(skip)]
    pub(crate) other_product: bool,
}

impl ErrorResponse {
    /// Decodes as much of the response as possible, and never fails.
    pub(crate) fn new(response: &Response, key: &AccessKey) -> Self {
        let mut body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        key.redact_json(&mut body);
        let mut members = match body {
            Value::Object(members) => members,
            _ => serde_json::Map::new(),
        };
        let mut text = |field: &str| {
            let text = members.get(field)?.as_str().map(|text| printable(text, EXCERPT))?;
            members.remove(field);
            Some(text)
        };
        let code = text("code");
        let message = text("message");
        let decoded = code.is_some()
            || message.is_some()
            || members
                .get("details")
                .is_some_and(|details| details.is_object() || details.is_array());
        let mut details = if decoded { details(members) } else { BTreeMap::new() };
        let status = response.status.as_u16();
        if status == 407 {
            let schemes = response.headers.get_all(PROXY_AUTHENTICATE).iter();
            let schemes: Vec<_> = schemes.take(DETAILS).map(|value| header(value, key)).collect();
            if !schemes.is_empty() {
                details.insert(PROXY_AUTHENTICATE.to_string(), schemes);
            }
        }
        Self {
            status,
            request_id: request_id(&response.headers, key),
            code,
            message,
            details,
            location: response.headers.get(LOCATION).map(|value| header(value, key)),
            excerpt: if decoded { None } else { excerpt(&response.body, key) },
            other_product: status == 401 && key.is_of_other_product(),
            ..Self::default()
        }
    }

    /// Creates the error for a 2xx whose body cannot be decoded.
    pub(crate) fn malformed(response: &Response, problem: &str, key: &AccessKey) -> Self {
        let problem = match &response.body_error {
            Some(error) => error.to_string(),
            None if response.body.is_empty() => "the body is empty".to_owned(),
            None => {
                // serde quotes strings as `{:?}` does, which escapes two characters that the key may contain.
                let problem = problem.replace("\\\"", "\"").replace("\\\\", "\\");
                printable(&key.redact(&problem), EXCERPT)
            }
        };
        Self {
            status: response.status.as_u16(),
            request_id: request_id(&response.headers, key),
            excerpt: excerpt(&response.body, key),
            problem: Some(problem),
            truncated: matches!(
                response.body_error,
                Some(BodyError::Disconnected(_) | BodyError::TimedOut)
            ),
            ..Self::default()
        }
    }

    /// Returns the UUIDs in the response. After a 409, one may be the id of the connector that exists.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<Uuid> {
        let parts = |text: &String| {
            let parts = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
            let parts = parts.map(|part| part.trim_matches('-'));
            let ids = parts.filter(|part| part.len() == Hyphenated::LENGTH);
            ids.filter_map(|part| Uuid::try_parse(part).ok()).collect::<Vec<_>>()
        };
        self.texts().chain(&self.excerpt).flat_map(parts).collect()
    }

    fn texts(&self) -> impl Iterator<Item = &String> {
        let details =
            self.details.iter().flat_map(|(path, problems)| [path].into_iter().chain(problems));
        self.code.iter().chain(&self.message).chain(details)
    }

    /// Returns whether the code, the message or the details of the response mention a field of the request.
    pub(super) fn is_about(&self, field: &str) -> bool {
        self.texts().any(|text| text.contains(field))
    }
}

/// Returns the members of a body without its code and message. If `details` is an object, its members are among them.
fn details(mut members: serde_json::Map<String, Value>) -> BTreeMap<String, Vec<String>> {
    let details = match members.remove("details") {
        Some(Value::Object(details)) => details,
        Some(details) => [("details".to_owned(), details)].into_iter().collect(),
        None => serde_json::Map::new(),
    };
    let text = |value: &Value| match value.as_str() {
        Some(text) => printable(text, EXCERPT),
        None => printable(&value.to_string(), EXCERPT),
    };
    let mut texts = BTreeMap::<_, Vec<_>>::new();
    for (path, value) in details.iter().chain(&members).take(DETAILS) {
        let texts = texts.entry(printable(path, EXCERPT)).or_default();
        match value {
            Value::Null => {}
            Value::Array(values) => texts.extend(values.iter().take(DETAILS).map(text)),
            value => texts.push(text(value)),
        }
    }
    texts.retain(|_, texts| !texts.is_empty());
    texts
}

impl std::error::Error for ErrorResponse {}

/// For example, `HTTP 422 InvalidPayload: One or more fields … (.name: property "name" is missing) [request …]`, or
/// `HTTP 201, but the body is empty [request …]`.
impl fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if let Some(problem) = &self.problem {
            write!(f, ", but {problem}")?;
        }
        match (&self.message, &self.excerpt) {
            (Some(message), _) => write!(f, ": {message}")?,
            (None, Some(excerpt)) => write!(f, ", with the body: {excerpt}")?,
            (None, None) => {}
        }
        if let Some(location) = &self.location {
            write!(f, ", a redirect to {location}")?;
        }
        for (path, problems) in &self.details {
            write!(f, " ({path}: {})", problems.join("; "))?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " [request {id}]")?;
        }
        Ok(())
    }
}

/// Returns the start of a body that is not empty.
fn excerpt(body: &[u8], key: &AccessKey) -> Option<String> {
    (!body.is_empty()).then(|| printable(&key.redact(&key.redact_body(body)), EXCERPT))
}

fn header(value: &HeaderValue, key: &AccessKey) -> String {
    printable(&key.redact(&String::from_utf8_lossy(value.as_bytes())), EXCERPT)
}

fn request_id(headers: &HeaderMap, key: &AccessKey) -> Option<String> {
    let value = ["x-request-id", "request-id", "bird-request-id", "x-amzn-trace-id"]
        .iter()
        .find_map(|name| headers.get(*name))?;
    Some(header(value, key))
}
