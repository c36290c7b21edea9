use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::fixtures::{channel, connector_with, nth_id};
use crate::{Peer, Reply, Request};

/// A backend that creates a connector for **every** POST, so that a test can count duplicates.
///
/// Bird refuses the second connector of a phone number with 409. The backend does not, because a 409 would
/// hide that a client sent a POST twice. The response to a POST has no channel yet; a GET returns the
/// connector with its channel.
///
/// The connector is created when the POST arrives. A delay holds back the response alone, so that a gateway
/// in front of the backend can time out after the connector was created.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # use std::time::Duration;
/// let backend = bird_test_peer::Backend::start().await?.delay(|nth_post| {
///     if nth_post == 0 { Duration::from_secs(5) } else { Duration::ZERO }
/// });
/// println!("{}", backend.base_url());
/// assert!(backend.connectors_by_number().is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Backend {
    peer: Peer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    by_number: BTreeMap<String, Vec<String>>,
    created: usize,
    delay: Option<Box<dyn FnMut(usize) -> Duration + Send>>,
}

impl Backend {
    /// Starts a backend on a free port of loopback.
    ///
    /// # Errors
    ///
    /// Fails when the backend cannot listen on loopback.
    pub async fn start() -> io::Result<Self> {
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let peer = Peer::with_handler(move |request| lock(&shared).reply(request)).await?;
        Ok(Self { peer, state })
    }

    /// Sets the delay of the response to each POST, by the number of the POST, counted from 0.
    #[must_use]
    pub fn delay(self, delay: impl FnMut(usize) -> Duration + Send + 'static) -> Self {
        lock(&self.state).delay = Some(Box::new(delay));
        self
    }

    /// Returns the base URL.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.peer.base_url()
    }

    /// Returns the ids of the connectors of each phone number id, in the order of their creation.
    #[must_use]
    pub fn connectors_by_number(&self) -> BTreeMap<String, Vec<String>> {
        lock(&self.state).by_number.clone()
    }

    /// Returns the peer, which has the requests.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl State {
    fn reply(&mut self, request: &Request) -> Reply {
        match *request.path.split('/').collect::<Vec<_>>() {
            ["", "workspaces", workspace, "connectors"] if request.method == "POST" => {
                self.create(workspace, &request.body)
            }
            ["", "workspaces", workspace, "connectors", id] if request.method == "GET" => {
                match self.by_number.values().flatten().find(|created| *created == id) {
                    Some(id) => {
                        let channel = channel(&format!("d{}", &id[1..]));
                        Reply::json(200, connector_with(id, workspace, &channel))
                    }
                    None => error(404, "NotFound"),
                }
            }
            _ => error(404, "NotFound"),
        }
    }

    fn create(&mut self, workspace: &str, body: &[u8]) -> Reply {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(number) = body["arguments"]["phoneNumberId"].as_str() else {
            return error(422, "InvalidPayload");
        };
        let nth = self.created;
        self.created += 1;
        let id = format!("c{}", &nth_id(nth)[1..]);
        let reply = Reply::json(201, connector_with(&id, workspace, "null"));
        self.by_number.entry(number.to_owned()).or_default().push(id);
        match &mut self.delay {
            Some(delay) => reply.delayed(delay(nth)),
            None => reply,
        }
    }
}

fn error(status: u16, code: &str) -> Reply {
    Reply::json(status, format!(r#"{{"code": "{code}", "message": "{code}"}}"#))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::task::JoinSet;

    use super::*;
    use crate::fixtures::{PHONE_NUMBER_ID, WORKSPACE_ID, create_request};

    async fn connect(backend: &Backend) -> TcpStream {
        TcpStream::connect(backend.base_url().trim_start_matches("http://")).await.unwrap()
    }

    /// Sends a request and returns its status and body. The connection stays open.
    async fn exchange(
        stream: &mut TcpStream,
        method: &str,
        path: &str,
        body: &str,
    ) -> (u16, Value) {
        let head = format!(
            "{method} /workspaces/{WORKSPACE_ID}/connectors{path} HTTP/1.1\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        loop {
            assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
            let text = std::str::from_utf8(&bytes).unwrap();
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && let Ok(body) = serde_json::from_str(body)
            {
                return (head[9..12].parse().unwrap(), body);
            }
        }
    }

    #[tokio::test]
    async fn every_post_creates_a_connector_and_a_get_returns_it_with_its_channel() {
        let backend = Backend::start().await.unwrap();
        let mut stream = connect(&backend).await;
        let ids = ["c0000000-0000-4000-8000-000000000000", "c0000000-0000-4000-8000-000000000001"];
        for id in ids {
            let body = create_request(PHONE_NUMBER_ID);
            let (status, created) = exchange(&mut stream, "POST", "", &body).await;
            assert_eq!((status, &created["id"]), (201, &id.into()));
            assert!(created["channel"].is_null());
            let (status, shown) = exchange(&mut stream, "GET", &format!("/{id}"), "").await;
            assert_eq!((status, &shown["id"]), (200, &id.into()));
            assert!(shown["channel"]["channelId"].as_str().unwrap().starts_with("d0000000-"));
        }
        assert_eq!(exchange(&mut stream, "GET", "/unknown", "").await.0, 404);
        assert_eq!(exchange(&mut stream, "POST", "", "{}").await.0, 422);
        let expected = [(PHONE_NUMBER_ID.to_owned(), ids.map(str::to_owned).to_vec())];
        assert_eq!(backend.connectors_by_number(), expected.into());
        assert_eq!(backend.peer().connections(), 1);
    }

    #[tokio::test]
    async fn a_client_that_gives_up_leaves_its_connector_and_others_are_not_delayed() {
        let hour = Duration::from_hours(1);
        let delay = move |nth| if nth == 0 { hour } else { Duration::ZERO };
        let backend = Backend::start().await.unwrap().delay(delay);
        let mut stream = connect(&backend).await;
        let body = create_request(PHONE_NUMBER_ID);
        let post = exchange(&mut stream, "POST", "", &body);
        tokio::time::timeout(Duration::from_millis(50), post).await.unwrap_err();
        assert_eq!(backend.connectors_by_number()[PHONE_NUMBER_ID].len(), 1);
        let mut other = connect(&backend).await;
        assert_eq!(exchange(&mut other, "POST", "", &body).await.0, 201);
        assert_eq!(backend.connectors_by_number()[PHONE_NUMBER_ID].len(), 2);
    }

    #[tokio::test]
    async fn hundreds_of_connections_are_served_at_once() {
        let delay = Duration::from_millis(200);
        let backend = Backend::start().await.unwrap().delay(move |_| delay);
        let started = Instant::now();
        let mut clients = JoinSet::new();
        for n in 0..300 {
            let mut stream = connect(&backend).await;
            clients.spawn(async move {
                exchange(&mut stream, "POST", "", &create_request(&nth_id(n))).await.0
            });
        }
        assert!(clients.join_all().await.iter().all(|status| *status == 201));
        assert!(started.elapsed() < 100 * delay, "{:?}", started.elapsed());
        let connectors = backend.connectors_by_number();
        assert_eq!(connectors.len(), 300);
        assert!(connectors.values().all(|ids| ids.len() == 1));
    }
}
