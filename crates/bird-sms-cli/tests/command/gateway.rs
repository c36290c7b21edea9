//! `bird-sms` behind a real gateway that gives up before the backend does. Fault 36.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bird_test_peer::Backend;
use bird_test_peer::fixtures::PHONE_NUMBER_ID;
use serde_json::Value;
use tempfile::TempDir;

use crate::rows::{at, program};
use crate::run;

/// nginx in front of a backend, on a free port of loopback. It waits 1 s for a response.
struct Gateway {
    port: u16,
    process: Child,
    _folder: TempDir,
}

impl Gateway {
    /// Starts nginx. `None`, and a line that says so, if it is not installed.
    fn start(backend: &Backend) -> Option<Self> {
        let program = program("nginx")?;
        let backend = backend.base_url().replace("http://localhost", "127.0.0.1");
        // Another process may take the free port before nginx does.
        for _ in 0..5 {
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            let folder = TempDir::new().unwrap();
            let config = folder.path().join("config");
            std::fs::write(&config, nginx_config(folder.path(), port, &backend)).unwrap();
            let mut command = Command::new(&program);
            command.arg("-e").arg(folder.path().join("error.log")).arg("-c").arg(config);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut gateway = Self { port, process: command.spawn().unwrap(), _folder: folder };
            if gateway.listens() {
                return Some(gateway);
            }
        }
        panic!("nginx does not start");
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until nginx accepts connections. `false` if it ended instead.
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
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            // nginx ends its workers only on SIGTERM.
            let _ = Command::new("kill").arg(self.process.id().to_string()).status();
            let _ = self.process.wait();
        }
    }
}

fn nginx_config(folder: &Path, port: u16, backend: &str) -> String {
    let folder = folder.display();
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

#[tokio::test]
async fn a_504_of_nginx_after_the_creation_is_unknown_and_not_sent_again() {
    let backend = Backend::start().await.unwrap().delay(|_| Duration::from_secs(3));
    let Some(gateway) = Gateway::start(&backend) else { return };
    let install = ["install", "--json", "--name", "x", "--phone-number-id", PHONE_NUMBER_ID];
    let (code, _, stderr) = run(at(&gateway.url(), &install)).await;
    assert_eq!((code, backend.peer().posts()), (5, 1), "{stderr}");
    assert_eq!(backend.connectors_by_number()[PHONE_NUMBER_ID].len(), 1);
    let error: Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
    assert_eq!((&error["status"], &error["connectorState"]), (&504.into(), &"unknown".into()));
}
