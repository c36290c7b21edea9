//! The client: the access key, the connection pool, the settings, and the state that installs in a workspace share.

mod builder;
mod http;
#[cfg(feature = "rustls-no-provider")]
mod tls;
mod workspace;
mod workspace_state;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bird_api::transport::Exchange;

pub use builder::ClientBuilder;
use builder::Settings;
pub use workspace::Workspace;
pub(crate) use workspace_state::Route;
use workspace_state::WorkspaceState;

use crate::transport::{Permit, Runtime, lock};
use crate::{AccessKey, ConfigurationError, WorkspaceId};

/// The number of workspaces in memory at which the state of unused workspaces is dropped.
const KNOWN_WORKSPACES: usize = 1024;

/// A client of Bird's connectors API.
///
/// ```
/// use bird_sms::{AccessKey, Client};
///
/// # let transport = bird_sandbox::Sandbox::builder().in_memory().transport();
/// let client = Client::builder() // or Client::from_env()
///     .access_key(AccessKey::new("the-key-from-the-dashboard")?)
/// #     .transport(transport)
///     .build()?;
/// assert_eq!(client.base_url(), "https://api.bird.com");
/// let workspace = client.workspace("a1405560-c8d3-4b1a-877d-3f449ad95352".parse()?);
/// # Ok::<(), bird_sms::ConfigurationError>(())
/// ```
///
/// A client is `Send + Sync` and cheap to clone. Its clones share one connection pool and the
/// [rate limits](crate::RateLimits).
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    raw: bird_api::Client,
    key: AccessKey,
    base_url: String,
    settings: Settings,
    workspaces: Mutex<HashMap<WorkspaceId, Arc<WorkspaceState>>>,
}

impl Client {
    /// The base URL of Bird's API.
    pub const DEFAULT_BASE_URL: &str = bird_api::Client::DEFAULT_BASE_URL;

    /// Returns a client with the access key in `BIRD_ACCESS_KEY` and the base URL in `BIRD_API_URL`, if that is set.
    ///
    /// # Errors
    ///
    /// Fails if `BIRD_ACCESS_KEY` is not set, or if either variable cannot be used.
    pub fn from_env() -> Result<Self, ConfigurationError> {
        Self::builder().from_env()?.build()
    }

    /// Returns a builder with the default settings.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Returns a workspace to install channels in. Nothing is sent.
    #[must_use]
    pub fn workspace(&self, id: WorkspaceId) -> Workspace {
        Workspace::new(self.clone(), id, self.workspace_state(id))
    }

    /// Returns the workspace whose id is in `BIRD_WORKSPACE_ID`. Nothing is sent.
    ///
    /// # Errors
    ///
    /// Fails if the variable is not set, or is not a UUID.
    pub fn workspace_from_env(&self) -> Result<Workspace, ConfigurationError> {
        let id = std::env::var_os("BIRD_WORKSPACE_ID").ok_or(ConfigurationError::NoWorkspaceId)?;
        Ok(self.workspace(id.to_string_lossy().parse()?))
    }

    /// Returns the generated client, which has every operation and field but retries nothing.
    #[must_use]
    pub fn raw(&self) -> &bird_api::Client {
        &self.inner.raw
    }

    /// Returns the URL that requests are sent to, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.inner.base_url
    }

    fn workspace_state(&self, id: WorkspaceId) -> Arc<WorkspaceState> {
        let mut known = lock(&self.inner.workspaces);
        if known.len() >= KNOWN_WORKSPACES {
            known.retain(|_, state| Arc::strong_count(state) > 1);
        }
        let new = || Arc::new(WorkspaceState::new(self, id));
        Arc::clone(known.entry(id).or_insert_with(new))
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(crate) fn key(&self) -> &AccessKey {
        &self.inner.key
    }

    pub(crate) fn runtime(&self) -> &dyn Runtime {
        &*self.inner.settings.runtime
    }

    /// Sends one request and reads its response, within the attempt timeout and the remaining time. The unused permit
    /// shows that the caller waited for the rate limiter.
    pub(crate) fn exchange(
        &self,
        request: reqwest::Request,
        remaining: Duration,
        _permit: &Permit,
    ) -> Exchange {
        self.inner.raw.exchange(request, self.inner.settings.attempt_timeout.min(remaining))
    }
}

/// Omits the access key.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.inner.base_url)
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_limits_of_a_workspace() {
        let client = Client::builder().access_key(AccessKey::new("k").unwrap()).build().unwrap();
        let ids: Vec<_> =
            (0..3000_u128).map(|n| WorkspaceId::from(uuid::Uuid::from_u128(n))).collect();
        let held = client.workspace(ids[0]);
        let same = client.clone().workspace(ids[0]);
        assert!(std::ptr::eq(held.state(), same.state()));
        for id in &ids[1..] {
            assert!(!std::ptr::eq(held.state(), client.workspace(*id).state()));
        }
        assert!(std::ptr::eq(held.state(), client.workspace(ids[0]).state()));
        assert!(client.inner.workspaces.lock().unwrap().len() <= KNOWN_WORKSPACES);
    }

    #[test]
    fn debug_output_does_not_show_the_key() {
        let builder = || Client::builder().access_key(AccessKey::new("secret").unwrap());
        let client = builder().build().unwrap();
        let workspace = client.workspace("a1405560-c8d3-4b1a-877d-3f449ad95352".parse().unwrap());
        let shown = format!("{:?} {client:?} {workspace:?} {:?}", builder(), client.raw());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
