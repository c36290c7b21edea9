//! A private PostgreSQL.

use std::fs::read_dir;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio_postgres::{Client, Config};

/// A server in a temporary folder, on a Unix socket alone. It ends when it is dropped.
pub(crate) struct Postgres {
    folder: TempDir,
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
        // PostgreSQL refuses to run as root.
        let user = (folder.path().metadata().unwrap().uid() == 0).then(|| user_id("postgres"));
        if let Some(user) = user {
            chown(folder.path(), Some(user), Some(user)).unwrap();
        }
        let program = |name| {
            let mut command = Command::new(programs.join(name));
            command.current_dir(folder.path()).stdout(Stdio::null()).args(["-D", "data"]);
            if let Some(user) = user {
                std::os::unix::process::CommandExt::uid(&mut command, user);
            }
            command
        };
        let created = program("initdb")
            .args("--username fleet --auth trust --encoding UTF8 --locale C --no-sync".split(' '))
            .status();
        assert!(created.unwrap().success());
        let server = program("postgres")
            .args(["-c", "listen_addresses=", "-k"])
            .arg(folder.path())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn();
        let postgres = Self { folder, server: server.unwrap() };
        for _ in 0..300 {
            if postgres.config().connect(tokio_postgres::NoTls).await.is_ok() {
                return Some(postgres);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{}", std::fs::read_to_string(postgres.folder.path().join("log")).unwrap());
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
        // An immediate shutdown, which ends all sessions. SIGKILL would leave shared memory behind.
        signal("QUIT", self.server.id());
        let _ = self.server.wait();
    }
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
