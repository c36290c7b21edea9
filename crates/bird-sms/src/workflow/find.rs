//! The search for the connector of a request whose response was lost.
//!
//! The endpoint *List connectors* shows which connectors exist. A page may not show what a connector was created with,
//! so each connector that can be the one is read. The searches of a batch share their listings: while one runs, later
//! searches wait for the next one, because a listing says nothing about connectors that were created after its start.
//!
//! Unproven: no response of the real endpoint has been seen.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bird_api::ClientInfo;
use bird_api::list_connectors::Client as ListClient;
use bird_api::list_connectors::types::{ConnectorPage, ListedConnector};
use bird_api::types::SmsArguments;
use futures_util::future::{BoxFuture, Either, FutureExt, Shared, WeakShared, select};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::Instrument;

use super::retry::{Attempt, FailedAttempt, Retry, RetryError, Tolerance, is_retryable_get, send};
use crate::client::Workspace;
use crate::error::chain;
use crate::event::EventSink;
use crate::model::{SMS_TEMPLATE, decode};
use crate::transport::{Deadline, Permit};
use crate::{
    AttemptError, ConnectorId, ConnectorState, Error, Event, MalformedResponse, PendingChannel,
    PhoneNumberId, SearchError, SmsConnectorRequest, Warning,
};

/// The number of connectors in a page: the maximum of the vendor's other lists.
const PAGE: i32 = 99;

/// The number of connectors that are read at a time. The rate limit is the bound, and this covers its latency.
const READS: usize = 16;

/// The result of a search for the connector of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchResult {
    /// One connector matches the request, and no other could be that of the request.
    Found(ConnectorId),
    /// No connector matches the request.
    NotFound {
        /// Whether the request certainly created no connector: all pages were read after the
        /// [margin](crate::SearchPolicy::margin), and there is no connector that could be that of the request
        /// nevertheless: an older one that is equal, or a newer one of the phone number that differs in a field. Arguments
        /// that cannot be decoded count as equal.
        conclusive: bool,
    },
    /// The connectors that match. There may be only one, beside another that could be that of the request.
    Ambiguous(Vec<ConnectorId>),
}

impl Workspace {
    /// Searches for the connector that a request created at `since` or later, after its response was lost.
    ///
    /// A connector matches if it has the template, the phone number id, the name and the arguments of the request, and
    /// was created at `since` minus the [clock skew](crate::SearchPolicy::clock_skew) or later. If no connector
    /// matches, the search waits for the [margin](crate::SearchPolicy::margin) and lists the connectors again, because
    /// a new connector may be listed late.
    ///
    /// Call this method only after the request has ended.
    ///
    /// # Errors
    ///
    /// Fails if the connectors cannot be listed before the install timeout, for example because the access key does not
    /// allow it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a search changes nothing.
    pub async fn find_connector(
        &self,
        request: &SmsConnectorRequest,
        since: Timestamp,
    ) -> Result<SearchResult, SearchError> {
        let span = tracing::info_span!(
            "find_connector",
            workspace_id = %self.id(),
            phone_number_id = %request.phone_number_id()
        );
        let searches = Searches::default();
        searches.find(self, request, Some(since), self.deadline()).instrument(span).await
    }

    /// Returns the connectors of a phone number, oldest first.
    ///
    /// # Errors
    ///
    /// See [`find_connector`](Self::find_connector).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a search changes nothing.
    pub async fn find_connectors(
        &self,
        phone_number_id: PhoneNumberId,
    ) -> Result<Vec<ConnectorId>, SearchError> {
        let span =
            tracing::info_span!("find_connectors", workspace_id = %self.id(), %phone_number_id);
        let now = self.client().runtime().now();
        let searches = Searches::default();
        let listing = searches.listing(self, now, self.deadline()).instrument(span).await?;
        let mut connectors: Vec<_> = listing.of(phone_number_id).collect();
        connectors.sort_by_key(|connector| connector.created_at);
        Ok(connectors.iter().map(|connector| connector.id).collect())
    }
}

