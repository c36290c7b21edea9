//! Looks up the connector of a phone number after a creation whose outcome is unknown.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bird_api::Response;
use bird_api::numbers::types::Dependency;
use jiff::{SignedDuration, Timestamp};
use reqwest::Request;
use reqwest::header::DATE;
use serde::Deserialize;
use tracing::Instrument;
use uuid::Uuid;

use super::numbers::number_request;
use super::read::decode_connector;
use super::{Call, PendingChannel};
use crate::client::Route;
use crate::model::{SMS_TEMPLATE, connector_ids, decode, is_other_template};
use crate::transport::Turn;
use crate::{
    Connector, ConnectorId, ConnectorState, Error, Event, NumbersRead, PhoneNumberId,
    SmsConnectorRequest, Warning,
};

/// How long the requests of a lookup may take in total. Waiting for permits does not count.
const TIME: Duration = Duration::from_secs(5);
/// The maximum number of connectors that a lookup reads.
const CONNECTORS: usize = 5;
/// How much older than the first POST a connector may be, because the clocks of Bird and this machine may differ.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_mins(5);

/// The lookup of the connector of a phone number.
///
/// Bird does not document when a number shows its connector. So a number without a connector proves nothing, and a
/// lookup never leads to a POST. A connector is used only if it is the only one with the template, the phone number and
/// the name of the request, and was not created before the first POST.
pub(crate) struct LookUp<'a, T> {
    pub(crate) call: &'a Call<'a, T>,
    pub(crate) request: &'a SmsConnectorRequest,
    /// When the first POST was sent. If this is not known, no connector is used.
    pub(crate) since: Option<Timestamp>,
    /// Becomes false if the access key may not read numbers or connectors.
    pub(crate) allowed: &'a AtomicBool,
}

/// The connectors that a number shows.
#[derive(Debug, Default)]
struct Shown {
    /// The connectors that match the request.
    agreeing: Vec<Connector>,
    /// The other connectors of the number, except those that are not for SMS.
    others: Vec<ConnectorId>,
    /// Whether every connector of the number was read.
    complete: bool,
}

impl<T: Turn> LookUp<'_, T> {
    /// Looks up the connector after a creation that failed. If the outcome is unknown and the number shows the
    /// connector, returns the pending channel. Otherwise, adds the connectors of the number to the error.
    pub(crate) async fn after(
        &mut self,
        error: &mut Error,
        warning: Option<Warning>,
    ) -> Option<PendingChannel> {
        let Call { workspace, events, turn, .. } = self.call;
        let state = error.connector_state();
        let is_open = matches!(state, ConnectorState::Unknown | ConnectorState::ExistsIdUnknown);
        let is_conflict = matches!(error, Error::Refused(_)) && error.status() == Some(409);
        let allowed = self.allowed.load(Ordering::Relaxed);
        if !(is_open || is_conflict) || !allowed {
            return None;
        }
        events.emit(&Event::LookingUp);
        let span = tracing::info_span!(
            "look_up",
            workspace_id = %workspace.id(),
            phone_number_id = %self.request.phone_number_id()
        );
        let Shown { agreeing, others, complete } = self.look().instrument(span).await?;
        if let (true, true, [connector]) = (is_open, complete, &agreeing[..])
            // A connector that is slightly older than the first POST may come from an earlier call.
            && let warning = warning.or_else(|| self.warning(connector))
            && turn.created(connector.id, warning).is_ok()
        {
            let connector_id = connector.id;
            events.emit(&Event::Created { connector_id, warning });
            let pending = workspace.pending_channel(connector_id).with_warning(warning);
            let pending = pending.of_number(self.request.phone_number_id());
            return Some(pending.created_at(connector.created_at));
        }
        error.set_existing(agreeing.iter().map(|connector| connector.id).chain(others).collect());
        None
    }

    async fn look(&mut self) -> Option<Shown> {
        let workspace = self.call.workspace;
        let id = self.request.phone_number_id();
        let mut left = TIME;
        let route = Route::Numbers(NumbersRead::Number);
        let response = self.get(route, number_request(workspace, id), &mut left).await?;
        let mut connectors = connectors_of(&response.body, id)?;
        self.use_clock_of(&response);
        let unread = connectors.split_off(connectors.len().min(CONNECTORS));
        let mut shown = Shown { complete: unread.is_empty(), ..Shown::default() };
        for id in connectors {
            let request = workspace.state().get_request(id);
            let response = self.get(Route::Get, request, &mut left).await;
            match response.and_then(|response| decode_connector(workspace, id, &response).ok()) {
                Some(connector) if self.agrees(&connector) => shown.agreeing.push(connector),
                Some(connector)
                    if connector.template_ref.as_deref().is_some_and(is_other_template) => {}
                // This counts even if it belongs to another number: no POST follows while this number shows it.
                Some(_) => shown.others.push(id),
                // A connector that could not be read may be the connector of the request.
                None => {
                    shown.others.push(id);
                    shown.complete = false;
                }
            }
        }
        shown.others.extend(unread);
        Some(shown)
    }

    async fn get(&self, route: Route, request: Request, left: &mut Duration) -> Option<Response> {
        let result = self.call.send_once(route, request, Some(left)).await;
        if let Err(failed) = &result
            && let Some(401 | 403) = failed.error.response().map(|response| response.status)
        {
            self.allowed.store(false, Ordering::Relaxed);
        }
        result.ok()
    }

    /// Converts the time of the first POST to Bird's clock, if the response has a `Date` (RFC 9110, section 6.6.1).
    fn use_clock_of(&mut self, response: &Response) {
        let now = self.call.runtime().system_time();
        let date = response.headers.get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        if let Some(Ok(date)) = date.map(Timestamp::try_from)
            && let Ok(now) = Timestamp::try_from(now)
            && let Some(since) = self.since
            && let Ok(since) = since.checked_add(date.duration_since(now))
        {
            self.since = Some(since);
        }
    }

    /// Returns the warning that the connector may be older than the first POST.
    fn warning(&self, connector: &Connector) -> Option<Warning> {
        let older = self.since.is_some_and(|since| connector.created_at < since);
        older.then_some(Warning::PossibleDuplicate { status: None })
    }

    fn agrees(&self, connector: &Connector) -> bool {
        let number = self.request.phone_number_id();
        let oldest = |since: Timestamp| since.saturating_sub(CLOCK_SLACK).unwrap_or(since);
        connector.template_ref.as_deref() == Some(SMS_TEMPLATE)
            && connector.phone_number_id.is_none_or(|id| id == number)
            && connector.name == self.request.name()
            && self.since.is_some_and(|since| connector.created_at >= oldest(since))
    }
}

/// Returns the connectors in a response about this number. Only the fields that are needed are decoded, so another field
/// of an unexpected shape does not hide a connector.
fn connectors_of(body: &[u8], id: PhoneNumberId) -> Option<Vec<ConnectorId>> {
    #[derive(Deserialize)]
    struct Number {
        id: Uuid,
        endpoint: Option<Endpoint>,
    }
    #[derive(Deserialize)]
    struct Endpoint {
        dependencies: Option<Vec<Dependency>>,
    }
    let number: Number = decode(body).ok().filter(|number: &Number| number.id == *id.as_uuid())?;
    let dependencies = number.endpoint.and_then(|endpoint| endpoint.dependencies);
    Some(connector_ids(dependencies.unwrap_or_default()))
}
