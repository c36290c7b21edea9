use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, FutureExt, Shared, select};
use futures_util::{Stream, StreamExt};
use tracing::Instrument;

use crate::create::create;
use crate::error::RecordError;
use crate::pending::Watch;
use crate::progress::Progress;
use crate::{
    ConnectorId, Error, PendingChannel, Record, SmsChannel, SmsConnectorRequest, Step, Workspace,
};

/// The installation of many SMS channels. Made by [`Workspace::install_sms_channels`].
///
/// It is as fast as the [`RateLimits`](crate::RateLimits) of the workspace allow, which all installs of a
/// client share. GETs are the scarce part: how long provisioning takes is learned from the installs that
/// finish, and each connector is first looked at when it is likely to be ready.
///
/// Requests are taken from the stream as installs end, and outcomes are given in the order in which they
/// come, so that neither has to be held in memory.
///
/// # Errors
///
/// The stream does not fail: each outcome has its own [`Error`].
///
/// # Cancel safety
///
/// Dropping the stream stops everything at once: POSTs under way have an unknown outcome then. With
/// [`stop_when`](Self::stop_when) they are heard out. With a [`Record`] what happened is on record in
/// either case.
#[must_use = "a batch does nothing until it is started and its outcomes are taken"]
pub struct InstallSmsChannels<S> {
    workspace: Workspace,
    requests: S,
    concurrency: usize,
    record: Option<Arc<dyn Record>>,
    stop: Option<BoxFuture<'static, ()>>,
}

/// How long an install waits at most for its turn to GET, when nothing else holds it up: the default
/// concurrency is what the limit lets through in this time.
const QUEUE_SECONDS: usize = 20;

impl<S> InstallSmsChannels<S>
where
    S: Stream<Item: Into<BatchItem>> + Send,
{
    pub(crate) fn new(workspace: Workspace, requests: S) -> Self {
        let gets_per_second = workspace.client().limits().gets_per_second;
        let concurrency = usize::try_from(gets_per_second)
            .unwrap_or(usize::MAX)
            .saturating_mul(QUEUE_SECONDS)
            .min(10_000);
        Self { workspace, requests, concurrency, record: None, stop: None }
    }

    /// How many installs are under way at a time, at least one. Default: 20 for each GET a second that the
    /// workspace takes, at most 10,000.
    ///
    /// With GETs as the limit, Little's law asks for gets per second × seconds of provisioning. More than
    /// that only makes connectors wait for their turn.
    pub fn concurrency(mut self, installs: usize) -> Self {
        self.concurrency = installs.max(1);
        self
    }

    /// Where each step is recorded before the next is taken. Default: nowhere.
    pub fn record(mut self, record: impl Record + 'static) -> Self {
        self.record = Some(Arc::new(record));
        self
    }

    /// Stops when `stop` ends: no request is begun any more, POSTs under way are heard out, and
    /// connectors that exist end with [`Error::NotReady`], which has their id.
    pub fn stop_when(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Self {
        self.stop = Some(stop.boxed());
        self
    }

    /// The outcomes, in the order in which the installs end. Nothing happens until they are taken.
    pub fn start(self) -> impl Stream<Item = BatchOutcome> + Send + use<S> {
        let stop = self.stop.unwrap_or_else(|| std::future::pending().boxed()).shared();
        let batch =
            Arc::new(Batch { workspace: self.workspace, record: self.record, stop: stop.clone() });
        self.requests
            .take_until(stop)
            .map(move |item| {
                let (batch, item) = (Arc::clone(&batch), item.into());
                let span = tracing::info_span!(
                    "install_sms_channel",
                    workspace_id = %batch.workspace.id(),
                    phone_number_id = %item.request.phone_number_id()
                );
                async move { batch.install(item).await }.instrument(span)
            })
            .buffer_unordered(self.concurrency)
            .filter_map(std::future::ready)
    }
}

impl<S> fmt::Debug for InstallSmsChannels<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstallSmsChannels")
            .field("workspace", &self.workspace)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

/// What a batch is to do for one phone number.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchItem {
    request: SmsConnectorRequest,
    connector_id: Option<ConnectorId>,
}

