use std::pin::Pin;
use std::time::Duration;

use tracing::{Instrument, Span};

use super::create::create;
use crate::client::Workspace;
use crate::event::EventSink;
use crate::transport::Deadline;
use crate::{
    ChannelMessageType, Error, Event, PhoneNumberId, SmsChannel, SmsConnectorRequest, UseCaseId,
};

impl Workspace {
    /// Installs an SMS channel for a phone number, in one call. Returns a builder that is also the future.
    ///
    /// ```no_run
    /// # async fn example(workspace: bird_sms::Workspace) -> Result<(), Box<dyn std::error::Error>> {
    /// let channel = workspace
    ///     .install_sms_channel("My SMS channel", "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?)
    ///     .use_case_id("be123b02-dacf-31f9-b3e5-50b18260bc23".parse::<bird_sms::UseCaseId>()?)
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
        self.install(SmsConnectorRequest::new(name, phone_number_id))
    }

    /// Installs the SMS channel of a request, as [`install_sms_channel`](Self::install_sms_channel) does.
    pub fn install(&self, request: SmsConnectorRequest) -> InstallSmsChannel {
        InstallSmsChannel {
            workspace: self.clone(),
            request,
            timeout: None,
            events: EventSink::default(),
        }
    }
}

/// The install of one SMS channel: a builder that is also the future. Made by
/// [`Workspace::install_sms_channel`] and [`Workspace::install`].
///
/// # Errors
///
/// See [`Error`]: [`Error::connector_state`] says what exists.
///
/// # Panics
///
/// Panics when polled outside of a Tokio runtime with time and I/O enabled.
///
/// # Cancel safety
///
/// Dropping the future before it is polled sends nothing. Dropping the future while the POST is in flight leaves the
/// outcome unknown. After [`Event::Created`] the connector exists, and [`Workspace::pending_channel`] resumes from its
/// id.
#[derive(Debug)]
#[must_use = "an install does nothing until it is awaited"]
pub struct InstallSmsChannel {
    workspace: Workspace,
    request: SmsConnectorRequest,
    timeout: Option<Duration>,
    events: EventSink,
}

impl InstallSmsChannel {
    /// Sets the use case of the number; see [`SmsConnectorRequest::use_case_id`].
    pub fn use_case_id(mut self, use_case_id: impl Into<Option<UseCaseId>>) -> Self {
        self.request = self.request.use_case_id(use_case_id);
        self
    }

    /// Sets the type of the messages; see [`SmsConnectorRequest::channel_message_type`].
    pub fn channel_message_type(
        mut self,
        channel_message_type: impl Into<Option<ChannelMessageType>>,
    ) -> Self {
        self.request = self.request.channel_message_type(channel_message_type);
        self
    }

    /// Sets whether an incoming message opens a conversation; see [`SmsConnectorRequest::conversational`].
    pub fn conversational(mut self, conversational: impl Into<Option<bool>>) -> Self {
        self.request = self.request.conversational(conversational);
        self
    }

    /// Sets how long the whole install may take, at least 1 s. Default: the install timeout of the client.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Calls `observer` with each [`Event`].
    pub fn observe(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.events = EventSink::new(observer);
        self
    }

    async fn run(self) -> Result<SmsChannel, Error> {
        let client = self.workspace.client();
        let timeout = self.timeout.unwrap_or(client.install_timeout());
        let deadline = Deadline::start(client.runtime().now(), timeout);
        let body = self.request.body(Some(client.key()))?;
        let events = self.events.clone();
        let turn = self.workspace.post_turn();
        let mut pending = create(&self.workspace, &body, deadline, events, false, &turn).await?;
        pending.wait_until(deadline, &self.workspace.get_turn()).await
    }
}

impl IntoFuture for InstallSmsChannel {
    type Output = Result<SmsChannel, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let span = install_span(&self.workspace, &self.request);
        Box::pin(self.run().instrument(span))
    }
}

/// Returns the span of an install. The id of the connector is recorded when it is known.
pub(crate) fn install_span(workspace: &Workspace, request: &SmsConnectorRequest) -> Span {
    tracing::info_span!(
        "install_sms_channel",
        workspace_id = %workspace.id(),
        phone_number_id = %request.phone_number_id(),
        connector_id = tracing::field::Empty
    )
}
