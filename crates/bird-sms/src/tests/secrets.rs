//! No output contains the access key.

use std::io;
use std::sync::LazyLock;

use bird_test_peer::{Peer, Reply};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use super::*;
use crate::{ChannelMessageType, ConfigurationError};

#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Returns the `tracing` log of this process. Other tests write to it as well.
///
/// The subscriber is global because a scoped one would miss callsites that other threads have already registered.
pub(super) fn log() -> Log {
    static LOG: LazyLock<Log> = LazyLock::new(|| {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_span_events(FmtSpan::CLOSE)
            .with_writer(log.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        log
    });
    LOG.clone()
}

impl Log {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// Returns scripts that end in a channel or in different kinds of error. Most of them send the access key back.
fn scripts() -> Vec<Vec<Reply>> {
    let echo = format!(
        r#"{{"code": "{KEY}", "message": "your key {KEY}", "details": {{"{KEY}": ["{KEY}"]}}}}"#
    );
    let header = format!("x-request-id: {KEY}");
    let location = format!("location: https://example.com/{KEY}");
    let refused = Reply::with_headers(422, &[&header], &echo);
    let page = Reply::with_headers(403, &[&location], format!("<b>{KEY}</b>"));
    let created = Reply::json(201, pending());
    let malformed = Reply::json(201, format!(r#"{{"id": "{KEY}"}}"#));
    let odd = Reply::json(200, ready().replace("2025-01-21T01:43:10.940Z", KEY));
    vec![
        vec![created.clone(), Reply::json(200, ready())],
        vec![created.clone(), odd],
        vec![created.clone(), refused.clone()],
        vec![created, malformed.clone(), malformed.clone(), malformed.clone()],
        vec![Reply::with_headers(503, &[], &echo), refused],
        vec![page],
        vec![malformed],
        vec![Reply::Reset],
    ]
}

#[tokio::test]
async fn the_key_never_shows_in_logs_debug_output_errors_or_events() {
    // All tests of this process write to this log.
    let log = log();
    let mut shown = Vec::new();
    for script in scripts() {
        let peer = Peer::script(script).await.unwrap();
        let (builder, _) = without_sleep(&peer.base_url());
        shown.push(format!("{builder:?}"));
        let workspace = workspace(builder);
        let install = workspace.install(request());
        shown.push(format!("{install:?} {:?}", workspace.client().raw()));
        let (result, events) = observed(install).await;
        shown.push(format!("{events:?} {:?}", workspace.pending_channel(connector_id())));
        match result {
            Ok(channel) => shown.push(format!("{channel:?}")),
            Err(error) => {
                let mut source: Option<&dyn std::error::Error> = Some(&error);
                while let Some(error) = source {
                    shown.push(format!("{error} {error:?}"));
                    source = error.source();
                }
            }
        }
    }
    let shown = shown.concat();
    let log = log.text();
    assert!(log.contains("connector created") && log.contains("TRACE"), "expected trace events");
    assert!(shown.contains("[redacted]"), "the server should send the key back");
    for text in [shown, log] {
        if let Some(at) = text.find(KEY) {
            panic!("{}", &text[at.saturating_sub(300)..at + KEY.len()]);
        }
    }
}

/// Returns the key as JSON strings that are escaped in different ways, one of them in upper case.
fn json_strings(key: &str) -> [String; 4] {
    let string = |text: &str| serde_json::to_string(text).unwrap();
    let string_of =
        |escape: fn(char) -> String| format!("\"{}\"", key.chars().map(escape).collect::<String>());
    [
        string(key),
        string(&key.to_uppercase()),
        string_of(|c| if matches!(c, '/' | '\\' | '"') { format!("\\{c}") } else { c.into() }),
        string_of(
            |c| if c.is_alphanumeric() { c.into() } else { format!("\\u{:04X}", u32::from(c)) },
        ),
    ]
}

/// Returns scripts whose responses repeat this JSON string in many fields, and have these headers.
fn echoes(text: &str, headers: &[&str]) -> Vec<Vec<Reply>> {
    let connector = format!(
        r#"{{"id":"{CONNECTOR}","workspaceId":"{WORKSPACE}","name":{text},"description":{text},
        "region":{text},"createdAt":"2025-01-21T01:43:10.940Z",
        "channel":{{"channelId":"{CHANNEL}","platform":{text}}},"arguments":{{"phoneNumberId":{text}}},
        "number":{{"phoneNumber":{text},"country":{text},"numberType":{text},"endpointType":{text},
        "capabilities":[{text}]}},"extra":[{text},{{{text}:{text}}}]}}"#
    );
    let error = format!(
        r#"{{"code":{text},"message":{text},"details":{{{text}:[{text},{{{text}:{text}}}]}}}}"#
    );
    let created = Reply::json(201, pending());
    let template = ready().replacen('{', &format!(r#"{{"connectorTemplateRef":{text},"#), 1);
    vec![
        vec![created.clone(), Reply::json(200, &connector)],
        vec![created.clone(), Reply::json(200, template)],
        vec![created, Reply::with_headers(401, headers, &error)],
        vec![Reply::with_headers(422, headers, &error)],
        vec![Reply::with_headers(302, headers, text)],
        vec![Reply::json(201, connector.replace(CONNECTOR, "no id"))],
        vec![Reply::json(201, format!(r#"{{"channel":{text},"id":{text}}}"#))],
        vec![Reply::with_headers(500, headers, &error), Reply::with_headers(409, headers, text)],
    ]
}

fn workspace_with_key(peer: &Peer, key: &str) -> Workspace {
    workspace(without_sleep(&peer.base_url()).0.access_key(AccessKey::new(key).unwrap()))
}

#[tokio::test]
async fn a_key_echoed_as_json_is_redacted() {
    for key in [KEY, r#"a"b\c/d+e=f"#, r"0/1\2+3\\"] {
        let headers = ["x-request-id", "location"].map(|name| format!("{name}: {key}"));
        let headers = headers.each_ref().map(|header| &**header);
        for text in json_strings(key) {
            let mut shown = Vec::new();
            for script in echoes(&text, &headers) {
                let peer = Peer::script(script).await.unwrap();
                match workspace_with_key(&peer, key).install(request()).await {
                    Ok(channel) => {
                        let connector = channel.connector().unwrap();
                        assert_eq!(connector.name, "[redacted]");
                        shown.push(format!("{channel:?} {connector:?} {}", connector.json()));
                    }
                    Err(error) => shown.push(format!("{error} {error:?} {}", error.chain())),
                }
            }
            let shown = shown.concat();
            assert!(shown.matches("[redacted]").count() > 20, "{shown}");
            assert!(!shown.contains(text.trim_matches('"')), "{text}: {shown}");
            // `{:?}` adds backslashes as JSON does, so compare without them.
            let plain = |text: &str| text.replace('\\', "").to_lowercase();
            assert!(!plain(&shown).contains(&plain(key)), "{text}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_key_that_json_would_unescape_is_redacted() {
    let key = r#"abc\"defgh"#;
    let peer = Peer::script([Reply::json(403, format!(r#"{{"error":"{key}"}}"#))]).await.unwrap();
    let error = workspace_with_key(&peer, key).install(request()).await.unwrap_err();
    assert!(error.chain().contains("[redacted]"), "{}", error.chain());
    assert!(!error.chain().contains(key), "{}", error.chain());
}

#[tokio::test]
async fn an_id_that_contains_the_key_is_not_redacted() {
    let key = &CONNECTOR[..13];
    let ready = ready().replace("My SMS channel", &format!("of {key}"));
    let peer = Peer::script([Reply::json(201, pending()), Reply::json(200, ready)]).await.unwrap();
    let channel = workspace_with_key(&peer, key).install(request()).await.unwrap();
    assert_eq!((channel.id.to_string(), channel.connector_id), (CHANNEL.into(), connector_id()));
    let connector = channel.connector().unwrap();
    assert_eq!((connector.id, &*connector.name), (connector_id(), "of [redacted]"));
    let json: serde_json::Value = serde_json::from_str(connector.json()).unwrap();
    assert_eq!((&json["id"], &json["name"]), (&CONNECTOR.into(), &"of [redacted]".into()));
    let peer = Peer::script([Reply::json(201, pending()), Reply::status(403)]).await.unwrap();
    let error = workspace_with_key(&peer, key).install(request()).await.unwrap_err();
    assert_eq!(error.connector_state().connector_id(), Some(connector_id()));
    assert!(error.chain().contains(CONNECTOR), "{}", error.chain());
}

#[tokio::test]
async fn a_request_with_the_key_in_a_field_is_not_sent() {
    let peer = Peer::script([]).await.unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let number = NUMBER.parse().unwrap();
    for name in [KEY.to_owned(), format!("my {} channel", KEY.to_uppercase())] {
        let error = workspace.install_sms_channel(&name, number).await.unwrap_err();
        assert!(matches!(error, Error::Configuration(_)), "{error:?}");
        assert!(!format!("{error:?} {}", error.chain()).contains(KEY));
    }
    let install = workspace
        .install_sms_channel("n", number)
        .channel_message_type(ChannelMessageType::from(KEY));
    assert!(matches!(install.await, Err(Error::Configuration(_))));
    let url = format!("{}/{KEY}", peer.base_url());
    let error = without_sleep(&url).0.build().unwrap_err();
    assert_eq!(error, ConfigurationError::AccessKeyIn("API URL"));
    assert_eq!(peer.connections(), 0);
}