/// A search after a creation.
pub(crate) struct Search<'a> {
    pub(crate) searches: &'a Searches,
    pub(crate) workspace: &'a Workspace,
    pub(crate) request: &'a SmsConnectorRequest,
    /// The time of the first POST whose outcome is unknown. Without it, a connector of any age matches.
    pub(crate) since: Option<Timestamp>,
    pub(crate) deadline: Deadline,
    pub(crate) events: &'a EventSink,
}

/// The result of a search after a creation.
pub(crate) enum Searched {
    Found(PendingChannel),
    /// No attempt created a connector, so the request may be sent again.
    Absent,
    /// The search settled nothing: there was nothing to search for, or for this reason.
    Unsettled(Option<String>),
}

impl Search<'_> {
    /// Searches for the connector of a creation that ended with this error.
    pub(crate) async fn run(&self, error: &Error) -> Searched {
        let state = error.connector_state();
        let conflict = error.response().is_some_and(|response| response.status == 409);
        let exists = state == ConnectorState::ExistsIdUnknown || conflict;
        if matches!(error, Error::Journal(_)) || !(exists || state == ConnectorState::Unknown) {
            return Searched::Unsettled(None);
        }
        self.events.emit(&Event::Searching);
        let Self { searches, workspace, request, since, deadline, events } = *self;
        let reason = match searches.find(workspace, request, since, deadline).await {
            Ok(SearchResult::Found(id)) => {
                let warning = match error {
                    Error::OutcomeUnknown(error) => error.earlier.as_ref().map(|response| {
                        Warning::PossibleDuplicate { status: Some(response.status) }
                    }),
                    _ => None,
                };
                let warning = Some(warning.unwrap_or(Warning::Found));
                events.emit(&Event::Created { connector_id: id, warning });
                let pending = workspace.pending_channel(id).warning(warning);
                return Searched::Found(pending.events(events.clone()));
            }
            Ok(SearchResult::NotFound { conclusive: true }) if !exists => return Searched::Absent,
            Ok(SearchResult::NotFound { .. }) => {
                "a search found no connector that certainly belongs to the request".to_owned()
            }
            Ok(SearchResult::Ambiguous(ids)) => {
                let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
                format!(
                    "a search could not tell which connector is that of the request: {}",
                    ids.join(", ")
                )
            }
            Err(error) => chain(&error),
        };
        events.emit(&Event::Unsettled { reason: reason.clone() });
        Searched::Unsettled(Some(reason))
    }
}

/// The searches of a batch, which share their listings.
#[derive(Debug, Default)]
pub(crate) struct Searches {
    /// The connectors that belong to other requests, as the caller of the batch names them.
    claimed: Mutex<HashSet<ConnectorId>>,
    /// The error of a listing that every other listing would have.
    permanent: OnceLock<SearchError>,
    /// The last listing. Weak, so that a listing is dropped with the last search that uses it.
    last: Mutex<Option<Scheduled<WeakShared<BoxFuture<'static, ListingResult>>>>>,
}

type ListingResult = Result<Arc<Listing>, SearchError>;

/// A listing that runs, or that starts after the one before it.
#[derive(Clone, Debug)]
struct Scheduled<F> {
    /// Set when the listing starts.
    started: Arc<OnceLock<Instant>>,
    future: F,
}

impl Searches {
    /// Adds a connector that belongs to another request, and is not the result of any search.
    pub(crate) fn claim(&self, id: ConnectorId) {
        self.claimed().insert(id);
    }

    fn claimed(&self) -> MutexGuard<'_, HashSet<ConnectorId>> {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Searches as [`Workspace::find_connector`] does. Without a time, a connector of any age matches.
    pub(crate) async fn find(
        &self,
        workspace: &Workspace,
        request: &SmsConnectorRequest,
        since: Option<Timestamp>,
        deadline: Deadline,
    ) -> Result<SearchResult, SearchError> {
        let runtime = workspace.client().runtime();
        let policy = workspace.client().search_policy();
        let since = since.and_then(|since| since.checked_sub(policy.clock_skew).ok());
        let end = runtime.now() + policy.margin;
        let listing = self.listing(workspace, runtime.now(), deadline).await?;
        let mut result = listing.find(request, since, &self.claimed());
        if matches!(result, SearchResult::NotFound { .. }) {
            let margin = end.saturating_duration_since(runtime.now());
            if margin >= deadline.remaining(runtime.now()) {
                return Ok(SearchResult::NotFound { conclusive: false });
            }
            runtime.sleep(margin).await;
            let listing = self.listing(workspace, runtime.now(), deadline).await?;
            result = listing.find(request, since, &self.claimed());
        }
        Ok(result)
    }

