//! Tests of the example `axum_service`, in a process that is killed or terminated.

use std::collections::BTreeMap;
use std::env;
use std::process::Stdio;
use std::time::Duration;

use bird_sandbox::{Delay, Sandbox};
use bird_sms::SmsConnectorRequest;
use bird_sms::uuid::Uuid;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

#[path = "../examples/axum_service.rs"]
mod axum_service;

/// The main function of the process that the other tests start.
#[test]
#[ignore = "is started by the other tests as their child process"]
fn service() {
    if env::var_os("LISTEN").is_some() {
        axum_service::main().unwrap();
    }
}

/// The sandbox and the folder of the database, which outlive a service.
struct Setting {
    sandbox: Sandbox,
    folder: TempDir,
    http: reqwest::Client,
}

/// A running service.
struct Service<'a> {
    setting: &'a Setting,
    process: Child,
    url: String,
    /// Kept open, because the process writes its test result to it.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Setting {
    async fn new(response: &str, provisioning: &str) -> Self {
        let delay = |text: &str| text.parse::<Delay>().unwrap();
        let sandbox = Sandbox::builder()
            .response_delay(delay(response))
            .provisioning_delay(delay(provisioning))
            .start();
        let folder = TempDir::new().unwrap();
        let http = reqwest::Client::new();
        Self { sandbox: sandbox.await.unwrap(), folder, http }
    }

    fn spawn(&self) -> Child {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", "service", "--ignored", "--nocapture"])
            .env("DATABASE", self.folder.path().join("jobs.sqlite"))
            .env("LISTEN", "127.0.0.1:0")
            .env("BIRD_API_URL", self.sandbox.base_url())
            .env("BIRD_ACCESS_KEY", self.sandbox.access_key())
            .env("BIRD_WORKSPACE_ID", self.sandbox.workspace_id().to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    async fn listening(&self, mut process: Child) -> Service<'_> {
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        loop {
            let line = lines.next_line().await.unwrap().expect("the service prints its address");
            if let Some((_, url)) = line.split_once("listening on ") {
                let url = format!("{url}/channels");
                return Service { setting: self, process, url, _stdout: lines };
            }
        }
    }

    async fn start(&self) -> Service<'_> {
        self.listening(self.spawn()).await
    }

    /// Returns the number of POSTs for each phone number.
    fn posts(&self) -> BTreeMap<Uuid, usize> {
        let mut posts = BTreeMap::new();
        for request in self.sandbox.requests().iter().filter(|request| request.method == "POST") {
            let body: Value = serde_json::from_str(&request.body).unwrap();
            let id = find_number(&body).expect("the body contains a phone number id");
            *posts.entry(id).or_default() += 1;
        }
        posts
    }
}

fn find_number(body: &Value) -> Option<Uuid> {
    let fields = body.as_object()?;
    let number = fields.get("phoneNumberId").and_then(|id| id.as_str()?.parse().ok());
    number.or_else(|| fields.values().find_map(find_number))
}

fn number(n: u128) -> Uuid {
    Uuid::from_u128(n + (4 << 76) + (8 << 60))
}

