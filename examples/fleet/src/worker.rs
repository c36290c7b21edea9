//! A process that installs the jobs of workspaces that no other process has.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bird_sms::{
    AccessKey, BatchItem, Client, Error, RateLimits, SearchPolicy, UnknownRows, Workspace,
    WorkspaceId,
};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_postgres::Config;

use crate::Lease;

/// The time between two looks for jobs, when there are none.
const IDLE: Duration = Duration::from_secs(1);
/// The time after which a job is continued that could not be finished.
const PAUSE: Duration = Duration::from_secs(60);
/// The time over which the vendor counts requests.
const RATE_WINDOW: Duration = Duration::from_secs(1);
/// The longest time of a request.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// The time after which the list of connectors shows what the owner before has created: the request that the owner had
/// under way has ended, and a connector that is new is listed.
const LIST_MARGIN: Duration = ATTEMPT_TIMEOUT.saturating_add(Duration::from_secs(3));

/// What the requests of a workspace need.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credentials {
    access_key: String,
    /// The URL of a sandbox. Default: Bird's API.
    api_url: Option<String>,
}

impl Credentials {
    fn workspace(&self, id: WorkspaceId, limits: RateLimits) -> anyhow::Result<Workspace> {
        let mut client = Client::builder()
            .access_key(AccessKey::new(&self.access_key)?)
            .attempt_timeout(ATTEMPT_TIMEOUT)
            .rate_limits(limits)
            .search_policy(SearchPolicy { margin: LIST_MARGIN, ..SearchPolicy::default() });
        if let Some(url) = &self.api_url {
            client = client.base_url(url);
        }
        Ok(client.build()?.workspace(id))
    }
}

/// Installs the jobs of the workspaces whose credentials it has.
pub struct Worker {
    /// The database with the jobs and the journal.
    pub database: Config,
    /// The credentials of each workspace.
    pub credentials: HashMap<WorkspaceId, Credentials>,
    /// The limits of each workspace.
    pub limits: RateLimits,
}

impl Worker {
    /// Works in up to `concurrency` workspaces at a time until `stop` has the value `true`. Then the requests in flight
    /// end, and other processes continue.
    ///
    /// # Panics
    ///
    /// Panics if a task does.
    pub async fn run(self, concurrency: usize, stop: watch::Receiver<bool>) {
        let worker = Arc::new(self);
        let mut tasks = JoinSet::new();
        for _ in 0..concurrency {
            let (worker, mut stop) = (Arc::clone(&worker), stop.clone());
            tasks.spawn(async move {
                while !*stop.borrow() {
                    match worker.work(&stop).await {
                        Ok(true) => continue,
                        Ok(false) => {}
                        Err(error) => eprintln!("warning: {error:#}"),
                    }
                    tokio::select! {
                        () = sleep(IDLE) => {}
                        _ = stop.wait_for(|stop| *stop) => {}
                    }
                }
            });
        }
        tasks.join_all().await;
    }

    /// Takes a workspace and installs its jobs. Returns whether there was one.
    async fn work(&self, stop: &watch::Receiver<bool>) -> anyhow::Result<bool> {
        let workspaces: Vec<_> = self.credentials.keys().copied().collect();
        let Some(lease) = Lease::take(&self.database, &workspaces).await? else {
            return Ok(false);
        };
        let id = lease.workspace_id();
        // Dropping the batch stops it at once, because another process may own the workspace now. A POST in flight may
        // still arrive; its row is unknown to the next owner.
        tokio::select! {
            () = lease.lost() => bail!("{id}: the lease is lost"),
            installed = self.install(&lease, stop) => installed.with_context(|| id.to_string())?,
        }
        Ok(true)
    }

    async fn install(&self, lease: &Lease, stop: &watch::Receiver<bool>) -> anyhow::Result<()> {
        let id = lease.workspace_id();
        let workspace = self.credentials[&id].workspace(id, self.limits)?;
        let (jobs, journal) = (lease.due_jobs().await?, lease.read_journal().await?);
        if jobs.is_empty() {
            // The owner before was faster.
            return Ok(());
        }
        let connectors: Vec<_> =
            journal.rows().filter_map(|(_, row)| row.connector_state().connector_id()).collect();
        println!("{id}: {} jobs are due, {} connectors exist", jobs.len(), connectors.len());
        // The last requests of the owner before count against the limits, too.
        sleep(RATE_WINDOW).await;
        let items = jobs.into_iter().map(|request| {
            let state = journal.row(request.phone_number_id());
            BatchItem::resume(request, state).unknown_rows(UnknownRows::Find)
        });
        let mut stopped = stop.clone();
        let mut outcomes = workspace
            .install_sms_channels(items)
            .known_connectors(connectors)
            .journal(lease.journal())
            .with_graceful_shutdown(async move {
                // A sender that is gone cannot stop the batch any more.
                if stopped.wait_for(|stop| *stop).await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
            .start();
        while let Some(outcome) = outcomes.next().await {
            match &outcome.result {
                Err(Error::Journal(error)) => bail!("the journal has failed: {}", error.source),
                // The batch has shut down. Every other job would be refused, too.
                Err(error) if error.is_access_refused() => {
                    eprintln!("warning: {id}: {}", error.chain());
                    lease.postpone(PAUSE).await?;
                }
                _ => {}
            }
            let pause = if *stop.borrow() { Duration::ZERO } else { PAUSE };
            lease.end_job(&outcome, pause).await?;
        }
        Ok(())
    }
}
