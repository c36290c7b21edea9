use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::Limited;
use progenitor_client::{ClientHooks, ClientInfo, OperationInfo};
use reqwest::header::{AUTHORIZATION, HeaderValue, USER_AGENT};
use reqwest::{Request, Response, ResponseBuilderExt, Url};

use crate::Client;

/// What each request of a [`Client`] carries beside its operation, and how much of a response is read.
///
/// Belongs to the client, not to its `reqwest::Client`: one that is handed in ready-made works, and
/// does not have to know the access key.
#[derive(Clone)]
pub struct RequestContext {
    authorization: HeaderValue,
    user_agent: Option<HeaderValue>,
    body_limit: usize,
    collection: Arc<Mutex<Option<Collection>>>,
}

/// The URL of a collection, and what it was made of.
struct Collection {
    base: String,
    path: String,
    url: Url,
}

impl RequestContext {
    /// The largest body of a response that is read unless [`RequestContext::body_limit`] says otherwise: 1 MiB,
    /// some five hundred times the size of a connector.
    pub const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;

    /// With the value of the `Authorization` header: `AccessKey <key>`. It is marked as sensitive.
    #[must_use]
    pub fn new(mut authorization: HeaderValue) -> Self {
        authorization.set_sensitive(true);
        Self {
            authorization,
            user_agent: None,
            body_limit: Self::DEFAULT_BODY_LIMIT,
            collection: Arc::default(),
        }
    }

    /// Sends this `User-Agent`.
    #[must_use]
    pub fn user_agent(mut self, user_agent: HeaderValue) -> Self {
        self.user_agent = Some(user_agent);
        self
    }

    /// Reads at most this many bytes of a response's body; a larger one is an error.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    pub(crate) fn limit(&self) -> usize {
        self.body_limit
    }

    /// The URL of a collection, whose path comes in pieces and starts with a slash, or of one of its
    /// items: a segment in which nothing needs to be encoded.
    ///
    /// To parse a URL is among the dearest things that a request does, and the requests of a client
    /// mostly have the same collection. So the last one is kept.
    pub(crate) fn url(
        &self,
        http: &reqwest::Client,
        base: &str,
        path: &[&str],
        item: Option<&str>,
    ) -> reqwest::Result<Url> {
        let path = path.concat();
        let mut kept = self.collection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut url = match &*kept {
            Some(kept) if kept.base == base && kept.path == path => kept.url.clone(),
            _ => {
                // As a request, for the error that reqwest makes of what is no URL.
                let url = http.get(format!("{}{path}", base.trim_end_matches('/'))).build()?;
                let url = url.url().clone();
                kept.insert(Collection { base: base.to_owned(), path, url }).url.clone()
            }
        };
        drop(kept);
        if let Some(item) = item {
            url.path_segments_mut().expect("the URL of a request has a path").push(item);
        }
        Ok(url)
    }

    pub(crate) fn apply(&self, request: &mut Request) {
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        if let Some(user_agent) = &self.user_agent {
            headers.insert(USER_AGENT, user_agent.clone());
        }
    }
}

/// Does not show the access key.
impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestContext")
            .field("user_agent", &self.user_agent)
            .field("body_limit", &self.body_limit)
            .finish_non_exhaustive()
    }
}

impl ClientHooks<RequestContext> for Client {
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

/// The same response with a body that fails beyond the limit.
fn limited(response: Response, limit: usize) -> Response {
    // Taking a response apart loses its URL, which travels as an extension.
    let url = http::Response::builder().url(response.url().clone()).body(());
    let (mut head, body) = http::Response::<reqwest::Body>::from(response).into_parts();
    if let Ok(url) = url {
        head.extensions.extend(url.into_parts().0.extensions);
    }
    http::Response::from_parts(head, reqwest::Body::wrap(Limited::new(body, limit))).into()
}
