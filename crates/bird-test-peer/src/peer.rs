use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::request::read;
use crate::{Reply, Request};

type Handler = Box<dyn FnMut(&Request) -> Reply + Send>;

struct Inner {
    /// The replies to connections and requests, in their order.
    script: VecDeque<Reply>,
    /// Replaces the script.
    handler: Option<Handler>,
    requests: Vec<Request>,
    connections: usize,
}

/// A server on a free port of loopback. Dropping it closes its port and its connections.
pub struct Peer {
    address: SocketAddr,
    scheme: &'static str,
    inner: Arc<Mutex<Inner>>,
    task: JoinHandle<()>,
}

impl Peer {
    /// Starts a peer that takes its replies from a script, and replies 599 after the end of the script.
    ///
    /// # Errors
    ///
    /// Fails when the peer cannot listen on loopback.
    pub async fn script(script: impl IntoIterator<Item = Reply>) -> io::Result<Self> {
        Self::start(script.into_iter().collect(), None, None).await
    }

    /// Starts a peer that calls a function for the reply to each request.
    ///
    /// # Errors
    ///
    /// Fails when the peer cannot listen on loopback.
    pub async fn with_handler(
        handler: impl FnMut(&Request) -> Reply + Send + 'static,
    ) -> io::Result<Self> {
        Self::start(VecDeque::new(), Some(Box::new(handler)), None).await
    }

    /// Starts a peer that takes its replies from a script, over TLS.
    ///
    /// # Errors
    ///
    /// Fails when the peer cannot listen on loopback.
    pub async fn tls(
        tls: TlsAcceptor,
        script: impl IntoIterator<Item = Reply>,
    ) -> io::Result<Self> {
        Self::start(script.into_iter().collect(), None, Some(tls)).await
    }

