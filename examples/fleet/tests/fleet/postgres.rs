//! A private PostgreSQL.

use std::fs::{File, read_dir};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio_postgres::{Client, Config};

/// A server in a temporary folder, on a Unix socket alone. It ends when it is dropped.
pub(crate) struct Postgres {
    programs: PathBuf,
    folder: TempDir,
    /// PostgreSQL refuses to run as root.
    user: Option<u32>,
    server: Child,
}

impl Postgres {
    /// Starts a server, or prints that PostgreSQL is not installed and the test is skipped.
    pub(crate) async fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("skipped: PostgreSQL is not installed");
            return None;
        };
        let folder = TempDir::new().unwrap();
        let user = (folder.path().metadata().unwrap().uid() == 0).then(|| user_id("postgres"));
        if let Some(user) = user {
            chown(folder.path(), Some(user), Some(user)).unwrap();
        }
        let mut initdb = program(&programs, "initdb", folder.path(), user);
        initdb
            .args("--username fleet --auth trust --encoding UTF8 --locale C --no-sync".split(' '));
        assert!(initdb.status().unwrap().success());
        let server = serve(&programs, folder.path(), user);
        let postgres = Self { programs, folder, user, server };
        postgres.wait_until_ready().await;
        Some(postgres)
    }

    /// Ends the server without a checkpoint, as a crash does, and starts it again.
    pub(crate) async fn crash(&mut self) {
        self.quit();
        self.server = serve(&self.programs, self.folder.path(), self.user);
        self.wait_until_ready().await;
    }

    async fn wait_until_ready(&self) {
        for _ in 0..300 {
            if self.config().connect(tokio_postgres::NoTls).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{}", std::fs::read_to_string(self.folder.path().join("log")).unwrap());
    }

    /// Ends the server and its sessions at once. SIGKILL would leave shared memory behind.
    fn quit(&mut self) {
        signal("QUIT", self.server.id());
        let _ = self.server.wait();
    }

    /// Returns the database as a program takes it.
    pub(crate) fn database(&self) -> String {
        format!("host={} user=fleet dbname=postgres", self.folder.path().display())
    }

    pub(crate) fn config(&self) -> Config {
        self.database().parse().unwrap()
    }

    pub(crate) async fn connect(&self) -> Client {
        fleet::connect(&self.config()).await.unwrap()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.quit();
    }
}

fn serve(programs: &Path, folder: &Path, user: Option<u32>) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log"));
    let mut server = program(programs, "postgres", folder, user);
    server.args(["-c", "listen_addresses=", "-k"]).arg(folder).stderr(log.unwrap());
    server.spawn().unwrap()
}

fn program(programs: &Path, name: &str, folder: &Path, user: Option<u32>) -> Command {
    let mut command = Command::new(programs.join(name));
    command.current_dir(folder).stdout(Stdio::null()).args(["-D", "data"]);
    if let Some(user) = user {
        command.uid(user);
    }
    command
}

/// Sends a signal to a process.
pub(crate) fn signal(name: &str, process: u32) {
    let _ = Command::new("kill").args(["-s", name, &process.to_string()]).status();
}

/// Returns the folder of the newest PostgreSQL of Debian's packages.
fn programs() -> Option<PathBuf> {
    let versions = read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok);
    let folders = versions.map(|version| version.path().join("bin"));
    folders.filter(|folder| folder.join("initdb").is_file()).max_by_key(|folder| version(folder))
}

fn version(folder: &Path) -> Option<u32> {
    folder.parent()?.file_name()?.to_str()?.parse().ok()
}

fn user_id(name: &str) -> u32 {
    let id = Command::new("id").args(["-u", name]).output().unwrap().stdout;
    String::from_utf8(id).unwrap().trim().parse().unwrap()
}
