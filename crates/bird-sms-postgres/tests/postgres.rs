//! Tests of the journal with a Postgres server that is killed. They are skipped if Postgres is not installed.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use bird_sandbox::Sandbox;
use bird_sms::test_util::{JournalStore, check_journal};
use bird_sms::uuid::Uuid;
use bird_sms::{
    AccessKey, Client, ConnectorState, Error, Journal, JournalEntry, PhoneNumberId, RateLimits,
    SmsConnectorRequest, WorkspaceId,
};
use bird_sms_postgres::{PostgresJournal, create_tables};
use tempfile::TempDir;
use tokio_postgres::NoTls;

/// A Postgres server. A crash loses commits that it acknowledged, unless the session turns on `synchronous_commit`.
struct Server {
    programs: PathBuf,
    folder: TempDir,
    process: Child,
}

impl Server {
    async fn start() -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<_> = env::split_paths(&path).collect();
        let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        folders.extend(debian.map(|version| version.path().join("bin")));
        let Some(programs) = folders.into_iter().find(|folder| folder.join("initdb").exists())
        else {
            eprintln!("skipped: PostgreSQL is not installed");
            return None;
        };
        let folder = TempDir::new().unwrap();
        let chown = ["postgres", folder.path().to_str().unwrap()];
        let initdb = ["-U", "postgres", "--auth", "trust", "--no-sync", "-D"];
        if is_root(folder.path()) {
            assert!(Command::new("chown").args(chown).status().unwrap().success());
        }
        let mut initdb_command = unprivileged(&programs, folder.path(), "initdb");
        let output = initdb_command.args(initdb).arg(folder.path().join("data")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let process = spawn(&programs, folder.path());
        let mut server = Self { programs, folder, process };
        create_tables(&server.connect().await).await.unwrap();
        Some(server)
    }

