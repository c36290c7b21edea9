//! A local stand-in for Bird's API, for tests of a service that uses bird-sms: in memory or on loopback, without an
//! account.
//!
//! ```
//! use bird_sandbox::Sandbox;
//! use bird_sms::{PhoneNumberId, Workspace, test_util};
//!
//! /// The service under test. Returns what its user is told.
//! async fn onboard(workspace: &Workspace, number: PhoneNumberId) -> String {
//!     match workspace.install_sms_channel("Onboarding", number).await {
//!         Ok(channel) => format!("channel {} is ready", channel.id),
//!         Err(error) => format!("call support: {}", error.chain()),
//!     }
//! }
//!
//! // As a test: #[tokio::test(start_paused = true)]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::builder().fault("post:503".parse()?).in_memory();
//! let transport = sandbox.transport();
//! let key = sandbox.access_key();
//! let id = sandbox.workspace_id();
//! let workspace = test_util::workspace(transport, key, id);
//!
//! let told = onboard(&workspace, "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?).await;
//! assert_eq!(told, format!("channel {} is ready", sandbox.connectors()[0].channel_id));
//! assert_eq!(sandbox.post_count(), 2); // the first one failed
//! # Ok(())
//! # }
//! ```
//!
//! The example needs these dependencies:
//!
//! ```toml
//! [dev-dependencies]
//! bird-sandbox = { path = "../bird-sms/crates/bird-sandbox", features = ["transport"] }
//! bird-sms = { path = "../bird-sms/crates/bird-sms", features = ["test-util"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! The sandbox serves the endpoints of `openapi.yaml` and `numbers.yaml`, and validates requests against the first file. A
//! connector gets its channel after a delay, and a phone number can be installed only once. A wrong key, another workspace,
//! an invalid body and too many requests get the documented responses (401, 404, 422, 429). The sandbox checks the key
//! first, then the rate limit, the workspace and the body.
//!
//! The examples below create their `workspace` in the same way.
//!
//! # Time
//!
//! In memory, the sandbox follows Tokio's clock, and so do the delays and deadlines of bird-sms. A paused clock jumps to
//! the next timer as soon as no task can run: an hour takes milliseconds, and every time is exact.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use bird_sandbox::Sandbox;
//! use std::time::Duration;
//!
//! let hour = Duration::from_secs(3600);
//! let sandbox = Sandbox::builder().provisioning_delay(hour).in_memory();
//! # let transport = sandbox.transport();
//! # let key = sandbox.access_key();
//! # let id = sandbox.workspace_id();
//! # let workspace = bird_sms::test_util::workspace(transport, key, id);
//! # let number = bird_sms::uuid::Uuid::from_u128(1).into();
//! let began = tokio::time::Instant::now();
//! let error = workspace.install_sms_channel("Onboarding", number).await.unwrap_err();
//! assert!(began.elapsed() <= Duration::from_secs(120)); // the default of `install_timeout`
//!
//! // Later, for example in another process:
//! tokio::time::advance(hour).await;
//! let id = error.connector_id().unwrap();
//! let channel = workspace.pending_channel(id).wait().await?;
//! assert_eq!(channel.id, sandbox.connectors()[0].channel_id.into());
//! # Ok(())
//! # }
//! ```
//!
//! A paused clock doesn't wait for other threads or sockets. While a database call runs or a journal is written to a
//! file, the clock jumps from timer to timer, and deadlines pass. It stands still while a task of
//! `tokio::task::spawn_blocking` runs, so wrap such work in one, or don't pause the clock of that test.
//!
//! # Faults
//!
//! A [`Fault`] makes a request fail: with a status, a connection that is reset or stays silent, or a response that is lost,
//! cut or not JSON. Give it to the [builder](Builder::fault) or add it later, for one phone number if you like:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use bird_sandbox::Sandbox;
//! use bird_sms::{ConnectorState, uuid::Uuid};
//!
//! let sandbox = Sandbox::builder().in_memory();
//! # let transport = sandbox.transport();
//! # let key = sandbox.access_key();
//! # let id = sandbox.workspace_id();
//! # let workspace = bird_sms::test_util::workspace(transport, key, id);
//! let [first, second] = [1, 2].map(Uuid::from_u128);
//! // The response to the creation is lost. bird-sms finds the connector by its phone number.
//! sandbox.add_fault(format!("post:lost#{first}").parse()?);
//! assert!(workspace.install_sms_channel("Onboarding", first.into()).await.is_ok());
//! // The first poll is refused.
//! sandbox.add_fault(format!("get:403#{second}").parse()?);
//! let error = workspace.install_sms_channel("Onboarding", second.into()).await.unwrap_err();
//! assert!(matches!(error.connector_state(), ConnectorState::Exists(_)));
//! assert!(sandbox.faults().is_empty()); // both were injected
//! # Ok(())
//! # }
//! ```
//!
//! [docs/reliability.md](https://github.com/bird-sms/bird-sms/blob/main/docs/reliability.md) lists faults and the outcome of
//! an install after each. To test an error handler, you don't need a sandbox: `bird_sms::test_util` creates errors
//! without a request.
//!
//! # Repeatable runs
//!
//! The fault `random:SEED:PERCENT` fails this percentage of all requests. With a seed for the sandbox and one for the
//! client, a run on a single-threaded runtime is the same each time, so a failure can be reproduced:
//!
//! ```
//! use bird_sandbox::{Delay, ReceivedRequest, Sandbox};
//! use bird_sms::{AccessKey, Client, SmsConnectorRequest, uuid::Uuid};
//!
//! async fn install_many(seed: u64) -> Result<Vec<ReceivedRequest>, Box<dyn std::error::Error>> {
//!     let sandbox = Sandbox::builder()
//!         .seed(seed)
//!         .provisioning_delay("1s..5s".parse::<Delay>()?)
//!         .fault(format!("random:{seed}:10").parse()?)
//!         .in_memory();
//!     let client = Client::builder()
//!         .seed(seed)
//!         .access_key(AccessKey::new(sandbox.access_key())?)
//!         .transport(sandbox.transport())
//!         .build()?;
//!     let workspace = client.workspace(sandbox.workspace_id().into());
//!     let numbers = (1..=100).map(Uuid::from_u128);
//!     let requests = numbers.map(|number| SmsConnectorRequest::new("Onboarding", number.into()));
//!     let mut outcomes = workspace.install_sms_channels(requests).start();
//!     while outcomes.next().await.is_some() {}
//!     Ok(sandbox.requests())
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! assert_eq!(install_many(7).await?, install_many(7).await?);
//! # Ok(())
//! # }
//! ```
//!
//! # Over a socket
//!
//! A test of the HTTP client needs a server. So does a test that uses `Client::raw`, because its operations work only
//! over HTTP. A sandbox that listens on a port has the same methods, but its clock can't be paused:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use bird_sandbox::Sandbox;
//! use bird_sms::{AccessKey, Client};
//!
//! let delay = Duration::from_millis(20);
//! let sandbox = Sandbox::builder().provisioning_delay(delay).start().await?;
//! let client = Client::builder()
//!     .access_key(AccessKey::new(sandbox.access_key())?)
//!     .base_url(sandbox.base_url())
//!     .build()?;
//! let workspace = client.workspace(sandbox.workspace_id().into());
//! # let number = bird_sms::uuid::Uuid::from_u128(1).into();
//! let channel = workspace.install_sms_channel("Onboarding", number).await?;
//! sandbox.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! For a service in its own process or in another language, start the sandbox in a terminal: `bird-sms sandbox` prints
//! `BIRD_API_URL`, `BIRD_WORKSPACE_ID` and `BIRD_ACCESS_KEY`, which `Workspace::from_env` reads.
//!
//! # Control API
//!
//! The methods of [`Sandbox`] add faults and connectors while it runs. Another process can do the same over HTTP.
//! Bodies are JSON, and a POST needs `Content-Type: application/json`. These requests are neither counted nor recorded.
//!
//! | request | | body |
//! |---|---|---|
//! | `GET /_sandbox/` | the inspector: a page that shows the state and adds faults | |
//! | `GET /_sandbox/state` | the last 50 connectors and requests, newest first, and the faults; `?limit=N` up to 1,000 | |
//! | `POST /_sandbox/faults` | adds a [`Fault`] | `{"fault": "post:503x2"}` |
//! | `DELETE /_sandbox/faults/ID` | removes a fault; without `/ID`, all faults | |
//! | `POST /_sandbox/connectors` | adds a connector, as if an earlier run had created it: a [`ConnectorSeed`] | `{"name": "…", "phoneNumberId": "…"}` |
//!
//! No response contains the access key or the body of a request. A request that changes something needs the access key, as
//! requests of the API do, or the token of the inspector. Other requests need the key, or `localhost` or a loopback
//! address as their host, so no other web page can read the state.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod contract;
mod control;
mod delay;
mod fault;
mod http;
mod lists;
mod number;
mod routes;
mod seed;
mod server;
mod state;
#[cfg(test)]
mod tests;
#[cfg(feature = "transport")]
mod transport;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use hyper::Method;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub use contract::CONTRACT;
#[doc(hidden)]
pub use contract::validator;
pub use delay::{Delay, ParseDelayError};
pub use fault::{ActiveFault, Fault, ParseFaultError};
pub use state::{AlreadyExists, ConnectorSeed, ReceivedRequest, StoredConnector};