impl BatchItem {
    /// Goes on with a connector that was created for the request before: its channel is waited for, and
    /// nothing is created.
    #[must_use]
    pub fn created(request: SmsConnectorRequest, connector_id: ConnectorId) -> Self {
        Self { request, connector_id: Some(connector_id) }
    }
}

/// An install from the start.
impl From<SmsConnectorRequest> for BatchItem {
    fn from(request: SmsConnectorRequest) -> Self {
        Self { request, connector_id: None }
    }
}

/// How one install of a batch ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct BatchOutcome {
    /// What was to be installed.
    pub request: SmsConnectorRequest,
    /// The channel, or why there is none and what exists all the same.
    pub result: Result<SmsChannel, Error>,
}

struct Batch {
    workspace: Workspace,
    record: Option<Arc<dyn Record>>,
    stop: Shared<BoxFuture<'static, ()>>,
}

impl Batch {
    /// None when the batch was stopped before anything happened.
    async fn install(&self, item: BatchItem) -> Option<BatchOutcome> {
        let BatchItem { request, connector_id } = item;
        let pending = match connector_id {
            Some(id) => Ok((self.workspace.pending_channel(id), self.workspace.watch())),
            None => self.create(&request).await?,
        };
        let result = match pending {
            Ok((pending, watch)) => self.wait(pending.sparing(), watch).await,
            Err(error) => Err(error),
        };
        let recorded = self.record(&request, Step::Ended(result.as_ref())).await;
        let result = match recorded {
            Ok(()) => result,
            Err(source) => Err(unrecorded(source, &result)),
        };
        Some(BatchOutcome { request, result })
    }

    /// The first half. None when the batch was stopped before anything was sent.
    async fn create(
        &self,
        request: &SmsConnectorRequest,
    ) -> Option<Result<(PendingChannel, Watch), Error>> {
        let body = match request.body() {
            Ok(body) => body,
            Err(error) => return Some(Err(error.into())),
        };
        let posts = &self.workspace.traffic().posts;
        let turn = pin!(posts.turn(self.workspace.client().surroundings(), Duration::MAX));
        let Either::Right((turn, _)) = select(self.stop.clone(), turn).await else { return None };
        if let Err(source) = self.record(request, Step::Intent).await {
            return Some(Err(Error::Record(Box::new(RecordError {
                connector_id: None,
                connector_may_exist: false,
                source,
            }))));
        }
        let watch = self.workspace.watch();
        let created = create(&self.workspace, &body, watch, Progress::default(), turn).await;
        if let Ok(pending) = &created {
            let connector_id = pending.connector_id();
            if let Err(source) = self.record(request, Step::Created(connector_id)).await {
                return Some(Err(Error::Record(Box::new(RecordError {
                    connector_id: Some(connector_id),
                    connector_may_exist: true,
                    source,
                }))));
            }
        }
        Some(created.map(|pending| (pending, watch)))
    }

    /// The second half.
    async fn wait(&self, mut pending: PendingChannel, watch: Watch) -> Result<SmsChannel, Error> {
        let stopped = {
            let wait = pin!(pending.wait_until(watch));
            match select(self.stop.clone(), wait).await {
                Either::Right((result, _)) => return result,
                Either::Left(((), _)) => self.workspace.client().surroundings().now(),
            }
        };
        Err(pending.not_ready(watch.elapsed(stopped), None))
    }

    async fn record(&self, request: &SmsConnectorRequest, step: Step<'_>) -> std::io::Result<()> {
        match &self.record {
            Some(record) => record.record(request, step).await,
            None => Ok(()),
        }
    }
}

/// The end of an install is not on record: what it was is told all the same.
fn unrecorded(source: std::io::Error, result: &Result<SmsChannel, Error>) -> Error {
    let (connector_id, connector_may_exist) = match result {
        Ok(channel) => (Some(channel.connector_id), true),
        Err(error) => (error.connector_id(), error.connector_may_exist()),
    };
    Error::Record(Box::new(RecordError { connector_id, connector_may_exist, source }))
}
