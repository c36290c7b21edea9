//! A [`Journal`] for [bird-sms](bird_sms) in Postgres, for services on several machines.
//!
//! ```no_run
//! # async fn example(workspace: bird_sms::Workspace) -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use bird_sms_postgres::PostgresJournal;
//! use tokio_postgres::NoTls;
//!
//! let (client, connection) = tokio_postgres::connect("host=localhost user=bird", NoTls).await?;
//! tokio::spawn(connection);
//! bird_sms_postgres::create_tables(&client).await?;
//! let journal = PostgresJournal::open(client, workspace.id()).await?;
//!
//! let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
//! let install = workspace.install_sms_channel("My SMS channel", number);
//! let channel = install.journal(Arc::new(journal.row(number))).await?;
//! # Ok(())
//! # }
//! ```

use std::io::{self, ErrorKind};
use std::sync::Arc;

use bird_sms::jiff::Timestamp;
use bird_sms::uuid::Uuid;
use bird_sms::{Journal, JournalEntry, JournalFuture, JournalState, PhoneNumberId, WorkspaceId};
use tokio_postgres::{Client, Statement};

/// The SQL that creates the tables, for a tool that manages migrations. Running it again changes nothing.
pub const SCHEMA: &str = include_str!("schema.sql");

/// Creates the [tables](SCHEMA) that don't exist.
///
/// # Errors
///
/// Fails if the connection is lost, or if its user can't create tables.
pub async fn create_tables(client: &Client) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(SCHEMA).await
}

/// The lock of a workspace, which the session holds until it ends.
const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended('bird_sms ' || $1::uuid, 0))";
/// Raises the epoch of the workspace. First waits for appends of the last owner that are being committed.
const OWN: &str = "
    INSERT INTO bird_sms_owners (workspace_id, epoch) VALUES ($1, 1)
    ON CONFLICT (workspace_id) DO UPDATE SET epoch = bird_sms_owners.epoch + 1 RETURNING epoch";
const LOAD: &str = "
    SELECT phone_number_id, entry::text, at FROM bird_sms_entries
    WHERE workspace_id = $1 AND ($2::uuid IS NULL OR phone_number_id = $2) ORDER BY id";
/// Appends nothing if another owner has raised the epoch. `FOR SHARE` keeps the epoch until the commit.
const APPEND: &str = "
    WITH owner AS (SELECT FROM bird_sms_owners WHERE workspace_id = $1 AND epoch = $2 FOR SHARE)
    INSERT INTO bird_sms_entries (workspace_id, phone_number_id, entry)
    SELECT $1, $3, $4::text::json FROM owner";

/// A [`Journal`] of a workspace, or of one of its phone numbers.
///
/// A workspace has one owner at a time. The connection of a journal is the owner until the journal and its
/// [rows](Self::row) are dropped, or until the connection is lost. A lost connection is not replaced: every call then fails,
/// and the program must open another journal. Appends of a former owner fail.
#[derive(Debug)]
pub struct PostgresJournal {
    owner: Arc<Owner>,
    phone_number_id: Option<PhoneNumberId>,
}

struct Owner {
    client: Client,
    append: Statement,
    workspace_id: Uuid,
    epoch: i64,
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Owner")
            .field("workspace_id", &self.workspace_id)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl PostgresJournal {
    /// Opens the journal of a workspace, and becomes its owner.
    ///
    /// The client must have its own session: a pool that spreads transactions over several sessions does not work. This
    /// function turns on the session's `synchronous_commit`. To notice a server that is gone, set `tcp_user_timeout` and
    /// `keepalives_idle` on the connection.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::ResourceBusy`] if the workspace has another owner, or with another kind if Postgres fails.
    pub async fn open(client: Client, workspace_id: WorkspaceId) -> io::Result<Self> {
        let workspace_id = Uuid::from(workspace_id);
        client.batch_execute("SET synchronous_commit = on").await.map_err(io::Error::other)?;
        let locked = client.query_one(LOCK, &[&workspace_id]).await.map_err(io::Error::other)?;
        if !locked.get::<_, bool>(0) {
            let message = "the workspace has another owner";
            return Err(io::Error::new(ErrorKind::ResourceBusy, message));
        }
        let row = client.query_one(OWN, &[&workspace_id]).await.map_err(io::Error::other)?;
        let append = client.prepare(APPEND).await.map_err(io::Error::other)?;
        let owner = Owner { client, append, workspace_id, epoch: row.get(0) };
        Ok(Self { owner: Arc::new(owner), phone_number_id: None })
    }

    /// Returns the journal of one phone number. Concurrent installs must each have their own. Never run two installs of
    /// one phone number at the same time: both would create a connector.
    #[must_use]
    pub fn row(&self, phone_number_id: PhoneNumberId) -> Self {
        Self { owner: Arc::clone(&self.owner), phone_number_id: Some(phone_number_id) }
    }
}

impl Journal for PostgresJournal {
    fn workspace_id(&self) -> Option<WorkspaceId> {
        Some(self.owner.workspace_id.into())
    }

    fn load(&self) -> JournalFuture<'_, JournalState> {
        Box::pin(async {
            let number = self.phone_number_id.map(Uuid::from);
            let Owner { client, workspace_id, .. } = &*self.owner;
            let rows = client.query(LOAD, &[workspace_id, &number]).await;
            let mut state = JournalState::default();
            for row in rows.map_err(io::Error::other)? {
                let number: Uuid = row.get(0);
                let entry: &str = row.get(1);
                let at: Timestamp = row.get(2);
                state.apply(number.into(), &serde_json::from_str(entry)?, Some(at));
            }
            Ok(state)
        })
    }

    fn append(&self, phone_number_id: PhoneNumberId, entry: JournalEntry) -> JournalFuture<'_> {
        Box::pin(async move {
            if self.phone_number_id.is_some_and(|own| own != phone_number_id) {
                // The next run would load only the entries of the journal's own number, and create this connector again.
                let message = "the journal is for another phone number";
                return Err(io::Error::new(ErrorKind::InvalidInput, message));
            }
            let entry = serde_json::to_string(&entry)?;
            let Owner { client, append, workspace_id, epoch } = &*self.owner;
            let number = Uuid::from(phone_number_id);
            let appended = client.execute(append, &[workspace_id, epoch, &number, &entry]).await;
            match appended.map_err(io::Error::other)? {
                1 => Ok(()),
                _ => Err(io::Error::other("the workspace has another owner now")),
            }
        })
    }
}
