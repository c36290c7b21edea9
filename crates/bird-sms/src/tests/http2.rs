//! Interim responses, and HTTP/2. Fault 60.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bird_test_peer::tls::{Ca, TlsAcceptor};
use bird_test_peer::{Peer, Reply};
use futures_util::StreamExt;
use h2::Reason;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::{PhoneNumberId, RetryPolicy, UnknownReason};

#[tokio::test]
async fn interim_responses_before_the_response_are_skipped() {
    for interim in [100, 103] {
        let script = [Reply::json(201, pending()), Reply::json(200, ready())];
        let script = script.map(|reply| reply.after_interim(interim).after_interim(interim));
        let peer = Peer::script(script).await.unwrap();
        assert_eq!(install_at(&peer).await.unwrap().id.to_string(), CHANNEL, "{interim}");
        assert_eq!((peer.posts(), peer.gets()), (1, 1));
    }
}

/// What the HTTP/2 server does with a request.
#[derive(Clone, Copy, Debug)]
enum Act {
    Respond(u16),
    Reset(Reason),
    /// Sends GOAWAY without having seen the stream of the request.
    GoAway,
    /// Closes the connection after the request.
    Close,
}

/// An HTTP/2 server that takes its acts from a script, and counts the requests that it processed.
struct Server {
    address: SocketAddr,
    processed: Arc<AtomicUsize>,
}

impl Server {
    async fn start(script: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(script.into_iter()));
        let processed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&processed);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, count) = (Arc::clone(&script), Arc::clone(&count));
                tokio::spawn(async move { serve(stream, &script, &count).await });
            }
        });
        Self { address, processed }
    }

    fn workspace(&self) -> Workspace {
        let (builder, _) = without_sleep(&format!("http://{}", self.address));
        let retry = RetryPolicy { max_attempts: 3, ..Default::default() };
        let builder = builder.configure_http(reqwest::ClientBuilder::http2_prior_knowledge);
        workspace(builder.retry_policy(retry).attempt_timeout(Duration::from_secs(5)))
    }

    fn processed(&self) -> usize {
        self.processed.load(Ordering::Relaxed)
    }
}

async fn serve(
    mut stream: TcpStream,
    script: &Mutex<std::vec::IntoIter<Act>>,
    processed: &AtomicUsize,
) {
    if matches!(script.lock().unwrap().as_slice().first(), Some(Act::GoAway)) {
        script.lock().unwrap().next();
        return go_away(&mut stream).await.unwrap();
    }
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        match script.lock().unwrap().next().unwrap() {
            Act::Respond(status) => {
                processed.fetch_add(1, Ordering::Relaxed);
                let body = if request.method() == "POST" { pending() } else { ready() };
                let head = http::Response::builder().status(status).body(()).unwrap();
                respond.send_response(head, false).unwrap().send_data(body.into(), true).unwrap();
            }
            Act::Reset(reason) => {
                processed
                    .fetch_add(usize::from(reason != Reason::REFUSED_STREAM), Ordering::Relaxed);
                respond.send_reset(reason);
            }
            Act::Close | Act::GoAway => {
                processed.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
    }
}

/// Reads up to the first request, and says that the connection goes away before its stream. h2 would name the last
/// stream that it accepted, so that the frames are written by hand (RFC 9113, section 4.1).
async fn go_away(stream: &mut TcpStream) -> std::io::Result<()> {
    const HEADERS: u8 = 1;
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GO_AWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    stream.write_all(&SETTINGS).await?;
    stream.read_exact(&mut [0; 24]).await?;
    loop {
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).await?;
        let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
        stream.read_exact(&mut vec![0; length as usize]).await?;
        if frame[3] == HEADERS {
            break;
        }
    }
    stream.write_all(&GO_AWAY).await?;
    // The client closes the connection.
    while stream.read(&mut [0; 1024]).await? > 0 {}
    Ok(())
}

#[tokio::test]
async fn an_install_over_http2_shares_one_connection() {
    let server = Server::start(vec![Act::Respond(201), Act::Respond(200)]).await;
    let install = server.workspace().install_sms_channel("n", NUMBER.parse().unwrap());
    assert_eq!(install.await.unwrap().id.to_string(), CHANNEL);
    assert_eq!(server.processed(), 2);
}

#[tokio::test]
async fn a_refused_stream_was_not_processed_and_is_sent_again() {
    let server = Server::start(vec![Act::Reset(Reason::REFUSED_STREAM), Act::Respond(201)]).await;
    let pending = server.workspace().create_sms_connector(&request()).await.unwrap();
    assert_eq!((pending.creation_warning(), server.processed()), (None, 1));
}

#[tokio::test]
async fn any_other_reset_and_a_closed_connection_are_unknown_and_never_sent_again() {
    for act in [Act::Reset(Reason::INTERNAL_ERROR), Act::Reset(Reason::CANCEL), Act::Close] {
        let server = Server::start(vec![act, Act::Respond(201)]).await;
        let error = server.workspace().create_sms_connector(&request()).await.unwrap_err();
        let Error::OutcomeUnknown(unknown) = &error else { panic!("{act:?}: {error:?}") };
        assert_eq!((unknown.reason, server.processed()), (UnknownReason::NoResponse, 1), "{act:?}");
    }
}

#[tokio::test]
async fn a_connection_that_went_away_before_the_stream_is_sent_again() {
    let server = Server::start(vec![Act::GoAway, Act::Respond(201)]).await;
    let pending = server.workspace().create_sms_connector(&request()).await.unwrap();
    assert_eq!((pending.creation_warning(), server.processed()), (None, 1));
}

#[tokio::test]
async fn a_batch_over_tls_learns_the_protocol_from_its_first_request() {
    let ca = Ca::new();
    let mut tls = ca.server("localhost").config().as_ref().clone();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let tls = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let stream = tls.accept(stream).await.unwrap();
            tokio::spawn(respond(stream));
        }
    });
    let workspace = workspace(
        Client::builder()
            .access_key(AccessKey::new(KEY).unwrap())
            .base_url(url)
            .root_certificates_pem(ca.pem()),
    );
    let requests = (0..50)
        .map(|n| SmsConnectorRequest::new("n", PhoneNumberId::from(uuid::Uuid::from_u128(n))));
    let outcomes: Vec<_> = workspace.install_sms_channels(requests).start().collect().await;
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()), "{outcomes:?}");
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

/// Responds to each request of an HTTP/2 connection with a connector whose channel is ready.
async fn respond(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let head = http::Response::builder().status(201).body(()).unwrap();
        respond.send_response(head, false).unwrap().send_data(ready().into(), true).unwrap();
    }
}
