//! Creates a connector: the POST, its retries, and what their outcome means for the connector.

use std::sync::atomic::AtomicBool;

use bird_api::Response;
use bird_api::types::CreateConnectorReq;
use jiff::Timestamp;
use tracing::Instrument;

use super::look_up::LookUp;
use super::retry::{Purpose, Retry, RetryError, is_retryable_create, send, state_after_create};
use super::{Call, PendingChannel};
use crate::client::{Client, Route, Workspace};
use crate::event::EventSink;
use crate::model::{ConnectorStatus, recover_id};
use crate::transport::{Alone, Deadline, Turn};
use crate::{
    AttemptError, Attempts, ConfigurationError, ConnectorId, ConnectorState, Error, ErrorResponse,
    Event, Failure, SmsConnectorRequest, UnknownReason, Warning,
};

impl Workspace {
    /// Creates an SMS connector, the first half of an install. The other half is [`PendingChannel::wait`], which has an
    /// example.
    ///
    /// If the process is killed before it stores the id of the connector, the id is lost. An install with a
    /// [journal](crate::InstallSmsChannel::journal) resumes even then.
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
    /// Not cancel safe: dropping the future while the request is in flight may leave a connector whose id is not known,
    /// as after [`Error::OutcomeUnknown`].
    pub async fn create_sms_connector(
        &self,
        request: &SmsConnectorRequest,
    ) -> Result<PendingChannel, Error> {
        let span = tracing::info_span!(
            "create_sms_connector",
            workspace_id = %self.id(),
            phone_number_id = %request.phone_number_id(),
            connector_id = tracing::field::Empty
        );
        create_alone(&self.call(None, &EventSink::default()), request).instrument(span).await
    }
}

/// Creates a connector outside of a batch, and looks it up if its outcome is unknown.
pub(crate) async fn create_alone(
    call: &Call<'_, Alone<'_>>,
    request: &SmsConnectorRequest,
) -> Result<PendingChannel, Error> {
    let Call { workspace, deadline, events, .. } = *call;
    let client = workspace.client();
    let body = request.body(Some(client.key()), Some(workspace.id()))?;
    check_timeout(deadline, client)?;
    let since = Timestamp::try_from(client.runtime().system_time()).ok();
    let post = Call { workspace, deadline, events, turn: workspace.turn(Route::Create) };
    let mut error = match create(&post, request, &body, false).await {
        Ok(pending) => return Ok(pending),
        Err(error) => error,
    };
    let allowed = &AtomicBool::new(client.settings().look_up);
    let mut look_up = LookUp { call, request, since, allowed };
    let warning = error.warning();
    look_up.after(&mut error, warning).await.ok_or(error)
}

/// Checks that a creation with this deadline can wait for its response.
pub(crate) fn check_timeout(deadline: Deadline, client: &Client) -> Result<(), ConfigurationError> {
    let what = "the install timeout";
    let min = client.settings().min_timeout;
    if deadline.timeout().is_zero() {
        return Err(ConfigurationError::ZeroDuration(what));
    }
    if deadline.timeout() < min {
        return Err(ConfigurationError::TooShort(what, min));
    }
    Ok(())
}

/// Creates a connector. `earlier` is whether a POST of an earlier run may already have created one.
pub(crate) async fn create<T: Turn>(
    call: &Call<'_, T>,
    request: &SmsConnectorRequest,
    body: &CreateConnectorReq,
    earlier: bool,
) -> Result<PendingChannel, Error> {
    let Call { workspace, events, turn, .. } = call;
    let settings = workspace.client().settings();
    let mut retry = Retry::new(call, Purpose::Create);
    // The last error response to an attempt that may have created a connector. It makes every later outcome ambiguous.
    let mut ambiguous: Option<ErrorResponse> = None;
    let mut next = retry.start().await;
    let response = loop {
        let slot = match next {
            Ok(slot) => slot,
            Err(exhausted) => return Err(failed(exhausted, ambiguous, earlier)),
        };
        let attempt = retry.attempts().count;
        events.emit(&Event::Creating { attempt });
        let post = workspace.state().create_request(body);
        let failed = match send(workspace, Route::Create, post, attempt, slot).await {
            Ok(response) => break response,
            Err(failed) => failed,
        };
        let retryable = is_retryable_create(&failed.error, settings.retry.create);
        let state = state_after_create(&failed.error);
        let settled = ambiguous.is_none() && !earlier;
        let known = if settled { state } else { ConnectorState::Unknown };
        next = retry.again(failed, retryable, Some(known)).await.map(|(slot, error)| {
            if let (true, AttemptError::Response(response)) = (state.may_exist(), error) {
                ambiguous = Some(*response);
            }
            slot
        });
    };
    let warning = possible_duplicate(ambiguous.as_ref())
        .or_else(|| earlier.then_some(Warning::PossibleDuplicate { status: None }));
    let attempts = retry.attempts();
    let status = read_created(workspace, request, &response, attempts, warning)?;
    let echoed = status.phone_number_id.filter(|id| *id != request.phone_number_id());
    if let Some(other) = echoed.or_else(|| turn.created(status.id, warning).err()) {
        return Err(Error::of_other(status.id, other, attempts, warning));
    }
    events.emit(&Event::Created { connector_id: status.id, warning });
    let pending = PendingChannel::created(workspace, &status, &response).with_warning(warning);
    Ok(pending.of_number(request.phone_number_id()))
}

