//! A server that is not the bottleneck: it answers from memory what the vendor's page shows.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The ids that it answers with.
pub const WORKSPACE: &str = "a1405560-c8d3-4b1a-877d-3f449ad95352";
/// The connector that every POST creates.
pub const CONNECTOR: &str = "123e4567-e89b-12d3-a456-426614174000";
/// Its channel.
pub const CHANNEL: &str = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9";
/// The phone number that is installed.
pub const NUMBER: &str = "2cffb55c-120e-91a8-8f10-ed9d1b412d29";
/// Its use case.
pub const USE_CASE: &str = "be123b02-dacf-31f9-b3e5-50b18260bc23";
/// The name of the connector.
pub const NAME: &str = "My SMS channel";

/// The example of the page, with room for the channel.
const BODY: &str = r#"{"id":"CONNECTOR","workspaceId":"WORKSPACE","routingKey":"text","name":"My SMS channel","region":"text","description":"text","arguments":{"phoneNumberId":"NUMBER","useCaseId":"USECASE"},"channel":CHANNEL,"number":{"profileId":"CONNECTOR","numberId":"CONNECTOR","phoneNumber":"+31612345678","capabilities":"mms-inbound,mms-outbound,sms-inbound,sms-outbound","numberType":"mobile","endpointType":"alpha-number","country":"NL","profileAttachments":[{"capability":"text","profileId":"text","variables":{"connectorId":"text"}}]},"connectorTemplateSlug":"sms-messagebird","connectorTemplateRef":"sms-messagebird:1","dataFetching":{"schedule":"text","streams":[{"eventName":"text","streamName":"text","eventStreamName":"text","filter":"text","initialState":"text","endCondition":"text","incremental":true,"duplicatesFilterCapacity":1,"cursorField":"text"}]},"dataCapture":{"captureEndpoint":"text"},"createdAt":"2025-01-21T01:43:10.940Z","updatedAt":"2025-01-21T01:43:10.940Z"}"#;

/// The two answers, whole.
#[derive(Clone)]
struct Answers {
    created: Vec<u8>,
    ready: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        let answer = |status: &str, channel: &str| {
            let body = BODY
                .replace("CHANNEL", channel)
                .replace("CONNECTOR", CONNECTOR)
                .replace("WORKSPACE", WORKSPACE)
                .replace("NUMBER", NUMBER)
                .replace("USECASE", USE_CASE);
            format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-request-id: \
                 5f4f2c5e-6b0c-4a35-9f5d-0c6a5d0a7c11\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        };
        let channel = format!(r#"{{"channelId":"{CHANNEL}","platform":"sms-messagebird"}}"#);
        Self { created: answer("201 Created", "null"), ready: answer("200 OK", &channel) }
    }
}

/// Serves until the process ends.
///
/// # Errors
///
/// When the listener fails.
pub async fn serve(listener: TcpListener) -> anyhow::Result<()> {
    let answers = Answers::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A connection that breaks is the client's to tell of.
        tokio::spawn(connection(stream, answers.clone()));
    }
}

async fn connection(mut stream: TcpStream, answers: Answers) -> anyhow::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let Some(end) = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n") else { continue };
        let is_post = buffer.starts_with(b"POST");
        let length = if is_post { content_length(&buffer[..end])? } else { 0 };
        if filled < end + 4 + length {
            continue;
        }
        // No contender sends a request before it has the answer to the one before.
        filled = 0;
        stream.write_all(if is_post { &answers.created } else { &answers.ready }).await?;
    }
}

/// The `Content-Length` in the head of a message.
///
/// # Errors
///
/// When there is none.
pub fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    let head = str::from_utf8(head)?;
    for line in head.lines() {
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            return Ok(value.trim().parse()?);
        }
    }
    anyhow::bail!("no content-length")
}
