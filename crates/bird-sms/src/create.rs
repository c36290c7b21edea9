//! The first half of an install: the POST, and what may be said and done after it.

use std::pin::pin;
use std::time::Duration;

use bird_api::Response;
use bird_api::types::CreateConnectorReq;
use futures_util::future::{BoxFuture, Either, Shared, select};
use reqwest::StatusCode;

use crate::connector::{ConnectorStatus, rescue_id};
use crate::error::{CreatedIdUnknown, OutcomeUnknown, Refused, UnknownReason, Unreachable};
use crate::event::EventSink;
use crate::pending::{Deadline, asked_wait, next_wait};
use crate::rate_limiter::Permit;
use crate::{
    Attempts, ConfigurationError, Error, ErrorResponse, Event, MalformedResponse, PendingChannel,
    TransportError, Workspace,
};

/// An attempt that begins later than this before the deadline is likely to end without a response, which
/// would trade the failure of the one before for a doubt.
const LAST_ATTEMPT: Duration = Duration::from_secs(1);

/// What stops the installs of a batch.
pub(crate) type Cancellation = Shared<BoxFuture<'static, ()>>;

/// What an install of a batch has when it comes here: the turn of its first attempt, and what stops it.
pub(crate) struct BatchSlot {
    pub(crate) permit: Permit,
    pub(crate) stop: Cancellation,
}

pub(crate) async fn create(
    workspace: &Workspace,
    body: &CreateConnectorReq,
    deadline: Deadline,
    events: EventSink,
    begun: Option<BatchSlot>,
) -> Result<PendingChannel, Error> {
    if deadline.timeout().is_zero() {
        return Err(ConfigurationError::ZeroDuration("the timeout of the install").into());
    }
    let client = workspace.client();
    let runtime = client.runtime();
    let posts = &workspace.state().posts;
    let mut creation = Creation { attempts: 0, server_error: None };
    let (first, stop) = match begun {
        Some(BatchSlot { permit, stop }) => (Some(permit), Some(stop)),
        None => (posts.acquire(runtime, deadline.remaining(runtime.now())).await, None),
    };
    let attempts = |count| Attempts { count, elapsed: deadline.elapsed(runtime.now()) };
    let Some(mut permit) = first else {
        return Err(
            creation.give_up(Failure::NoResponse(TransportError::rate_limited()), attempts(0))
        );
    };
    loop {
        creation.attempts += 1;
        events.emit(&Event::Creating { attempt: creation.attempts });
        let request = client
            .raw()
            .create_connector_request(workspace.id().as_uuid(), body)
            .map_err(|_| ConfigurationError::BaseUrl("cannot be sent to"))?;
        let attempt = client.attempt(request, deadline.remaining(runtime.now()), permit).await;
        let now = runtime.now();
        let failure = match attempt {
            Ok(response) if response.status.is_success() => {
                return created(workspace, &response, events, attempts(creation.attempts));
            }
            Ok(response) => {
                let asked = asked_wait(client, &response);
                if response.status == StatusCode::TOO_MANY_REQUESTS {
                    posts.throttle(now, asked);
                }
                Failure::Response(ErrorResponse::new(&response, client.key()), asked)
            }
            Err(cause) => Failure::NoResponse(cause),
        };
        let retry = client.retry();
        let again = failure.may_send_again(retry.create_after_server_error)
            && creation.attempts < retry.max_attempts;
        let wait = next_wait(client, retry.backoff, creation.attempts - 1, failure.asked());
        let left = |now| deadline.remaining(now).saturating_sub(LAST_ATTEMPT);
        if !again || wait >= left(now) {
            let attempts = attempts(creation.attempts);
            return Err(creation.give_up(failure, attempts));
        }
        events.emit(&Event::Retrying { after: wait, reason: failure.reason() });
        let next = async {
            runtime.sleep(wait).await;
            posts.acquire(runtime, left(runtime.now())).await
        };
        let next = match &stop {
            None => next.await,
            Some(stop) => match select(stop.clone(), pin!(next)).await {
                Either::Left(((), _)) => None,
                Either::Right((next, _)) => next,
            },
        };
        let Some(next) = next else {
            let attempts = attempts(creation.attempts);
            return Err(creation.give_up(failure, attempts));
        };
        permit = next;
        creation.remember(failure);
    }
}

