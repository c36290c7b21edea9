use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bird_api::transport::{Exchange, Transport};
use bird_api::{ExchangeError, ExchangeErrorKind, Response};
use reqwest::StatusCode;
use reqwest::header::{HeaderName, HeaderValue};

use crate::script::Script;
use crate::{Reply, Request};

/// A server without a socket. It replies like a [`Peer`](crate::Peer), but its delays work with Tokio's paused clock.
#[derive(Clone)]
pub struct InMemory(Arc<State>);

struct State {
    script: Mutex<Script>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl InMemory {
    /// Creates a server that takes its replies from a script. After the last one, it replies with 599.
    pub fn script(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::new(Script::new(replies))
    }

    /// Creates a server that calls a function to get the reply to each request.
    pub fn with_handler(handler: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        Self::new(Script::with_handler(handler))
    }

    fn new(script: Script) -> Self {
        let script = Mutex::new(script);
        Self(Arc::new(State { script, in_flight: 0.into(), most_in_flight: 0.into() }))
    }

    /// Returns a transport that sends a client's requests to this server.
    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(self.clone())
    }

    /// Returns the requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.0.script.lock().unwrap().requests.clone()
    }

    /// Returns the number of POSTs so far.
    pub fn posts(&self) -> usize {
        self.0.script.lock().unwrap().count("POST")
    }

    /// Returns the number of GETs so far.
    pub fn gets(&self) -> usize {
        self.0.script.lock().unwrap().count("GET")
    }

    /// Returns the largest number of requests that were in flight at once.
    pub fn most_in_flight(&self) -> usize {
        self.0.most_in_flight.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InMemory")
    }
}

impl Transport for InMemory {
    fn exchange(&self, request: reqwest::Request, timeout: Duration) -> Exchange {
        let state = Arc::clone(&self.0);
        Box::pin(async move {
            // The request is sent when the future is first polled, not when it is created.
            let _in_flight = InFlight::new(&state);
            let reply = state.script.lock().unwrap().reply(Request::from(request));
            let reply = tokio::time::timeout(timeout, outcome(reply)).await;
            reply.unwrap_or_else(|_| Err(ExchangeError::new(ExchangeErrorKind::TimedOut, true)))
        })
    }
}

struct InFlight<'a>(&'a State);

impl<'a> InFlight<'a> {
    fn new(state: &'a State) -> Self {
        let now = state.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        state.most_in_flight.fetch_max(now, Ordering::Relaxed);
        Self(state)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn outcome(mut reply: Reply) -> Result<Response, ExchangeError> {
    while let Reply::Delayed(delay, next) = reply {
        tokio::time::sleep(delay).await;
        reply = *next;
    }
    let disconnected = |sent| Err(ExchangeError::new(ExchangeErrorKind::Disconnected, sent));
    match reply {
        Reply::Bytes(bytes) => Ok(response(&bytes)),
        Reply::ResetOnAccept => disconnected(false),
        Reply::Close | Reply::Reset => disconnected(true),
        Reply::Silence => std::future::pending().await,
        reply => panic!("this reply needs a socket: {reply:?}"),
    }
}

fn response(bytes: &[u8]) -> Response {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut head = httparse::Response::new(&mut headers);
    let parsed = head.parse(bytes).expect("the bytes start with a response head");
    let status = StatusCode::from_u16(head.code.expect("a status code")).expect("a valid status");
    let headers = head.headers.iter().map(|header| {
        let name = HeaderName::try_from(header.name).expect("a valid name");
        (name, HeaderValue::from_bytes(header.value).expect("a valid value"))
    });
    let headers = headers.collect();
    Response::new(status, headers, bytes[parsed.unwrap()..].to_vec().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_transport_returns_each_scripted_reply() {
        let bird = InMemory::with_handler(|request| match &*request.path {
            "/a?b" => Reply::with_headers(429, &["retry-after: 7"], "c"),
            "/reset" => Reply::ResetOnAccept,
            "/close" => Reply::Close.delayed(Duration::from_millis(5)),
            _ => Reply::Silence,
        });
        let get = async |path: &str| {
            let url = format!("https://bird.example{path}").parse().unwrap();
            let request = reqwest::Request::new(reqwest::Method::GET, url);
            bird.transport().exchange(request, Duration::from_secs(1)).await
        };
        let response = get("/a?b").await.unwrap();
        assert_eq!((response.status.as_u16(), &*response.body), (429, &b"c"[..]));
        assert_eq!(response.headers["retry-after"], "7");
        for (path, kind, may_have_been_sent) in [
            ("/reset", ExchangeErrorKind::Disconnected, false),
            ("/close", ExchangeErrorKind::Disconnected, true),
            ("/silence", ExchangeErrorKind::TimedOut, true),
        ] {
            let error = get(path).await.unwrap_err();
            assert_eq!((error.kind(), error.may_have_been_sent()), (kind, may_have_been_sent));
        }
        assert_eq!((bird.posts(), bird.gets(), bird.most_in_flight()), (0, 4, 1));
    }
}
