//! Serves connections, which a fault can break.

use std::error::Error;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::body::Break;
use crate::routes;
use crate::state::State;

/// Serves connections until the sender of `stopped` is dropped. Returns when every connection has ended.
pub(crate) async fn serve(
    listener: TcpListener,
    state: Arc<State>,
    stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    let accept = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&state)));
                }
                // Accepting can fail for a while, for example if too many files are open.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
            while connections.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        () = accept => {}
        _ = stopped => {}
    }
    drop(listener);
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    // Nagle's algorithm would delay small responses.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| Box::pin(routes::handle(&state, request)));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Other errors are caused by the client, and need no action.
    if let Err(error) = poll_fn(|cx| connection.poll_without_shutdown(cx)).await
        && error.source().and_then(|source| source.downcast_ref()) == Some(&Break::Reset)
    {
        let _ = connection.into_parts().io.inner().set_zero_linger();
    }
}