use crate::number::Number;
use crate::state::{Config, Key, Observer, State};

/// An error from [`Builder::start`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is not a loopback address, and [`Builder::allow_remote`] was not called.
    #[error("{0} is not a loopback address, but remote access is not allowed")]
    NotLoopback(SocketAddr),
    /// Binding the address failed.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
}

/// A builder that configures and starts a [`Sandbox`].
///
/// ```
/// use std::time::Duration;
///
/// use bird_sandbox::Sandbox;
///
/// let sandbox = Sandbox::builder()
///     .provisioning_delay(Duration::from_secs(5))
///     .number("+31612345678")
///     .fault("post:503x2".parse()?)
///     .in_memory();
/// assert_eq!(sandbox.faults()[0].remaining, Some(2));
/// # Ok::<(), bird_sandbox::ParseFaultError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    listen: SocketAddr,
    allow_remote: bool,
    config: Config,
}

impl Default for Builder {
    fn default() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { listen, allow_remote: false, config: Config::default() }
    }
}

impl Builder {
    /// Sets the address to listen on. Default: a free port on 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Allows listening on an address that is not loopback, such as 0.0.0.0 in a container. Requests from other
    /// machines need the access key, which is sent without encryption.
    pub fn allow_remote(mut self) -> Self {
        self.allow_remote = true;
        self
    }

