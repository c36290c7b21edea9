use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Args;
use crate::server::{CHANNEL, CONNECTOR, NAME, NUMBER, USE_CASE, WORKSPACE, content_length};

/// The floor: requests that were written before, on one connection each, and a scan of the answer.
pub struct Raw;

impl Raw {
    pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
        let authority = args.url.trim_start_matches("http://").to_owned();
        let mut workers = JoinSet::new();
        for worker in 0..args.concurrency {
            let share = (args.installs + worker) / args.concurrency;
            workers.spawn(installs(authority.clone(), share));
        }
        while let Some(worker) = workers.join_next().await {
            worker??;
        }
        Ok(())
    }
}

async fn installs(authority: String, count: usize) -> anyhow::Result<()> {
    let body = format!(
        r#"{{"connectorTemplateRef":"sms-messagebird:1","name":"{NAME}","arguments":{{"phoneNumberId":"{NUMBER}","useCaseId":"{USE_CASE}"}}}}"#
    );
    let head =
        format!("host: {authority}\r\nauthorization: AccessKey secret\r\naccept: application/json");
    let path = format!("/workspaces/{WORKSPACE}/connectors");
    let post = format!(
        "POST {path} HTTP/1.1\r\n{head}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let get = format!("GET {path}/{CONNECTOR} HTTP/1.1\r\n{head}\r\n\r\n");
    let mut stream = TcpStream::connect(&authority).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    let channel = memchr::memmem::Finder::new("\"channelId\":\"");
    for _ in 0..count {
        exchange(&mut stream, post.as_bytes(), &mut buffer).await?;
        let length = exchange(&mut stream, get.as_bytes(), &mut buffer).await?;
        let found = channel.find(&buffer[..length]).map(|at| at + channel.needle().len());
        let id = found.and_then(|at| buffer.get(at..at + CHANNEL.len()));
        anyhow::ensure!(id == Some(CHANNEL.as_bytes()), "another channel");
    }
    Ok(())
}

async fn exchange(
    stream: &mut TcpStream,
    request: &[u8],
    buffer: &mut [u8],
) -> anyhow::Result<usize> {
    stream.write_all(request).await?;
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        anyhow::ensure!(read > 0, "the connection ended");
        filled += read;
        if let Some(end) = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n")
            && filled == end + 4 + content_length(&buffer[..end])?
        {
            return Ok(filled);
        }
    }
}
