//! Prints how a batch uses its connections over TLS with a round trip of 100 ms: with HTTP/2 and with HTTP/1.1.
//!
//! The client is a process of its own. This one is the server, a sandbox behind TLS, and a proxy that delays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bird_api::transport::Transport;
use bird_sandbox::Sandbox;
use bird_sms::{AccessKey, Client, PhoneNumberId, RateLimits, SmsConnectorRequest};
use bird_test_peer::tls::{Ca, TlsAcceptor};
use futures_util::future::try_join_all;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use uuid::Uuid;

const ROUND_TRIP: Duration = Duration::from_millis(100);
/// The installs, and the factor of the client's limits of 500 POST/s and 50 GET/s. Without it, 10,000 take minutes.
const BATCHES: [(u32, u32); 2] = [(1_000, 1), (10_000, 10)];
/// The protocols that the server offers.
const PROTOCOLS: [(&str, &[&[u8]]); 2] =
    [("HTTP/1.1", &[b"http/1.1"]), ("HTTP/2", &[b"h2", b"http/1.1"])];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if !args.is_empty() {
        return client(&args).await;
    }
    println!(
        "| | installs | limits | connections | handshakes | seconds | client CPU ms |\n\
         |---|---|---|---|---|---|---|"
    );
    let mut verdicts = Vec::new();
    for (installs, factor) in BATCHES {
        // At the same time, because most of it is waiting.
        let cases = PROTOCOLS.map(|(_, protocols)| measure(installs, factor, protocols));
        let measured = try_join_all(cases).await?;
        for ((name, _), (connections, handshakes, seconds, cpu)) in PROTOCOLS.iter().zip(&measured)
        {
            println!(
                "| {name} | {installs} | x {factor} | {connections} | {handshakes} | {seconds:.2} | {cpu:.0} |"
            );
        }
        let [http1, (connections, _, seconds, _)] = measured[..] else { bail!("two protocols") };
        let verdict = |holds| if holds { "holds" } else { "missed" };
        verdicts.push(format!(
            "HTTP/2, {installs} installs: at most 4 connections: {}; at most 1.02 of the time of HTTP/1.1: {} ({:.3})",
            verdict(connections <= 4),
            verdict(seconds <= 1.02 * http1.2),
            seconds / http1.2
        ));
    }
    println!("\n{}", verdicts.join("\n"));
    Ok(())
}

/// Returns connections, TLS handshakes, seconds and milliseconds of the client's CPU.
async fn measure(
    installs: u32,
    factor: u32,
    protocols: &[&[u8]],
) -> anyhow::Result<(u32, u32, f64, f64)> {
    // On a busy machine requests arrive in bunches, which must not slow one case down more than another.
    let sandbox = Sandbox::builder().get_limit(u32::MAX).post_limit(u32::MAX).in_memory();
    let ca = Ca::new();
    let mut tls = ca.server("127.0.0.1").config().as_ref().clone();
    tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let handshakes = Arc::new(AtomicU32::new(0));
    let connections = Arc::new(AtomicU32::new(0));
    let server = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = TcpListener::bind("127.0.0.1:0").await?;
    let (to, url) = (server.local_addr()?, format!("https://{}", proxy.local_addr()?));
    let tls = TlsAcceptor::from(Arc::new(tls));
    let servers = [
        tokio::spawn(serve(server, tls, sandbox.transport(), Arc::clone(&handshakes))),
        tokio::spawn(delay(proxy, to, Arc::clone(&connections))),
    ];
    let mut client = std::process::Command::new(std::env::current_exe()?);
    client.args([&url, sandbox.access_key(), &sandbox.workspace_id().to_string(), &ca.pem()]);
    client.args([installs.to_string(), factor.to_string()]);
    client.stderr(std::process::Stdio::inherit());
    let output = tokio::task::spawn_blocking(move || client.output()).await??;
    servers.iter().for_each(tokio::task::JoinHandle::abort);
    ensure!(output.status.success(), "the client failed");
    ensure!(sandbox.connectors().len() == usize::try_from(installs)?, "not all connectors exist");
    let printed = String::from_utf8(output.stdout)?;
    let (seconds, cpu) = printed.trim().split_once(' ').context("not two figures")?;
    let count = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
    Ok((count(&connections), count(&handshakes), seconds.parse()?, cpu.parse()?))
}

