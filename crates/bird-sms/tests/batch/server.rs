//! A transport that responds from memory, and records when each POST leaves.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bird_sms::bird_api::transport::{Exchange, Transport};
use bird_sms::bird_api::{ExchangeError, ExchangeErrorKind, Response};
use bird_sms::reqwest::header::{HeaderMap, RETRY_AFTER};
use bird_sms::reqwest::{Method, Request, StatusCode};
use bird_sms::uuid::Uuid;
use bird_sms::{AccessKey, Client, ClientBuilder, PhoneNumberId, SmsConnectorRequest, Workspace};
use tokio::time::Instant;

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A connector without a channel.
    Pending,
    /// A connector with a channel.
    Ready,
    /// A 429, with the seconds of its `Retry-After`.
    TooMany(u64),
    /// A 503.
    Unavailable,
    /// No response.
    Hang,
}

/// A request, as the server sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call {
    /// `None` for a GET.
    pub post: Option<PhoneNumberId>,
    pub at: Instant,
    /// The number of earlier requests with the same method.
    pub nth: usize,
}

type Respond = dyn Fn(Call) -> Reply + Send + Sync;

/// A server without a socket. The id of each connector is its phone number id.
pub struct Server {
    respond: Box<Respond>,
    /// The time of a response.
    latency: Duration,
    posts: Mutex<Vec<Call>>,
    gets: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

impl Server {
    pub fn new(
        latency: Duration,
        respond: impl Fn(Call) -> Reply + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            respond: Box::new(respond),
            latency,
            posts: Mutex::default(),
            gets: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        })
    }

    /// Returns a workspace of this server.
    pub fn workspace(self: &Arc<Self>, configure: fn(ClientBuilder) -> ClientBuilder) -> Workspace {
        let transport = Arc::new(InMemory(Arc::clone(self)));
        let client = Client::builder()
            .access_key(AccessKey::new("key").unwrap())
            .transport(transport)
            .seed(0);
        configure(client).build().unwrap().workspace(Uuid::max().into())
    }

    /// Returns the POSTs, in the order in which they left.
    pub fn posts(&self) -> Vec<Call> {
        self.posts.lock().unwrap().clone()
    }

    pub fn gets(&self) -> usize {
        self.gets.load(Ordering::Relaxed)
    }

    pub fn most_in_flight(&self) -> usize {
        self.most_in_flight.load(Ordering::Relaxed)
    }

    /// Records a request that leaves.
    fn receive(&self, post: Option<PhoneNumberId>) -> Call {
        let at = Instant::now();
        if post.is_none() {
            return Call { post, at, nth: self.gets.fetch_add(1, Ordering::Relaxed) };
        }
        let mut posts = self.posts.lock().unwrap();
        let call = Call { post, at, nth: posts.len() };
        posts.push(call);
        call
    }

    async fn respond(
        &self,
        request: Request,
        timeout: Duration,
    ) -> Result<Response, ExchangeError> {
        // The first poll: from here on, the request has left.
        let guard = InFlight::new(self);
        let id = |text: &[u8]| std::str::from_utf8(text).unwrap().parse::<Uuid>().unwrap();
        let (post, connector) = if request.method() == Method::POST {
            let body = request.body().unwrap().as_bytes().unwrap();
            let name = br#""phoneNumberId":""#;
            let at = body.windows(name.len()).position(|part| part == name).unwrap() + name.len();
            let number = id(&body[at..at + 36]);
            // Not the id of a phone number.
            (Some(number.into()), Uuid::from_u128((1 << 64) + number.as_u128()))
        } else {
            (None, id(request.url().path().rsplit('/').next().unwrap().as_bytes()))
        };
        let reply = (self.respond)(self.receive(post));
        let time = if matches!(reply, Reply::Hang) { Duration::MAX } else { self.latency };
        if !time.is_zero() && tokio::time::timeout(timeout, tokio::time::sleep(time)).await.is_err()
        {
            return Err(ExchangeError::new(ExchangeErrorKind::TimedOut, true));
        }
        drop(guard);
        let channel = match reply {
            Reply::TooMany(seconds) => {
                let headers = HeaderMap::from_iter([(RETRY_AFTER, seconds.into())]);
                return Ok(Response::new(StatusCode::TOO_MANY_REQUESTS, headers, "{}".into()));
            }
            Reply::Unavailable => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                return Ok(Response::new(status, HeaderMap::new(), "{}".into()));
            }
            Reply::Ready => format!(r#","channel":{{"channelId":"{connector}"}}"#),
            Reply::Pending | Reply::Hang => String::new(),
        };
        let status = if post.is_some() { StatusCode::CREATED } else { StatusCode::OK };
        let body = format!(
            r#"{{"id":"{connector}","name":"n","createdAt":"2025-01-21T01:43:10.940Z"{channel}}}"#
        );
        Ok(Response::new(status, HeaderMap::new(), body.into()))
    }
}

struct InFlight<'a>(&'a Server);

impl<'a> InFlight<'a> {
    fn new(server: &'a Server) -> Self {
        let now = server.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        server.most_in_flight.fetch_max(now, Ordering::Relaxed);
        Self(server)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct InMemory(Arc<Server>);

impl Transport for InMemory {
    fn exchange(&self, request: Request, timeout: Duration) -> Exchange {
        let server = Arc::clone(&self.0);
        Box::pin(async move { server.respond(request, timeout).await })
    }
}

pub fn number(n: u128) -> PhoneNumberId {
    Uuid::from_u128(n).into()
}

/// Returns the requests for phone numbers from `first` on.
pub fn requests(first: u128, count: u128) -> impl Iterator<Item = SmsConnectorRequest> + Send {
    (first..first + count).map(|n| SmsConnectorRequest::new("n", number(n)))
}
