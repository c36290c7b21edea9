use std::error::Error as StdError;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use progenitor_client::ClientInfo;
use reqwest::header::HeaderMap;
use reqwest::{Request, StatusCode};
use tokio::time::{Instant, timeout_at};

use crate::Client;
use crate::transport::Exchange;

/// A response from the server, or the part of it that arrived.
#[derive(Debug)]
#[non_exhaustive]
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, no longer than the limit of the [`RequestContext`](crate::RequestContext).
    pub body: Bytes,
    /// Why the body ended early, if it did. In that case, `body` is the part that arrived before.
    pub body_error: Option<BodyError>,
}

impl Response {
    /// Creates a complete response, for a [`Transport`](crate::transport::Transport) or a test.
    #[must_use]
    pub fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, headers, body, body_error: None }
    }
}

/// Why the body of a [`Response`] ended early.
#[derive(Debug)]
#[non_exhaustive]
pub enum BodyError {
    /// The body is longer than the limit.
    TooLong,
    /// The timeout passed before the end of the body.
    TimedOut,
    /// The connection was lost before the end of the body.
    Disconnected(Box<dyn StdError + Send + Sync>),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the body is longer than the limit",
            Self::TimedOut => "the rest of the body did not arrive in time",
            Self::Disconnected(_) => "the connection was lost in the middle of the body",
        })
    }
}

