use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::request::read;
use crate::script::Script;
use crate::{Reply, Request};

/// A server on a free port of loopback. Dropping it closes its port and its connections.
pub struct Peer {
    address: SocketAddr,
    scheme: &'static str,
    script: Arc<Mutex<Script>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Peer {
    /// Starts a peer that takes its replies from a script. After the last one, it replies with 599.
    pub async fn script(replies: impl IntoIterator<Item = Reply>) -> io::Result<Self> {
        Self::start(Script::new(replies), None).await
    }

    /// Starts a peer that calls a function to get the reply to each request.
    pub async fn with_handler(
        handler: impl FnMut(&Request) -> Reply + Send + 'static,
    ) -> io::Result<Self> {
        Self::start(Script::with_handler(handler), None).await
    }

    /// Starts a peer that takes its replies from a script, over TLS.
    pub async fn tls(
        tls: TlsAcceptor,
        replies: impl IntoIterator<Item = Reply>,
    ) -> io::Result<Self> {
        Self::start(Script::new(replies), Some(tls)).await
    }

    async fn start(script: Script, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let script = Arc::new(Mutex::new(script));
        let connections = Arc::<AtomicUsize>::default();
        let task = accept(listener, tls, Arc::clone(&script), Arc::clone(&connections));
        let task = tokio::spawn(task);
        Ok(Self { address, scheme, script, connections, task })
    }

    /// Returns the base URL. Its host is `localhost`, so the certificate of a TLS peer should be for that name.
    pub fn base_url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    /// Returns the requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.script.lock().unwrap().requests.clone()
    }

    /// Returns the number of POSTs so far.
    pub fn posts(&self) -> usize {
        self.script.lock().unwrap().count("POST")
    }

    /// Returns the number of GETs so far.
    pub fn gets(&self) -> usize {
        self.script.lock().unwrap().count("GET")
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns a base URL whose port refuses connections.
pub async fn refused_url() -> io::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    Ok(format!("http://{}", listener.local_addr()?))
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    script: Arc<Mutex<Script>>,
    count: Arc<AtomicUsize>,
) {
    // When the peer is dropped, so is this set, which ends the connections.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        count.fetch_add(1, Ordering::Relaxed);
        if script.lock().unwrap().resets_on_accept() {
            let _ = stream.set_zero_linger();
            continue;
        }
        let script = Arc::clone(&script);
        let tls = tls.clone();
        connections.spawn(async move {
            // Errors are expected: replies break connections, and clients close them.
            let _ = match tls {
                None => serve(stream, TcpStream::set_zero_linger, &script).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, |_| Ok(()), &script).await,
                    Err(error) => Err(error),
                },
            };
        });
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    reset: impl Fn(&S) -> io::Result<()>,
    script: &Mutex<Script>,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await? {
        let reply = script.lock().unwrap().reply(request);
        send(reply, &mut stream, &reset).await?;
    }
    Ok(())
}

/// Sends a reply. Fails if the reply ends the connection.
async fn send<S: AsyncWrite + Unpin>(
    reply: Reply,
    stream: &mut S,
    reset: &impl Fn(&S) -> io::Result<()>,
) -> io::Result<()> {
    let end = Err(io::ErrorKind::ConnectionAborted.into());
    match reply {
        Reply::Bytes(bytes) => write(stream, &bytes).await,
        Reply::Drip(bytes, pause) => {
            for byte in bytes {
                write(stream, &[byte]).await?;
                tokio::time::sleep(pause).await;
            }
            Ok(())
        }
        Reply::BytesThenClose(bytes) => {
            write(stream, &bytes).await?;
            end
        }
        Reply::BytesThenReset(bytes) => {
            write(stream, &bytes).await?;
            // Give the client time to read, because a reset discards the bytes that it has not read yet.
            tokio::time::sleep(Duration::from_millis(20)).await;
            reset(stream)?;
            end
        }
        Reply::Endless(start, repeated) => {
            write(stream, &start).await?;
            loop {
                write(stream, &repeated).await?;
            }
        }
        Reply::Close => end,
        Reply::Reset | Reply::ResetOnAccept => {
            reset(stream)?;
            end
        }
        Reply::Silence => std::future::pending().await,
        Reply::Delayed(delay, next) => {
            tokio::time::sleep(delay).await;
            Box::pin(send(*next, stream, reset)).await
        }
        Reply::Interim(status, next) => {
            write(stream, format!("HTTP/1.1 {status} Interim\r\n\r\n").as_bytes()).await?;
            Box::pin(send(*next, stream, reset)).await
        }
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::head_and_body;

    /// Sends two requests at once, and returns the received bytes and the error, if any.
    async fn exchange(peer: &Peer) -> (String, Option<io::ErrorKind>) {
        let mut stream = TcpStream::connect(peer.address).await.unwrap();
        let requests = b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\n\r\n";
        let _ = stream.write_all(requests).await;
        let _ = stream.shutdown().await;
        let mut bytes = Vec::new();
        let error = stream.read_to_end(&mut bytes).await.err();
        (String::from_utf8(bytes).unwrap(), error.map(|error| error.kind()))
    }

    #[tokio::test]
    async fn the_client_receives_each_scripted_reply() {
        let response = || head_and_body(200, &["a: b"], "c");
        let text = "HTTP/1.1 200 Scripted\r\ncontent-length: 1\r\na: b\r\n\r\nc";
        let interim = format!("HTTP/1.1 100 Interim\r\n\r\nHTTP/1.1 103 Interim\r\n\r\n{text}");
        let reset = Some(io::ErrorKind::ConnectionReset);
        let close = Reply::BytesThenClose(response());
        let millisecond = Duration::from_millis(1);
        for (replies, received, error) in [
            (vec![Reply::Close], "", None),
            (vec![Reply::Reset], "", reset),
            (vec![close.clone()], text, None),
            (vec![Reply::BytesThenReset(response())], text, reset),
            (vec![Reply::Bytes(response()), close.clone()], &text.repeat(2), None),
            (vec![Reply::Drip(response(), millisecond), Reply::Close], text, None),
            (
                vec![close.after_interim(103).delayed(millisecond).after_interim(100)],
                &interim,
                None,
            ),
        ] {
            let name = format!("{replies:?}");
            let peer = Peer::script(replies).await.unwrap();
            assert_eq!(exchange(&peer).await, (received.to_owned(), error), "{name}");
            assert_eq!(peer.connections(), 1);
        }
    }

    #[tokio::test]
    async fn a_reset_on_accept_does_not_wait_for_a_request() {
        let peer = Peer::script([Reply::ResetOnAccept]).await.unwrap();
        let mut stream = TcpStream::connect(peer.address).await.unwrap();
        let error = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn requests_after_the_script_ends_get_599_and_are_recorded() {
        let peer = Peer::script([]).await.unwrap();
        let (received, _) = exchange(&peer).await;
        assert_eq!(received.matches("HTTP/1.1 599 ").count(), 2);
        assert_eq!((peer.posts(), peer.gets()), (1, 1));
        assert_eq!(peer.requests()[0].body, b"hi");
    }
}
