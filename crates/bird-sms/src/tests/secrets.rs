//! No output contains the access key.

use std::io;
use std::sync::LazyLock;

use bird_test_peer::{Peer, Reply};
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::ChannelMessageType;
use crate::model::redact::tests::ENCODERS;

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

/// Returns what `tracing` logs from now on, also what other tests log.
///
/// Global, because a scoped subscriber misses what other threads registered before.
pub(super) fn log() -> Log {
    static LOG: LazyLock<Log> = LazyLock::new(|| {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
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

/// Scripts that end in each kind of error, with a server that sends the key back wherever it can.
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

#[test]
fn no_log_debug_output_error_or_event_has_the_key() {
    // The other tests have the same key.
    let log = log();
    let shown = {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut shown = Vec::new();
            for script in scripts() {
                let peer = Peer::script(script).await.unwrap();
                let (builder, _) = without_sleep(&peer.base_url());
                shown.push(format!("{builder:?}"));
                let workspace = workspace(builder);
                let events = Arc::new(Mutex::new(Vec::new()));
                let observer = Arc::clone(&events);
                let install = workspace
                    .install_sms_channel("n", NUMBER.parse().unwrap())
                    .observe(move |event| observer.lock().unwrap().push(format!("{event:?}")));
                shown.push(format!("{install:?} {:?}", workspace.client().raw()));
                match install.await {
                    Ok(channel) => shown.push(format!("{channel:?}")),
                    Err(error) => {
                        shown.push(format!("{error} {error:?}"));
                        let mut source = std::error::Error::source(&error);
                        while let Some(error) = source {
                            shown.push(format!("{error} {error:?}"));
                            source = error.source();
                        }
                    }
                }
                shown.append(&mut events.lock().unwrap());
                shown.push(format!("{:?}", workspace.pending_channel(connector_id())));
            }
            shown.concat()
        })
    };
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("connector created") && log.contains("TRACE"), "the log is on");
    assert!(shown.contains("[redacted]"), "the server sent the key back");
    for text in [shown, log] {
        if let Some(at) = text.find(KEY) {
            panic!("{}", &text[at.saturating_sub(300)..at + KEY.len()]);
        }
    }
}

/// Returns a connector and an error, with this text in each of their fields.
fn echoes(text: &str) -> (String, String) {
    let text = serde_json::Value::from(text);
    let connector = serde_json::json!({
        "id": CONNECTOR, "workspaceId": WORKSPACE, "name": text, "description": text, "region": text,
        "createdAt": "2025-01-21T01:43:10.940Z", "connectorTemplateRef": text, "extra": [text],
        "channel": {"channelId": CHANNEL, "platform": text}, "arguments": {"phoneNumberId": text},
        "number": {"phoneNumber": text, "country": text, "numberType": text, "endpointType": text,
            "capabilities": [text]},
    });
    let error = serde_json::json!({
        "code": text, "message": text, "details": {text.as_str().unwrap(): [text, {"nested": text}]},
    });
    (connector.to_string(), error.to_string())
}

// Faults 42, 44 and 58.
#[tokio::test]
async fn no_field_header_or_error_shows_the_key_in_any_encoding() {
    for encode in ENCODERS {
        let encoded = encode(KEY);
        let (connector, error) = echoes(&encoded);
        let is_header = !encoded.contains(['\0', '\r', '\n']) && encoded.is_ascii();
        let headers = if is_header { format!("x-request-id: {encoded}") } else { String::new() };
        let location = headers.replace("x-request-id", "location");
        let headers: Vec<_> =
            [&*headers, &*location].into_iter().filter(|h| !h.is_empty()).collect();
        let malformed = connector.replace(CONNECTOR, "no id");
        let mut shown = Vec::new();
        for script in [
            vec![Reply::json(201, pending()), Reply::json(200, &connector)],
            vec![Reply::json(201, pending()), Reply::with_headers(401, &headers, &error)],
            vec![Reply::with_headers(422, &headers, &error)],
            vec![Reply::with_headers(302, &headers, &encoded)],
            vec![Reply::json(201, &malformed)],
            vec![
                Reply::with_headers(500, &headers, &error),
                Reply::with_headers(409, &headers, &encoded),
            ],
        ] {
            let peer = Peer::script(script).await.unwrap();
            match install_at(&peer).await {
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
        let key = AccessKey::new(KEY).unwrap();
        assert!(!shown.contains(&encoded), "{encoded}: {shown}");
        // Each part is examined alone: a long text would be examined less deeply.
        for part in shown.split(['"', ' ', '{', '}']) {
            assert!(!key.reveals(part), "{encoded}: {part}");
        }
    }
}

// Fault 43.
#[tokio::test]
async fn the_key_is_refused_as_a_name_before_anything_is_sent() {
    let peer = Peer::script([]).await.unwrap();
    let workspace = workspace(without_sleep(&peer.base_url()).0);
    let number = NUMBER.parse().unwrap();
    for name in [KEY.to_owned(), format!("my {KEY} channel")] {
        let error = workspace.install_sms_channel(&name, number).await.unwrap_err();
        assert!(matches!(error, Error::Configuration(_)), "{error:?}");
        assert!(!format!("{error:?} {}", error.chain()).contains(KEY));
    }
    let install = workspace
        .install_sms_channel("n", number)
        .channel_message_type(ChannelMessageType::from(KEY));
    assert!(matches!(install.await, Err(Error::Configuration(_))));
    assert_eq!(peer.connections(), 0);
}
