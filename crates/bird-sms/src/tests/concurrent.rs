//! Many concurrent installs through one client.

use bird_test_peer::{Peer, Reply};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::*;
use crate::PhoneNumberId;

#[tokio::test]
async fn concurrent_installs_share_connections_and_fail_separately() {
    let bad = Uuid::from_u128(7);
    let peer = Peer::with_handler(move |request| {
        let body = String::from_utf8_lossy(&request.body);
        if body.contains(&bad.to_string()) { Reply::Close } else { Reply::json(201, ready()) }
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
    // Each round reuses the connections of the previous round, except the one that the server closed.
    assert!(peer.connections() <= 64 + 2 * 3, "{}", peer.connections());
}
