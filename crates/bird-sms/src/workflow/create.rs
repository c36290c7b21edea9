//! The creation: the POST, its retries, and what its outcome means for the connector.

use std::sync::atomic::AtomicBool;

use bird_api::Response;
use bird_api::types::CreateConnectorReq;
use jiff::Timestamp;
use tracing::Instrument;

use super::PendingChannel;
use super::look_up::LookUp;
use super::retry::{Purpose, Retry, RetryError, is_retryable_create, send, state_after_create};
use crate::client::{Route, Workspace};
use crate::event::EventSink;
use crate::model::{ConnectorStatus, recover_id};
use crate::transport::{Deadline, Turn};
use crate::{
    AttemptError, Attempts, ConfigurationError, ConnectorId, ConnectorState, CreatedIdUnknown,
    Error, ErrorResponse, Event, MalformedResponse, OutcomeUnknown, Refused, SmsConnectorRequest,
    UnknownReason, Unreachable, Warning,
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
    /// Fails with an [`Error`], whose [`connector_state`](Error::connector_state) tells what exists.
    ///
    /// # Panics
    ///
    /// Panics when polled outside of a Tokio runtime with time and I/O enabled.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the future while the request is in flight may leave a connector whose id is not known, as
    /// after [`Error::OutcomeUnknown`].
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
        create_alone(self, request, self.deadline(None), EventSink::default())
            .instrument(span)
            .await
    }
}

/// Creates a connector outside of a batch, and looks for it if its outcome is unknown.
pub(crate) async fn create_alone(
    workspace: &Workspace,
    request: &SmsConnectorRequest,
    deadline: Deadline,
    events: EventSink,
) -> Result<PendingChannel, Error> {
    let client = workspace.client();
    let body = request.body(Some(client.key()), Some(workspace.id()))?;
    let since = Timestamp::try_from(client.runtime().system_time());
    let turn = workspace.post_turn();
    let created = create(workspace, request, &body, deadline, events.clone(), false, &turn).await;
    let (mut error, since) = match (created, since) {
        (Err(error), Ok(since)) => (error, since),
        (created, _) => return created,
    };
    let allowed = &AtomicBool::new(client.looks_up());
    let look_up = LookUp { workspace, request, since, deadline, allowed };
    let warning = error.earlier_warning();
    let found = look_up.after(&mut error, warning, &events, &workspace.get_turn()).await;
    found.ok_or(error)
}

/// Creates a connector. `earlier` is whether a POST of an earlier run may have created one.
pub(crate) async fn create(
    workspace: &Workspace,
    request: &SmsConnectorRequest,
    body: &CreateConnectorReq,
    deadline: Deadline,
    events: EventSink,
    earlier: bool,
    turn: &impl Turn,
) -> Result<PendingChannel, Error> {
    let client = workspace.client();
    let (what, min) = ("the timeout of the install", client.min_timeout());
    if deadline.timeout().is_zero() {
        return Err(ConfigurationError::ZeroDuration(what).into());
    }
    if deadline.timeout() < min {
        return Err(ConfigurationError::TooShort(what, min).into());
    }
    let mut retry = Retry::new(client, turn, &events, deadline, Purpose::Create);
    // The last error response to an attempt that may have created a connector nevertheless. It makes every later outcome
    // of this creation ambiguous.
    let mut ambiguous: Option<ErrorResponse> = None;
    let mut next = retry.start().await;
    let response = loop {
        let slot = match next {
            Ok(slot) => slot,
            Err(exhausted) => return Err(failed(exhausted, ambiguous, earlier)),
        };
        let attempt = retry.attempts().count;
        events.emit(&Event::Creating { attempt });
        let post = workspace.create_request(body);
        let failed = match send(workspace, Route::Create, post, attempt, slot).await {
            Ok(response) => break response,
            Err(failed) => failed,
        };
        let retryable = is_retryable_create(&failed.error, client.retry().create);
        let state = state_after_create(&failed.error);
        let settled = ambiguous.is_none() && !earlier;
        let known = if settled { state } else { ConnectorState::Unknown };
        next = retry.again(failed, retryable, Some(known)).await.map(|(slot, error)| {
            if let (true, AttemptError::Response(response)) = (state.may_exist(), error) {
                ambiguous = Some(response);
            }
            slot
        });
    };
    let warning = match ambiguous {
        Some(response) => Some(Warning::PossibleDuplicate { status: Some(response.status) }),
        None => earlier.then_some(Warning::PossibleDuplicate { status: None }),
    };
    let attempts = retry.attempts();
    let status = read_created(workspace, request, &response, attempts, warning)?;
    let echoed = status.phone_number_id.filter(|id| *id != request.phone_number_id());
    if let Some(other) = echoed.or_else(|| turn.created(status.id, warning).err()) {
        return Err(OutcomeUnknown::of_other(status.id, other, attempts));
    }
    events.emit(&Event::Created { connector_id: status.id, warning });
    let pending = PendingChannel::created(workspace.clone(), &status, &response, events);
    Ok(pending.with_warning(warning).of_number(request.phone_number_id()))
}

/// Reads a 2xx to the POST: the connector exists, whatever the body contains.
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
        Ok(_) => "`id`: it is the id of the workspace, the phone number or the use case".to_owned(),
        Err(problem) => problem,
    };
    let response_error = MalformedResponse::new(response, &problem, workspace.client().key());
    let Some(id) = recover_id(&response.body).filter(|id| is_new(*id)) else {
        let existing = Vec::new();
        let error = CreatedIdUnknown { response: response_error, attempts, existing, warning };
        return Err(Error::CreatedIdUnknown(Box::new(error)));
    };
    let problem = response_error.problem;
    tracing::warn!(%id, problem, "the response to the creation is malformed; its id is used");
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

/// Returns the error of a creation, by what its last attempt means for the connector. A connector may also exist because
/// of an earlier attempt of this creation, whose response was a server error (`ambiguous`), or because of an `earlier`
/// POST.
fn failed(
    RetryError { error, attempts, retryable }: RetryError,
    ambiguous: Option<ErrorResponse>,
    earlier: bool,
) -> Error {
    let reason = match (&error, state_after_create(&error)) {
        (AttemptError::Response(response), ConnectorState::NotCreated)
            if response.status == 409 && (ambiguous.is_some() || earlier) =>
        {
            UnknownReason::AlreadyExists
        }
        (_, ConnectorState::NotCreated) if ambiguous.is_some() => UnknownReason::ServerError,
        (_, ConnectorState::NotCreated) if earlier => UnknownReason::EarlierAttempt,
        (_, ConnectorState::NotCreated) => match error {
            AttemptError::Response(response) => {
                let existing = Vec::new();
                return Error::Refused(Box::new(Refused {
                    response,
                    attempts,
                    retryable,
                    existing,
                }));
            }
            AttemptError::Transport(cause) => {
                return Error::Unreachable(Box::new(Unreachable { cause, attempts, retryable }));
            }
            _ => UnknownReason::NoResponse,
        },
        (AttemptError::Response(response), _) => match response.status {
            502 | 504 | 520..=530 => UnknownReason::GatewayError,
            500.. => UnknownReason::ServerError,
            _ => UnknownReason::NoResponse,
        },
        _ => UnknownReason::NoResponse,
    };
    let unknown = OutcomeUnknown {
        last: Some(error),
        earlier: ambiguous,
        attempts,
        ..OutcomeUnknown::new(reason)
    };
    Error::OutcomeUnknown(Box::new(unknown))
}
