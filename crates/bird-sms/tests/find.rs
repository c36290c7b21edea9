//! The search for connectors, in memory and on Tokio's paused clock.

#![cfg(feature = "list-connectors")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bird_api::transport::{Exchange, Transport};
use bird_sandbox::{Builder, ListEndpoint, Sandbox};
use bird_sms::{
    AccessKey, BatchItem, ChannelMessageType, Client, ConnectorState, Error, Journal, JournalEntry,
    JournalFuture, PhoneNumberId, RowState, SearchResult, SmsConnectorRequest, UnknownRows,
    Warning, Workspace,
};
use futures_util::{FutureExt, StreamExt};
use jiff::{Timestamp, ToSpan};
use tokio::sync::oneshot;
use uuid::Uuid;

fn start(builder: Builder) -> (Sandbox, Workspace) {
    let sandbox = builder.in_memory();
    let client = Client::builder()
        .transport(sandbox.transport())
        .access_key(AccessKey::new(sandbox.access_key()).unwrap())
        .build()
        .unwrap();
    let workspace = client.workspace(sandbox.workspace_id().into());
    (sandbox, workspace)
}

/// Renames an argument in each response.
#[derive(Debug)]
struct OtherArguments(Arc<dyn Transport>);

impl Transport for OtherArguments {
    fn exchange(&self, request: reqwest::Request, timeout: Duration) -> Exchange {
        let exchange = self.0.exchange(request, timeout);
        Box::pin(async move {
            let mut response = exchange.await?;
            let body = str::from_utf8(&response.body).unwrap();
            response.body = body.replace("phoneNumberId", "number").into();
            Ok(response)
        })
    }
}

fn number(n: u128) -> PhoneNumberId {
    Uuid::from_u128(n).into()
}

fn request(n: u128) -> SmsConnectorRequest {
    SmsConnectorRequest::new("My SMS channel", number(n))
}

#[tokio::test(start_paused = true)]
async fn a_connector_whose_response_was_lost_is_found_even_if_it_is_listed_late() {
    let lost = "post:lost@1".parse().unwrap();
    let (sandbox, workspace) =
        start(Sandbox::builder().fault(lost).list_lag(Duration::from_secs(5)));
    let since = Timestamp::now();
    let _ = workspace.create_sms_connector(&request(1)).await.unwrap();
    let error = workspace.create_sms_connector(&request(2)).await.unwrap_err();
    assert_eq!(error.connector_id(), None);
    let found = workspace.find_connector(&request(2), since).await.unwrap();
    assert_eq!(found, SearchResult::Found(sandbox.connectors()[1].id.into()));
}

