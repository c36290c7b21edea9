//! Compares a sandbox in memory with the same sandbox behind a socket.

use bird_sandbox::{ReceivedRequest, Sandbox};

use super::*;

/// Installs a channel. Returns the result and the requests that the sandbox received, with their times reset.
async fn install(
    sandbox: &Sandbox,
    client: ClientBuilder,
    attempt_timeout: Duration,
) -> (String, Vec<ReceivedRequest>) {
    let short = Duration::from_millis(5);
    let backoff = Backoff { initial: short, multiplier: 1.0, max: short, jitter: 0.0 };
    let client = client
        .attempt_timeout(attempt_timeout)
        .access_key(AccessKey::new(sandbox.access_key()).unwrap())
        .retry_policy(RetryPolicy { backoff, retry_after_cap: short, ..Default::default() })
        .poll_policy(PollPolicy { interval: Some(short), ..Default::default() })
        .build()
        .unwrap();
    let workspace = client.workspace(sandbox.workspace_id().into());
    let result = workspace.install(request()).await.map_err(|error| {
        (error.connector_state(), error.is_retryable(), error.response().cloned())
    });
    let mut requests = sandbox.requests();
    for request in &mut requests {
        request.time = jiff::Timestamp::UNIX_EPOCH;
    }
    (format!("{result:?}"), requests)
}

#[tokio::test]
async fn each_fault_looks_the_same_in_memory_and_over_a_socket() {
    for kind in ["503", "504", "429", "422", "reset", "lost", "hang", "garbage", "cut"] {
        for method in ["post", "get"] {
            let fault = format!("{method}:{kind}");
            let delay = Duration::from_millis(1);
            let timeout = Duration::from_millis(if kind == "hang" { 100 } else { 10_000 });
            let builder = Sandbox::builder().seed(1).provisioning_delay(delay);
            let builder = builder.fault(fault.parse().unwrap());
            let sandbox = builder.clone().start().await.unwrap();
            let socket =
                install(&sandbox, Client::builder().base_url(sandbox.base_url()), timeout).await;
            let sandbox = builder.in_memory();
            let memory =
                install(&sandbox, Client::builder().transport(sandbox.transport()), timeout).await;
            assert_eq!(memory, socket, "{fault}");
        }
    }
}