    async fn connect(&mut self) -> tokio_postgres::Client {
        let socket = self.folder.path().to_str().unwrap();
        let config = format!("host={socket} user=postgres dbname=postgres");
        loop {
            if let Ok((client, connection)) = tokio_postgres::connect(&config, NoTls).await {
                tokio::spawn(connection);
                return client;
            }
            if self.process.try_wait().unwrap().is_some() {
                // This fails while a process of the last server still runs, so the loop tries again.
                self.process = spawn(&self.programs, self.folder.path());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Opens the journal of a workspace once the last owner is gone.
    async fn open(&mut self, workspace_id: WorkspaceId) -> PostgresJournal {
        loop {
            match PostgresJournal::open(self.connect().await, workspace_id).await {
                Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                opened => return opened.unwrap(),
            }
        }
    }

    async fn entries(&mut self, workspace_id: WorkspaceId) -> Vec<(PhoneNumberId, JournalEntry)> {
        let select = "SELECT phone_number_id, entry::text FROM bird_sms_entries WHERE workspace_id = $1 ORDER BY id";
        let rows = self.connect().await.query(select, &[workspace_id.as_uuid()]).await.unwrap();
        let entry = |text: &str| serde_json::from_str(text).unwrap();
        rows.iter().map(|row| (row.get::<_, Uuid>(0).into(), entry(row.get(1)))).collect()
    }

    /// Ends all other sessions, and waits until they are gone.
    async fn end_sessions(&mut self) {
        let others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
        let client = self.connect().await;
        client.execute(&format!("SELECT pg_terminate_backend(pid) {others}"), &[]).await.unwrap();
        while !client.query(&format!("SELECT {others}"), &[]).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns whether root created this folder. `chown` changes the owner of the folder, but not its group.
fn is_root(folder: &Path) -> bool {
    fs::metadata(folder).unwrap().gid() == 0
}

/// Runs a program as the user `postgres` if the tests run as root, because Postgres refuses to run as root.
fn unprivileged(programs: &Path, folder: &Path, program: &str) -> Command {
    let program = programs.join(program);
    let mut command = if is_root(folder) {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        setpriv
    } else {
        Command::new(program)
    };
    command.current_dir(folder);
    command
}

fn spawn(programs: &Path, folder: &Path) -> Child {
    let mut command = unprivileged(programs, folder, "postgres");
    command.arg("-D").arg(folder.join("data")).arg("-k").arg(folder);
    for setting in ["listen_addresses=", "fsync=off", "synchronous_commit=off"] {
        command.args(["-c", setting]);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

struct Store(Server);

impl JournalStore for Store {
    type Journal = PostgresJournal;

    async fn open(&mut self, workspace_id: WorkspaceId) -> io::Result<Arc<PostgresJournal>> {
        Ok(Arc::new(self.0.open(workspace_id).await))
    }

    async fn crash(&mut self) {
        self.0.kill();
        self.0.end_sessions().await;
    }

    async fn entries(
        &mut self,
        workspace_id: WorkspaceId,
    ) -> io::Result<Vec<(PhoneNumberId, JournalEntry)>> {
        Ok(self.0.entries(workspace_id).await)
    }

    fn fail(&mut self) -> bool {
        self.0.kill();
        true
    }
}

#[tokio::test]
async fn the_journal_keeps_its_promises_when_the_server_is_killed() {
    let Some(server) = Server::start().await else { return };
    check_journal(&mut Store(server), 1).await.unwrap();
}

fn entry(n: usize) -> JournalEntry {
    JournalEntry::Intent { name: n.to_string() }
}

#[tokio::test]
async fn a_workspace_has_one_owner_and_a_former_one_cannot_append() {
    let Some(mut server) = Server::start().await else { return };
    let workspace_id = Uuid::from_u128(1).into();
    let number = Uuid::from_u128(2).into();
    let first = server.open(workspace_id).await;
    let refused = PostgresJournal::open(server.connect().await, workspace_id).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ResourceBusy);
    server.open(Uuid::from_u128(3).into()).await;
    first.append(number, entry(1)).await.unwrap();
    server.end_sessions().await;
    let second = server.open(workspace_id).await;
    first.append(number, entry(2)).await.unwrap_err();
    second.row(number).append(number, entry(3)).await.unwrap();
    let other = Uuid::from_u128(4).into();
    second.row(number).append(other, entry(4)).await.unwrap_err();
    assert!(second.load().await.unwrap().row(number).is_unfinished());
    let expected = [(number, entry(1)), (number, entry(3))];
    assert_eq!(server.entries(workspace_id).await, expected);
    drop(second);
    server.open(workspace_id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_lost_its_lock_cannot_append_after_a_takeover() {
    let Some(mut server) = Server::start().await else { return };
    let number = Uuid::from_u128(2).into();
    let admin = server.connect().await;
    for round in 0..200 {
        let workspace_id: WorkspaceId = Uuid::from_u128(round).into();
        let journal = server.open(workspace_id).await;
        let appends = tokio::spawn(async move {
            let mut count = 0;
            while count < 1000 && journal.append(number, entry(count)).await.is_ok() {
                count += 1;
            }
            count
        });
        tokio::time::sleep(Duration::from_millis(2)).await;
        // `open` does this, for example after a pooler closed the session that had the lock.
        let own = "UPDATE bird_sms_owners SET epoch = epoch + 1 WHERE workspace_id = $1";
        admin.execute(own, &[workspace_id.as_uuid()]).await.unwrap();
        let seen = server.entries(workspace_id).await.len();
        assert_eq!(appends.await.unwrap(), seen, "round {round}");
        assert_eq!(server.entries(workspace_id).await.len(), seen, "round {round}");
    }
}

#[tokio::test]
async fn a_batch_whose_server_was_killed_creates_each_connector_once() {
    const ROWS: u128 = 60;
    let Some(mut server) = Server::start().await else { return };
    let delay = Duration::from_millis(20);
    let sandbox = Sandbox::builder().provisioning_delay(delay).response_delay(delay);
    let sandbox = sandbox.start().await.unwrap();
    let key = AccessKey::new(sandbox.access_key()).unwrap();
    let limits = RateLimits { posts_per_second: 100, ..RateLimits::default() };
    let client = Client::builder().access_key(key).base_url(sandbox.base_url());
    let client = client.rate_limits(limits).build().unwrap();
    let workspace = client.workspace(sandbox.workspace_id().into());
    let requests = || {
        (1..=ROWS).map(|n| {
            SmsConnectorRequest::new(
                format!("SMS {n}"),
                Uuid::from_u128(n + (4 << 76) + (8 << 60)).into(),
            )
        })
    };
    let mut lost = HashMap::new();
    for run in 0..2 {
        let journal = Arc::new(server.open(workspace.id()).await);
        for (number, connector) in lost.drain() {
            workspace.adopt(&*journal, number, connector).await.unwrap();
        }
        let mut outcomes = workspace.install_sms_channels(requests()).journal(journal).start();
        let mut ready = 0;
        let mut failed = 0;
        while let Some(outcome) = outcomes.next().await {
            match outcome.result {
                Ok(_) => ready += 1,
                Err(Error::Journal(error)) => {
                    failed += 1;
                    if let ConnectorState::Exists(id) = error.state {
                        lost.insert(outcome.request.phone_number_id(), id);
                    }
                }
                Err(error) => panic!("run {run}: {error}"),
            }
            if run == 0 && ready == 5 {
                server.kill();
            }
        }
        println!("run {run}: {ready} ready, {failed} failed, {} lost", lost.len());
        assert!(
            if run == 0 { failed > 0 } else { ready == ROWS },
            "{ready} ready, {failed} failed"
        );
    }
    let mut posts: BTreeMap<String, usize> = BTreeMap::new();
    for request in sandbox.requests().into_iter().filter(|request| request.method == "POST") {
        *posts.entry(request.body).or_default() += 1;
    }
    assert!(posts.values().all(|posts| *posts == 1), "{posts:?}");
}