/// A 2xx: the connector exists, whatever the rest of the response looks like.
fn created(
    workspace: &Workspace,
    response: &Response,
    events: EventSink,
    attempts: Attempts,
) -> Result<PendingChannel, Error> {
    let key = workspace.client().key();
    let status = ConnectorStatus::decode(&response.body).or_else(|problem| {
        let id = rescue_id(&response.body).ok_or_else(|| {
            let response = MalformedResponse::new(response, &problem, key);
            Error::CreatedIdUnknown(Box::new(CreatedIdUnknown { response, attempts }))
        })?;
        let problem = MalformedResponse::new(response, &problem, key).problem;
        tracing::warn!(%id, problem, "going on with the id alone");
        Ok::<_, Error>(ConnectorStatus { id, workspace_id: None, channel_id: None })
    })?;
    events.emit(&Event::Created { connector_id: status.id });
    Ok(PendingChannel::created(workspace.clone(), &status, response, events))
}

/// What is known of the attempts so far.
struct Creation {
    attempts: u32,
    /// The last 5xx. The attempt that it answered may have created the connector all the same, which
    /// casts its doubt on all that follows.
    server_error: Option<ErrorResponse>,
}

enum Failure {
    /// With the wait that it asks for.
    Response(ErrorResponse, Option<Duration>),
    NoResponse(TransportError),
}

impl Failure {
    fn asked(&self) -> Option<Duration> {
        match self {
            Self::Response(_, asked) => *asked,
            Self::NoResponse(_) => None,
        }
    }

    /// Whether sending the POST again is known to be safe: the table in the documentation of the crate.
    fn may_send_again(&self, after_server_error: bool) -> bool {
        match self {
            Self::Response(response, _) => match response.status {
                429 => true,
                // Not implemented: it will not be the next time either.
                501 | 505 => false,
                500..=599 => after_server_error,
                _ => false,
            },
            Self::NoResponse(cause) => !cause.kind().is_final() && !cause.may_have_been_sent(),
        }
    }

    fn reason(&self) -> String {
        match self {
            Self::Response(response, _) => response.to_string(),
            Self::NoResponse(cause) => cause.to_string(),
        }
    }
}

impl Creation {
    fn remember(&mut self, failure: Failure) {
        if let Failure::Response(response, _) = failure
            && response.status >= 500
        {
            self.server_error = Some(response);
        }
    }

    fn give_up(self, failure: Failure, attempts: Attempts) -> Error {
        let unknown = |reason, response, cause| {
            Error::OutcomeUnknown(Box::new(OutcomeUnknown { reason, response, cause, attempts }))
        };
        match failure {
            Failure::Response(response, _) => match response.status {
                408 => unknown(UnknownReason::NoResponse, Some(response), None),
                500.. => unknown(UnknownReason::ServerError, Some(response), None),
                409 if self.server_error.is_some() => {
                    unknown(UnknownReason::AlreadyExists, Some(response), None)
                }
                _ if self.server_error.is_some() => {
                    unknown(UnknownReason::ServerError, Some(response), None)
                }
                _ => Error::Refused(Box::new(Refused { response, attempts })),
            },
            Failure::NoResponse(cause) if cause.may_have_been_sent() => {
                unknown(UnknownReason::NoResponse, self.server_error, Some(cause))
            }
            Failure::NoResponse(cause) if self.server_error.is_some() => {
                unknown(UnknownReason::ServerError, self.server_error, Some(cause))
            }
            Failure::NoResponse(cause) => {
                Error::Unreachable(Box::new(Unreachable { cause, attempts }))
            }
        }
    }
}
