//! Connections that a handler can break, and that end with the sandbox.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Loopback {
    pub(crate) listener: TcpListener,
    /// Receives a value, or closes, when the sandbox stops.
    pub(crate) stopped: watch::Receiver<()>,
}

impl Listener for Loopback {
    type Io = BreakableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BreakableStream, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Nagle's algorithm would delay small responses.
        let _ = stream.set_nodelay(true);
        let mut stopped = self.stopped.clone();
        let stopped = Box::pin(async move {
            // An error says that the sender was dropped, which stops the sandbox too.
            let _ = stopped.changed().await;
        });
        (BreakableStream { stream, connection: Connection::default(), stopped }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// The handle by which a handler breaks the connection of its request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connection(Arc<AtomicU8>);

/// The way to end a connection instead of sending a response.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Break {
    /// Sends a FIN.
    Close = 1,
    /// Sends a RST.
    Reset = 2,
}

impl Connection {
    /// Makes the next read or write break the connection.
    pub(crate) fn break_off(&self, how: Break) {
        self.0.store(how as u8, Ordering::Release);
    }

    fn broken(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }
}

impl Connected<IncomingStream<'_, Loopback>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Loopback>) -> Self {
        stream.io().connection.clone()
    }
}

pub(crate) struct BreakableStream {
    stream: TcpStream,
    connection: Connection,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl BreakableStream {
    fn check(&self) -> io::Result<()> {
        match self.connection.broken() {
            0 => Ok(()),
            how => {
                if how == Break::Reset as u8 {
                    self.stream.set_zero_linger()?;
                }
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
    }
}

impl AsyncRead for BreakableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        // A server always has a read pending, so the check here covers idle connections.
        if self.stopped.as_mut().poll(cx).is_ready() {
            self.connection.break_off(Break::Close);
            self.check()?;
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for BreakableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
