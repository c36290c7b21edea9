//! No output contains the access key.

use std::io;

use bird_test_peer::{Peer, Reply};
use tracing_subscriber::fmt::MakeWriter;

use super::*;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

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
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(log.clone())
        .finish();
    let shown = tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut shown = Vec::new();
            for script in scripts() {
                let peer = Peer::script(script).await.unwrap();
                let (builder, _) = hurried(&peer.base_url());
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
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("connector created") && log.contains("TRACE"), "the log is on");
    assert!(shown.contains("[redacted]"), "the server sent the key back");
    for text in [shown, log] {
        if let Some(at) = text.find(KEY) {
            panic!("{}", &text[at.saturating_sub(300)..at + KEY.len()]);
        }
    }
}
