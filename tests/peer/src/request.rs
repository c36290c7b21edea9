use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A request that a server received.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// The path with the query.
    pub path: String,
    /// The headers in their original order, with lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body: `content-length` bytes. Chunked bodies are not supported.
    pub body: Vec<u8>,
}

impl From<reqwest::Request> for Request {
    fn from(request: reqwest::Request) -> Self {
        let url = request.url();
        let query = url.query().map_or(String::new(), |query| format!("?{query}"));
        let headers = request.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        Self {
            method: request.method().as_str().to_owned(),
            path: format!("{}{query}", url.path()),
            headers: headers.collect(),
            body: request.body().and_then(|body| body.as_bytes()).unwrap_or_default().to_owned(),
        }
    }
}

/// Reads the next request. Returns `None` if the connection ends before the request is complete.
pub(crate) async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Request>> {
    loop {
        if let Some((request, length)) = parse(buffer)? {
            buffer.drain(..length);
            return Ok(Some(request));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// Parses one request, and returns it with its length. Returns `None` if more bytes are needed.
fn parse(buffer: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let invalid = |error: httparse::Error| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(buffer).map_err(invalid)? else {
        return Ok(None);
    };
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|header| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_ascii_lowercase(), value)
        })
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    let Some(body) = buffer.get(start..start + length) else { return Ok(None) };
    let request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        path: head.path.unwrap_or_default().to_owned(),
        headers,
        body: body.to_owned(),
    };
    Ok(Some((request, start + length)))
}