/// Reads a 2xx to the POST. The connector exists, whatever the body contains.
fn read_created(
    workspace: &Workspace,
    request: &SmsConnectorRequest,
    response: &Response,
    attempts: Attempts,
    warning: Option<Warning>,
) -> Result<ConnectorStatus, Error> {
    let is_new = |id: ConnectorId| {
        let id = *id.as_uuid();
        id != *workspace.id().as_uuid() && !request.has_id(id)
    };
    let problem = match ConnectorStatus::decode(&response.body) {
        Ok(status) if is_new(status.id) => return Ok(status),
        Ok(_) => "`id` is the id of the workspace, the phone number or the use case".to_owned(),
        Err(problem) => problem,
    };
    let malformed = ErrorResponse::malformed(response, &problem, workspace.client().key());
    let Some(id) = recover_id(&response.body).filter(|id| is_new(*id)) else {
        let failure = Failure::new(AttemptError::Malformed(Box::new(malformed)), attempts, false);
        return Err(Error::CreatedIdUnknown(Box::new(Failure { warning, ..failure })));
    };
    let problem = malformed.problem;
    tracing::warn!(%id, problem, "the response to the creation is malformed; using its id");
    Ok(ConnectorStatus {
        id,
        workspace_id: None,
        phone_number_id: None,
        channel_id: None,
        other_template: None,
    })
}

/// Returns the error of a creation whose only attempt failed.
#[cfg(feature = "test-util")]
pub(crate) fn create_failed(error: AttemptError, attempts: Attempts) -> Error {
    let retryable = is_retryable_create(&error, crate::RetryCreate::default());
    failed(RetryError { error, attempts, retryable }, None, false)
}

/// Returns the error of a creation whose last attempt failed. A connector may also exist because of an earlier attempt
/// of this creation, whose response was a server error (`ambiguous`), or because of a POST of an earlier run
/// (`earlier`).
fn failed(
    RetryError { error, attempts, retryable }: RetryError,
    ambiguous: Option<ErrorResponse>,
    earlier: bool,
) -> Error {
    let status = error.response().map(|response| response.status);
    let created_nothing = state_after_create(&error) == ConnectorState::NotCreated;
    let reason = match status {
        Some(409) if ambiguous.is_some() || earlier => UnknownReason::AlreadyExists,
        _ if created_nothing && ambiguous.is_some() => UnknownReason::ServerError,
        _ if created_nothing && earlier => UnknownReason::EarlierAttempt,
        _ if created_nothing => {
            let failure = Box::new(Failure::new(error, attempts, retryable));
            return match status {
                Some(_) => Error::Refused(failure),
                None => Error::Unreachable(failure),
            };
        }
        Some(502 | 504 | 520..=530) => UnknownReason::GatewayError,
        Some(500..) => UnknownReason::ServerError,
        _ => UnknownReason::NoResponse,
    };
    let warning = possible_duplicate(ambiguous.as_ref());
    let failure = Failure::new(error, attempts, false);
    Error::OutcomeUnknown(reason, Box::new(Failure { earlier: ambiguous, warning, ..failure }))
}

/// Returns the warning after an attempt that may have created a connector.
fn possible_duplicate(ambiguous: Option<&ErrorResponse>) -> Option<Warning> {
    ambiguous.map(|response| Warning::PossibleDuplicate { status: Some(response.status) })
}
