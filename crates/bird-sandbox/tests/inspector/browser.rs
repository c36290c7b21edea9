//! A headless Chromium, driven over its `DevTools` protocol.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a test waits for the browser before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page.
pub(crate) struct Browser {
    process: Child,
    _profile: TempDir,
    requests: ChildStdin,
    responses: BufReader<ChildStdout>,
    session: Option<String>,
    sent: u64,
    /// The errors that the browser reported in the page.
    pub(crate) problems: Vec<Value>,
}

impl Browser {
    /// Starts a browser and opens a page. Returns `None` if Chromium is not installed.
    pub(crate) async fn open(url: &str) -> Option<Self> {
        let version = Command::new("chromium").arg("--version").output().await;
        if !version.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: chromium is not installed");
            return None;
        }
        let profile = TempDir::new().unwrap();
        let profile_argument = format!("--user-data-dir={}", profile.path().display());
        let mut process = Command::new("sh")
            // Chromium reads requests from descriptor 3 and writes responses to descriptor 4.
            .args(["-c", r#"exec chromium "$@" 3<&0 4>&1 1>&2"#, "sh"])
            // Chromium's own sandbox does not work as root or in most containers.
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-proxy-server", "--remote-debugging-pipe", &profile_argument])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut browser = Self {
            requests: process.stdin.take().unwrap(),
            responses: BufReader::new(process.stdout.take().unwrap()),
            process,
            _profile: profile,
            session: None,
            sent: 0,
            problems: Vec::new(),
        };
        let page = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach).await;
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            browser.call(domain, json!({})).await;
        }
        browser.call("Page.navigate", json!({ "url": url })).await;
        browser.wait_for("document.querySelector('#live')?.textContent.endsWith('Live')").await;
        Some(browser)
    }

    /// Calls a method of the protocol, and returns its result.
    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut request = json!({ "id": self.sent, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        self.requests.write_all(format!("{request}\0").as_bytes()).await.unwrap();
        loop {
            let mut text = Vec::new();
            let read = timeout(PATIENCE, self.responses.read_until(0, &mut text)).await;
            assert!(read.expect(method).unwrap() > 0, "the browser exited during {method}");
            let mut message: Value = serde_json::from_slice(&text[..text.len() - 1]).unwrap();
            if message["id"] == self.sent {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
            if ["Runtime.exceptionThrown", "Log.entryAdded"]
                .contains(&message["method"].as_str().unwrap_or_default())
            {
                self.problems.push(message);
            }
        }
    }

    /// Closes the browser. One that is killed leaves processes that write to its profile while it is removed.
    pub(crate) async fn close(mut self) {
        self.session = None;
        self.call("Browser.close", json!({})).await;
        self.process.wait().await.unwrap();
    }

    /// Evaluates an expression in the page.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true });
        let mut result = self.call("Runtime.evaluate", parameters).await;
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].take()
    }

    /// Waits until an expression is true.
    pub(crate) async fn wait_for(&mut self, expression: &str) {
        let holds = async {
            while self.evaluate(&format!("Boolean({expression})")).await != true {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, holds).await.expect(expression);
    }
}