/// Why an exchange got no response.
#[derive(Debug)]
pub struct ExchangeError {
    kind: ExchangeErrorKind,
    sent: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kind of an [`ExchangeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExchangeErrorKind {
    /// No connection was established: DNS, TCP, TLS or a proxy failed. Nothing was sent.
    Connect,
    /// The timeout passed before the head of a response arrived.
    TimedOut,
    /// The connection was lost, or the peer did not speak HTTP.
    Disconnected,
    /// The `reqwest::Client` followed a redirect instead of returning it as the response.
    Redirected,
}

impl ExchangeError {
    /// Creates the error of a [`Transport`](crate::transport::Transport). `may_have_been_sent` must be `true` unless it
    /// is certain that the server did not and will not act on the request.
    #[must_use]
    pub fn new(kind: ExchangeErrorKind, may_have_been_sent: bool) -> Self {
        Self { kind, sent: may_have_been_sent, source: None }
    }

    /// Returns the kind of failure.
    #[must_use]
    pub fn kind(&self) -> ExchangeErrorKind {
        self.kind
    }

    /// Returns whether the server may have acted on the request. If `false`, it certainly did not and will not.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        self.sent
    }
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ExchangeErrorKind::Connect => "could not connect",
            ExchangeErrorKind::TimedOut => "no response arrived in time",
            ExchangeErrorKind::Disconnected => "the connection ended without an HTTP response",
            ExchangeErrorKind::Redirected => "the HTTP client followed a redirect",
        })
    }
}

impl StdError for ExchangeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl Client {
    /// Sends a request once and reads the response, both within `timeout`.
    ///
    /// Build the request with an `…_request` function of this client. The headers of the [`RequestContext`] are added
    /// here. A response with any status is a [`Response`], even if only part of its body arrived.
    ///
    /// # Errors
    ///
    /// Fails if there is no response. See [`ExchangeError::may_have_been_sent`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is polled sends nothing. Dropping it later may or may not close the connection, and
    /// the server may have acted on the request.
    ///
    /// [`RequestContext`]: crate::RequestContext
    pub fn exchange(&self, mut request: Request, timeout: Duration) -> Exchange {
        self.inner().apply(&mut request);
        match self.inner().own_transport() {
            Some(transport) => transport.exchange(request, timeout),
            None => Box::pin(exchange(self.client(), request, timeout, self.inner().limit())),
        }
    }
}

/// How late a timeout must fire before the process is assumed to have been suspended.
const STOPPED: Duration = Duration::from_millis(500);
/// How long to keep reading after a suspension, because a response may have arrived during it.
const AFTER_STOP: Duration = Duration::from_millis(500);

/// Implements [`Client::exchange`] with a `reqwest::Client`.
fn exchange(
    http: &reqwest::Client,
    mut request: Request,
    timeout: Duration,
    limit: usize,
) -> impl Future<Output = Result<Response, ExchangeError>> + Send + use<> {
    let body = track_body(&mut request);
    let url = request.url().clone();
    // `execute` sends nothing before its future is polled. If the `async` block called it, the block would be three times
    // as large, because it would hold the request.
    let head = http.execute(request);
    async move {
        let now = Instant::now();
        // A timeout beyond the range of the clock becomes a year.
        let end = now.checked_add(timeout).unwrap_or(now + Duration::from_secs(365 * 24 * 3600));
        let mut partial = None;
        let result = {
            let mut read = pin!(read(head, limit, &mut partial));
            match timeout_at(end, read.as_mut()).await {
                // The process was suspended. A response may have arrived that it has not read yet.
                Err(_) if end.elapsed() > STOPPED => {
                    timeout_at(Instant::now() + AFTER_STOP, read).await
                }
                result => result,
            }
        };
        let fail = |kind, source: Option<reqwest::Error>| {
            let sent = match &body {
                // A request that was sent may fail to connect: to the target of a redirect.
                Some(body) => !body.revoke(),
                None => kind != ExchangeErrorKind::Connect,
            };
            let source = source.map(|error| error.without_url().into());
            Err(ExchangeError { kind, sent, source })
        };
        let body_error = match (result, &partial) {
            (Ok(Ok(body_error)), _) => body_error,
            (Err(_), Some(_)) => Some(BodyError::TimedOut),
            (Err(_), None) => return fail(ExchangeErrorKind::TimedOut, None),
            (Ok(Err(error)), _) if error.is_connect() => {
                return fail(ExchangeErrorKind::Connect, Some(error));
            }
            (Ok(Err(error)), _) if error.is_timeout() => {
                return fail(ExchangeErrorKind::TimedOut, Some(error));
            }
            (Ok(Err(error)), _) => return fail(ExchangeErrorKind::Disconnected, Some(error)),
        };
        match partial {
            Some(partial) if *partial.response.url() == url => Ok(partial.response(body_error)),
            _ => fail(ExchangeErrorKind::Redirected, None),
        }
    }
}

/// Waits for the head of a response, and reads up to `limit` bytes of its body into `partial`.
///
/// Returns why the body ended early, if it did. Fails if no head arrives.
async fn read(
    head: impl Future<Output = reqwest::Result<reqwest::Response>>,
    limit: usize,
    partial: &mut Option<Partial>,
) -> reqwest::Result<Option<BodyError>> {
    let partial = partial.insert(Partial { response: head.await?, body: Body::default() });
    loop {
        match partial.response.chunk().await {
            Ok(None) => return Ok(None),
            Ok(Some(chunk)) if partial.body.len() + chunk.len() > limit => {
                return Ok(Some(BodyError::TooLong));
            }
            Ok(Some(chunk)) => partial.body.push(chunk),
            Err(error) if error.is_timeout() => return Ok(Some(BodyError::TimedOut)),
            Err(error) => return Ok(Some(BodyError::Disconnected(error.without_url().into()))),
        }
    }
}

/// A response whose body is still arriving.
struct Partial {
    response: reqwest::Response,
    body: Body,
}

impl Partial {
    fn response(mut self, body_error: Option<BodyError>) -> Response {
        let headers = std::mem::take(self.response.headers_mut());
        Response { status: self.response.status(), headers, body: self.body.whole(), body_error }
    }
}

/// A body in pieces. Most bodies are a single piece, which is not copied.
#[derive(Default)]
struct Body {
    first: Bytes,
    rest: BytesMut,
}

impl Body {
    fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() {
            self.first = piece;
        } else {
            self.rest.extend_from_slice(&piece);
        }
    }

    fn whole(self) -> Bytes {
        if self.rest.is_empty() {
            return self.first;
        }
        let mut whole = BytesMut::with_capacity(self.len());
        whole.extend_from_slice(&self.first);
        whole.extend_from_slice(&self.rest);
        whole.freeze()
    }
}

/// Replaces the body of a request with one that records whether its bytes were taken.
///
/// If they were not, the server cannot have acted on the request: an HTTP/1 connection takes the body before it writes
/// anything, and an HTTP/2 request is incomplete without its body.
///
/// A tracked body cannot be cloned, which keeps the HTTP client from sending the request again on its own. A request
/// without a body is not tracked, and counts as sent.
fn track_body(request: &mut Request) -> Option<Arc<BodyState>> {
    let bytes = Bytes::copy_from_slice(request.body()?.as_bytes()?);
    let state = Arc::new(BodyState::default());
    let body = TrackedBody { bytes: Some(bytes), state: Arc::clone(&state) };
    *request.body_mut() = Some(reqwest::Body::wrap(body));
    Some(state)
}

/// The owner of a body: the connection that took it, or the caller that revoked it.
///
/// A connection runs in its own task, so it may take the body just as the timeout passes.
#[derive(Debug, Default)]
struct BodyState(OnceLock<BodyOwner>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum BodyOwner {
    Connection,
    Revoked,
}

impl BodyState {
    /// Takes the body for the connection. Returns `false` if the body was already revoked.
    fn take(&self) -> bool {
        *self.0.get_or_init(|| BodyOwner::Connection) == BodyOwner::Connection
    }

    /// Revokes the body. Returns `false` if the connection has already taken it.
    fn revoke(&self) -> bool {
        *self.0.get_or_init(|| BodyOwner::Revoked) == BodyOwner::Revoked
    }
}

struct TrackedBody {
    bytes: Option<Bytes>,
    state: Arc<BodyState>,
}

/// The body was revoked before the connection took it.
#[derive(Debug)]
struct Revoked;

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request was revoked")
    }
}

impl StdError for Revoked {}

impl http_body::Body for TrackedBody {
    type Data = Bytes;
    type Error = Revoked;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Revoked>>> {
        if !self.state.take() {
            return Poll::Ready(Some(Err(Revoked)));
        }
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http_body::Body as _;

    use super::*;

    fn frame(body: &mut TrackedBody) -> Poll<Option<Result<Frame<Bytes>, Revoked>>> {
        Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
    }

    fn body() -> (TrackedBody, Arc<BodyState>) {
        let state = Arc::new(BodyState::default());
        let bytes = Some(Bytes::from_static(b"{}"));
        (TrackedBody { bytes, state: Arc::clone(&state) }, state)
    }

    #[test]
    fn a_body_is_either_taken_or_revoked() {
        let (mut taken, state) = body();
        assert!(matches!(frame(&mut taken), Poll::Ready(Some(Ok(_)))));
        assert!(!state.revoke());
        let (mut revoked, state) = body();
        assert!(state.revoke());
        assert!(matches!(frame(&mut revoked), Poll::Ready(Some(Err(Revoked)))));
    }
}
