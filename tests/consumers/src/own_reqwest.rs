//! A program that depends on reqwest itself, with the feature `http2`, so Cargo builds bird-sms with it.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bird_sms::{Client, ConnectorState, SmsConnectorRequest};

#[path = "install.rs"]
mod install;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    install::install_after(&reqwest::Client::new()).await?;
    the_client_of_bird_sms_speaks_http1().await?;
    a_refused_stream_is_unknown_and_never_sent_again().await
}

/// The check fails if the client speaks HTTP/2, because the sandbox does not.
async fn the_client_of_bird_sms_speaks_http1() -> Result<(), Box<dyn Error>> {
    let client = Client::builder()
        .from_env()?
        .configure_http(reqwest::ClientBuilder::http2_prior_knowledge)
        .build()?;
    client.workspace_from_env()?.check().await?;
    Ok(())
}

async fn a_refused_stream_is_unknown_and_never_sent_again() -> Result<(), Box<dyn Error>> {
    let (url, streams) = refuse_streams()?;
    let http = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build()?;
    let client = Client::builder().from_env()?.base_url(url).http_client(http);
    let client = client.look_up(false).build()?;
    let request = SmsConnectorRequest::new("n", "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?);
    let created = client.workspace_from_env()?.create_sms_connector(&request).await;
    let error = created.expect_err("every stream is refused");
    assert_eq!(error.connector_state(), ConnectorState::Unknown, "{error:?}");
    assert_eq!(streams.load(Ordering::Relaxed), 1);
    Ok(())
}

/// Starts a server that speaks HTTP/2 and refuses every stream. Returns its URL and a counter of the streams.
fn refuse_streams() -> io::Result<(String, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    let streams = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&streams);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // An error only means that the client closed the connection.
            let _ = refuse(stream, &count);
        }
    });
    Ok((url, streams))
}

/// Reads each request to its end, and then refuses it. RFC 9113, section 6, defines the frames.
fn refuse(mut connection: TcpStream, streams: &AtomicUsize) -> io::Result<()> {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const END_STREAM: u8 = 1;
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];
    connection.write_all(&SETTINGS)?;
    connection.read_exact(&mut [0; 24])?;
    loop {
        let mut header = [0; 9];
        connection.read_exact(&mut header)?;
        let [a, b, c, kind, flags, stream @ ..] = header;
        let length = u32::from_be_bytes([0, a, b, c]);
        io::copy(&mut (&connection).take(length.into()), &mut io::sink())?;
        if kind == HEADERS {
            streams.fetch_add(1, Ordering::Relaxed);
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            let reset = [&[0, 0, 4, 3, 0][..], &stream, &REFUSED_STREAM].concat();
            connection.write_all(&reset)?;
        }
    }
}
