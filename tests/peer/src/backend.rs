use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::fixtures::{connector, nth_id};
use crate::{Peer, Reply, Request};

/// A server that creates a connector for **every** POST, so a test can count duplicates.
///
/// Bird refuses a second connector for a phone number with a 409, which would hide a POST that was sent twice. The
/// response to a POST has no channel; a GET returns the connector with its channel.
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
    pub async fn start() -> io::Result<Self> {
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let peer = Peer::with_handler(move |request| shared.lock().unwrap().reply(request)).await?;
        Ok(Self { peer, state })
    }

    /// Delays the response to each POST. The function maps the index of a POST to its delay. The connector is created
    /// at once, so a gateway can time out after the creation.
    pub fn delay(self, delay: impl FnMut(usize) -> Duration + Send + 'static) -> Self {
        self.state.lock().unwrap().delay = Some(Box::new(delay));
        self
    }

    /// Returns the base URL.
    pub fn base_url(&self) -> String {
        self.peer.base_url()
    }

    /// Returns the connector ids for each phone number id, oldest first.
    pub fn connectors_by_number(&self) -> BTreeMap<String, Vec<String>> {
        self.state.lock().unwrap().by_number.clone()
    }

    /// Returns the peer that received the requests.
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
            ["", "workspaces", workspace, "connectors", id]
                if self.by_number.values().flatten().any(|created| created == id) =>
            {
                let channel = format!("d{}", &id[1..]);
                Reply::json(200, connector(id, workspace, Some(&channel)))
            }
            _ => Reply::json(404, r#"{"code": "NotFound", "message": "NotFound"}"#),
        }
    }

    fn create(&mut self, workspace: &str, body: &[u8]) -> Reply {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(number) = body["arguments"]["phoneNumberId"].as_str() else {
            return Reply::json(422, r#"{"code": "InvalidPayload", "message": "InvalidPayload"}"#);
        };
        let nth = self.created;
        self.created += 1;
        let id = format!("c{}", &nth_id(nth)[1..]);
        let reply = Reply::json(201, connector(&id, workspace, None));
        self.by_number.entry(number.to_owned()).or_default().push(id);
        match &mut self.delay {
            Some(delay) => reply.delayed(delay(nth)),
            None => reply,
        }
    }
}