/// Installs a batch, and prints the seconds and the milliseconds of CPU that it took.
async fn client(args: &[String]) -> anyhow::Result<()> {
    let [url, key, workspace, roots, installs, factor] = args else { bail!("6 arguments") };
    let (installs, factor): (u32, u32) = (installs.parse()?, factor.parse()?);
    let client = Client::builder()
        .base_url(url)
        .access_key(AccessKey::new(key)?)
        .root_certificates_pem(roots.as_bytes())
        .rate_limits(RateLimits { posts_per_second: 500 * factor, gets_per_second: 50 * factor });
    let workspace = client.build()?.workspace(workspace.parse()?);
    let requests = (1..=installs)
        .map(|n| SmsConnectorRequest::new("n", PhoneNumberId::from(Uuid::from_u128(n.into()))));
    let began = Instant::now();
    let mut outcomes = workspace.install_sms_channels(requests).start();
    while let Some(outcome) = outcomes.next().await {
        outcome.result?;
    }
    let seconds = began.elapsed().as_secs_f64();
    // The first figure is the CPU time of the main thread in nanoseconds, which all tasks run on.
    let cpu = std::fs::read_to_string("/proc/self/schedstat")?;
    let cpu: f64 = cpu.split(' ').next().unwrap_or_default().parse()?;
    println!("{seconds} {}", cpu / 1e6);
    Ok(())
}

/// Serves a sandbox over TLS, and counts the handshakes.
async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    sandbox: Arc<dyn Transport>,
    handshakes: Arc<AtomicU32>,
) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (tls, sandbox, handshakes) = (tls.clone(), sandbox.clone(), handshakes.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            handshakes.fetch_add(1, Ordering::Relaxed);
            let respond = service_fn(|request| respond(sandbox.clone(), request));
            let http = auto::Builder::new(TokioExecutor::new());
            // The client reports a connection that breaks.
            let _ = http.serve_connection(TokioIo::new(stream), respond).await;
        });
    }
}

async fn respond(
    sandbox: Arc<dyn Transport>,
    request: Request<Incoming>,
) -> anyhow::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().context("no path")?;
    let url = format!("https://sandbox.invalid{path}").parse()?;
    let mut request = reqwest::Request::new(head.method, url);
    *request.headers_mut() = head.headers;
    *request.body_mut() = Some(body.collect().await?.to_bytes().into());
    let received = sandbox.exchange(request, Duration::from_secs(10)).await?;
    let mut response = Response::new(Full::new(received.body));
    (*response.status_mut(), *response.headers_mut()) = (received.status, received.headers);
    Ok(response)
}

/// Passes bytes on in both directions, each after half the round trip, and counts the connections.
async fn delay(
    listener: TcpListener,
    to: std::net::SocketAddr,
    connections: Arc<AtomicU32>,
) -> anyhow::Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        connections.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            // TCP's own handshake, which loopback makes at once.
            tokio::time::sleep(ROUND_TRIP).await;
            let server = TcpStream::connect(to).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            let (client, server) = (client.into_split(), server.into_split());
            tokio::try_join!(pass(client.0, server.1), pass(server.0, client.1))
        });
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
) -> std::io::Result<()> {
    let (sender, mut in_transit) = mpsc::unbounded_channel::<(tokio::time::Instant, Vec<u8>)>();
    let read = async move {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let count = from.read(&mut buffer).await?;
            let at = tokio::time::Instant::now() + ROUND_TRIP / 2;
            if count == 0 || sender.send((at, buffer[..count].to_vec())).is_err() {
                return Ok(());
            }
        }
    };
    let write = async move {
        while let Some((at, bytes)) = in_transit.recv().await {
            tokio::time::sleep_until(at).await;
            to.write_all(&bytes).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(drop)
}
