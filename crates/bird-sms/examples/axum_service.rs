//! A service that installs channels in the background, and survives `kill -9`: it stores each step in its database before
//! it takes the next one. On SIGTERM it waits for the POSTs that were sent, and the next process continues.
//!
//! Set `DATABASE=jobs.sqlite`, `LISTEN=127.0.0.1:8080`, and the variables of an account or of `bird-sms sandbox`.
//!
//! | request | response |
//! |---|---|
//! | `POST /channels` with a [`SmsConnectorRequest`] | 202 when the job is stored; 409 if the number has another job |
//! | `GET /channels/{phoneNumberId}` | 202 while the job runs, then 200 with the channel or the error |
//! | `PUT /channels/{phoneNumberId}/connector` with an id | 202 when the connector is adopted; 409 if that fails |
//!
//! After an error, the same request starts the job again. But if a connector with an unknown id may exist, the job sends no
//! other POST: someone must find the connector in the dashboard and adopt it.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use std::{env, io, iter, thread};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use bird_sms::{
    ConnectorId, Journal, JournalEntry, JournalFuture, JournalState, PhoneNumberId,
    SmsConnectorRequest, Workspace,
};
use rusqlite::{Connection, params_from_iter};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

/// `EXCLUSIVE` makes a second process wait until the first one has ended. `FULL` syncs each commit.
const SCHEMA: &str = "PRAGMA busy_timeout = 60000; PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS jobs (number TEXT PRIMARY KEY, request TEXT NOT NULL, result TEXT);
    CREATE TABLE IF NOT EXISTS entries (number TEXT, entry TEXT, at TEXT DEFAULT (datetime() || 'Z'));
    CREATE INDEX IF NOT EXISTS entries_of_number ON entries (number);";
/// The same request restarts a failed job. Another request replaces it only if it created nothing.
const STORE: &str =
    "INSERT INTO jobs (number, request) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET request = ?2, result = NULL
    WHERE result ->> 'error' <> '' AND (request = ?2 OR result ->> 'connectorState' = 'not-created')";
const JOB: &str = "SELECT request, result FROM jobs WHERE number = ?";
const UNFINISHED: &str = "SELECT request, NULL FROM jobs WHERE result IS NULL";
const END: &str = "UPDATE jobs SET result = ?2 WHERE number = ?1";
const RESTART: &str = "UPDATE jobs SET result = NULL WHERE number = ? RETURNING request, NULL";
const ENTRIES: &str = "SELECT entry, at FROM entries WHERE number = ? ORDER BY rowid";
const APPEND: &str = "INSERT INTO entries (number, entry) VALUES (?, ?)";

type Row = (String, Option<String>);
/// A statement, its parameters, and the sender for its rows, which is dropped if the commit fails.
type Query = (&'static str, Vec<String>, oneshot::Sender<rusqlite::Result<Vec<Row>>>);

/// A handle to the thread that has the database connection.
#[derive(Clone)]
struct Database(mpsc::Sender<Query>);

impl Database {
    fn open(path: &str) -> rusqlite::Result<Self> {
        let mut connection = Connection::open(path)?;
        connection.execute_batch(SCHEMA)?;
        let (sender, queue) = mpsc::channel();
        thread::spawn(move || {
            // All queries that arrive during a commit share the next commit.
            while let Ok(first) = queue.recv() {
                let queries = iter::once(first).chain(queue.try_iter().take(999));
                commit(&mut connection, queries).unwrap_or_else(|error| eprintln!("{error}"));
            }
        });
        Ok(Self(sender))
    }

    async fn query(&self, sql: &'static str, values: &[String]) -> io::Result<Vec<Row>> {
        let (sender, rows) = oneshot::channel();
        let _ = self.0.send((sql, values.to_vec(), sender));
        rows.await.map_err(io::Error::other)?.map_err(io::Error::other)
    }
}

fn commit(db: &mut Connection, queries: impl Iterator<Item = Query>) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    let run = |sql, values| {
        let mut statement = transaction.prepare(sql)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        statement.query_map(params_from_iter::<Vec<String>>(values), row)?.collect()
    };
    let results: Vec<_> = queries.map(|(sql, values, rows)| (rows, run(sql, values))).collect();
    transaction.commit()?;
    for (rows, result) in results {
        let _ = rows.send(result);
    }
    Ok(())
}

/// The journal of one phone number, because a journal serves only one install at a time.
struct Entries(Database, PhoneNumberId);

impl Journal for Entries {
    fn load(&self) -> JournalFuture<'_, JournalState> {
        Box::pin(async {
            let mut state = JournalState::default();
            for (entry, at) in self.0.query(ENTRIES, &[self.1.to_string()]).await? {
                let at = at.and_then(|at| at.parse().ok());
                state.apply(self.1, &serde_json::from_str(&entry)?, at);
            }
            Ok(state)
        })
    }

    fn append(&self, number: PhoneNumberId, entry: JournalEntry) -> JournalFuture<'_> {
        let values = [number.to_string(), json!(entry).to_string()];
        Box::pin(async move { self.0.query(APPEND, &values).await.map(drop) })
    }
}

