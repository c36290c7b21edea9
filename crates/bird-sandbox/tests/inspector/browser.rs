//! A headless Chromium, driven over its `DevTools` protocol.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// The time after which a browser that does not do what a test expects fails the test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page.
pub(crate) struct Browser {
    _process: Child,
    _profile: TempDir,
    requests: ChildStdin,
    responses: BufReader<ChildStdout>,
    session: Option<String>,
    sent: u64,
    /// What the browser reported of errors of the page: exceptions, and violations of the security policy.
    pub(crate) problems: Vec<Value>,
}

impl Browser {
    /// Starts a browser and opens a page. Returns `None` when Chromium is not installed.
    pub(crate) async fn open(url: &str) -> Option<Self> {
        let version = Command::new("chromium").arg("--version").output().await;
        if !version.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: chromium is not installed");
            return None;
        }
        let profile = TempDir::new().unwrap();
        let profile_argument = format!("--user-data-dir={}", profile.path().display());
        let mut process = Command::new("sh")
            // The browser reads requests from descriptor 3, and writes responses to descriptor 4.
            .args(["-c", r#"exec chromium "$@" 3<&0 4>&1 1>&2"#, "sh"])
            // Its own sandbox needs rights that containers and root do not have.
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
            _process: process,
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
        browser.wait_for("document.querySelector('#live')?.textContent === 'Live'").await;
        Some(browser)
    }

    /// Calls a method of the protocol, and returns its result.
    pub(crate) async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut request = json!({ "id": self.sent, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        self.requests.write_all(format!("{request}\0").as_bytes()).await.unwrap();
        loop {
            let mut text = Vec::new();
            let read = timeout(PATIENCE, self.responses.read_until(0, &mut text)).await;
            assert!(read.expect(method).unwrap() > 0, "the browser has ended: {method}");
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

    /// Evaluates an expression in the page. The error is that of the expression.
    pub(crate) async fn try_evaluate(&mut self, expression: &str) -> Result<Value, String> {
        let parameters =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut result = self.call("Runtime.evaluate", parameters).await;
        let problem = &result["exceptionDetails"]["exception"]["description"];
        match problem.as_str() {
            Some(problem) => Err(problem.to_owned()),
            None => Ok(result["result"]["value"].take()),
        }
    }

    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        self.try_evaluate(expression).await.unwrap()
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

    /// Presses a key, such as `Tab`.
    pub(crate) async fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            key => panic!("no code for {key}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event =
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Types a text into the focused field, in place of what it has.
    pub(crate) async fn type_text(&mut self, text: &str) {
        self.evaluate("document.activeElement.select()").await;
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// Sets the width of the window and the colour scheme, `light` or `dark`.
    pub(crate) async fn show_as(&mut self, width: u32, scheme: &str) {
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
    }
}
