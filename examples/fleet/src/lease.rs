//! The ownership of a workspace, and its journal: both are tied to one session of PostgreSQL.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bird_sms::jiff::Timestamp;
use bird_sms::uuid::Uuid;
use bird_sms::{
    Journal, JournalEntry, JournalFuture, JournalState, PhoneNumberId, SmsConnectorRequest,
    WorkspaceId,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Client, Config, NoTls};

/// The time between two checks of the session of a lease.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// The time that PostgreSQL may take for a check or an entry. Afterwards the session counts as lost.
const PATIENCE: Duration = Duration::from_secs(3);

/// The largest number of entries in one commit.
const ENTRIES: usize = 1000;

/// The settings of a session.
///
/// A commit is acknowledged when it is on disk, whatever the default of the server is. The server ends the session of a
/// machine that is gone after 16 s, and not after two hours; the worker gives up first, after [`HEARTBEAT`] and
/// [`PATIENCE`].
const SETTINGS: &str = "
    SET synchronous_commit = on;
    SET tcp_keepalives_idle = 10;
    SET tcp_keepalives_interval = 2;
    SET tcp_keepalives_count = 3;
    SET tcp_user_timeout = 16000";

/// Opens a session, which ends when the client is dropped.
///
/// # Errors
///
/// Fails if PostgreSQL cannot be reached, or refuses the session.
pub async fn connect(database: &Config) -> anyhow::Result<Client> {
    let (client, connection) =
        database.connect(NoTls).await.context("cannot connect to PostgreSQL")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!(
                "warning: {:#}",
                anyhow::Error::from(error).context("a session of PostgreSQL has ended")
            );
        }
    });
    client.batch_execute(SETTINGS).await?;
    Ok(client)
}

/// The right to install in a workspace, which one process has at a time, so that one rate limiter has the budget of the
/// workspace.
///
/// The right is an advisory lock of a session. PostgreSQL releases the lock when the session ends, for whatever reason:
/// the lease is dropped, the process is killed, the machine is gone.
pub struct Lease {
    pub(crate) session: Arc<Client>,
    pub(crate) workspace_id: WorkspaceId,
}

impl Lease {
    /// Takes one of these workspaces that has jobs that are due and that no other process has, or returns `None`.
    ///
    /// # Errors
    ///
    /// Fails if PostgreSQL cannot be used.
    pub async fn take(
        database: &Config,
        workspaces: &[WorkspaceId],
    ) -> anyhow::Result<Option<Self>> {
        let session = connect(database).await?;
        let ids: Vec<_> = workspaces.iter().map(WorkspaceId::as_uuid).collect();
        // In a random order, so that the processes do not compete for the same workspace.
        let due = "SELECT id FROM unnest($1::uuid[]) AS id WHERE EXISTS (
                SELECT FROM jobs WHERE workspace_id = id AND status = 'open' AND due_at <= now()
            ) ORDER BY random()";
        // A lock has 64 bits. Two workspaces with the same hash would merely wait for each other.
        let lock = "SELECT pg_try_advisory_lock(hashtextextended('bird-sms ' || $1::uuid, 0))";
        for row in session.query(due, &[&ids]).await? {
            let id: Uuid = row.try_get(0)?;
            if session.query_one(lock, &[&id]).await?.try_get(0)? {
                return Ok(Some(Self { session: Arc::new(session), workspace_id: id.into() }));
            }
        }
        Ok(None)
    }

    /// Returns the workspace of the lease.
    #[must_use]
    pub fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }

    /// Waits until the session is lost, and with it the right to install in the workspace.
    pub async fn lost(&self) {
        while let Ok(Ok(())) = timeout(PATIENCE, self.session.check_connection()).await {
            sleep(HEARTBEAT).await;
        }
    }

    /// Returns a journal that appends with the session of the lease.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    #[must_use]
    pub fn journal(&self) -> PgJournal {
        let (queue, waiting) = mpsc::unbounded_channel();
        tokio::spawn(append_waiting(Arc::clone(&self.session), self.workspace_id, waiting));
        PgJournal { queue }
    }

    /// Reads what all owners of the workspace have done.
    ///
    /// # Errors
    ///
    /// Fails if PostgreSQL cannot be used, or if an entry cannot be read.
    pub async fn read_journal(&self) -> anyhow::Result<JournalState> {
        let entries = "SELECT phone_number_id, entry, appended_at FROM journal WHERE workspace_id = $1 ORDER BY id";
        let mut state = JournalState::default();
        for row in self.session.query(entries, &[self.workspace_id.as_uuid()]).await? {
            let Json(entry) = row.try_get::<_, Json<JournalEntry>>(1)?;
            let at: Timestamp = row.try_get(2)?;
            state.apply(row.try_get::<_, Uuid>(0)?.into(), &entry, Some(at));
        }
        Ok(state)
    }
}

/// The journal of a workspace: a row of the table `journal` for each entry.
///
/// An entry that is appended was committed under the lock of the [`Lease`], because both are of one session. So the next
/// owner, which has the lock later, reads every entry of this one, and an owner that has lost the lock appends nothing
/// more. As the intent is appended before the POST, the next owner knows of every POST.
pub struct PgJournal {
    queue: mpsc::UnboundedSender<Waiting>,
}

/// An entry that waits for the commit before it.
struct Waiting {
    number: PhoneNumberId,
    entry: JournalEntry,
    appended: oneshot::Sender<Result<(), Arc<tokio_postgres::Error>>>,
}

impl Journal for PgJournal {
    fn append<'a>(
        &'a self,
        request: &'a SmsConnectorRequest,
        entry: JournalEntry,
    ) -> JournalFuture<'a> {
        Box::pin(async move {
            let began = Instant::now();
            let (appended, is_appended) = oneshot::channel();
            let waiting = Waiting { number: request.phone_number_id(), entry, appended };
            self.queue.send(waiting).map_err(io::Error::other)?;
            is_appended.await.map_err(io::Error::other)?.map_err(io::Error::other)?;
            // The process may have been stopped meanwhile, and the session ended. No POST may follow then.
            if began.elapsed() > PATIENCE {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Ok(())
        })
    }
}

/// Appends the entries that wait, all that came during one commit with the next one. A commit for each entry would take
/// as many writes to the disk, one after the other.
async fn append_waiting(
    session: Arc<Client>,
    workspace_id: WorkspaceId,
    mut queue: mpsc::UnboundedReceiver<Waiting>,
) {
    let insert = "INSERT INTO journal (workspace_id, phone_number_id, entry)
        SELECT $1, number, entry FROM unnest($2::uuid[], $3::json[]) WITH ORDINALITY AS waiting (number, entry, nth)
        ORDER BY nth";
    let mut waiting = Vec::new();
    while queue.recv_many(&mut waiting, ENTRIES).await > 0 {
        let numbers: Vec<_> = waiting.iter().map(|waiting| *waiting.number.as_uuid()).collect();
        let entries: Vec<_> = waiting.iter().map(|waiting| Json(&waiting.entry)).collect();
        let values: [&(dyn ToSql + Sync); 3] = [workspace_id.as_uuid(), &numbers, &entries];
        let result = session.execute(insert, &values).await.map(drop).map_err(Arc::new);
        for waiting in waiting.drain(..) {
            // The install may have been dropped.
            let _ = waiting.appended.send(result.clone());
        }
    }
}
