//! `bird-sms batch`, killed repeatedly: no connector is lost, and none is created twice.

use std::time::Duration;

use bird_sandbox::Sandbox;

use crate::rows::Rows;

/// Does what an operator does: retries rows whose outcome is unknown, and adopts the connectors that exist. Returns
/// whether all rows are ready in the end.
pub(crate) async fn settle(rows: &Rows, sandbox: &Sandbox, mut code: i32) -> bool {
    for _ in 0..20 {
        if code == 0 {
            return true;
        }
        let mut more = vec!["--retry-unknown".to_owned()];
        for (number, entry) in rows.last_entries() {
            if entry["event"] == "exists" {
                let stored = sandbox.connectors();
                let connector = stored.iter().find(|stored| stored.phone_number_id == number);
                let connector = connector.expect("a connector that exists is in the dashboard");
                more.push(format!("--adopt={number}={}", connector.id));
            }
        }
        let more: Vec<_> = more.iter().map(String::as_str).collect();
        code = rows.run(sandbox, &more).await.0;
    }
    false
}

// Fault 33.
#[tokio::test]
async fn a_batch_that_is_killed_repeatedly_installs_each_row_once() {
    let sandbox = Sandbox::builder().get_limit(u32::MAX).post_limit(u32::MAX);
    let sandbox = sandbox.provisioning_delay(Duration::from_millis(200)).start().await.unwrap();
    let rows = Rows::new(200);
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..4 {
        let mut process = rows.in_sandbox(&sandbox, &[]).spawn().unwrap();
        let moment = Duration::from_millis(random.u64(..150));
        let ended = tokio::time::timeout(moment, process.wait()).await;
        assert!(ended.is_err(), "the batch ended before the last kill: {ended:?}");
        process.kill().await.unwrap();
    }
    let (code, ..) = rows.run(&sandbox, &[]).await;
    // No operator allowed a second POST yet. A 409 would be a second connector on a server that allows one.
    assert_eq!(sandbox.response_count(409), 0, "a POST was sent twice");
    assert!(settle(&rows, &sandbox, code).await, "does not settle: {:?}", rows.last_entries());
    let stored = sandbox.connectors();
    assert_eq!(stored.len(), rows.count);
    let entries = rows.last_entries();
    for connector in stored {
        let entry = &entries[&connector.phone_number_id];
        assert_eq!(entry["event"], "ready", "{entry}");
        assert_eq!(entry["connectorId"], connector.id.to_string());
        assert_eq!(entry["channelId"], connector.channel_id.to_string());
    }
}
