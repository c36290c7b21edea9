//! A local Bird: the connectors API on loopback, in memory, for tests and demos.
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
//! It knows the two endpoints of `openapi.yaml` and validates requests against the schemas of that file.
//! A connector gets its channel after a delay; a phone number can be installed once; a wrong key, another
//! workspace, an invalid body and too many requests are answered as documented (401, 404, 422, 429).
//! The checks come in this order: the key, the rate limit, the workspace, the body. Delays and limits run on
//! tokio's clock.
//!
//! To see how a program takes it when things go wrong, give it a [`Fault`]: a status, a connection that is
//! reset or stays silent, an answer that is lost or cannot be read.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = bird_sandbox::Sandbox::builder()
//!     .fault("post:503x2".parse()?)
//!     .fault("get:reset@1".parse()?)
//!     .start()
//!     .await?;
//! // ... run what is to be tested, then look at what arrived:
//! assert_eq!(sandbox.post_count(), 0);
//! # sandbox.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod contract;
mod delay;
mod fault;
mod limit;
mod listener;
mod routes;
mod state;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use uuid::Uuid;

pub use delay::{Delay, ParseDelayError};
pub use fault::{Fault, ParseFaultError};
pub use state::{ReceivedRequest, StoredConnector};

use crate::listener::Loopback;
use crate::state::State;

/// The contract that the sandbox holds requests against: `openapi.yaml`, as JSON.
pub const CONTRACT: &str = include_str!("../openapi.json");

/// Why a sandbox does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It keeps what it is told in memory and takes a key that everybody knows: it serves this machine
    /// alone.
    #[error("the sandbox listens on loopback only, and {0} is not")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
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
        }
    }
}

impl Builder {
    /// Where to listen: a loopback address. Default: a free port of 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// How long after its creation a connector gets its channel. With zero the answer to the creation
    /// carries it. Default: 2 s.
    pub fn provisioning_delay(mut self, delay: impl Into<Delay>) -> Self {
        self.provisioning_delay = delay.into();
        self
    }

    /// The access key that it takes. Default: a random one.
    pub fn access_key(mut self, key: impl Into<String>) -> Self {
        self.access_key = Key(key.into());
        self
    }

    /// The workspace that it has. Default: a random one.
    pub fn workspace_id(mut self, id: Uuid) -> Self {
        self.workspace_id = id;
        self
    }

    /// How many GETs a second it answers before it says 429. Default: 50, as Bird's.
    pub fn get_limit(mut self, per_second: u32) -> Self {
        self.get_limit = per_second;
        self
    }

    /// How many POSTs a second it answers before it says 429. Default: 500, as Bird's.
    pub fn post_limit(mut self, per_second: u32) -> Self {
        self.post_limit = per_second;
        self
    }

    /// One more thing that goes wrong.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// More that goes wrong, in this order.
    pub fn faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults.extend(faults);
        self
    }

    /// Starts to serve.
    ///
    /// # Errors
    ///
    /// When the address is not loopback, or cannot be listened on.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    pub async fn start(self) -> Result<Sandbox, StartError> {
        if !self.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(self.listen));
        }
        let failed = |error| StartError::Listen(self.listen, error);
        let listener = TcpListener::bind(self.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = watch::channel(());
        let key = self.access_key.clone();
        let workspace_id = self.workspace_id;
        let state = Arc::new(State::new(self));
        let service = routes::router(Arc::clone(&state))
            .into_make_service_with_connect_info::<listener::Connection>();
        let mut until = stopped.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = axum::serve(Loopback { listener, stopped }, service).into_future() => {}
                _ = until.changed() => {}
            }
        });
        Ok(Sandbox { address, key, workspace_id, state, stop })
    }
}

/// A sandbox that serves until it is dropped. Its connections end with it.
pub struct Sandbox {
    address: SocketAddr,
    key: Key,
    workspace_id: Uuid,
    state: Arc<State>,
    stop: watch::Sender<()>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("address", &self.address)
            .field("workspace_id", &self.workspace_id)
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Configures a sandbox.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it is, such as `http://127.0.0.1:40001`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The access key that it takes.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.key.0
    }

    /// The workspace that it has.
    #[must_use]
    pub fn workspace_id(&self) -> Uuid {
        self.workspace_id
    }

    /// The connectors that exist, in the order of their creation.
    #[must_use]
    pub fn connectors(&self) -> Vec<StoredConnector> {
        self.state.connectors()
    }

    /// The last requests that were received, oldest first: at most [`ReceivedRequest::KEPT`].
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.state.requests()
    }

    /// How many requests were answered with this status.
    #[must_use]
    pub fn answered(&self, status: u16) -> u64 {
        self.state.answered(status)
    }

    /// How many POSTs were received in all.
    #[must_use]
    pub fn post_count(&self) -> u64 {
        self.state.post_count()
    }

    /// How many GETs were received in all.
    #[must_use]
    pub fn get_count(&self) -> u64 {
        self.state.get_count()
    }

    /// Stops to serve, and returns when the port is free and every connection has ended.
    pub async fn shutdown(self) {
        self.stop.send_replace(());
        // Everything that serves holds a receiver.
        self.stop.closed().await;
    }
}
