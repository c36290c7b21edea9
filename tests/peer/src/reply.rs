use std::time::Duration;

/// A server's reaction to a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Sends the bytes and keeps the connection open for the next request.
    Bytes(Vec<u8>),
    /// Sends the bytes and closes the connection without a `connection: close` header.
    BytesThenClose(Vec<u8>),
    /// Sends the bytes and resets the connection.
    BytesThenReset(Vec<u8>),
    /// Sends the bytes one by one, with a pause after each.
    Drip(Vec<u8>, Duration),
    /// Sends the first bytes once, and then repeats the second bytes forever.
    Endless(Vec<u8>, Vec<u8>),
    /// Closes the connection without a response.
    Close,
    /// Resets the connection without a response.
    Reset,
    /// Resets the next connection as soon as it is accepted, before any request.
    ResetOnAccept,
    /// Keeps the connection open and sends nothing.
    Silence,
    /// Waits, and then sends the other reply.
    Delayed(Duration, Box<Reply>),
    /// Sends an interim response with this status before the other reply.
    Interim(u16, Box<Reply>),
}

impl Reply {
    /// Creates a response with a JSON body.
    pub fn json(status: u16, body: impl AsRef<str>) -> Self {
        Self::with_headers(status, &["content-type: application/json"], body)
    }

    /// Creates a response with an empty body.
    pub fn status(status: u16) -> Self {
        Self::with_headers(status, &[], "")
    }

    /// Creates a response with header lines such as `"retry-after: 1"`.
    pub fn with_headers(status: u16, headers: &[&str], body: impl AsRef<str>) -> Self {
        Self::Bytes(head_and_body(status, headers, body.as_ref()))
    }

    /// Delays this reply. Other connections are served in the meantime.
    pub fn delayed(self, delay: Duration) -> Self {
        Self::Delayed(delay, Box::new(self))
    }

    /// Sends an interim response (100, 102, 103) before this reply.
    pub fn after_interim(self, status: u16) -> Self {
        Self::Interim(status, Box::new(self))
    }
}

/// Returns the bytes of a response.
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