#[tokio::test(start_paused = true)]
async fn absence_is_conclusive_after_the_margin_if_the_deadline_leaves_time() {
    let reset = "post:reset".parse().unwrap();
    let (_sandbox, workspace) = start(Sandbox::builder().fault(reset));
    let since = Timestamp::now();
    workspace.create_sms_connector(&request(1)).await.unwrap_err();
    let began = tokio::time::Instant::now();
    let found = workspace.find_connector(&request(1), since).await.unwrap();
    assert_eq!(found, SearchResult::NotFound { conclusive: true });
    assert!(began.elapsed() >= Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_connector_matches_by_number_name_arguments_and_age() {
    let (sandbox, workspace) = start(Sandbox::builder());
    let typed = |n| request(n).channel_message_type(ChannelMessageType::Promotional);
    for request in [request(1), typed(2), request(3)] {
        let _ = workspace.create_sms_connector(&request).await.unwrap();
    }
    let ids: Vec<_> = sandbox.connectors().iter().map(|connector| connector.id.into()).collect();
    // The clock of a sandbox in memory.
    let now: Timestamp = "2100-01-01T00:00:00Z".parse().unwrap();
    let hour = now - 1.hour();
    let find = async |request, since| workspace.find_connector(&request, since).await.unwrap();
    assert_eq!(find(request(1), hour).await, SearchResult::Found(ids[0]));
    assert_eq!(find(typed(2), hour).await, SearchResult::Found(ids[1]));
    // The clocks of two machines differ by up to a minute.
    let soon = now + 30.seconds();
    assert_eq!(find(request(1), soon).await, SearchResult::Found(ids[0]));
    // A connector of the number with another name or argument may be a changed one.
    let differs = SearchResult::NotFound { conclusive: false };
    assert_eq!(find(request(2), hour).await, differs);
    assert_eq!(find(typed(1), hour).await, differs);
    assert_eq!(find(SmsConnectorRequest::new("Other", number(1)), hour).await, differs);
    // A connector that is older than the request is not its connector, unless the clock of this machine is wrong.
    let later = now + 1.hour();
    assert_eq!(find(request(1), later).await, differs);
    assert_eq!(find(typed(1), later).await, SearchResult::NotFound { conclusive: true });
    assert_eq!(workspace.find_connectors(number(3)).await.unwrap(), [ids[2]]);
}

#[tokio::test(start_paused = true)]
async fn absence_is_not_conclusive_beside_a_connector_whose_arguments_cannot_be_decoded() {
    let sandbox = Sandbox::builder().fault("post:lost".parse().unwrap()).in_memory();
    let workspace = Client::builder()
        .transport(Arc::new(OtherArguments(sandbox.transport())))
        .access_key(AccessKey::new(sandbox.access_key()).unwrap())
        .build()
        .unwrap()
        .workspace(sandbox.workspace_id().into());
    let since = Timestamp::now();
    workspace.create_sms_connector(&request(1)).await.unwrap_err();
    // Whether a connector of the same name is older does not matter, because the clock of this machine may be wrong.
    let later = "2101-01-01T00:00:00Z".parse().unwrap();
    let other = SmsConnectorRequest::new("Other", number(1));
    for (request, since, conclusive) in [
        (request(1), since, false),
        (request(1), later, false),
        (other.clone(), since, false),
        (other, later, true),
    ] {
        let found = workspace.find_connector(&request, since).await.unwrap();
        assert_eq!(found, SearchResult::NotFound { conclusive }, "{request:?} {since}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_page_is_read() {
    let (sandbox, workspace) = start(Sandbox::builder());
    for n in 1..=250 {
        let _ = workspace.create_sms_connector(&request(n)).await.unwrap();
    }
    let hour = Timestamp::now() - 1.hour();
    let oldest = sandbox.connectors()[0].id.into();
    let found = workspace.find_connector(&request(1), hour).await.unwrap();
    assert_eq!(found, SearchResult::Found(oldest));
    let pages = sandbox
        .requests()
        .iter()
        .filter(|request| request.path.ends_with("connectors") && request.method == "GET")
        .count();
    assert_eq!(pages, 3);
    assert_eq!(sandbox.response_count(429), 0);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_refused_or_different_is_a_permanent_error() {
    for list in [ListEndpoint::Forbidden, ListEndpoint::Absent, ListEndpoint::OtherShape] {
        let (_sandbox, workspace) = start(Sandbox::builder().list(list));
        let error = workspace.find_connector(&request(1), Timestamp::now()).await.unwrap_err();
        assert!(error.is_permanent(), "{list:?}: {error}");
    }
    let busy = "get:503x2".parse().unwrap();
    let (_sandbox, workspace) = start(Sandbox::builder().fault(busy));
    assert_eq!(workspace.find_connectors(number(1)).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn an_install_continues_with_the_connector_that_it_finds() {
    let lost = "post:lost".parse().unwrap();
    let (sandbox, workspace) = start(Sandbox::builder().fault(lost));
    let install = workspace.install_sms_channel("My SMS channel", number(1)).find_unknown();
    let channel = install.await.unwrap();
    assert_eq!(channel.connector_id, sandbox.connectors()[0].id.into());
    assert_eq!(channel.warning, Some(Warning::Found));
    assert_eq!(sandbox.post_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_install_creates_again_what_certainly_does_not_exist() {
    let reset = "post:reset".parse().unwrap();
    let (sandbox, workspace) = start(Sandbox::builder().fault(reset));
    let install = workspace.install_sms_channel("My SMS channel", number(1)).find_unknown();
    assert_eq!(install.await.unwrap().warning, None);
    assert_eq!((sandbox.post_count(), sandbox.connectors().len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_conflict_after_a_search_that_found_nothing_says_that_a_connector_exists() {
    let lost = "post:lost".parse().unwrap();
    let lagging = Sandbox::builder().fault(lost).list_lag(Duration::from_secs(50));
    let (sandbox, workspace) = start(lagging);
    let install = workspace.install_sms_channel("My SMS channel", number(1)).find_unknown();
    let error = install.await.unwrap_err();
    assert_eq!(error.connector_state(), ConnectorState::ExistsIdUnknown, "{error}");
    assert_eq!((sandbox.post_count(), sandbox.connectors().len()), (2, 1));

    let (sandbox, workspace) = start(
        Sandbox::builder().fault("post:lost".parse().unwrap()).list_lag(Duration::from_secs(50)),
    );
    let item = BatchItem::from(request(1)).unknown_rows(UnknownRows::Find);
    let mut outcomes = workspace.install_sms_channels([item]).start();
    let outcome = outcomes.next().await.unwrap();
    assert_eq!(outcome.connector_state(), ConnectorState::ExistsIdUnknown);
    assert_eq!((sandbox.post_count(), sandbox.connectors().len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_install_whose_search_is_refused_ends_as_without_a_search() {
    let lost = "post:lost".parse().unwrap();
    let forbidden = Sandbox::builder().fault(lost).list(ListEndpoint::Forbidden);
    let (_sandbox, workspace) = start(forbidden);
    let install = workspace.install_sms_channel("My SMS channel", number(1)).find_unknown();
    let error = install.await.unwrap_err();
    assert_eq!(error.connector_state(), ConnectorState::Unknown);
    assert!(error.to_string().contains("the connectors could not be listed"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_resolves_lost_responses_among_connectors_of_the_same_name() {
    let lost = ["post:lostx20@120", "post:resetx20@160"].map(|fault| fault.parse().unwrap());
    let (sandbox, workspace) =
        start(Sandbox::builder().faults(lost).list_lag(Duration::from_secs(5)));
    for n in 1001..=1050 {
        let _ = workspace.create_sms_connector(&request(n)).await.unwrap();
    }
    // Row 1 is left over from a run whose process was killed.
    let foreign = sandbox.connectors().len();
    let _ = workspace.create_sms_connector(&request(1)).await.unwrap();
    let mut killed = RowState::default();
    let intent = JournalEntry::Intent { name: "My SMS channel".to_owned() };
    killed.apply(&intent, Some(Timestamp::now()));
    let items = (1..=200).map(|n| {
        let state = if n == 1 { killed } else { RowState::default() };
        BatchItem::resume(request(n), state).unknown_rows(UnknownRows::Find)
    });
    let items: Vec<_> = items.collect();
    let outcomes: Vec<_> = workspace.install_sms_channels(items).start().collect().await;
    let created: std::collections::HashMap<_, _> = sandbox.connectors()[foreign..]
        .iter()
        .map(|connector| (connector.phone_number_id.clone(), connector.id.into()))
        .collect();
    assert_eq!((outcomes.len(), created.len()), (200, 200));
    let mut found = 0;
    for outcome in outcomes {
        let channel = outcome.result.unwrap();
        assert_eq!(channel.connector_id, created[&outcome.request.phone_number_id().to_string()]);
        found += usize::from(channel.warning == Some(Warning::Found));
    }
    assert_eq!(found, 21);
    assert_eq!(sandbox.response_count(429), 0);
}

#[tokio::test(start_paused = true)]
async fn an_absence_that_the_journal_does_not_have_settles_nothing() {
    struct Full;
    impl Journal for Full {
        fn append<'a>(&'a self, _: &SmsConnectorRequest, _: JournalEntry) -> JournalFuture<'a> {
            Box::pin(async { Err(std::io::Error::other("disk full")) })
        }
    }
    let (_sandbox, workspace) = start(Sandbox::builder());
    let mut unknown = RowState::default();
    unknown.apply(&JournalEntry::Intent { name: "My SMS channel".to_owned() }, None);
    let item = BatchItem::resume(request(1), unknown).unknown_rows(UnknownRows::Find);
    let outcome = workspace.install_sms_channels([item]).journal(Full).start().next().await;
    let outcome = outcome.unwrap();
    assert_eq!(outcome.connector_state(), ConnectorState::Unknown);
    let error = outcome.result.unwrap_err();
    assert_eq!(error.connector_state(), ConnectorState::Unknown, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_list_cannot_be_used_polls_each_connector() {
    for list in [ListEndpoint::Forbidden, ListEndpoint::Absent, ListEndpoint::OtherShape] {
        let (sandbox, workspace) = start(Sandbox::builder().list(list));
        let items = (1..=100)
            .map(|n| BatchItem::from(request(n)).unknown_rows(UnknownRows::Find))
            .collect::<Vec<_>>();
        let outcomes = workspace.install_sms_channels(items).wait_by_list().start();
        let ready = outcomes.filter(|outcome| std::future::ready(outcome.result.is_ok()));
        assert_eq!(ready.count().await, 100, "{list:?}");
        assert_eq!((sandbox.connectors().len(), sandbox.response_count(429)), (100, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_the_list_does_not_show_is_polled_by_a_get() {
    let lag = Duration::from_secs(3600);
    let (_sandbox, workspace) = start(Sandbox::builder().list_lag(lag));
    let outcomes = workspace.install_sms_channels((1..=100).map(request)).wait_by_list().start();
    let ready = outcomes.filter(|outcome| std::future::ready(outcome.result.is_ok()));
    assert_eq!(ready.count().await, 100);
}

#[tokio::test(start_paused = true)]
async fn a_row_whose_post_was_lost_has_an_outcome_although_it_is_not_created_again() {
    /// Shuts the batch down when the absence of the connector is stored.
    struct Stopping(Mutex<Option<oneshot::Sender<()>>>);
    impl Journal for Stopping {
        fn append<'a>(&'a self, _: &SmsConnectorRequest, entry: JournalEntry) -> JournalFuture<'a> {
            if entry == JournalEntry::Absent {
                let stop = self.0.lock().unwrap().take().unwrap();
                stop.send(()).unwrap();
            }
            Box::pin(tokio::time::sleep(Duration::from_millis(1)).map(Ok))
        }
    }
    let (sandbox, workspace) = start(Sandbox::builder().fault("post:reset".parse().unwrap()));
    let (stop, stopped) = oneshot::channel();
    let item = BatchItem::from(request(1)).unknown_rows(UnknownRows::Find);
    let batch = workspace.install_sms_channels([item]).journal(Stopping(Mutex::new(Some(stop))));
    let mut outcomes = batch.with_graceful_shutdown(stopped.map(drop)).start();
    let outcome = outcomes.next().await.expect("a POST was sent");
    assert!(matches!(outcome.result, Err(Error::Unreachable(_))), "{:?}", outcome.result);
    assert_eq!(outcome.connector_state(), ConnectorState::NotCreated);
    assert_eq!((sandbox.post_count(), sandbox.connectors().len()), (1, 0));
}
