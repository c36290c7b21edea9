//! A transport that reaches a sandbox in memory.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bird_api::transport::{Exchange, Transport};
use bird_api::{BodyError, ExchangeError, ExchangeErrorKind, Response};
use hyper::Request;

use crate::routes;
use crate::state::State;

/// A transport that passes each request to the handler of the server. Responses, timeouts and lost connections
/// look to the client as they do over a socket.
pub(crate) struct InMemory(pub(crate) Arc<State>);

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InMemory")
    }
}

impl Transport for InMemory {
    fn exchange(&self, request: reqwest::Request, timeout: Duration) -> Exchange {
        let state = Arc::clone(&self.0);
        Box::pin(async move {
            let request = Request::<reqwest::Body>::try_from(request)
                .map_err(|_| ExchangeError::new(ExchangeErrorKind::Disconnected, false))?;
            let response = routes::handle(&state, request);
            let kind = match tokio::time::timeout(timeout, response).await {
                Ok(Ok(response)) => {
                    let (head, body) = response.into_parts();
                    let is_cut = body.is_cut();
                    let mut response = Response::new(head.status, head.headers, body.bytes);
                    response.body_error =
                        is_cut.then(|| BodyError::Disconnected("the sandbox cut the body".into()));
                    return Ok(response);
                }
                Ok(Err(_)) => ExchangeErrorKind::Disconnected,
                Err(_) => ExchangeErrorKind::TimedOut,
            };
            // As over a socket, the client cannot know whether the request was processed.
            Err(ExchangeError::new(kind, true))
        })
    }
}
