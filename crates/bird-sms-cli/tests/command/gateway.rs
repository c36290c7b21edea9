//! `bird-sms` behind a real gateway that gives up before the backend does: fault 36.
//!
//! The backend creates a connector for each POST, so that a POST that is sent twice shows as a second connector.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bird_test_peer::Backend;
use bird_test_peer::fixtures::{PHONE_NUMBER_ID, nth_id};
use serde_json::Value;
use tempfile::TempDir;

use crate::rows::{Rows, assert_no_duplicates, at, end_of, program, run, settled, until};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nginx,
    Haproxy,
}

/// nginx or haproxy in front of a backend, on a free port of loopback. It waits 1 s for a response.
struct Gateway {
    kind: Kind,
    program: PathBuf,
    folder: TempDir,
    port: u16,
    process: Child,
}

impl Gateway {
    /// Starts a gateway. `None`, and a line that says so, if the program is not installed.
    fn start(kind: Kind, backend: &Backend) -> Option<Self> {
        let program = program(match kind {
            Kind::Nginx => "nginx",
            Kind::Haproxy => "haproxy",
        })?;
        let backend = backend.base_url().replace("http://localhost", "127.0.0.1");
        // Another process may take the free port before the gateway does.
        for _ in 0..5 {
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            let folder = TempDir::new().unwrap();
            let config = match kind {
                Kind::Nginx => nginx_config(&folder, port, &backend),
                Kind::Haproxy => haproxy_config(port, &backend),
            };
            std::fs::write(folder.path().join("config"), config).unwrap();
            let process = spawn(kind, &program, &folder, &[]).unwrap();
            let mut gateway = Self { kind, program: program.clone(), folder, port, process };
            if gateway.listens() {
                return Some(gateway);
            }
        }
        panic!("{kind:?} does not start");
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until the gateway accepts connections. `false` if it ended instead.
    fn listens(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until && self.process.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Replaces the workers. Those that serve a request end after it.
    fn reload(&mut self) {
        match self.kind {
            Kind::Nginx => signal(&self.process, "HUP"),
            Kind::Haproxy => {
                let old = self.process.id().to_string();
                let new = spawn(self.kind, &self.program, &self.folder, &["-sf", &old]).unwrap();
                let mut old = std::mem::replace(&mut self.process, new);
                std::thread::spawn(move || old.wait());
            }
        }
    }

    /// Ends the gateway, whatever it serves.
    fn stop(&mut self) {
        signal(&self.process, "TERM");
        self.process.wait().unwrap();
    }

    fn restart(&mut self) {
        self.stop();
        self.process = spawn(self.kind, &self.program, &self.folder, &[]).unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // nginx ends its workers on SIGTERM alone.
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.stop();
        }
    }
}

fn signal(process: &Child, name: &str) {
    let pid = process.id().to_string();
    let status = Command::new("kill").args([&format!("-{name}"), &pid]).status();
    assert!(status.unwrap().success());
}

fn spawn(kind: Kind, program: &PathBuf, folder: &TempDir, more: &[&str]) -> io::Result<Child> {
    let mut command = Command::new(program);
    match kind {
        Kind::Nginx => command.arg("-e").arg(folder.path().join("error.log")).arg("-c"),
        Kind::Haproxy => command.args(["-db", "-f"]),
    };
    command.arg(folder.path().join("config")).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

fn nginx_config(folder: &TempDir, port: u16, backend: &str) -> String {
    let folder = folder.path().display();
    format!(
        "daemon off;
        user root root;
        worker_processes 1;
        pid {folder}/pid;
        events {{ worker_connections 4096; }}
        http {{
            access_log off;
            client_body_temp_path {folder}/body;
            proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi;
            uwsgi_temp_path {folder}/uwsgi;
            scgi_temp_path {folder}/scgi;
            server {{
                listen 127.0.0.1:{port};
                location / {{
                    proxy_pass http://{backend};
                    proxy_read_timeout 1s;
                }}
            }}
        }}"
    )
}

fn haproxy_config(port: u16, backend: &str) -> String {
    format!(
        "global
            maxconn 4096
            hard-stop-after 10s
        defaults
            mode http
            timeout connect 1s
            timeout client 30s
            timeout server 1s
        frontend front
            bind 127.0.0.1:{port}
            default_backend back
        backend back
            server only {backend}\n"
    )
}

/// A backend whose response to every tenth POST comes after 3 s, and to the others soon.
async fn backend() -> Backend {
    let delay = |nth: usize| Duration::from_millis(if nth.is_multiple_of(10) { 3000 } else { 40 });
    Backend::start().await.unwrap().delay(delay)
}

/// Asserts that nothing exists twice, and that whatever exists is recorded or reported as unknown.
async fn assert_accounted_for(rows: &Rows, backend: &Backend, summary: &Value) {
    let connectors = settled(backend).await;
    assert_no_duplicates(&connectors);
    let (outcomes, recorded) = (rows.outcomes(), rows.recorded());
    let mut unknown = 0;
    for n in 0..rows.count {
        let number = nth_id(n);
        let outcome = &outcomes[&number];
        let is_unknown = outcome["status"] == "unknown";
        unknown += u64::from(is_unknown);
        if let Some(ids) = connectors.get(&number) {
            assert!(is_unknown || recorded.contains(&ids[0]), "{number} {ids:?}: {outcome}");
        } else {
            assert_ne!(outcome["status"], "ready", "{outcome}");
        }
        assert!(outcome.get("warning").is_none_or(Value::is_null), "{outcome}");
    }
    assert_eq!(summary["unknown"], unknown, "{summary}");
    assert_eq!(summary["rows"], rows.count, "{summary}");
}

/// Runs a batch with a tenth of its POSTs slow, and returns what became of it. The gateway is reloaded after a third
/// of the rows and restarted after two thirds if it is to be disturbed.
async fn run_batch(kind: Kind, count: usize, disturbed: bool) -> Option<String> {
    let (backend, rows) = (backend().await, Rows::new(count));
    let mut gateway = Gateway::start(kind, &backend)?;
    let mut command = rows.command(&gateway.url(), &["--json", "--concurrency", "50"]);
    let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let disturb = async {
        let mut disturb = async |posts, disturbance: fn(&mut Gateway)| {
            until(|| backend.peer().posts() >= posts).await;
            disturbance(&mut gateway);
        };
        if disturbed {
            disturb(count / 3, Gateway::reload).await;
            disturb(2 * count / 3, Gateway::restart).await;
        }
    };
    let ((code, stdout, stderr), ()) = tokio::join!(end_of(process), disturb);
    assert_eq!(code, 5, "{stdout} {stderr}");
    let summary: Value = serde_json::from_str(&stdout).unwrap();
    // The gateway has no patience for the slow POSTs.
    assert!(summary["unknown"].as_u64() >= Some(count as u64 / 10), "{summary}");
    assert_accounted_for(&rows, &backend, &summary).await;
    let (posts, connectors) = (backend.peer().posts(), backend.connectors_by_number().len());
    Some(format!("{kind:?}, {count} rows: {posts} POSTs, {connectors} connectors; {summary}"))
}

/// With `--retry-create gateway` a phone number may get two connectors, and then every result says so.
async fn run_batch_that_sends_again(kind: Kind) {
    let (backend, rows) = (backend().await, Rows::new(60));
    let Some(gateway) = Gateway::start(kind, &backend) else { return };
    let (code, _, stderr) = run(rows.command(&gateway.url(), &["--retry-create", "gateway"])).await;
    assert_eq!(code, 0, "{stderr}");
    let connectors = settled(&backend).await;
    let twice: Vec<_> = connectors.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(twice.len() >= 6, "{connectors:?}");
    let (outcomes, journal) = (rows.outcomes(), rows.journal());
    for (number, outcome) in &outcomes {
        let warned = outcome["warning"] == "possible-duplicate";
        assert_eq!(warned, connectors[number].len() > 1, "{outcome}");
        for event in ["created", "ready"] {
            let entry = journal
                .iter()
                .find(|entry| entry["event"] == event && entry["phoneNumberId"] == **number)
                .unwrap();
            assert_eq!(entry.get("warning").is_some_and(|it| !it.is_null()), warned, "{entry}");
        }
    }
    for (number, _) in twice {
        let of_row = |line: &str| line.contains(&format!("{number}: warning: "));
        assert!(stderr.lines().any(of_row), "{number}: {stderr}");
    }
}

/// Runs an install whose POST is slow.
async fn run_install(kind: Kind) {
    const INSTALL: [&str; 6] =
        ["install", "--json", "--name", "x", "--phone-number-id", PHONE_NUMBER_ID];
    let backend = backend().await;
    let Some(gateway) = Gateway::start(kind, &backend) else { return };
    let (code, _, stderr) = run(at(&gateway.url(), &INSTALL)).await;
    assert_eq!((code, backend.peer().posts()), (5, 1), "{stderr}");

    let backend = self::backend().await;
    let Some(gateway) = Gateway::start(kind, &backend) else { return };
    let args = [&INSTALL[..], &["--retry-create", "gateway"]].concat();
    let (code, stdout, stderr) = run(at(&gateway.url(), &args)).await;
    assert_eq!((code, backend.peer().posts()), (0, 2), "{stderr}");
    let result: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(result["warning"]["kind"], "possible-duplicate", "{stdout}");
    assert_eq!(result["connectorId"], backend.connectors_by_number()[PHONE_NUMBER_ID][1]);

    let backend = self::backend().await;
    let Some(gateway) = Gateway::start(kind, &backend) else { return };
    let args: Vec<_> = args.into_iter().filter(|arg| *arg != "--json").collect();
    let (code, _, stderr) = run(at(&gateway.url(), &args)).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.lines().any(|line| line.starts_with("Warning: ")), "{stderr}");
}

#[tokio::test]
async fn behind_nginx_no_number_gets_two_connectors_and_none_is_lost() {
    run_batch(Kind::Nginx, 60, false).await;
}

#[tokio::test]
async fn behind_haproxy_no_number_gets_two_connectors_and_none_is_lost() {
    run_batch(Kind::Haproxy, 60, false).await;
}

#[tokio::test]
async fn behind_nginx_a_number_that_may_have_two_connectors_has_a_warning_everywhere() {
    run_batch_that_sends_again(Kind::Nginx).await;
}

#[tokio::test]
async fn behind_haproxy_a_number_that_may_have_two_connectors_has_a_warning_everywhere() {
    run_batch_that_sends_again(Kind::Haproxy).await;
}

#[tokio::test]
async fn behind_nginx_an_install_is_sent_again_on_demand_alone_and_then_with_a_warning() {
    run_install(Kind::Nginx).await;
}

#[tokio::test]
async fn behind_haproxy_an_install_is_sent_again_on_demand_alone_and_then_with_a_warning() {
    run_install(Kind::Haproxy).await;
}

#[tokio::test]
#[ignore = "1,000 rows behind each gateway, with a reload and a restart: a minute"]
async fn a_gateway_that_is_reloaded_and_restarted_loses_and_doubles_nothing() {
    for kind in [Kind::Nginx, Kind::Haproxy] {
        if let Some(figures) = run_batch(kind, 1000, true).await {
            println!("{figures}");
        }
    }
}
