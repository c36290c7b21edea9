use std::sync::Arc;

use bird_api::types::CreateConnectorReq;
use reqwest::Request;

use super::Client;
use super::workspace_state::WorkspaceState;
use crate::transport::Deadline;
use crate::{ConfigurationError, ConnectorId, ProvisioningTime, WorkspaceId};
#[cfg(doc)]
use crate::{JournalState, PollPrice};

/// A workspace: where connectors and channels are created.
///
/// | | |
/// |---|---|
/// | [`install_sms_channel`](Self::install_sms_channel), [`install`](Self::install) | installs one channel, in one call |
/// | [`create_sms_connector`](Self::create_sms_connector) | creates a connector, to store its id before the wait |
/// | [`pending_channel`](Self::pending_channel) | resumes the wait for the channel of a connector |
/// | [`connector`](Self::connector) | reads a connector |
/// | [`install_sms_channels`](Self::install_sms_channels) | installs many channels |
/// | [`check`](Self::check) | checks the settings, and creates nothing |
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

    /// Returns the workspace of `BIRD_WORKSPACE_ID`, with the access key of `BIRD_ACCESS_KEY` and, if it is set, the base
    /// URL of `BIRD_API_URL`. [`Client::workspace_from_env`] does the same with a client that has other settings.
    ///
    /// # Errors
    ///
    /// Fails if a variable cannot be used, or if one of the first two is not set.
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

    /// Adds provisioning times that were observed elsewhere, such as by an earlier process with a journal
    /// ([`JournalState::provisioning_times`]). The last 64 times count; [`PollPrice`] says how polls follow them.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # fn example(workspace: bird_sms::Workspace, stored: Vec<Duration>) {
    /// workspace.add_provisioning_times(stored);
    /// # }
    /// ```
    pub fn add_provisioning_times(
        &self,
        times: impl IntoIterator<Item = impl Into<ProvisioningTime>>,
    ) {
        times.into_iter().for_each(|time| self.state.provisioning.add(time.into()));
    }

    /// Returns the last provisioning times that are known, at most 64, oldest first.
    #[must_use]
    pub fn provisioning_times(&self) -> Vec<ProvisioningTime> {
        self.state.provisioning.times()
    }

    pub(crate) fn state(&self) -> &WorkspaceState {
        &self.state
    }

    pub(crate) fn create_request(&self, body: &CreateConnectorReq) -> Request {
        self.state.create_request(body)
    }

    pub(crate) fn get_request(&self, id: ConnectorId) -> Request {
        self.state.get_request(id)
    }

    /// Starts the deadline of one call.
    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::start(self.client.runtime().now(), self.client.install_timeout())
    }
}
