//! Many installs through one client.

use std::collections::BTreeSet;

use bird_sandbox::Sandbox;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::*;
use crate::{PhoneNumberId, RateLimits};

/// Installs `count` channels at once in a sandbox that fails at random, and compares each result with its connectors.
async fn check_installs(seed: u64, count: u128) -> Tally {
    let sandbox = Sandbox::builder()
        .provisioning_delay(Duration::from_millis(20))
        .get_limit(u32::MAX)
        .post_limit(u32::MAX)
        .faults([format!("random:{seed}:20").parse().unwrap()])
        .start()
        .await
        .unwrap();
    // The clock is real, so all delays are short.
    let backoff = Backoff {
        initial: Duration::from_millis(2),
        multiplier: 2.0,
        max: Duration::from_millis(20),
        jitter: 0.5,
    };
    let retry = RetryPolicy { backoff, retry_after_cap: backoff.max, ..Default::default() };
    let client = Client::builder()
        .base_url(sandbox.base_url())
        .access_key(AccessKey::new(sandbox.access_key()).unwrap())
        .rate_limits(RateLimits { posts_per_second: u32::MAX, gets_per_second: u32::MAX })
        .retry_policy(retry)
        .poll_policy(PollPolicy { interval: Some(backoff.initial), ..Default::default() })
        .build()
        .unwrap();
    let workspace = client.workspace(sandbox.workspace_id().into());
    let mut installs = JoinSet::new();
    for number in 1..=count {
        let workspace = workspace.clone();
        let number = PhoneNumberId::from(Uuid::from_u128(number));
        installs.spawn(async move { (number, workspace.install_sms_channel("n", number).await) });
    }
    let results = installs.join_all().await;
    assert_eq!(results.len() as u128, count);
    let stored = sandbox.connectors();
    let numbers: BTreeSet<_> = stored.iter().map(|connector| &connector.phone_number_id).collect();
    assert_eq!(numbers.len(), stored.len(), "seed {seed}: a connector was created twice");
    let mut tally = Tally::default();
    for (number, result) in results {
        let connector =
            stored.iter().find(|connector| connector.phone_number_id == number.to_string());
        tally.count(&result);
        match (&result, connector) {
            (Ok(channel), Some(connector)) => {
                assert_eq!(channel.id, connector.channel_id.into(), "seed {seed}");
                assert_eq!(channel.connector_id, connector.id.into(), "seed {seed}");
            }
            (Ok(_), None) => panic!("seed {seed}: a channel without a connector"),
            (Err(error), Some(connector)) => {
                assert!(error.connector_may_exist(), "seed {seed}: a connector exists: {error:?}");
                if let Some(id) = error.connector_id() {
                    assert_eq!(id, connector.id.into(), "seed {seed}");
                }
            }
            (Err(error), None) => {
                let certain = matches!(error, Error::NotReady(..) | Error::Read(..));
                assert!(!certain, "seed {seed}: no connector exists: {error:?}");
            }
        }
    }
    assert!(tally.ready > 0, "seed {seed}: no install succeeded");
    tally
}

/// The number of installs with each outcome.
#[derive(Debug, Default)]
struct Tally {
    ready: usize,
    unknown: usize,
    id_unknown: usize,
    with_id: usize,
    nothing_created: usize,
}

impl Tally {
    fn count(&mut self, result: &Result<SmsChannel, Error>) {
        let counter = match result {
            Ok(_) => &mut self.ready,
            Err(Error::OutcomeUnknown(..)) => &mut self.unknown,
            Err(Error::CreatedIdUnknown(_)) => &mut self.id_unknown,
            Err(error) if error.connector_id().is_some() => &mut self.with_id,
            Err(_) => &mut self.nothing_created,
        };
        *counter += 1;
    }

    fn add(&mut self, other: &Self) {
        self.ready += other.ready;
        self.unknown += other.unknown;
        self.id_unknown += other.id_unknown;
        self.with_id += other.with_id;
        self.nothing_created += other.nothing_created;
    }
}

#[tokio::test]
async fn concurrent_installs_with_faults_report_what_exists() {
    for seed in 0..4 {
        check_installs(seed, 64).await;
    }
}

/// `cargo test --profile dependent -p bird-sms --lib -- --ignored ten_thousand --nocapture`
#[tokio::test]
#[ignore = "a soak of 10,000 installs"]
async fn ten_thousand_installs_with_faults_report_what_exists() {
    let mut tally = Tally::default();
    for seed in 1000..1157 {
        tally.add(&check_installs(seed, 64).await);
    }
    println!("{tally:?}");
}

#[tokio::test]
async fn a_failed_install_affects_no_other_and_connections_are_shared() {
    let bad = Uuid::from_u128(7);
    let peer = bird_test_peer::Peer::with_handler(move |request| {
        let body = String::from_utf8_lossy(&request.body);
        if body.contains(&bad.to_string()) {
            bird_test_peer::Reply::Close
        } else {
            bird_test_peer::Reply::json(201, ready())
        }
    })
    .await
    .unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    for round in 1..=3 {
        let mut installs = JoinSet::new();
        for number in 1..=64 {
            let workspace = workspace.clone();
            let number = PhoneNumberId::from(Uuid::from_u128(number));
            installs.spawn(async move { workspace.install_sms_channel("n", number).await });
        }
        let failed = installs.join_all().await.iter().filter(|result| result.is_err()).count();
        assert_eq!((failed, peer.posts()), (1, 64 * round));
    }
    // Each round reuses the connections of the last one, and replaces the one that was closed.
    assert!(peer.connections() <= 64 + 2 * 3, "{}", peer.connections());
}
