//! The way of a request to the server and of the response back, which a program can replace.
//!
//! This module is stable: it changes as the rest of the crate does, by semantic versioning.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use reqwest::Request;

use crate::{Client, ExchangeError, Response};

/// Sends the requests of a [`Client`] and returns their responses, instead of the `reqwest::Client`.
///
/// A transport that responds from memory makes a test of a service fast and repeatable. A transport that sends to the
/// server, such as a [`Client`] without one, can be wrapped to record the requests or to fail some of them.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use bird_api::{Client, ExchangeError, ExchangeErrorKind, RequestContext, Response};
/// use bird_api::transport::{Exchange, Transport};
///
/// /// A network that is down.
/// #[derive(Debug)]
/// struct Down;
///
/// impl Transport for Down {
///     fn exchange(&self, _request: reqwest::Request, _timeout: Duration) -> Exchange {
///         Box::pin(async { Err(ExchangeError::new(ExchangeErrorKind::Connect, false)) })
///     }
/// }
///
/// # fn example(http: reqwest::Client, key: reqwest::header::HeaderValue) {
/// let context = RequestContext::new(key).transport(Arc::new(Down));
/// let client = Client::new_with_client("https://bird.example", http, context);
/// # }
/// ```
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends the request once, and returns the response within `timeout`.
    ///
    /// The request has all its headers, the access key among them. Nothing may be sent before the future is polled.
    ///
    /// # Errors
    ///
    /// The future fails if there is no response. Whether the request may be sent again depends on
    /// [`ExchangeError::may_have_been_sent`]: `false` has to be certain.
    fn exchange(&self, request: Request, timeout: Duration) -> Exchange;
}

/// The future of one request and its response.
pub type Exchange = Pin<Box<dyn Future<Output = Result<Response, ExchangeError>> + Send>>;

/// Sends as [`Client::exchange`] does.
impl Transport for Client {
    fn exchange(&self, request: Request, timeout: Duration) -> Exchange {
        self.exchange(request, timeout)
    }
}