    /// Sets how long it takes until a new connector has its channel. If it is zero, the response to the POST contains
    /// the channel. Default: 2 s.
    pub fn provisioning_delay(mut self, delay: impl Into<Delay>) -> Self {
        self.config.provisioning_delay = delay.into();
        self
    }

    /// Sets how long each response is delayed. The request is still processed at once. Default: zero.
    pub fn response_delay(mut self, delay: impl Into<Delay>) -> Self {
        self.config.response_delay = delay.into();
        self
    }

    /// Makes the sandbox repeatable: derives the access key, all ids and the random delays from a seed. Times start at
    /// 2100-01-01 and follow Tokio's clock. Anyone who knows the seed knows the key.
    ///
    /// Default: 0 in memory. Otherwise there is no seed: ids are random, and times are the system time.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = Some(seed);
        self
    }

    /// Sets the access key that requests need. Default: a random key.
    pub fn access_key(mut self, key: impl Into<String>) -> Self {
        self.config.access_key = Some(Key(key.into()));
        self
    }

    /// Sets the id of the sandbox's only workspace. Default: a random id.
    pub fn workspace_id(mut self, id: Uuid) -> Self {
        self.config.workspace_id = Some(id);
        self
    }

    /// Sets the maximum number of GETs per second. Further GETs get a 429. Default: 50, Bird's limit.
    pub fn get_limit(mut self, per_second: u32) -> Self {
        self.config.get_limit = per_second;
        self
    }

    /// Sets the maximum number of POSTs per second. Further POSTs get a 429. Default: 500, Bird's limit.
    pub fn post_limit(mut self, per_second: u32) -> Self {
        self.config.post_limit = per_second;
        self
    }

    /// Requires a use case for a phone number, as for a US 10DLC number. The use case is listed as a requirement of the
    /// number, and a POST without `useCaseId` gets a 422 with `details`.
    pub fn require_use_case(mut self, phone_number_id: Uuid) -> Self {
        self.config.use_case_required.push(phone_number_id);
        self
    }

    /// Adds a long code number in E.164 format. Its id ends with its digits. If you add any, the workspace doesn't have
    /// the ten default numbers.
    ///
    /// The workspace always has a short code and an alphanumeric sender. Phone number ids that aren't listed can be
    /// installed as well.
    pub fn number(mut self, number: &str) -> Self {
        self.config.numbers.push(Number::long_code(number));
        self
    }

    /// Adds a fault.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.config.faults.push(fault);
        self
    }

    /// Adds several faults, in this order.
    pub fn faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.config.faults.extend(faults);
        self
    }

    /// Calls `observer` with each request, before the client gets the response. The response waits until `observer`
    /// returns. Several threads may call it at the same time.
    pub fn observe(mut self, observer: impl Fn(&ReceivedRequest) + Send + Sync + 'static) -> Self {
        self.config.observer = Some(Observer(Arc::new(observer)));
        self
    }

    /// Starts a sandbox that listens on a port.
    ///
    /// # Errors
    ///
    /// Fails if the address is not allowed or can't be bound.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime with I/O and time enabled.
    pub async fn start(self) -> Result<Sandbox, StartError> {
        if !self.allow_remote && !self.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(self.listen));
        }
        let failed = |error| StartError::Listen(self.listen, error);
        let listener = TcpListener::bind(self.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let state = Arc::new(State::new(self.config));
        let task = tokio::spawn(server::serve(listener, Arc::clone(&state), stopped));
        Ok(Sandbox { state, server: Some(Server { address, stop, task }) })
    }

    /// Creates a sandbox without a socket. Requests reach it through its [`transport`](Sandbox::transport).
    ///
    /// The address to listen on has no effect. The [seed](Self::seed) is 0 unless you set another, so a test sees the
    /// same ids and times on each run.
    #[cfg(feature = "transport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
    #[must_use]
    pub fn in_memory(mut self) -> Sandbox {
        self.config.seed.get_or_insert_default();
        Sandbox { state: Arc::new(State::new(self.config)), server: None }
    }
}