    async fn start(
        script: VecDeque<Reply>,
        handler: Option<Handler>,
        tls: Option<TlsAcceptor>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let inner = Inner { script, handler, requests: Vec::new(), connections: 0 };
        let inner = Arc::new(Mutex::new(inner));
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&inner)));
        Ok(Self { address, scheme, inner, task })
    }

    /// Returns the base URL, whose host is `localhost`: the name in the certificate of a TLS peer.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    /// Returns the requests that were received, in their order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.inner).requests.clone()
    }

    /// Returns the number of POSTs that were received.
    #[must_use]
    pub fn posts(&self) -> usize {
        self.count("POST")
    }

    /// Returns the number of GETs that were received.
    #[must_use]
    pub fn gets(&self) -> usize {
        self.count("GET")
    }

    fn count(&self, method: &str) -> usize {
        lock(&self.inner).requests.iter().filter(|request| request.method == method).count()
    }

    /// Returns the number of connections that were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.inner).connections
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns a base URL that refuses connections.
///
/// # Errors
///
/// Fails when no port is free.
pub async fn refused_url() -> io::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    Ok(format!("http://{}", listener.local_addr()?))
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, inner: Arc<Mutex<Inner>>) {
    // Dropping the set ends the connections with the peer.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (number, reset) = {
            let mut inner = lock(&inner);
            inner.connections += 1;
            let reset = matches!(inner.script.front(), Some(Reply::ResetOnAccept));
            if reset {
                inner.script.pop_front();
            }
            (inner.connections - 1, reset)
        };
        if reset {
            let _ = stream.set_zero_linger();
            continue;
        }
        let (inner, tls) = (Arc::clone(&inner), tls.clone());
        connections.spawn(async move {
            // Errors are expected: replies break connections, and clients close them.
            let _ = match tls {
                None => serve(stream, TcpStream::set_zero_linger, number, &inner).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, |_| Ok(()), number, &inner).await,
                    Err(error) => Err(error),
                },
            };
        });
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    reset: impl Fn(&S) -> io::Result<()>,
    connection: usize,
    inner: &Mutex<Inner>,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer, connection).await? {
        let reply = {
            let mut inner = lock(inner);
            inner.requests.push(request.clone());
            match &mut inner.handler {
                Some(handler) => handler(&request),
                None => inner
                    .script
                    .pop_front()
                    .unwrap_or_else(|| Reply::json(599, r#"{"message": "the script is over"}"#)),
            }
        };
        if send(reply, &mut stream, &reset).await?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Sends a reply, and breaks when it ends the connection.
async fn send<S: AsyncWrite + Unpin>(
    mut reply: Reply,
    stream: &mut S,
    reset: impl Fn(&S) -> io::Result<()>,
) -> io::Result<ControlFlow<()>> {
    loop {
        match reply {
            Reply::Delayed(delay, next) => {
                tokio::time::sleep(delay).await;
                reply = *next;
                continue;
            }
            Reply::Interim(status, next) => {
                stream.write_all(format!("HTTP/1.1 {status} Interim\r\n\r\n").as_bytes()).await?;
                stream.flush().await?;
                reply = *next;
                continue;
            }
            Reply::Bytes(bytes) => stream.write_all(&bytes).await?,
            Reply::Drip(bytes, pause) => {
                for byte in bytes {
                    stream.write_all(&[byte]).await?;
                    stream.flush().await?;
                    tokio::time::sleep(pause).await;
                }
            }
            Reply::BytesThenClose(bytes) => {
                stream.write_all(&bytes).await?;
                return Ok(ControlFlow::Break(()));
            }
            Reply::BytesThenReset(bytes) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                // A reset discards the bytes that the client has not read yet.
                tokio::time::sleep(Duration::from_millis(20)).await;
                reset(stream)?;
                return Ok(ControlFlow::Break(()));
            }
            Reply::Endless(start, repeated) => {
                stream.write_all(&start).await?;
                loop {
                    stream.write_all(&repeated).await?;
                }
            }
            Reply::Close => return Ok(ControlFlow::Break(())),
            Reply::Reset | Reply::ResetOnAccept => {
                reset(stream)?;
                return Ok(ControlFlow::Break(()));
            }
            Reply::Silence => std::future::pending().await,
        }
        stream.flush().await?;
        return Ok(ControlFlow::Continue(()));
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::head_and_body;

    const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

    async fn connect(peer: &Peer) -> TcpStream {
        TcpStream::connect(peer.address).await.unwrap()
    }

    async fn rest(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    #[tokio::test]
    async fn a_connection_serves_request_after_request_and_all_are_recorded() {
        let close = Reply::BytesThenClose(head_and_body(200, &[], "b"));
        let peer = Peer::script([Reply::json(200, "{}"), close]).await.unwrap();
        let mut stream = connect(&peer).await;
        stream.write_all(GET).await.unwrap();
        stream.write_all(b"POST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
        let text = String::from_utf8(rest(&mut stream).await.unwrap()).unwrap();
        assert_eq!(text.matches("HTTP/1.1 200").count(), 2);
        assert_eq!((peer.gets(), peer.posts(), peer.connections()), (1, 1, 1));
        assert_eq!(peer.requests()[1].body, b"hi");
    }

    #[tokio::test]
    async fn a_close_is_seen_as_the_end_and_a_reset_as_a_reset() {
        let peer = Peer::script([Reply::Close, Reply::Reset]).await.unwrap();
        let mut stream = connect(&peer).await;
        stream.write_all(GET).await.unwrap();
        assert_eq!(rest(&mut stream).await.unwrap(), b"");
        let mut stream = connect(&peer).await;
        stream.write_all(GET).await.unwrap();
        let error = rest(&mut stream).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_reset_on_accept_comes_before_any_request() {
        let peer = Peer::script([Reply::ResetOnAccept]).await.unwrap();
        let mut stream = connect(&peer).await;
        let error = rest(&mut stream).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!((peer.requests().len(), peer.connections()), (0, 1));
    }

    #[tokio::test]
    async fn after_the_end_of_the_script_the_status_is_599() {
        let peer = Peer::script([]).await.unwrap();
        let mut stream = connect(&peer).await;
        stream.write_all(GET).await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 599");
    }

    #[tokio::test]
    async fn interim_responses_come_before_the_response_and_after_the_delay() {
        let last = Reply::BytesThenClose(head_and_body(201, &[], ""));
        let delay = Duration::from_millis(20);
        let reply = last.after_interim(103).delayed(delay).after_interim(100);
        let peer = Peer::script([reply]).await.unwrap();
        let mut stream = connect(&peer).await;
        stream.write_all(GET).await.unwrap();
        let started = std::time::Instant::now();
        let text = String::from_utf8(rest(&mut stream).await.unwrap()).unwrap();
        assert!(started.elapsed() >= delay);
        let statuses: Vec<_> = text.split("HTTP/1.1 ").skip(1).map(|head| &head[..3]).collect();
        assert_eq!(statuses, ["100", "103", "201"]);
    }
}
