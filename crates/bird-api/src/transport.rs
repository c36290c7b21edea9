//! Replaces the HTTP client of a [`Client`], for example in tests.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use reqwest::Request;

use crate::{Client, ExchangeError, Response};

/// Sends the requests of a [`Client`], instead of its `reqwest::Client`.
///
/// A transport that responds from memory makes tests fast and repeatable. A transport can also wrap another one, such as
/// a [`Client`], to record requests or to fail some of them.
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
    /// The request already has all headers, including the access key. Nothing may be sent before the future is polled.
    ///
    /// # Errors
    ///
    /// The future fails if there is no response. Callers may send a request again if
    /// [`ExchangeError::may_have_been_sent`] is `false`, so `false` must be certain.
    fn exchange(&self, request: Request, timeout: Duration) -> Exchange;
}

/// A future that sends one request and resolves to its response.
pub type Exchange = Pin<Box<dyn Future<Output = Result<Response, ExchangeError>> + Send>>;

/// Sends requests with [`Client::exchange`].
impl Transport for Client {
    fn exchange(&self, request: Request, timeout: Duration) -> Exchange {
        self.exchange(request, timeout)
    }
}
