use std::sync::Arc;

use futures_util::Stream;

use crate::create::create;
use crate::event::EventSink;
use crate::pending::{Deadline, read};
use crate::workspace_state::WorkspaceState;
use crate::{
    BatchItem, Client, Connector, ConnectorId, Error, InstallSmsChannel, InstallSmsChannels,
    PendingChannel, PhoneNumberId, SmsConnectorRequest, WorkspaceId,
};

/// A workspace: where connectors and channels live.
#[derive(Clone, Debug)]
pub struct Workspace {
    client: Client,
    id: WorkspaceId,
    state: Arc<WorkspaceState>,
}

impl Workspace {
    pub(crate) fn new(client: Client, id: WorkspaceId, state: Arc<WorkspaceState>) -> Self {
        Self { client, id, state }
    }

    pub(crate) fn state(&self) -> &Arc<WorkspaceState> {
        &self.state
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> WorkspaceId {
        self.id
    }

    /// The client that it was made from.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Installs an SMS channel for a phone number, in one call: a builder that is also the future.
    ///
    /// ```no_run
    /// # async fn example(workspace: bird_sms::Workspace) -> Result<(), Box<dyn std::error::Error>> {
    /// let channel = workspace
    ///     .install_sms_channel("My SMS channel", "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?)
    ///     .use_case_id("be123b02-dacf-31f9-b3e5-50b18260bc23".parse()?)
    ///     .await?;
    /// println!("{}", channel.id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn install_sms_channel(
        &self,
        name: impl Into<String>,
        phone_number_id: PhoneNumberId,
    ) -> InstallSmsChannel {
        InstallSmsChannel::new(self.clone(), SmsConnectorRequest::new(name, phone_number_id))
    }

    /// Installs an SMS channel for each request of a stream, as fast as the workspace's limits allow.
    ///
    /// ```no_run
    /// use futures_util::{StreamExt, stream};
    /// # use bird_sms::{SmsConnectorRequest, Workspace};
    ///
    /// # async fn example(workspace: Workspace, requests: Vec<SmsConnectorRequest>) {
    /// let mut outcomes = workspace.install_sms_channels(stream::iter(requests)).start();
    /// while let Some(outcome) = outcomes.next().await {
    ///     match outcome.result {
    ///         Ok(channel) => println!("{}: {}", outcome.request.phone_number_id(), channel.id),
    ///         Err(error) => eprintln!("{}: {error}", outcome.request.phone_number_id()),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn install_sms_channels<S>(&self, requests: S) -> InstallSmsChannels<S>
    where
        S: Stream<Item: Into<BatchItem>> + Send,
    {
        InstallSmsChannels::new(self.clone(), requests)
    }

    /// Creates an SMS connector, the first half of an install: afterwards it exists, and its id can be
    /// stored before [`PendingChannel::wait`] waits for the channel.
    ///
    /// # Errors
    ///
    /// See [`Error`]: each variant tells whether a connector may exist.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe while the request is under way: a future that is dropped then may leave a
    /// connector behind whose id nobody knows, like [`Error::OutcomeUnknown`].
    pub async fn create_sms_connector(
        &self,
        request: &SmsConnectorRequest,
    ) -> Result<PendingChannel, Error> {
        create(self, &request.body()?, self.deadline(), EventSink::default(), None).await
    }

    /// The channel of a connector that exists already: goes on where an earlier process stopped. Nothing
    /// is sent until it is asked to [`wait`](PendingChannel::wait).
    pub fn pending_channel(&self, connector_id: ConnectorId) -> PendingChannel {
        PendingChannel::resumed(self.clone(), connector_id)
    }

    /// Reads a connector. Failures that may pass are retried until the client's install timeout is over.
    ///
    /// # Errors
    ///
    /// [`Error::Read`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: reading changes nothing.
    pub async fn connector(&self, id: ConnectorId) -> Result<Connector, Error> {
        read(self, id).await
    }

    /// The time of one call, starting now.
    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::start(self.client.runtime().now(), self.client.install_timeout())
    }
}
