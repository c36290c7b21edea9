//! The clients that are measured.

use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bird_api::types::{CreateConnectorReq, SmsArguments};
use bird_sms::{AccessKey, Backoff, PollInterval, PollPolicy, RateLimits, Workspace};
use memchr::memmem;
use reqwest::header::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::hand_written::HandWritten;
use crate::server::{CHANNEL, CONNECTOR, NAME, NUMBER, USE_CASE, WORKSPACE, content_length};

/// A client that installs channels.
pub trait Contender: Sized + Send + Sync + 'static {
    /// Returns a client for a server.
    fn new(url: &str) -> anyhow::Result<Self>;

    /// Installs a channel and returns its id.
    fn install(&self) -> impl Future<Output = anyhow::Result<String>> + Send;
}

/// Requests that were written before, and a search for the id in the response: the lower bound.
pub struct Raw {
    authority: String,
    post: String,
    get: String,
    /// Idle connections.
    connections: Mutex<Vec<Connection>>,
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Contender for Raw {
    fn new(url: &str) -> anyhow::Result<Self> {
        let authority = url.trim_start_matches("http://").to_owned();
        let body = format!(
            r#"{{"connectorTemplateRef":"sms-messagebird:1","name":"{NAME}","arguments":{{"phoneNumberId":"{NUMBER}","useCaseId":"{USE_CASE}"}}}}"#
        );
        let head = format!(
            "host: {authority}\r\nauthorization: AccessKey secret\r\naccept: application/json"
        );
        let path = format!("/workspaces/{WORKSPACE}/connectors");
        let post = format!(
            "POST {path} HTTP/1.1\r\n{head}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let get = format!("GET {path}/{CONNECTOR} HTTP/1.1\r\n{head}\r\n\r\n");
        Ok(Self { authority, post, get, connections: Mutex::default() })
    }

    async fn install(&self) -> anyhow::Result<String> {
        let idle = self.connections.lock().ok().and_then(|mut idle| idle.pop());
        let mut connection = if let Some(connection) = idle {
            connection
        } else {
            let stream = TcpStream::connect(&self.authority).await?;
            stream.set_nodelay(true)?;
            Connection { stream, buffer: vec![0; 16 * 1024] }
        };
        connection.exchange(&self.post).await?;
        let response = connection.exchange(&self.get).await?;
        let key = b"\"channelId\":\"";
        let start = memmem::find(response, key).context("no channel")? + key.len();
        let id = str::from_utf8(&response[start..start + CHANNEL.len()])?.to_owned();
        if let Ok(mut idle) = self.connections.lock() {
            idle.push(connection);
        }
        Ok(id)
    }
}

impl Connection {
    async fn exchange(&mut self, request: &str) -> anyhow::Result<&[u8]> {
        self.stream.write_all(request.as_bytes()).await?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            ensure!(read > 0, "the server closed the connection");
            filled += read;
            if let Some(end) = memmem::find(&self.buffer[..filled], b"\r\n\r\n")
                && filled == end + 4 + content_length(&self.buffer[..end])?
            {
                return Ok(&self.buffer[..filled]);
            }
        }
    }
}

impl Contender for HandWritten {
    fn new(url: &str) -> anyhow::Result<Self> {
        Ok(Self::new(http_client()?, url, "secret"))
    }

    async fn install(&self) -> anyhow::Result<String> {
        Self::install(self, WORKSPACE, NAME, NUMBER, USE_CASE).await
    }
}

/// The generated client without bird-sms.
pub struct Generated(bird_api::Client);

impl Contender for Generated {
    fn new(url: &str) -> anyhow::Result<Self> {
        let context = bird_api::RequestContext::new(HeaderValue::from_static("AccessKey secret"));
        Ok(Self(bird_api::Client::new_with_client(url, http_client()?, context)))
    }

    async fn install(&self) -> anyhow::Result<String> {
        let workspace: Uuid = WORKSPACE.parse()?;
        let mut arguments = SmsArguments::new(NUMBER.parse()?);
        arguments.use_case_id = Some(USE_CASE.parse()?);
        let mut body = CreateConnectorReq::new(NAME.to_owned());
        body.connector_template_ref = Some("sms-messagebird:1".to_owned());
        body.arguments = serde_json::to_value(arguments)?.as_object().cloned();
        let connector = self.0.create_connector(&workspace, &body).await?.into_inner();
        let connector = self.0.get_connector(&workspace, &connector.id).await?.into_inner();
        let channel = connector.channel.and_then(|channel| channel.channel_id);
        Ok(channel.context("no channel")?.to_string())
    }
}

/// bird-sms without a delay before the first poll, and without rate limits.
pub struct BirdSms(Workspace);

impl Contender for BirdSms {
    fn new(url: &str) -> anyhow::Result<Self> {
        let none = Duration::from_nanos(1);
        let backoff = Backoff { initial: none, multiplier: 1.0, max: none, jitter: 1.0 };
        let client = bird_sms::Client::builder()
            .access_key(AccessKey::new("secret")?)
            .base_url(url)
            .poll_policy(PollPolicy {
                interval: PollInterval::Backoff(backoff),
                ..Default::default()
            })
            .rate_limits(RateLimits { posts_per_second: u32::MAX, gets_per_second: u32::MAX })
            .build()?;
        Ok(Self(client.workspace(WORKSPACE.parse()?)))
    }

    async fn install(&self) -> anyhow::Result<String> {
        let install = self.0.install_sms_channel(NAME, NUMBER.parse()?);
        Ok(install.use_case_id(USE_CASE.parse::<bird_sms::UseCaseId>()?).await?.id.to_string())
    }
}

/// Returns an HTTP client with an unused TLS configuration: the workspace builds reqwest without a
/// provider, and the server does not speak TLS.
fn http_client() -> anyhow::Result<reqwest::Client> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls).build()?)
}
