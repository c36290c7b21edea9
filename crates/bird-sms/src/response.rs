//! What came back, as far as an error has to tell of it.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;

use bird_api::{BodyError, ExchangeError, ExchangeErrorKind, Response};
use reqwest::header::{HeaderMap, LOCATION};

use crate::AccessKey;

/// The longest text that is taken over from a response, in bytes.
const EXCERPT: usize = 512;
/// How many fields of `details`, and problems of each, are taken over.
const DETAILS: usize = 32;

/// A response of Bird, or of a proxy before it, that is not a success.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ErrorResponse {
    /// The HTTP status.
    pub status: u16,
    /// The id that Bird gave the request, for its support.
    pub request_id: Option<String>,
    /// The kind of error as Bird names it, such as `InvalidPayload`.
    pub code: Option<String>,
    /// The error in Bird's words.
    pub message: Option<String>,
    /// What is wrong with each field, by the path of the field.
    pub details: BTreeMap<String, Vec<String>>,
    /// Where a redirect points. It is never followed: the access key would travel.
    pub location: Option<String>,
    /// The start of a body that is not Bird's JSON: at most 512 bytes and an ellipsis, unprintable characters
    /// replaced.
    pub excerpt: Option<String>,
}

impl ErrorResponse {
    /// Takes what can be understood; nothing in a response makes this fail.
    pub(crate) fn new(response: &Response, key: &AccessKey) -> Self {
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let text = |field: &str| body.get(field)?.as_str().map(|text| printable(text, key));
        let (code, message) = (text("code"), text("message"));
        let details = details(&body, key);
        let understood = code.is_some() || message.is_some() || !details.is_empty();
        let excerpt = (!understood && !response.body.is_empty())
            .then(|| printable(&String::from_utf8_lossy(&response.body), key));
        let location = response
            .headers
            .get(LOCATION)
            .map(|value| printable(&String::from_utf8_lossy(value.as_bytes()), key));
        Self {
            status: response.status.as_u16(),
            request_id: request_id(&response.headers, key),
            code,
            message,
            details,
            location,
            excerpt,
        }
    }
}

fn details(body: &serde_json::Value, key: &AccessKey) -> BTreeMap<String, Vec<String>> {
    let Some(details) = body.get("details").and_then(|details| details.as_object()) else {
        return BTreeMap::new();
    };
    let one = |value: &serde_json::Value| match value.as_str() {
        Some(text) => printable(text, key),
        None => printable(&value.to_string(), key),
    };
    details
        .iter()
        .take(DETAILS)
        .map(|(path, problems)| {
            let problems = match problems.as_array() {
                Some(problems) => problems.iter().take(DETAILS).map(one).collect(),
                None => vec![one(problems)],
            };
            (printable(path, key), problems)
        })
        .collect()
}

/// `HTTP 422 InvalidPayload: One or more fields … (.name: property "name" is missing) [request …]`
impl fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
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

/// A success that could not be understood.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MalformedResponse {
    /// The HTTP status, a 2xx.
    pub status: u16,
    /// The id that Bird gave the request, for its support.
    pub request_id: Option<String>,
    /// What is wrong with it, with the path of the field.
    pub problem: String,
    /// Whether the connection broke, or time ran out, in the middle of the body.
    pub cut: bool,
}

impl MalformedResponse {
    pub(crate) fn new(response: &Response, problem: &str, key: &AccessKey) -> Self {
        let problem = match &response.cut {
            Some(cut) => cut.to_string(),
            None if response.body.is_empty() => "the body is empty".to_owned(),
            None => printable(problem, key),
        };
        Self {
            status: response.status.as_u16(),
            request_id: request_id(&response.headers, key),
            problem,
            cut: matches!(response.cut, Some(BodyError::Disconnected(_) | BodyError::TimedOut)),
        }
    }
}

impl fmt::Display for MalformedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}, but {}", self.status, self.problem)?;
        match &self.request_id {
            Some(id) => write!(f, " [request {id}]"),
            None => Ok(()),
        }
    }
}

fn request_id(headers: &HeaderMap, key: &AccessKey) -> Option<String> {
    let value = ["x-request-id", "request-id", "bird-request-id", "x-amzn-trace-id"]
        .iter()
        .find_map(|name| headers.get(*name))?;
    Some(printable(&String::from_utf8_lossy(value.as_bytes()), key))
}

/// The start of a text from the network: bounded, on one line, and without the key should a server or
/// proxy send it back.
fn printable(text: &str, key: &AccessKey) -> String {
    // A key that straddles the cut would survive the redaction if the cut came first.
    let text = key.redact(text);
    let mut end = text.len().min(EXCERPT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut printable: String =
        text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if end < text.len() {
        printable.push('…');
    }
    printable.trim().to_owned()
}

/// No response: what happened instead.
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
    /// No connection: the name does not resolve, nobody listens, a proxy refused, TLS failed.
    Connect,
    /// The server's certificate is not trusted, not for this host, or expired. Never retried.
    Certificate,
    /// No certificates of authorities to trust were found, as in a container without them. Never retried.
    NoTrustedRoots,
    /// No response within the time of an attempt.
    TimedOut,
    /// The connection broke, or the peer did not speak HTTP.
    Disconnected,
    /// The rate limit of the workspace left no permit before the deadline. Nothing was sent.
    RateLimited,
    /// A ready-made HTTP client followed a redirect, with the access key.
    Redirected,
}

impl TransportErrorKind {
    /// Whether the next attempt would end like this one.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Certificate | Self::NoTrustedRoots | Self::Redirected)
    }
}

impl TransportError {
    /// What happened.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Whether the request may have reached the server. False is certain.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        self.source.as_ref().is_some_and(ExchangeError::may_have_been_sent)
    }

    pub(crate) fn rate_limited() -> Self {
        Self { kind: TransportErrorKind::RateLimited, source: None }
    }
}

impl From<ExchangeError> for TransportError {
    fn from(source: ExchangeError) -> Self {
        let kind = match source.kind() {
            ExchangeErrorKind::Connect => {
                crate::tls::no_trust(&source).unwrap_or(TransportErrorKind::Connect)
            }
            ExchangeErrorKind::TimedOut => TransportErrorKind::TimedOut,
            ExchangeErrorKind::Redirected => TransportErrorKind::Redirected,
            _ => TransportErrorKind::Disconnected,
        };
        Self { kind, source: Some(source) }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(source) = &self.source else {
            return f
                .write_str("the rate limit of the workspace left no permit before the deadline");
        };
        match self.kind {
            TransportErrorKind::Certificate => f.write_str("the server's certificate was refused"),
            TransportErrorKind::NoTrustedRoots => f.write_str(
                "there is nobody to trust; install the platform's CA certificates, or name a file of them \
                 in SSL_CERT_FILE",
            ),
            _ => source.fmt(f),
        }?;
        // The causes in between say "client error" and the like; the last one says what it was.
        let mut cause = source.source();
        while let Some(next) = cause.and_then(StdError::source) {
            cause = Some(next);
        }
        match cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
