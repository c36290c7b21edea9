//! Installs through a transport that the caller supplies.

use bird_test_peer::{InMemory, Reply};

use super::*;
use crate::ConnectorState;

#[tokio::test]
async fn a_post_is_retried_only_if_it_was_never_sent() {
    let install = async |bird: &InMemory| {
        let client = without_sleep("https://bird.example").0.transport(bird.transport());
        workspace(client).install(request()).await
    };
    let bird = InMemory::script([
        Reply::ResetOnAccept,
        Reply::json(201, pending()),
        Reply::Close,
        Reply::json(200, ready()),
    ]);
    assert_eq!(install(&bird).await.unwrap().id.to_string(), CHANNEL);
    let requests = bird.requests();
    let sent: Vec<_> = requests.iter().map(|it| (&*it.method, &*it.path)).collect();
    let post = ("POST", &*format!("/workspaces/{WORKSPACE}/connectors"));
    let get = ("GET", &*format!("/workspaces/{WORKSPACE}/connectors/{CONNECTOR}"));
    assert_eq!(sent, [post, post, get, get]);
    let authorization = ("authorization".to_owned(), format!("AccessKey {KEY}"));
    assert!(requests.iter().all(|request| request.headers.contains(&authorization)));

    let bird = InMemory::script([Reply::Close]);
    let error = install(&bird).await.unwrap_err();
    assert_eq!(error.connector_state(), ConnectorState::Unknown);
    assert_eq!(bird.posts(), 1);
}
