//! A scripted TCP peer: an HTTP server that breaks connections in the ways that a network does.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! use bird_test_peer::{Answer, Peer};
//!
//! let peer = Peer::script([Answer::Reset, Answer::json(201, r#"{"id": 1}"#)]).await?;
//! println!("{}", peer.base_url());
//! assert_eq!(peer.posts(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! Each request takes the next answer of the script, over whatever connection it comes. The peer records
//! what it received: how many POSTs there were is what most tests are about.

pub mod tls;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What a request gets.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These bytes, and then the next request of the connection.
    Bytes(Vec<u8>),
    /// These bytes, and then the end of the connection, of which nothing was said before.
    BytesThenClose(Vec<u8>),
    /// These bytes, and then a reset.
    BytesThenReset(Vec<u8>),
    /// These bytes one by one.
    Drip(Vec<u8>, Duration),
    /// These bytes, and then the others again and again.
    Endless(Vec<u8>, Vec<u8>),
    /// The end of the connection.
    Close,
    /// A reset of the connection after the whole request was read.
    Reset,
    /// A reset of the connection as soon as it is accepted; counts for a connection, not for a request.
    ResetOnAccept,
    /// Nothing, ever.
    Silence,
}

impl Answer {
    /// An answer with a body of JSON.
    #[must_use]
    pub fn json(status: u16, body: impl AsRef<str>) -> Self {
        Self::with_headers(status, &["content-type: application/json"], body)
    }

    /// An answer without a body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::with_headers(status, &[], "")
    }

    /// An answer with these lines in its head.
    #[must_use]
    pub fn with_headers(status: u16, headers: &[&str], body: impl AsRef<str>) -> Self {
        Self::Bytes(head_and_body(status, headers, body.as_ref()))
    }
}

/// The bytes of an answer, to cut or to drip.
#[must_use]
pub fn head_and_body(status: u16, headers: &[&str], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n", body.len());
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// A request that the peer read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// The path, with the query.
    pub path: String,
    /// The lines of the head, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The connection that it came over, from 0.
    pub connection: usize,
}

type Handler = Box<dyn FnMut(&Request) -> Answer + Send>;

struct Inner {
    /// Answers for connections and requests in their order.
    script: VecDeque<Answer>,
    /// Answers requests when there is no script.
    handler: Option<Handler>,
    requests: Vec<Request>,
    connections: usize,
}

/// The peer. It serves until it is dropped.
pub struct Peer {
    address: SocketAddr,
    scheme: &'static str,
    inner: Arc<Mutex<Inner>>,
    task: JoinHandle<()>,
}

impl Peer {
    /// A peer that answers by a script. Past its end it answers 599.
    ///
    /// # Errors
    ///
    /// When loopback cannot be listened on.
    pub async fn script(script: impl IntoIterator<Item = Answer>) -> io::Result<Self> {
        Self::start(script.into_iter().collect(), None, None).await
    }

    /// A peer that answers each request by a function.
    ///
    /// # Errors
    ///
    /// When loopback cannot be listened on.
    pub async fn answering(
        handler: impl FnMut(&Request) -> Answer + Send + 'static,
    ) -> io::Result<Self> {
        Self::start(VecDeque::new(), Some(Box::new(handler)), None).await
    }

    /// A peer that speaks TLS.
    ///
    /// # Errors
    ///
    /// When loopback cannot be listened on.
    pub async fn tls(
        tls: TlsAcceptor,
        script: impl IntoIterator<Item = Answer>,
    ) -> io::Result<Self> {
        Self::start(script.into_iter().collect(), None, Some(tls)).await
    }

    async fn start(
        script: VecDeque<Answer>,
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

    /// Where it is, with the name that its certificate has.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    /// What was received, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.inner).requests.clone()
    }

    /// How many POSTs were received.
    #[must_use]
    pub fn posts(&self) -> usize {
        self.count("POST")
    }

    /// How many GETs were received.
    #[must_use]
    pub fn gets(&self) -> usize {
        self.count("GET")
    }

    fn count(&self, method: &str) -> usize {
        lock(&self.inner).requests.iter().filter(|request| request.method == method).count()
    }

    /// How many connections were accepted.
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

/// A base URL at which nobody listens.
///
/// # Errors
///
/// When no port can be had.
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
            let reset = matches!(inner.script.front(), Some(Answer::ResetOnAccept));
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
            // A connection that breaks is what the peer is for.
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
        let answer = {
            let mut inner = lock(inner);
            inner.requests.push(request.clone());
            match &mut inner.handler {
                Some(handler) => handler(&request),
                None => inner
                    .script
                    .pop_front()
                    .unwrap_or_else(|| Answer::json(599, r#"{"message": "the script is over"}"#)),
            }
        };
        match answer {
            Answer::Bytes(bytes) => stream.write_all(&bytes).await?,
            Answer::BytesThenClose(bytes) => return stream.write_all(&bytes).await,
            Answer::BytesThenReset(bytes) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                // The bytes have to be read before the reset throws them away.
                tokio::time::sleep(Duration::from_millis(20)).await;
                return reset(&stream);
            }
            Answer::Drip(bytes, every) => {
                for byte in bytes {
                    stream.write_all(&[byte]).await?;
                    stream.flush().await?;
                    tokio::time::sleep(every).await;
                }
            }
            Answer::Endless(start, again) => {
                stream.write_all(&start).await?;
                loop {
                    stream.write_all(&again).await?;
                }
            }
            Answer::Close => return Ok(()),
            Answer::Reset | Answer::ResetOnAccept => return reset(&stream),
            Answer::Silence => std::future::pending().await,
        }
        stream.flush().await?;
    }
    Ok(())
}

/// The next request; none when the connection ends before one begins.
async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    connection: usize,
) -> io::Result<Option<Request>> {
    loop {
        if let Some((request, length)) = parse(buffer, connection)? {
            buffer.drain(..length);
            return Ok(Some(request));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn parse(buffer: &[u8], connection: usize) -> io::Result<Option<(Request, usize)>> {
    let invalid = |error: httparse::Error| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(buffer).map_err(invalid)? else {
        return Ok(None);
    };
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|header| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_ascii_lowercase(), value)
        })
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    let Some(body) = buffer.get(start..start + length) else { return Ok(None) };
    let request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        path: head.path.unwrap_or_default().to_owned(),
        headers,
        body: body.to_owned(),
        connection,
    };
    Ok(Some((request, start + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let close = Answer::BytesThenClose(head_and_body(200, &[], "b"));
        let peer = Peer::script([Answer::json(200, "{}"), close]).await.unwrap();
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
        let peer = Peer::script([Answer::Close, Answer::Reset]).await.unwrap();
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
        let peer = Peer::script([Answer::ResetOnAccept]).await.unwrap();
        let mut stream = connect(&peer).await;
        let error = rest(&mut stream).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!((peer.requests().len(), peer.connections()), (0, 1));
    }

    #[tokio::test]
    async fn past_its_end_the_script_answers_599() {
        let peer = Peer::script([]).await.unwrap();
        let mut stream = connect(&peer).await;
        stream.write_all(GET).await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 599");
    }
}
