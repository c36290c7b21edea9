//! The `tracing` spans and events of a client.

use bird_test_peer::{Peer, Reply};
use uuid::Uuid;

use super::secrets::log;
use super::*;

/// Returns a workspace with a random id, and a function that returns the log lines about that workspace.
fn traced(peer: &Peer) -> (Workspace, impl Fn() -> Vec<String>) {
    let log = log();
    let id = Uuid::from_u128(fastrand::u128(..));
    let workspace = without_sleep(&peer.base_url()).0.build().unwrap().workspace(id.into());
    let lines = move || {
        let about = format!("workspace_id={id}");
        log.text().lines().filter(|line| line.contains(&about)).map(str::to_owned).collect()
    };
    (workspace, lines)
}

/// Returns the spans and fields of each exchange in these log lines, without ids and durations.
fn exchanges(lines: &[String]) -> Vec<String> {
    let exchanges = lines.iter().filter(|line| line.contains(" exchange ")).map(|line| {
        let (start, end) = line.split_once(" http.client.request.duration=").unwrap();
        let (duration, attempt) = end.split_once(' ').unwrap();
        assert!(duration.parse::<f64>().unwrap() >= 0.0, "{line}");
        let (spans, fields) = start.split_once("bird_sms::workflow::retry: exchange ").unwrap();
        let spans: Vec<_> =
            spans.split([' ', '}']).filter_map(|part| part.split_once('{')).collect();
        let spans: Vec<_> = spans.iter().map(|(name, _)| name.trim_start_matches(':')).collect();
        format!("{} {fields} {attempt}", spans.join(":"))
    });
    exchanges.collect()
}

const POST: &str =
    r#"http.request.method="POST" url.template="/workspaces/{workspaceId}/connectors""#;
const GET: &str = r#"http.request.method="GET" url.template="/workspaces/{workspaceId}/connectors/{connectorId}""#;

/// Removes the workspace id from a body, because each test has a random workspace id.
fn without_workspace(body: &str) -> String {
    body.replace("workspaceId", "unknown")
}

#[tokio::test]
async fn the_span_of_an_install_has_an_event_for_each_exchange() {
    let script = [
        Reply::status(503),
        Reply::json(201, without_workspace(&pending())),
        Reply::Reset,
        Reply::json(200, without_workspace(&ready())),
    ];
    let peer = Peer::script(script).await.unwrap();
    let (workspace, lines) = traced(&peer);
    workspace.install(request()).await.unwrap();
    let lines = lines();
    let status = "http.response.status_code";
    let span = "install_sms_channel";
    assert_eq!(
        exchanges(&lines),
        [
            format!("{span} {POST} {status}=503 attempt=1"),
            format!("{span} {POST} {status}=201 attempt=2"),
            format!("{span} {GET} error.type=Disconnected attempt=1"),
            format!("{span} {GET} {status}=200 attempt=2"),
        ]
    );
    let last = lines.last().unwrap();
    for field in [format!("phone_number_id={NUMBER}"), format!("connector_id={CONNECTOR}")] {
        assert!(last.contains(&field), "{last}");
    }
    let all = lines.join("\n");
    assert!(!all.contains("My SMS channel") && !all.contains(KEY), "{all}");
}

#[tokio::test]
async fn each_call_has_its_own_span() {
    let script = [
        Reply::json(201, without_workspace(&pending())),
        Reply::json(200, without_workspace(&pending())),
        Reply::json(200, without_workspace(&ready())),
        Reply::json(200, without_workspace(&ready())),
        Reply::json(201, without_workspace(&ready())),
    ];
    let peer = Peer::script(script).await.unwrap();
    let (workspace, lines) = traced(&peer);
    let mut pending = workspace.create_sms_connector(&request()).await.unwrap();
    assert!(pending.poll().await.unwrap().is_none());
    pending.wait().await.unwrap();
    workspace.connector(connector_id()).await.unwrap();
    let mut outcomes = workspace.install_sms_channels([request()]).start();
    outcomes.next().await.unwrap().result.unwrap();
    let lines = lines();
    let spans: Vec<_> =
        exchanges(&lines).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(
        spans,
        [
            "create_sms_connector",
            "poll_channel",
            "wait_for_channel",
            "read_connector",
            "install_sms_channels:install_sms_channel"
        ]
    );
    // Once the connector is created, the span contains the connector id.
    let created =
        lines.iter().filter_map(|line| line.split_once("}: bird_sms::event: connector created"));
    let ids: Vec<_> =
        created.map(|(span, _)| span.contains(&format!("connector_id={CONNECTOR}"))).collect();
    assert_eq!(ids, [true, true], "{lines:#?}");
}

#[tokio::test]
async fn the_span_of_an_install_closes_with_its_outcome() {
    let script = [
        Reply::json(201, without_workspace(&ready())),
        Reply::status(422),
        Reply::json(201, without_workspace(&ready())),
    ];
    let peer = Peer::script(script).await.unwrap();
    let (workspace, lines) = traced(&peer);
    let install = || workspace.install(request());
    install().await.unwrap();
    install().await.unwrap_err();
    install().journal(Arc::new(crate::test_util::MemoryJournal::default())).await.unwrap();
    let closed = |outcome: &str| {
        let outcome = format!("outcome=\"{outcome}\"");
        lines().iter().filter(|line| line.contains(" close ") && line.contains(&outcome)).count()
    };
    assert_eq!((closed("ready"), closed("refused")), (2, 1), "{:#?}", lines());
}
