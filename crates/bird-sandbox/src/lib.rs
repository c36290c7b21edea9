//! A local server of Bird's connectors API, in memory, for tests and demos.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), bird_sandbox::StartError> {
//! use std::time::Duration;
//!
//! let sandbox = bird_sandbox::Sandbox::builder()
//!     .provisioning_delay(Duration::from_millis(20))
//!     .start()
//!     .await?;
//! println!("{} {} {}", sandbox.base_url(), sandbox.workspace_id(), sandbox.access_key());
//! assert!(sandbox.connectors().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! The sandbox serves the two endpoints of `openapi.yaml` and validates requests against the schemas of that
//! file. A connector gets its channel after a delay, and a phone number can be installed once. For a wrong
//! key, another workspace, an invalid body and too many requests the sandbox sends the documented responses
//! (401, 404, 422, 429). The order of the checks is: the key, the rate limit, the workspace, the body. Delays
//! and limits follow tokio's clock.
//!
//! A [`Fault`] makes requests fail: with a status, a reset or silent connection, a lost response or a body
//! that is not JSON.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = bird_sandbox::Sandbox::builder()
//!     .fault("post:503x2".parse()?)
//!     .fault("get:reset@1".parse()?)
//!     .start()
//!     .await?;
//! // ... run the program under test, then check the requests:
//! assert_eq!(sandbox.post_count(), 0);
//! # sandbox.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod contract;
mod delay;
mod fault;
mod routes;
mod server;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub use delay::{Delay, ParseDelayError};
pub use fault::{Fault, ParseFaultError};
pub use state::{ReceivedRequest, StoredConnector};

use crate::state::State;

/// The contract that requests are validated against: `openapi.yaml` as JSON.
pub const CONTRACT: &str = include_str!("../openapi.json");

/// The reasons why a sandbox does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is not a loopback address. The sandbox is not secured for other hosts.
    #[error("the sandbox listens on loopback only, and {0} is not")]
    NotLoopback(SocketAddr),
    /// Binding the address failed.
    #[error("the sandbox cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] std::io::Error),
}

/// Configures a [`Sandbox`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    listen: SocketAddr,
    provisioning_delay: Delay,
    access_key: Key,
    workspace_id: Uuid,
    get_limit: u32,
    post_limit: u32,
    faults: Vec<Fault>,
    use_case_required: Vec<Uuid>,
}

#[derive(Clone)]
pub(crate) struct Key(pub(crate) String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            provisioning_delay: Delay::from(Duration::from_secs(2)),
            access_key: Key(format!("sandbox-{}", Uuid::new_v4().simple())),
            workspace_id: Uuid::new_v4(),
            get_limit: 50,
            post_limit: 500,
            faults: Vec::new(),
            use_case_required: Vec::new(),
        }
    }
}

impl Builder {
    /// Sets the loopback address to listen on. Default: a free port of 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Sets the time from the creation of a connector to its channel. With zero the response to the POST has
    /// the channel. Default: 2 s.
    pub fn provisioning_delay(mut self, delay: impl Into<Delay>) -> Self {
        self.provisioning_delay = delay.into();
        self
    }

    /// Sets the access key that requests need. Default: a random key.
    pub fn access_key(mut self, key: impl Into<String>) -> Self {
        self.access_key = Key(key.into());
        self
    }

    /// Sets the id of the one workspace. Default: a random id.
    pub fn workspace_id(mut self, id: Uuid) -> Self {
        self.workspace_id = id;
        self
    }

    /// Sets the limit of GETs per second; a GET beyond it gets a 429. Default: 50, Bird's limit.
    pub fn get_limit(mut self, per_second: u32) -> Self {
        self.get_limit = per_second;
        self
    }

    /// Sets the limit of POSTs per second; a POST beyond it gets a 429. Default: 500, Bird's limit.
    pub fn post_limit(mut self, per_second: u32) -> Self {
        self.post_limit = per_second;
        self
    }

    /// Adds a phone number that needs a use case, as a US 10DLC number does: a POST for it without `useCaseId` gets a
    /// 422 with `details`.
    pub fn require_use_case(mut self, phone_number_id: Uuid) -> Self {
        self.use_case_required.push(phone_number_id);
        self
    }

    /// Adds a fault.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Adds faults, in their order.
    pub fn faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults.extend(faults);
        self
    }

    /// Starts the sandbox.
    ///
    /// # Errors
    ///
    /// Fails when the address is not a loopback address, or cannot be bound.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime with I/O and time enabled.
    pub async fn start(self) -> Result<Sandbox, StartError> {
        if !self.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(self.listen));
        }
        let failed = |error| StartError::Listen(self.listen, error);
        let listener = TcpListener::bind(self.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let state = Arc::new(State::new(self));
        let server = tokio::spawn(server::serve(listener, Arc::clone(&state), stopped));
        Ok(Sandbox { address, state, stop, server })
    }
}

/// A running sandbox. Dropping it closes its port and its connections.
pub struct Sandbox {
    address: SocketAddr,
    state: Arc<State>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("address", &self.address)
            .field("workspace_id", &self.workspace_id())
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Returns a builder with the defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the base URL, such as `http://127.0.0.1:40001`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the access key that requests need.
    #[must_use]
    pub fn access_key(&self) -> &str {
        self.state.access_key()
    }

    /// Returns the id of the one workspace.
    #[must_use]
    pub fn workspace_id(&self) -> Uuid {
        self.state.workspace_id()
    }

    /// Returns the connectors, in the order of their creation.
    #[must_use]
    pub fn connectors(&self) -> Vec<StoredConnector> {
        self.state.lock().connectors.clone()
    }

    /// Returns the last 10,000 requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.state.lock().requests.iter().cloned().collect()
    }

    /// Returns the number of responses with this status.
    #[must_use]
    pub fn response_count(&self, status: u16) -> u64 {
        self.state.lock().responses.get(&status).copied().unwrap_or_default()
    }

    /// Returns the number of all POSTs, those with a fault included.
    #[must_use]
    pub fn post_count(&self) -> u64 {
        self.received(&Method::POST)
    }

    /// Returns the number of all GETs, those with a fault included.
    #[must_use]
    pub fn get_count(&self) -> u64 {
        self.received(&Method::GET)
    }

    fn received(&self, method: &Method) -> u64 {
        self.state.lock().received.get(method).copied().unwrap_or_default()
    }

    /// Stops the sandbox, and returns when the port is free and every connection has ended.
    pub async fn shutdown(self) {
        drop(self.stop);
        // The task panics only when a connection does.
        let _ = self.server.await;
    }
}
