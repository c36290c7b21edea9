//! The table of jobs.

use std::time::Duration;

use bird_sms::uuid::Uuid;
use bird_sms::{BatchOutcome, SmsConnectorRequest, WorkspaceId};
use tokio_postgres::Client;
use tokio_postgres::types::{Json, ToSql};

use crate::Lease;

/// The tables, as SQL. Applying it a second time changes nothing.
pub const SCHEMA: &str = include_str!("schema.sql");

/// Adds jobs, all or none. A job that has failed is opened again, with the new request; every other job stays as it is.
/// Returns the number of jobs that were added or opened.
///
/// # Errors
///
/// Fails if a request cannot be sent, or if PostgreSQL cannot be used.
pub async fn enqueue(
    session: &Client,
    workspace_id: WorkspaceId,
    requests: &[SmsConnectorRequest],
) -> anyhow::Result<u64> {
    let (mut numbers, mut jobs) = (Vec::new(), Vec::new());
    for request in requests {
        request.check()?;
        numbers.push(Uuid::from(request.phone_number_id()));
        jobs.push(Json(request));
    }
    let insert = "INSERT INTO jobs (workspace_id, phone_number_id, request)
        SELECT $1, * FROM unnest($2::uuid[], $3::json[])
        ON CONFLICT (workspace_id, phone_number_id) DO UPDATE
        SET request = excluded.request, status = 'open', due_at = now() WHERE jobs.status = 'failed'";
    Ok(session.execute(insert, &[workspace_id.as_uuid(), &numbers, &jobs]).await?)
}

impl Lease {
    /// Returns the jobs of the workspace that are due.
    pub(crate) async fn due_jobs(&self) -> anyhow::Result<Vec<SmsConnectorRequest>> {
        let due = "SELECT request FROM jobs WHERE workspace_id = $1 AND status = 'open' AND due_at <= now()";
        let rows = self.session.query(due, &[self.workspace_id.as_uuid()]).await?;
        rows.iter().map(|row| Ok(row.try_get::<_, Json<_>>(0)?.0)).collect()
    }

    /// Writes the outcome of a job. A job that can be continued later is due after `pause`.
    pub(crate) async fn end_job(
        &self,
        outcome: &BatchOutcome,
        pause: Duration,
    ) -> anyhow::Result<()> {
        let (status, channel_id, message) = match &outcome.result {
            Ok(channel) => {
                let warning = channel.warning.map(|warning| warning.to_string());
                ("ready", Some(Uuid::from(channel.id)), warning)
            }
            // With another access key the same job succeeds.
            Err(error) if error.is_retryable() || error.is_access_refused() => {
                ("open", None, Some(error.chain()))
            }
            Err(error) => ("failed", None, Some(error.chain())),
        };
        let update = "UPDATE jobs
            SET status = $3, channel_id = $4, message = $5, due_at = now() + $6 * interval '1 second'
            WHERE workspace_id = $1 AND phone_number_id = $2";
        let number = outcome.request.phone_number_id();
        let values: [&(dyn ToSql + Sync); 6] = [
            self.workspace_id.as_uuid(),
            number.as_uuid(),
            &status,
            &channel_id,
            &message,
            &pause.as_secs_f64(),
        ];
        self.session.execute(update, &values).await?;
        Ok(())
    }

    /// Postpones all jobs of the workspace that are open.
    pub(crate) async fn postpone(&self, pause: Duration) -> anyhow::Result<()> {
        let update = "UPDATE jobs SET due_at = now() + $2 * interval '1 second'
            WHERE workspace_id = $1 AND status = 'open'";
        let values: [&(dyn ToSql + Sync); 2] = [self.workspace_id.as_uuid(), &pause.as_secs_f64()];
        self.session.execute(update, &values).await?;
        Ok(())
    }
}
