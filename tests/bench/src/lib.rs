//! Four ways to install a channel.
//!
//! An *install* is a POST, whose response is a 201 without a channel, followed by a GET, whose response has the
//! channel. Both use a kept-alive connection to loopback. Each function here connects to a [`server`], and returns a
//! function that installs one channel.

#![expect(clippy::missing_panics_doc, reason = "an error ends the benchmark")]

mod hand_written;
pub mod server;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bird_api::RequestContext;
use bird_api::types::CreateConnectorReq;
use bird_sms::{AccessKey, Client, PollPolicy, RateLimits, UseCaseId};
use reqwest::header::HeaderValue;
use tokio::runtime::{Builder, Runtime};

use hand_written::HandWritten;
use server::{CHANNEL, CONNECTOR, NAME, NUMBER, USE_CASE, WORKSPACE};

const KEY: &str = "secret";

/// Installs by writing two requests as bytes and searching the responses for the ids.
pub fn raw_tcp(server: SocketAddr) -> impl FnMut() {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_nodelay(true).unwrap();
    let head =
        format!("host: {server}\r\nauthorization: AccessKey {KEY}\r\naccept: application/json\r\n");
    let body = format!(
        r#"{{"connectorTemplateRef":"sms-messagebird:1","name":"{NAME}","arguments":{{"phoneNumberId":"{NUMBER}","useCaseId":"{USE_CASE}"}}}}"#
    );
    let path = format!("/workspaces/{WORKSPACE}/connectors");
    let post = format!(
        "POST {path} HTTP/1.1\r\n{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let get = format!("GET {path}/{CONNECTOR} HTTP/1.1\r\n{head}\r\n");
    let mut buffer = [0; 4096];
    move || {
        for (request, expected) in [(&post, CONNECTOR), (&get, CHANNEL)] {
            stream.write_all(request.as_bytes()).unwrap();
            let read = stream.read(&mut buffer).unwrap();
            assert!(str::from_utf8(&buffer[..read]).unwrap().contains(expected));
        }
    }
}

/// Installs with reqwest and serde, as a reader of Bird's documentation would use them.
pub fn hand_written(server: SocketAddr) -> impl FnMut() {
    let runtime = runtime();
    let http = http_client();
    let client = HandWritten::new(http, &format!("http://{server}"), KEY);
    move || {
        let channel = runtime.block_on(client.install(WORKSPACE, NAME, NUMBER, USE_CASE));
        assert_eq!(channel.unwrap(), CHANNEL);
    }
}

/// Installs with the generated client of `bird-api`.
pub fn generated(server: SocketAddr) -> impl FnMut() {
    let runtime = runtime();
    let http = http_client();
    let mut key = HeaderValue::from_str(&format!("AccessKey {KEY}")).unwrap();
    key.set_sensitive(true);
    let client = bird_api::Client::new_with_client(
        &format!("http://{server}"),
        http,
        RequestContext::new(key),
    );
    let workspace = WORKSPACE.parse().unwrap();
    move || {
        let channel = runtime.block_on(async {
            let mut request = CreateConnectorReq::new(NAME.to_owned());
            request.connector_template_ref = Some("sms-messagebird:1".to_owned());
            let created = client.create_connector(&workspace, &request).await.unwrap();
            client.get_connector(&workspace, &created.id).await.unwrap().into_inner().channel
        });
        assert_eq!(channel.unwrap().channel_id.unwrap().to_string(), CHANNEL);
    }
}

/// Installs with bird-sms, without a delay before the first poll and without rate limits.
pub fn bird_sms(server: SocketAddr) -> impl FnMut() {
    let runtime = runtime();
    let interval = Some(Duration::from_nanos(1));
    let client = Client::builder()
        .access_key(AccessKey::new(KEY).unwrap())
        .base_url(format!("http://{server}"))
        .poll_policy(PollPolicy { interval, ..Default::default() })
        .rate_limits(RateLimits { posts_per_second: u32::MAX, gets_per_second: u32::MAX })
        .build()
        .unwrap();
    let workspace = client.workspace(WORKSPACE.parse().unwrap());
    move || {
        let install = workspace.install_sms_channel(NAME, NUMBER.parse().unwrap());
        let install = install.use_case_id(USE_CASE.parse::<UseCaseId>().unwrap());
        let channel = runtime.block_on(async { install.await });
        assert_eq!(channel.unwrap().id.to_string(), CHANNEL);
    }
}

fn runtime() -> Runtime {
    // Every reqwest client needs a TLS provider, although no server here speaks TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Returns an HTTP client without root certificates, like the one that bird-sms uses for loopback.
fn http_client() -> reqwest::Client {
    reqwest::Client::builder().tls_certs_only([]).build().unwrap()
}
