use std::sync::Arc;
use std::time::Duration;

use super::Client;
use super::workspace_state::Route;
use super::workspace_state::WorkspaceState;
use crate::transport::{Alone, Deadline};
use crate::{ConfigurationError, WorkspaceId};

/// A Bird workspace, in which connectors and channels are created.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = bird_sandbox::Sandbox::builder().in_memory();
/// # let transport = sandbox.transport();
/// # let key = sandbox.access_key();
/// # let id = sandbox.workspace_id();
/// # let workspace = bird_sms::test_util::workspace(transport, key, id);
/// let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
/// let channel = workspace.install_sms_channel("My SMS channel", number).await?;
/// let connector = workspace.connector(channel.connector_id).await?;
/// assert_eq!(connector.channel_id, Some(channel.id));
/// # Ok(())
/// # }
/// ```
///
/// [`Client::workspace`] and [`Workspace::from_env`] return a workspace without sending anything.
///
/// | | |
/// |---|---|
/// | [`install_sms_channel`](Self::install_sms_channel), [`install`](Self::install) | installs one channel, in one call |
/// | [`create_sms_connector`](Self::create_sms_connector) | creates a connector, whose id can be stored before the wait |
/// | [`pending_channel`](Self::pending_channel) | resumes the wait for the channel of a connector |
/// | [`connector`](Self::connector) | reads a connector |
/// | [`install_sms_channels`](Self::install_sms_channels) | installs many channels |
/// | [`adopt`](Self::adopt) | stores in a journal which connector a phone number has |
/// | [`numbers`](Self::numbers), [`number`](Self::number) | lists the long code numbers, or reads one |
/// | [`short_codes`](Self::short_codes), [`alphanumeric_senders`](Self::alphanumeric_senders) | lists the other numbers |
/// | [`requirements`](Self::requirements), [`use_cases`](Self::use_cases) | lists what a number needs |
/// | [`check`](Self::check) | checks the settings without creating anything |
#[derive(Clone, Debug)]
pub struct Workspace {
    client: Client,
    id: WorkspaceId,
    state: Arc<WorkspaceState>,
}

impl Workspace {
    pub(super) fn new(client: Client, id: WorkspaceId, state: Arc<WorkspaceState>) -> Self {
        Self { client, id, state }
    }

    /// Returns the workspace in `BIRD_WORKSPACE_ID`, with the access key in `BIRD_ACCESS_KEY` and the base URL in
    /// `BIRD_API_URL`, if that is set. For other settings, see [`Client::workspace_from_env`].
    ///
    /// # Errors
    ///
    /// Fails if `BIRD_WORKSPACE_ID` or `BIRD_ACCESS_KEY` is not set, or if a variable can't be used.
    pub fn from_env() -> Result<Self, ConfigurationError> {
        Client::from_env()?.workspace_from_env()
    }

    /// Returns the id of the workspace.
    #[must_use]
    pub fn id(&self) -> WorkspaceId {
        self.id
    }

    /// Returns the client that the workspace was made from.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn state(&self) -> &WorkspaceState {
        &self.state
    }

    /// Returns the rate limiter for the requests of a call that is not part of a batch.
    pub(crate) fn turn(&self, route: Route) -> Alone<'_> {
        Alone { runtime: self.client.runtime(), limiter: self.state.limiter(route) }
    }

    /// Starts the deadline of one call. Without a timeout for the call, the client's install timeout applies.
    pub(crate) fn deadline(&self, timeout: Option<Duration>) -> Deadline {
        let timeout = timeout.unwrap_or(self.client.settings().install_timeout);
        Deadline::start(self.client.runtime().now(), timeout)
    }
}

#[cfg(test)]
mod tests {
    use bird_api::types::CreateConnectorReq;

    use super::*;
    use crate::{AccessKey, Client};

    #[test]
    fn route_templates_match_the_request_paths() {
        let client = Client::builder().access_key(AccessKey::new("k").unwrap()).build().unwrap();
        let id = uuid::Uuid::from_u128(1);
        let workspace = client.workspace(id.into());
        let body = CreateConnectorReq::new("n".to_owned());
        for (route, request) in [
            (Route::Create, workspace.state().create_request(&body)),
            (Route::Get, workspace.state().get_request(id.into())),
        ] {
            let (method, path) = route.template();
            let path = path.replace("{workspaceId}", &id.to_string());
            let path = path.replace("{connectorId}", &id.to_string());
            assert_eq!((request.method().as_str(), request.url().path()), (method, &*path));
        }
    }
}
