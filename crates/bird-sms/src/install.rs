//! The install of one channel, with or without a journal.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;

use crate::batch::{Journal, UnknownRows};
use crate::client::Workspace;
use crate::event::EventSink;
use crate::workflow::{create_alone, install_span, record_outcome};
use crate::{
    ChannelMessageType, Error, Event, PhoneNumberId, SmsChannel, SmsConnectorRequest, UseCaseId,
};

impl Workspace {
    /// Installs an SMS channel for a phone number, in one call. Returns a builder that is also the future.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let sandbox = bird_sandbox::Sandbox::builder().in_memory();
    /// # let transport = sandbox.transport();
    /// # let key = sandbox.access_key();
    /// # let id = sandbox.workspace_id();
    /// # let workspace = bird_sms::test_util::workspace(transport, key, id);
    /// use bird_sms::{PhoneNumberId, UseCaseId};
    ///
    /// let number: PhoneNumberId = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
    /// let use_case: UseCaseId = "be123b02-dacf-31f9-b3e5-50b18260bc23".parse()?;
    /// let channel = workspace.install_sms_channel("My SMS channel", number).use_case_id(use_case).await?;
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

    /// Installs the SMS channel of a request, like [`install_sms_channel`](Self::install_sms_channel).
    pub fn install(&self, request: SmsConnectorRequest) -> InstallSmsChannel {
        InstallSmsChannel {
            workspace: self.clone(),
            request,
            timeout: None,
            journal: None,
            unknown: UnknownRows::default(),
            events: EventSink::default(),
        }
    }
}

/// The install of one SMS channel: a builder that is also the future. Made by [`Workspace::install_sms_channel`] and
/// [`Workspace::install`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = bird_sandbox::Sandbox::builder().fault("post:503".parse()?).in_memory();
/// # let transport = sandbox.transport();
/// # let key = sandbox.access_key();
/// # let id = sandbox.workspace_id();
/// # let workspace = bird_sms::test_util::workspace(transport, key, id);
/// use std::time::Duration;
///
/// let channel = workspace
///     .install_sms_channel("My SMS channel", "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?)
///     .timeout(Duration::from_secs(60))
///     .observe(|event| println!("{event:?}"))
///     .await?;
/// if let Some(warning) = channel.warning {
///     println!("{warning}"); // the first POST failed with a 503, and was sent again
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Fails with an [`Error`]. Its [`connector_state`](Error::connector_state) tells whether a connector exists.
///
/// # Panics
///
/// Panics when polled outside of a Tokio runtime with time and I/O enabled.
///
/// # Cancel safety
///
/// Not cancel safe: dropping the future while the POST is in flight leaves the outcome unknown, which only a
/// [journal](Self::journal) records. After [`Event::Created`] the connector exists, and [`Workspace::pending_channel`]
/// resumes from its id.
#[must_use = "an install does nothing until it is awaited"]
pub struct InstallSmsChannel {
    workspace: Workspace,
    request: SmsConnectorRequest,
    timeout: Option<Duration>,
    journal: Option<Arc<dyn Journal>>,
    unknown: UnknownRows,
    events: EventSink,
}

impl InstallSmsChannel {
    /// Sets the use case of the number; see [`SmsConnectorRequest::with_use_case_id`].
    pub fn use_case_id(mut self, use_case_id: impl Into<Option<UseCaseId>>) -> Self {
        self.request = self.request.with_use_case_id(use_case_id);
        self
    }

    /// Sets the type of the messages; see [`SmsConnectorRequest::with_channel_message_type`].
    pub fn channel_message_type(
        mut self,
        channel_message_type: impl Into<Option<ChannelMessageType>>,
    ) -> Self {
        self.request = self.request.with_channel_message_type(channel_message_type);
        self
    }

    /// Sets whether an incoming message opens a conversation; see [`SmsConnectorRequest::with_conversational`].
    pub fn conversational(mut self, conversational: impl Into<Option<bool>>) -> Self {
        self.request = self.request.with_conversational(conversational);
        self
    }

    /// Sets how long the whole install may take, at least 1 s. Default: the install timeout of the client.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Resumes from this journal, and writes each step to it before the next one is taken. Default: no journal, so the
    /// id of the connector is lost if the process is killed.
    ///
    /// The same install with the same journal continues, even after the process was killed: it waits for the connector
    /// if there is one, and returns a ready channel without a request. It is a [batch](Workspace::install_sms_channels)
    /// of one row, so the journal serves one install at a time.
    pub fn journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Sets what happens if the outcome is unknown in the journal, and a [lookup](crate::ClientBuilder::look_up) does
    /// not find the connector. Default: the install fails with [`Error::OutcomeUnknown`], without a POST.
    pub fn unknown_rows(mut self, unknown: UnknownRows) -> Self {
        self.unknown = unknown;
        self
    }

    /// Calls `observer` with each [`Event`].
    pub fn observe(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.events = EventSink::new(observer);
        self
    }

    async fn run(self) -> Result<SmsChannel, Error> {
        let result = self.install().await;
        record_outcome(&result);
        result
    }

    async fn install(self) -> Result<SmsChannel, Error> {
        let call = self.workspace.call(self.timeout, &self.events);
        let mut pending = create_alone(&call, &self.request).await?;
        pending.wait_until(&call).await
    }

    /// Runs a batch of one row.
    async fn run_with(self, journal: Arc<dyn Journal>) -> Result<SmsChannel, Error> {
        let batch = self.workspace.install_sms_channels([self.request]).journal(journal);
        let batch = batch.unknown_rows(self.unknown);
        let batch = batch.observe(move |_, event| self.events.observe(event));
        let batch = match self.timeout {
            Some(timeout) => batch.timeout(timeout),
            None => batch,
        };
        let mut outcomes = batch.start();
        let outcome = outcomes.next().await;
        // The stream releases the journal when it ends.
        outcomes.next().await;
        outcome.expect("nothing shuts the batch down before its only row ends").result
    }
}

impl fmt::Debug for InstallSmsChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstallSmsChannel")
            .field("workspace", &self.workspace)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

impl IntoFuture for InstallSmsChannel {
    type Output = Result<SmsChannel, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        if let Some(journal) = self.journal.clone() {
            return Box::pin(self.run_with(journal));
        }
        let span = install_span(&self.workspace, &self.request);
        Box::pin(self.run().instrument(span))
    }
}