impl Service<'_> {
    /// Posts a job, and returns the status, or `None` if there was no response.
    async fn post(&self, n: u128) -> Option<StatusCode> {
        let request = SmsConnectorRequest::new(format!("SMS {n}"), number(n).into());
        let response = self.setting.http.post(&self.url).json(&request).send().await;
        response.ok().map(|response| response.status())
    }

    async fn get(&self, n: u128) -> reqwest::Response {
        self.setting.http.get(format!("{}/{}", self.url, number(n))).send().await.unwrap()
    }

    /// Waits until a job has ended, and returns its result.
    async fn result(&self, n: u128) -> Value {
        for _ in 0..1000 {
            let response = self.get(n).await;
            match response.status() {
                StatusCode::OK => return response.json().await.unwrap(),
                status => assert_eq!(status, StatusCode::ACCEPTED, "job {n}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("job {n} does not end");
    }

    async fn adopt(&self, n: u128, connector: Uuid) -> StatusCode {
        let url = format!("{}/{}/connector", self.url, number(n));
        let response = self.setting.http.put(url).json(&connector).send().await;
        response.unwrap().status()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_killed_at_any_moment_creates_each_connector_once() {
    const KILLS: u64 = 10;
    const JOBS: u128 = 5;
    let setting = Setting::new("20ms..120ms", "100ms..600ms").await;
    let mut accepted = Vec::new();
    for kill in 0..KILLS {
        let mut service = setting.start().await;
        let first = u128::from(kill) * JOBS;
        let posts = async {
            for n in first..first + JOBS {
                accepted.extend(service.post(n).await.map(|_| n));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            std::future::pending::<()>().await;
        };
        let moment = Duration::from_millis(5 + 25 * kill);
        let _: Result<(), _> = tokio::time::timeout(moment, posts).await;
        service.process.kill().await.unwrap();
    }
    let service = setting.start().await;
    for n in accepted {
        assert_ne!(service.get(n).await.status(), StatusCode::NOT_FOUND, "job {n} is lost");
    }
    let mut ready = 0;
    let mut unknown = 0;
    for n in 0..u128::from(KILLS) * JOBS {
        assert_eq!(service.post(n).await, Some(StatusCode::ACCEPTED));
    }
    for n in 0..u128::from(KILLS) * JOBS {
        let result = service.result(n).await;
        if result["channelId"].is_string() {
            ready += 1;
            continue;
        }
        assert_eq!(
            (&result["error"], &result["connectorState"]),
            (&json!("outcome-unknown"), &json!("unknown")),
            "{result}"
        );
        unknown += 1;
        let connectors = setting.sandbox.connectors();
        let of_number = |id: &str| id == number(n).to_string();
        // If there is no connector, the process was killed before it sent the POST.
        if let Some(connector) =
            connectors.iter().find(|connector| of_number(&connector.phone_number_id))
        {
            assert_eq!(service.adopt(n, connector.id).await, StatusCode::ACCEPTED);
            assert_eq!(service.result(n).await["connectorId"], json!(connector.id));
        }
    }
    println!("{ready} ready, {unknown} unknown");
    assert!(ready > 0, "{ready} ready, {unknown} unknown");
    let posts = setting.posts();
    assert!(posts.values().all(|posts| *posts == 1), "{posts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_service_leaves_no_unknown_outcomes() {
    const JOBS: u128 = 20;
    let setting = Setting::new("100ms", "500ms").await;
    let mut service = setting.start().await;
    // The successor waits until the first process unlocks the database.
    let successor = setting.spawn();
    for n in 0..JOBS {
        assert_eq!(service.post(n).await, Some(StatusCode::ACCEPTED));
        if n == JOBS / 2 {
            while setting.sandbox.connectors().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    let pid = service.process.id().unwrap().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
    assert!(service.process.wait().await.unwrap().success());
    assert_eq!(service.post(0).await, None);
    let service = setting.listening(successor).await;
    for n in 0..JOBS {
        let result = service.result(n).await;
        assert!(result["channelId"].is_string(), "{result}");
    }
    assert_eq!(service.post(0).await, Some(StatusCode::ACCEPTED));
    let posts = setting.posts();
    assert_eq!(posts.len(), 20);
    assert!(posts.values().all(|posts| *posts == 1), "{posts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_replaced_only_if_it_created_nothing() {
    let setting = Setting::new("0s", "0s").await;
    setting.sandbox.add_fault("post:422".parse().unwrap());
    let service = setting.start().await;
    let post = async |name: &str| {
        let request = SmsConnectorRequest::new(name, number(1).into());
        let response = setting.http.post(&service.url).json(&request).send().await;
        response.unwrap().status()
    };
    assert_eq!(post("wrong").await, StatusCode::ACCEPTED);
    assert_eq!(service.result(1).await["error"], "refused");
    assert_eq!(post("right").await, StatusCode::ACCEPTED);
    assert!(service.result(1).await["channelId"].is_string());
    assert_eq!(post("other").await, StatusCode::CONFLICT);
    assert_eq!(service.adopt(1, Uuid::from_u128(1)).await, StatusCode::CONFLICT);
    assert_eq!(setting.posts()[&number(1)], 2);
}