/// A running sandbox.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use bird_sandbox::{ConnectorSeed, Sandbox};
/// use bird_sms::uuid::Uuid;
///
/// let sandbox = Sandbox::builder().start().await?; // or in_memory()
/// println!("{} {} {}", sandbox.base_url(), sandbox.workspace_id(), sandbox.access_key());
/// // A connector that an earlier run created:
/// sandbox.seed_connector(&ConnectorSeed::new("My SMS channel", Uuid::from_u128(1)))?;
/// sandbox.add_fault("get:reset@1".parse()?);
/// // … run the program under test, then see what it did:
/// assert_eq!((sandbox.post_count(), sandbox.connectors().len()), (0, 1));
/// # Ok(())
/// # }
/// ```
///
/// Dropping the sandbox closes its port and its connections.
pub struct Sandbox {
    state: Arc<State>,
    /// The server, or `None` if the sandbox is in memory.
    server: Option<Server>,
}

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("base_url", &self.base_url())
            .field("workspace_id", &self.workspace_id())
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Returns a [`Builder`] with the default settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns a transport to this sandbox, for `test_util::workspace` and `ClientBuilder::transport` of bird-sms.
    ///
    /// Requests are handled as over a socket, with the same faults, delays and limits, on Tokio's clock. The host of a
    /// request and the client's body limit have no effect.
    ///
    /// # Panics
    ///
    /// The exchanges panic outside of a Tokio runtime with time enabled.
    #[cfg(feature = "transport")]
    #[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
    #[must_use]
    pub fn transport(&self) -> Arc<dyn bird_api::transport::Transport> {
        Arc::new(transport::InMemory(Arc::clone(&self.state)))
    }

    /// Returns the base URL, such as `http://127.0.0.1:40001`.
    ///
    /// If the sandbox listens on all addresses, the URL has the loopback address. In memory, the URL is
    /// `https://sandbox.invalid`, whose host does not exist.
    #[must_use]
    pub fn base_url(&self) -> String {
        let Some(Server { mut address, .. }) = self.server else {
            return "https://sandbox.invalid".to_owned();
        };
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        format!("http://{address}")
    }

    /// Returns the URL of the inspector, a page for a browser on this machine that shows connectors, requests and faults.
    ///
    /// In memory, there is no page at this URL.
    #[must_use]
    pub fn inspector_url(&self) -> String {
        format!("{}{}", self.base_url(), control::INSPECTOR)
    }

    /// Returns the access key that requests need.
    #[must_use]
    pub fn access_key(&self) -> &str {
        self.state.access_key()
    }

    /// Returns the id of the sandbox's only workspace.
    #[must_use]
    pub fn workspace_id(&self) -> Uuid {
        self.state.workspace_id()
    }

    /// Adds a connector without a request, and returns its id.
    ///
    /// # Errors
    ///
    /// Fails if another connector has the phone number id or the connector id.
    pub fn seed_connector(&self, seed: &ConnectorSeed) -> Result<Uuid, AlreadyExists> {
        self.state.seed(seed).map(|(id, _)| id)
    }

    /// Adds a fault for the requests from now on, and returns its id.
    #[expect(clippy::must_use_candidate, reason = "few callers need the id")]
    pub fn add_fault(&self, fault: Fault) -> u64 {
        self.state.lock().add_fault(fault)
    }

    /// Removes the fault with this id, and returns whether it was active.
    #[expect(clippy::must_use_candidate, reason = "removing a fault twice is no mistake")]
    pub fn remove_fault(&self, id: u64) -> bool {
        self.state.lock().remove_fault(id)
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.state.lock().faults.clear();
    }

    /// Returns the faults that may still fail a request. A fault is removed after failing the last of its requests.
    #[must_use]
    pub fn faults(&self) -> Vec<ActiveFault> {
        self.state.lock().active_faults()
    }

    /// Returns the connectors, oldest first.
    #[must_use]
    pub fn connectors(&self) -> Vec<StoredConnector> {
        self.state.lock().connectors.clone()
    }

    /// Returns the last 10,000 requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.state.lock().requests.iter().cloned().collect()
    }

    /// Returns how many responses had this status.
    #[must_use]
    pub fn response_count(&self, status: u16) -> u64 {
        self.state.lock().responses.get(&status).copied().unwrap_or_default()
    }

    /// Returns how many POSTs were received, including POSTs that a fault failed.
    #[must_use]
    pub fn post_count(&self) -> u64 {
        self.received(&Method::POST)
    }

    /// Returns how many GETs were received, including GETs that a fault failed.
    #[must_use]
    pub fn get_count(&self) -> u64 {
        self.received(&Method::GET)
    }

    fn received(&self, method: &Method) -> u64 {
        self.state.lock().received.get(method).copied().unwrap_or_default()
    }

    /// Shuts the sandbox down. Returns when the port is free and every connection has ended.
    pub async fn shutdown(self) {
        let Some(server) = self.server else { return };
        drop(server.stop);
        // An error only means that the server task panicked, and a panic ends it as well.
        let _ = server.task.await;
    }
}

/// Runs the README's example as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
