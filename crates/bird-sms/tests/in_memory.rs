//! The sandbox in memory, compared with the same sandbox over a socket.

use std::time::Duration;

use bird_sandbox::{ReceivedRequest, Sandbox};
use bird_sms::{AccessKey, Backoff, Client, ClientBuilder, PollPolicy, RetryPolicy, jiff};

/// Installs a channel, and returns what the client and the sandbox see, without times.
async fn install(sandbox: &Sandbox, client: ClientBuilder) -> (String, Vec<ReceivedRequest>) {
    let short = Duration::from_millis(5);
    let backoff = Backoff { initial: short, multiplier: 1.0, max: short, jitter: 0.0 };
    // Only a `hang` waits for the timeout.
    let client = client
        .attempt_timeout(Duration::from_millis(500))
        .access_key(AccessKey::new(sandbox.access_key()).unwrap())
        .retry_policy(RetryPolicy { backoff, retry_after_cap: short, ..Default::default() })
        .poll_policy(PollPolicy { interval: Some(short), ..Default::default() })
        .build()
        .unwrap();
    let workspace = client.workspace(sandbox.workspace_id().into());
    let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse().unwrap();
    let result = workspace.install_sms_channel("n", number).await.map_err(|error| {
        (error.connector_state(), error.is_retryable(), error.response().cloned())
    });
    let mut requests = sandbox.requests();
    for request in &mut requests {
        request.time = jiff::Timestamp::UNIX_EPOCH;
    }
    (format!("{result:?}"), requests)
}

#[tokio::test]
async fn each_fault_looks_in_memory_as_it_does_over_a_socket() {
    for kind in ["503", "504", "429", "422", "reset", "lost", "hang", "garbage", "cut"] {
        for method in ["post", "get"] {
            let fault = format!("{method}:{kind}");
            let delay = Duration::from_millis(1);
            let builder = Sandbox::builder().seed(1).provisioning_delay(delay);
            let builder = builder.fault(fault.parse().unwrap());
            let sandbox = builder.clone().start().await.unwrap();
            let socket = install(&sandbox, Client::builder().base_url(sandbox.base_url())).await;
            let sandbox = builder.in_memory();
            let memory = install(&sandbox, Client::builder().transport(sandbox.transport())).await;
            assert_eq!(memory, socket, "{fault}");
        }
    }
}