    /// Returns a listing that started at `since` or later.
    async fn listing(
        &self,
        workspace: &Workspace,
        since: Instant,
        deadline: Deadline,
    ) -> ListingResult {
        if let Some(error) = self.permanent.get() {
            return Err(error.clone());
        }
        let listing = self.schedule(workspace, since);
        let runtime = workspace.client().runtime();
        let timeout = runtime.sleep(deadline.remaining(runtime.now()));
        match select(listing, timeout).await {
            Either::Left((Err(error), _)) if error.is_permanent() => {
                if self.permanent.set(error.clone()).is_ok() {
                    tracing::warn!(error = chain(&error), "connectors cannot be searched");
                }
                Err(error)
            }
            Either::Left((listing, _)) => listing,
            Either::Right(((), _)) => Err(SearchError::timed_out()),
        }
    }

    fn schedule(
        &self,
        workspace: &Workspace,
        since: Instant,
    ) -> Shared<BoxFuture<'static, ListingResult>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = last
            .as_ref()
            .and_then(|last| Some((last.started.get().copied(), last.future.upgrade()?)));
        if let Some((started, future)) = &previous
            && started.is_none_or(|started| started >= since)
        {
            return future.clone();
        }
        let started = Arc::new(OnceLock::new());
        let (workspace, claimed) = (workspace.clone(), self.claimed().clone());
        let start = Arc::clone(&started);
        let future = async move {
            let read = match previous {
                Some((_, previous)) => previous.await.ok(),
                None => None,
            };
            start.get_or_init(|| workspace.client().runtime().now());
            list(&workspace, &claimed, read.as_deref()).await.map(Arc::new)
        };
        let future = future.boxed().shared();
        *last = future.downgrade().map(|future| Scheduled { started, future });
        future
    }
}

/// The connectors of a workspace, without those that are claimed.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    connectors: HashMap<ConnectorId, Candidate>,
}

/// The fields of a connector that are compared with a request.
#[derive(Clone, Debug)]
struct Candidate {
    id: ConnectorId,
    name: String,
    /// `None` if they cannot be decoded: whether the connector is of the request is not known.
    arguments: Option<SmsArguments>,
    created_at: Timestamp,
}

impl Candidate {
    fn is_of(&self, phone_number_id: PhoneNumberId) -> bool {
        let arguments = self.arguments.as_ref();
        arguments.is_some_and(|arguments| arguments.phone_number_id == *phone_number_id.as_uuid())
    }
}

impl Listing {
    fn of(&self, phone_number_id: PhoneNumberId) -> impl Iterator<Item = &Candidate> {
        self.connectors.values().filter(move |candidate| candidate.is_of(phone_number_id))
    }

    /// Returns the connector of a request, as this listing shows it.
    fn find(
        &self,
        request: &SmsConnectorRequest,
        since: Option<Timestamp>,
        claimed: &HashSet<ConnectorId>,
    ) -> SearchResult {
        let (mut matching, mut doubtful) = (BTreeSet::new(), false);
        let wanted = request.arguments();
        for candidate in self.connectors.values() {
            let is_other =
                candidate.arguments.is_some() && !candidate.is_of(request.phone_number_id());
            if is_other || claimed.contains(&candidate.id) {
                continue;
            }
            let is_older = since.is_some_and(|since| candidate.created_at < since);
            let arguments = candidate.arguments.as_ref();
            let may_be_equal = candidate.name == request.name()
                && arguments.is_none_or(|arguments| *arguments == wanted);
            if may_be_equal && !is_older && arguments.is_some() {
                matching.insert(candidate.id);
            } else if may_be_equal || !is_older {
                // The clock of this machine may be wrong, or another program may have changed the connector.
                doubtful = true;
            }
        }
        let ids = Vec::from_iter(matching);
        match ids[..] {
            [] => SearchResult::NotFound { conclusive: !doubtful },
            [id] if !doubtful => SearchResult::Found(id),
            _ => SearchResult::Ambiguous(ids),
        }
    }
}

