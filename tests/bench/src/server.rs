//! A server that is too fast to be the bottleneck: it keeps its two responses in memory. They are based on the example
//! in Bird's documentation.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// The id of the workspace in all responses.
pub const WORKSPACE: &str = "a1405560-c8d3-4b1a-877d-3f449ad95352";
/// The id of the connector that every POST creates.
pub const CONNECTOR: &str = "123e4567-e89b-12d3-a456-426614174000";
/// The id of the connector's channel.
pub const CHANNEL: &str = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9";
/// The id of the phone number.
pub const NUMBER: &str = "2cffb55c-120e-91a8-8f10-ed9d1b412d29";
/// The id of the use case.
pub const USE_CASE: &str = "be123b02-dacf-31f9-b3e5-50b18260bc23";
/// The name of the connector.
pub const NAME: &str = "My SMS channel";

/// A connector, with placeholders for the constants above.
const BODY: &str = r#"{"id":"CONNECTOR","workspaceId":"WORKSPACE","routingKey":"text","name":"My SMS channel","region":"text","description":"text","arguments":{"phoneNumberId":"NUMBER","useCaseId":"USECASE"},"channel":CHANNEL,"number":{"profileId":"CONNECTOR","numberId":"CONNECTOR","phoneNumber":"+31612345678","capabilities":"mms-inbound,mms-outbound,sms-inbound,sms-outbound","numberType":"mobile","endpointType":"alpha-number","country":"NL","profileAttachments":[{"capability":"text","profileId":"text","variables":{"connectorId":"text"}}]},"connectorTemplateSlug":"sms-messagebird","connectorTemplateRef":"sms-messagebird:1","dataFetching":{"schedule":"text","streams":[{"eventName":"text","streamName":"text","eventStreamName":"text","filter":"text","initialState":"text","endCondition":"text","incremental":true,"duplicatesFilterCapacity":1,"cursorField":"text"}]},"dataCapture":{"captureEndpoint":"text"},"createdAt":"2025-01-21T01:43:10.940Z","updatedAt":"2025-01-21T01:43:10.940Z"}"#;

/// Starts a server on loopback that serves until the process ends.
#[must_use]
pub fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // An error can be ignored: if the connection breaks, the client fails.
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Responds to each request on a connection. Clients must not pipeline requests.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let created = response("201 Created", "null");
    let channel = format!(r#"{{"channelId":"{CHANNEL}","platform":"sms-messagebird"}}"#);
    let ready = response("200 OK", &channel);
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let request = &buffer[..filled];
        // The body of a POST ends with a brace, and a GET ends with an empty line.
        let is_post = request.starts_with(b"POST");
        if request.ends_with(if is_post { b"}" } else { b"\r\n\r\n" }) {
            filled = 0;
            stream.write_all(if is_post { created.as_bytes() } else { ready.as_bytes() })?;
        }
    }
}

/// Returns a response with its head and body.
fn response(status: &str, channel: &str) -> String {
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
}
