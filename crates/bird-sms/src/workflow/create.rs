//! The creation: the POST, its retries, and what its outcome means for the connector.

use std::time::Duration;

use bird_api::Response;
use bird_api::types::CreateConnectorReq;
use tracing::Instrument;

use super::PendingChannel;
use super::retry::{
    Attempt, Cancellation, FailedAttempt, LastAttempt, Retry, RetryError, is_retryable_create,
    send, state_after_create,
};
use crate::client::Workspace;
use crate::event::EventSink;
use crate::model::{ConnectorStatus, recover_id};
use crate::planted::planted;
use crate::transport::{Deadline, Permit};
use crate::{
    AttemptError, Attempts, ConfigurationError, ConnectorState, CreatedIdUnknown, Error,
    ErrorResponse, Event, MalformedResponse, OutcomeUnknown, Refused, SmsConnectorRequest,
    UnknownReason, Unreachable, Warning,
};

/// The time before the deadline in which no attempt but the first is started. Such an attempt would probably end without
/// a response, and would replace a certain error by an unknown outcome.
const RESERVE: Duration = Duration::from_secs(1);

/// The part of a creation that only installs of a batch have.
pub(crate) struct CreateStart {
    /// The permit of the first attempt.
    pub(crate) permit: Permit,
    pub(crate) cancellation: Cancellation,
}

impl Workspace {
    /// Creates an SMS connector, which is the first half of an install. The id of the connector can be stored before
    /// [`PendingChannel::wait`] waits for the channel.
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
    /// Not cancel safe while the request is in flight: dropping the future then may leave a connector whose id is not
    /// known, as after [`Error::OutcomeUnknown`].
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
        let body = request.body(Some(self.client().key()))?;
        create(self, &body, self.deadline(), EventSink::default(), false, None)
            .instrument(span)
            .await
    }
}

/// Creates a connector. `earlier` is whether a POST of an earlier run may have created one.
pub(crate) async fn create(
    workspace: &Workspace,
    body: &CreateConnectorReq,
    deadline: Deadline,
    events: EventSink,
    earlier: bool,
    start: Option<CreateStart>,
) -> Result<PendingChannel, Error> {
    let (what, min) = ("the timeout of the install", workspace.client().min_timeout());
    if deadline.timeout().is_zero() {
        return Err(ConfigurationError::ZeroDuration(what).into());
    }
    if deadline.timeout() < min {
        return Err(ConfigurationError::TooShort(what, min).into());
    }
    let (permit, cancellation) = start.map(|start| (start.permit, start.cancellation)).unzip();
    let policy = workspace.client().retry();
    let retry = Retry {
        client: workspace.client(),
        limiter: &workspace.state().posts,
        events: &events,
        deadline,
        backoff: policy.backoff,
        max_attempts: policy.max_attempts,
        last_attempt: LastAttempt::Reserve(RESERVE),
        cancellation: cancellation.as_ref(),
    };
    let (count, ambiguous) = (0, None);
    let mut attempt =
        CreateAttempt { workspace, body, deadline, events: &events, earlier, count, ambiguous };
    match retry.run(permit, &mut attempt).await {
        Ok(response) => {
            let elapsed = deadline.elapsed(workspace.client().runtime().now());
            let attempts = Attempts { count: attempt.count, elapsed };
            let warning = match attempt.ambiguous {
                Some(response) => {
                    Some(Warning::PossibleDuplicate { status: Some(response.status) })
                }
                None => earlier.then_some(Warning::PossibleDuplicate { status: None }),
            };
            created(workspace, &response, events, attempts, warning)
        }
        Err(exhausted) => Err(failed(exhausted, attempt.ambiguous, earlier)),
    }
}

struct CreateAttempt<'a> {
    workspace: &'a Workspace,
    body: &'a CreateConnectorReq,
    deadline: Deadline,
    events: &'a EventSink,
    earlier: bool,
    count: u32,
    /// The last error response to an attempt that may have created a connector nevertheless. Every later outcome of
    /// this creation is ambiguous, too.
    ambiguous: Option<ErrorResponse>,
}

impl Attempt for CreateAttempt<'_> {
    type Output = Response;

    async fn send(&mut self, number: u32, permit: Permit) -> Result<Response, FailedAttempt> {
        self.count = number;
        self.events.emit(&Event::Creating { attempt: number });
        let request = self.workspace.create_request(self.body);
        send(self.workspace, request, number, self.deadline, permit).await
    }

    fn is_retryable(&mut self, error: &AttemptError) -> bool {
        is_retryable_create(error, self.workspace.client().retry().create)
    }

    fn connector_state(&self, error: &AttemptError) -> Option<ConnectorState> {
        let is_known = self.ambiguous.is_none() && !self.earlier;
        Some(if is_known { state_after_create(error) } else { ConnectorState::Unknown })
    }

    fn keep(&mut self, error: AttemptError) {
        if state_after_create(&error).may_exist()
            && let AttemptError::Response(response) = error
        {
            self.ambiguous = Some(response);
        }
    }
}

/// Returns the pending channel after a 2xx: the connector exists, whatever the body contains.
fn created(
    workspace: &Workspace,
    response: &Response,
    events: EventSink,
    attempts: Attempts,
    warning: Option<Warning>,
) -> Result<PendingChannel, Error> {
    let key = workspace.client().key();
    let status = match ConnectorStatus::decode(&response.body) {
        Ok(status) => status,
        Err(problem) => {
            let malformed = MalformedResponse::new(response, &problem, key);
            let Some(id) = recover_id(&response.body) else {
                let error = CreatedIdUnknown { response: malformed, attempts };
                return Err(Error::CreatedIdUnknown(Box::new(error)));
            };
            let problem = malformed.problem;
            tracing::warn!(%id, problem, "the response to the creation is malformed; its id is used");
            ConnectorStatus { id, workspace_id: None, channel_id: None }
        }
    };
    events.emit(&Event::Created { connector_id: status.id, warning });
    Ok(PendingChannel::created(workspace.clone(), &status, response, events).warning(warning))
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
    let ambiguous = ambiguous.filter(|_| !planted("a conflict settles the attempts before it"));
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
                return Error::Refused(Box::new(Refused { response, attempts, retryable }));
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