/// The job of a phone number. The mutex lets one task at a time run it.
type Job = Arc<tokio::sync::Mutex<Arc<Entries>>>;
type Response = io::Result<(StatusCode, String)>;

#[derive(Clone)]
struct Service {
    workspace: Workspace,
    database: Database,
    jobs: Arc<Mutex<HashMap<PhoneNumberId, Job>>>,
    terminated: watch::Receiver<bool>,
}

impl Service {
    fn job(&self, number: PhoneNumberId) -> Job {
        let journal = || Arc::new(Entries(self.database.clone(), number));
        let mut jobs = self.jobs.lock().unwrap();
        jobs.entry(number).or_insert_with(|| Job::new(journal().into())).clone()
    }

    async fn terminated(&self) {
        let _ = self.terminated.clone().wait_for(|terminated| *terminated).await;
    }

    /// Runs a job until it has a result, or until the service is terminated.
    async fn run(self, request: String) -> io::Result<()> {
        let request: SmsConnectorRequest = serde_json::from_str(&request)?;
        let number = request.phone_number_id();
        let job = self.job(number);
        let journal = job.lock().await;
        while let Some((_, None)) = self.database.query(JOB, &[number.to_string()]).await?.pop() {
            let batch = self.workspace.install_sms_channels([request.clone()]);
            let mut outcomes = batch.journal(journal.clone()).start();
            let outcome = tokio::select! {
                outcome = outcomes.next() => outcome,
                () = self.terminated() => {
                    outcomes.shut_down();
                    outcomes.next().await
                }
            };
            let result = match outcome.map(|outcome| outcome.result) {
                None => return Ok(()),
                Some(Ok(channel)) => json!(channel),
                Some(Err(error)) if error.is_retryable() => tokio::select! {
                    () = tokio::time::sleep(Duration::from_secs(10)) => continue,
                    () = self.terminated() => return Ok(()),
                },
                Some(Err(error)) => json!(error),
            };
            // If the database fails, only this output contains the connector.
            eprintln!("{result}");
            self.database.query(END, &[number.to_string(), result.to_string()]).await?;
        }
        Ok(())
    }

    async fn post(self, request: SmsConnectorRequest) -> Response {
        let number = request.phone_number_id().to_string();
        let request = json!(request).to_string();
        self.database.query(STORE, &[number.clone(), request.clone()]).await?;
        if self.database.query(JOB, &[number]).await?.iter().all(|(stored, _)| *stored != request) {
            return Ok((StatusCode::CONFLICT, "the number has another job".to_owned()));
        }
        tokio::spawn(self.run(request));
        Ok((StatusCode::ACCEPTED, String::new()))
    }

    async fn get(self, number: PhoneNumberId) -> Response {
        Ok(match self.database.query(JOB, &[number.to_string()]).await?.pop() {
            Some((_, Some(result))) => (StatusCode::OK, result),
            Some((request, None)) => (StatusCode::ACCEPTED, request),
            None => (StatusCode::NOT_FOUND, String::new()),
        })
    }

    async fn adopt(self, number: PhoneNumberId, id: ConnectorId) -> Response {
        let job = self.job(number);
        let Ok(journal) = job.try_lock() else {
            return Ok((StatusCode::CONFLICT, "the job is running".to_owned()));
        };
        if let Err(error) = self.workspace.adopt(&**journal, number, id).await {
            return Ok((StatusCode::CONFLICT, error.to_string()));
        }
        for (request, _) in self.database.query(RESTART, &[number.to_string()]).await? {
            tokio::spawn(self.clone().run(request));
        }
        Ok((StatusCode::ACCEPTED, String::new()))
    }
}

/// Responds with the result of a call. The call continues if the client disconnects.
async fn respond(call: impl Future<Output = Response> + Send + 'static) -> (StatusCode, String) {
    let response = tokio::spawn(call).await.map_err(io::Error::other).flatten();
    response.unwrap_or_else(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let database = Database::open(&env::var("DATABASE")?)?;
    let (terminate, terminated) = watch::channel(false);
    let workspace = Workspace::from_env()?;
    let jobs = Arc::default();
    let service = Service { workspace, database, jobs, terminated };
    for (request, _) in service.database.query(UNFINISHED, &[]).await? {
        tokio::spawn(service.clone().run(request));
    }
    let install = |State(service): State<Service>, Json(body)| respond(service.post(body));
    let channel = |State(service): State<Service>, Path(id)| respond(service.get(id));
    let adopt = |State(service): State<Service>, Path(id), Json(connector)| {
        respond(service.adopt(id, connector))
    };
    let app = Router::new()
        .route("/channels", post(install))
        .route("/channels/{id}", get(channel))
        .route("/channels/{id}/connector", put(adopt))
        .with_state(service);
    let listener = tokio::net::TcpListener::bind(env::var("LISTEN")?).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let mut sigterm = signal(SignalKind::terminate())?;
    let terminating = terminate.clone();
    let shutdown = async move {
        sigterm.recv().await;
        terminating.send_replace(true);
    };
    axum::serve(listener, app).with_graceful_shutdown(shutdown).await?;
    // Wait until all jobs have ended.
    terminate.closed().await;
    Ok(())
}
