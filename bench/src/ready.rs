//! A transport in place of a server, which stores nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bird_api::Response;
use bird_api::transport::{Exchange, Transport};
use reqwest::{Method, Request, StatusCode};
use tokio::time::Instant;
use uuid::Uuid;

use crate::server::{channel, connector};

/// Responds at once. The id of a connector has the time at which its channel is ready.
#[derive(Debug)]
pub struct Ready {
    start: Instant,
    /// How long provisioning of each connector takes, from the first one again after the last.
    provisioning: Vec<Duration>,
    posts: AtomicU64,
    gets: AtomicU64,
}

impl Ready {
    /// Starts the clock. The connectors have these provisioning times in turn, of which there is one at least.
    #[must_use]
    pub fn new(provisioning: Vec<Duration>) -> Self {
        let (posts, gets) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { start: Instant::now(), provisioning, posts, gets }
    }

    /// Returns the number of GETs.
    #[must_use]
    pub fn get_count(&self) -> u64 {
        self.gets.load(Ordering::Relaxed)
    }
}

impl Transport for Ready {
    fn exchange(&self, request: Request, _timeout: Duration) -> Exchange {
        let now = self.start.elapsed();
        let (status, id, channel) = if request.method() == Method::POST {
            let nth = self.posts.fetch_add(1, Ordering::Relaxed);
            let nth_time = usize::try_from(nth).unwrap_or(0) % self.provisioning.len();
            let ready = (now + self.provisioning[nth_time]).as_nanos();
            (StatusCode::CREATED, Uuid::from_u128(ready << 64 | u128::from(nth)), None)
        } else {
            self.gets.fetch_add(1, Ordering::Relaxed);
            let id =
                request.url().path_segments().and_then(|mut path| path.next_back()?.parse().ok());
            let id: Uuid = id.unwrap_or_default();
            (StatusCode::OK, id, (id.as_u128() >> 64 <= now.as_nanos()).then(channel))
        };
        let body = connector(&id.to_string(), channel.as_deref().unwrap_or("null"));
        let headers = [("content-type".parse(), "application/json".parse())];
        let headers =
            headers.into_iter().filter_map(|(name, value)| Some((name.ok()?, value.ok()?)));
        let response = Response::new(status, headers.collect(), body.into());
        Box::pin(std::future::ready(Ok(response)))
    }
}