/// Lists the connectors of a workspace, and reads each one that is not `claimed` and was not `read` before.
async fn list(
    workspace: &Workspace,
    claimed: &HashSet<ConnectorId>,
    read: Option<&Listing>,
) -> Result<Listing, SearchError> {
    let deadline = workspace.deadline();
    let (mut listing, mut unread) = (Listing::default(), Vec::new());
    let (mut page_token, mut tokens) = (None, HashSet::new());
    loop {
        let page = read_page(workspace, deadline, page_token.as_deref()).await?;
        for listed in page.results.into_iter().filter(may_be_sms) {
            let id = listed.id.into();
            match read.and_then(|read| read.connectors.get(&id)) {
                _ if claimed.contains(&id) => {}
                Some(candidate) => drop(listing.connectors.insert(id, candidate.clone())),
                None => unread.push(id),
            }
        }
        page_token = page.next_page_token.filter(|token| !token.is_empty());
        let Some(token) = &page_token else { break };
        if !tokens.insert(token.clone()) {
            return Err(SearchError::repeated_page());
        }
    }
    let read = stream::iter(unread).map(|id| read_candidate(workspace, id)).buffer_unordered(READS);
    let mut read = pin!(read);
    while let Some(candidate) = read.try_next().await? {
        listing.connectors.extend(candidate.map(|candidate| (candidate.id, candidate)));
    }
    Ok(listing)
}

fn may_be_sms(listed: &ListedConnector) -> bool {
    listed.connector_template_ref.as_deref().is_none_or(|template| template == SMS_TEMPLATE)
}

/// Reads one connector. Returns `None` if it was deleted meanwhile, or is not for SMS.
async fn read_candidate(
    workspace: &Workspace,
    id: ConnectorId,
) -> Result<Option<Candidate>, SearchError> {
    let connector = match workspace.connector(id).await {
        Ok(connector) => connector,
        Err(error) if error.response().is_some_and(|response| response.status == 404) => {
            return Ok(None);
        }
        Err(Error::Read(error)) => return Err(SearchError::new(error.cause)),
        Err(_) => unreachable!("a read fails with `Error::Read`"),
    };
    if connector.template_ref.as_deref().is_some_and(|template| template != SMS_TEMPLATE) {
        return Ok(None);
    }
    Ok(Some(Candidate {
        id,
        arguments: connector.sms_arguments(),
        created_at: connector.created_at,
        name: connector.name,
    }))
}

/// Reads one page of the list.
pub(crate) async fn read_page(
    workspace: &Workspace,
    deadline: Deadline,
    page_token: Option<&str>,
) -> Result<ConnectorPage, SearchError> {
    let events = EventSink::default();
    let retry = Retry::read(workspace, &events, deadline);
    let mut attempt = ListAttempt { workspace, deadline, page_token };
    retry.run(None, &mut attempt).await.map_err(|RetryError { error, .. }| SearchError::new(error))
}

/// One GET of a page.
struct ListAttempt<'a> {
    workspace: &'a Workspace,
    deadline: Deadline,
    page_token: Option<&'a str>,
}

impl Attempt for ListAttempt<'_> {
    type Output = ConnectorPage;

    async fn send(&mut self, number: u32, permit: Permit) -> Result<ConnectorPage, FailedAttempt> {
        let workspace = self.workspace;
        let raw = workspace.client().raw();
        let client =
            ListClient::new_with_client(raw.baseurl(), raw.client().clone(), raw.inner().clone());
        let request = client
            .list_connectors_request(
                workspace.id().as_uuid(),
                Some(PAGE),
                self.page_token,
                Some(SMS_TEMPLATE),
            )
            .expect("the base URL was checked when the client was built");
        let response = send(workspace, request, number, self.deadline, permit).await?;
        decode(&response.body).map_err(|problem| {
            let key = workspace.client().key();
            AttemptError::Malformed(MalformedResponse::new(&response, &problem, key)).into()
        })
    }

    fn is_retryable(&mut self, error: &AttemptError) -> bool {
        is_retryable_get(error, Tolerance::default())
    }
}
