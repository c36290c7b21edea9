use std::pin::Pin;
use std::time::Duration;

use tracing::Instrument;

use crate::create::create;
use crate::event::EventSink;
use crate::pending::Deadline;
use crate::{
    ChannelMessageType, Error, Event, SmsChannel, SmsConnectorRequest, UseCaseId, Workspace,
};

/// The installation of an SMS channel: a builder that is also the future. Made by
/// [`Workspace::install_sms_channel`].
///
/// # Errors
///
/// See [`Error`]: each variant tells whether a connector may exist and whether its id is known.
///
/// # Cancel safety
///
/// Dropping the future before it is polled sends nothing. While the POST is under way the outcome is
/// unknown. After [`Event::Created`] the connector exists, and
/// [`Workspace::pending_channel`] goes on from its id.
#[derive(Debug)]
#[must_use = "an install does nothing until it is awaited"]
pub struct InstallSmsChannel {
    workspace: Workspace,
    request: SmsConnectorRequest,
    timeout: Option<Duration>,
    events: EventSink,
}

impl InstallSmsChannel {
    pub(crate) fn new(workspace: Workspace, request: SmsConnectorRequest) -> Self {
        Self { workspace, request, timeout: None, events: EventSink::default() }
    }

    /// See [`SmsConnectorRequest::use_case_id`].
    pub fn use_case_id(mut self, use_case_id: UseCaseId) -> Self {
        self.request = self.request.use_case_id(use_case_id);
        self
    }

    /// See [`SmsConnectorRequest::channel_message_type`].
    pub fn channel_message_type(mut self, channel_message_type: ChannelMessageType) -> Self {
        self.request = self.request.channel_message_type(channel_message_type);
        self
    }

    /// See [`SmsConnectorRequest::conversational`].
    pub fn conversational(mut self, conversational: bool) -> Self {
        self.request = self.request.conversational(conversational);
        self
    }

    /// How long the whole install may take. Default: the install timeout of the client.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Calls `observer` for each thing that happens.
    pub fn observe(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.events = EventSink::observed_by(observer);
        self
    }

    async fn run(self) -> Result<SmsChannel, Error> {
        let client = self.workspace.client();
        let timeout = self.timeout.unwrap_or(client.install_timeout());
        let deadline = Deadline::start(client.runtime().now(), timeout);
        let body = self.request.body()?;
        let mut pending = create(&self.workspace, &body, deadline, self.events, None).await?;
        pending.wait_until(deadline).await
    }
}

impl IntoFuture for InstallSmsChannel {
    type Output = Result<SmsChannel, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let span = tracing::info_span!(
            "install_sms_channel",
            workspace_id = %self.workspace.id(),
            phone_number_id = %self.request.phone_number_id()
        );
        Box::pin(self.run().instrument(span))
    }
}
