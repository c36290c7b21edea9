use std::fmt;
use std::sync::Arc;

use http_body_util::Limited;
use progenitor_client::{ClientHooks, ClientInfo, OperationInfo};
use reqwest::header::{AUTHORIZATION, HeaderValue, USER_AGENT};
use reqwest::{Request, Response, ResponseBuilderExt};

use crate::transport::Transport;

/// The headers of every request of a [`Client`](crate::Client), the size limit of response bodies, and the transport.
///
/// The access key is kept here rather than in the `reqwest::Client`, which an application may use for other servers.
#[derive(Clone)]
pub struct RequestContext {
    authorization: HeaderValue,
    user_agent: Option<HeaderValue>,
    body_limit: usize,
    transport: Option<Arc<dyn Transport>>,
}

impl RequestContext {
    /// The default of [`RequestContext::body_limit`]: 1 MiB, about 500 times the size of a connector.
    pub const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;

    /// Creates a context from the value of the `Authorization` header, `AccessKey <key>`, and marks the
    /// value as sensitive.
    #[must_use]
    pub fn new(mut authorization: HeaderValue) -> Self {
        authorization.set_sensitive(true);
        let body_limit = Self::DEFAULT_BODY_LIMIT;
        Self { authorization, user_agent: None, body_limit, transport: None }
    }

    /// Sets the `User-Agent` header. Default: none.
    #[must_use]
    pub fn user_agent(mut self, user_agent: HeaderValue) -> Self {
        self.user_agent = Some(user_agent);
        self
    }

    /// Limits the size of a response body, in bytes. Reading a larger body fails.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Sends the requests of [`Client::exchange`](crate::Client::exchange) with this transport instead of the
    /// `reqwest::Client`. The transport must then enforce the body limit itself.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    pub(crate) fn limit(&self) -> usize {
        self.body_limit
    }

    pub(crate) fn own_transport(&self) -> Option<&dyn Transport> {
        self.transport.as_deref()
    }

    pub(crate) fn apply(&self, request: &mut Request) {
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        if let Some(user_agent) = &self.user_agent {
            headers.insert(USER_AGENT, user_agent.clone());
        }
    }
}

/// The output omits the access key.
impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestContext")
            .field("user_agent", &self.user_agent)
            .field("body_limit", &self.body_limit)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// Adds the headers of the context to each request, and limits the size of response bodies.
impl ClientHooks<RequestContext> for crate::Client {
    async fn pre<E>(
        &self,
        request: &mut Request,
        _info: &OperationInfo,
    ) -> Result<(), progenitor_client::Error<E>> {
        self.inner().apply(request);
        Ok(())
    }

    async fn exec(&self, request: Request, _info: &OperationInfo) -> reqwest::Result<Response> {
        let response = self.client().execute(request).await?;
        Ok(limited(response, self.inner().limit()))
    }
}

/// Limits the body of a response: reading more than `limit` bytes fails.
fn limited(response: Response, limit: usize) -> Response {
    // The conversion to `http::Response` loses the URL, but reqwest restores it from an extension.
    let url = http::Response::builder().url(response.url().clone()).body(());
    let (mut head, body) = http::Response::<reqwest::Body>::from(response).into_parts();
    if let Ok(url) = url {
        head.extensions.extend(url.into_parts().0.extensions);
    }
    http::Response::from_parts(head, reqwest::Body::wrap(Limited::new(body, limit))).into()
}
