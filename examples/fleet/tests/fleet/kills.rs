//! Workers that are killed: every row is installed once.

use std::collections::HashMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bird_sandbox::Sandbox;
use bird_sms::jiff::Timestamp;
use bird_sms::uuid::Uuid;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use crate::postgres::{Postgres, signal};

const WORKERS: usize = 3;
const WORKSPACES: usize = 20;
const ROWS: usize = 200;
const KILLS: u32 = 10;
/// The number of sessions that the server ends while their worker lives.
const LOST_SESSIONS: u32 = 5;
const SEED: u64 = 13;

/// The limits of a sandbox, in requests per second.
const LIMITS: [(&str, usize); 2] = [("POST", 100), ("GET", 50)];
/// What the workers use of the limits. The sandboxes, PostgreSQL and the workers share one machine, which receives some
/// requests late, and then more in a second than were sent in one.
const USED: &str = "--posts-per-second 70 --gets-per-second 35";

struct Fleet {
    postgres: Postgres,
    sandboxes: Vec<Sandbox>,
}

impl Fleet {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
        command.args(args).env("DATABASE_URL", self.postgres.database()).kill_on_drop(true);
        command
    }

    async fn enqueue(&self, workspace_id: Uuid) {
        let mut enqueue = self
            .command(&["enqueue", &workspace_id.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let rows: Vec<_> = (1..=ROWS)
            .map(|n| {
                let number = Uuid::from_u128(n as u128);
                format!("{}\n", json!({ "name": format!("SMS {n}"), "phoneNumberId": number }))
            })
            .collect();
        enqueue.stdin.take().unwrap().write_all(rows.concat().as_bytes()).await.unwrap();
        assert!(enqueue.wait().await.unwrap().success());
    }

    /// Starts a worker. What it prints is not the test's.
    fn work(&self, credentials: &str) -> Child {
        self.command(&["work", "--credentials", credentials])
            .args(USED.split(' '))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute: `cargo test -p fleet -- --ignored --nocapture`"]
async fn a_fleet_whose_workers_are_killed_installs_each_row_once_and_keeps_the_limits() {
    let Some(postgres) = Postgres::start().await else { return };
    let mut sandboxes = Vec::new();
    for _ in 0..WORKSPACES {
        let sandbox =
            Sandbox::builder().post_limit(100).provisioning_delay(Duration::from_millis(500));
        sandboxes.push(sandbox.start().await.unwrap());
    }
    let fleet = Fleet { postgres, sandboxes };
    assert!(fleet.command(&["init"]).status().await.unwrap().success());
    let credentials: HashMap<_, _> = fleet
        .sandboxes
        .iter()
        .map(|sandbox| {
            let key = json!({ "accessKey": sandbox.access_key(), "apiUrl": sandbox.base_url() });
            (sandbox.workspace_id(), key)
        })
        .collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!(credentials).to_string()).unwrap();
    let credentials = file.path().to_str().unwrap();
    for sandbox in &fleet.sandboxes {
        fleet.enqueue(sandbox.workspace_id()).await;
    }
    let session = fleet.postgres.connect().await;

    let began = Instant::now();
    let mut workers: Vec<_> = (0..WORKERS).map(|_| fleet.work(credentials)).collect();
    let mut rng = fastrand::Rng::with_seed(SEED);
    let (mut kills, mut lost_sessions) = (0, 0);
    while kills < KILLS {
        sleep(Duration::from_millis(rng.u64(300..1500))).await;
        if lost_sessions < LOST_SESSIONS && rng.bool() {
            let owners = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' ORDER BY objid";
            let owners = session.query(owners, &[]).await.unwrap();
            let pid: i32 = owners[rng.usize(..owners.len())].get(0);
            session.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
            lost_sessions += 1;
        } else {
            let worker = &mut workers[rng.usize(..WORKERS)];
            worker.kill().await.unwrap();
            *worker = fleet.work(credentials);
            kills += 1;
        }
    }
    let open = "SELECT count(*) FROM jobs WHERE status = 'open'";
    assert!(number(&session, open).await > 0, "the rows were ready before the last kill");
    let all_ended = async {
        while number(&session, open).await > 0 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let ended = timeout(Duration::from_secs(120), all_ended).await;
    assert!(ended.is_ok(), "{} rows are open", number(&session, open).await);
    let took = began.elapsed();
    for worker in &mut workers {
        signal("TERM", worker.id().unwrap());
        assert!(worker.wait().await.unwrap().success());
    }

    check(&fleet, &session).await;
    let resumed = "SELECT count(*) FROM (SELECT FROM journal GROUP BY workspace_id, phone_number_id
        HAVING count(DISTINCT session) > 1) AS rows";
    let found = "SELECT count(*) FROM journal WHERE entry->'warning'->>'kind' = 'found' AND entry->>'event' = 'created'";
    let absent = "SELECT count(*) FROM journal WHERE entry->>'event' = 'absent'";
    println!(
        "{} rows in {:.1} s: {kills} workers killed, {lost_sessions} sessions lost, {} rows resumed; of the rows that \
         were unknown then, {} had a connector and {} had none",
        WORKSPACES * ROWS,
        took.as_secs_f64(),
        number(&session, resumed).await,
        number(&session, found).await,
        number(&session, absent).await,
    );
}

/// Compares the jobs and the journal with what the sandboxes have.
async fn check(fleet: &Fleet, session: &Client) {
    let mut busiest = HashMap::new();
    for sandbox in &fleet.sandboxes {
        let workspace_id = sandbox.workspace_id();
        let jobs =
            "SELECT phone_number_id, status, channel_id, message FROM jobs WHERE workspace_id = $1
            ORDER BY phone_number_id";
        let jobs = session.query(jobs, &[&workspace_id]).await.unwrap();
        let mut connectors = sandbox.connectors();
        connectors.sort_by(|a, b| a.phone_number_id.cmp(&b.phone_number_id));
        assert_eq!((jobs.len(), connectors.len()), (ROWS, ROWS));
        for (job, connector) in jobs.iter().zip(&connectors) {
            let number: Uuid = job.get(0);
            assert_eq!(
                job.get::<_, String>(1),
                "ready",
                "{number}: {:?}",
                job.get::<_, Option<String>>(3)
            );
            assert_eq!(number.to_string(), connector.phone_number_id);
            assert_eq!(job.get::<_, Uuid>(2), connector.channel_id);
        }
        // No row was created a second time, and no request was beyond a limit.
        assert_eq!((sandbox.response_count(409), sandbox.response_count(429)), (0, 0));
        let requests = sandbox.requests();
        for (method, limit) in LIMITS {
            let times: Vec<_> = requests
                .iter()
                .filter(|request| request.method == method)
                .map(|request| request.time)
                .collect();
            let most = in_a_second(&times);
            assert!(most <= limit, "{most} {method}s in a second");
            let busiest = busiest.entry(method).or_default();
            *busiest = most.max(*busiest);
        }
    }
    // Another owner sends nothing in the second after the last entry of an owner.
    let overlapping = "WITH owners AS (
            SELECT workspace_id, session, tstzrange(min(appended_at), max(appended_at) + interval '1 second') AS time
            FROM journal GROUP BY workspace_id, session
        )
        SELECT count(*) FROM owners a JOIN owners b USING (workspace_id)
        WHERE a.session < b.session AND a.time && b.time";
    assert_eq!(number(session, overlapping).await, 0, "two owners in a second");
    println!("the busiest second of a workspace: {busiest:?}");
}

/// Returns the largest number of these times, in order, that are within one second.
fn in_a_second(times: &[Timestamp]) -> usize {
    let count = |(nth, from): (usize, &Timestamp)| {
        let until = *from + Duration::from_secs(1);
        times[nth..].iter().take_while(|at| **at < until).count()
    };
    times.iter().enumerate().map(count).max().unwrap_or_default()
}

async fn number(session: &Client, query: &str) -> i64 {
    session.query_one(query, &[]).await.unwrap().get(0)
}
