//! Batches, with servers in memory and a paused clock.

mod abandon;
mod adopt;
mod deadlines;
mod journal;
mod one_connector;
mod shutdown;
mod speed;

use std::io;

use bird_test_peer::{InMemory, Reply, Request, fixtures};
use futures_util::future::poll_immediate;
use futures_util::{Stream, StreamExt};
use uuid::Uuid;

use super::*;
use crate::test_util::MemoryJournal;
use crate::{
    BatchOutcome, BatchOutcomes, ConnectorState, InstallSmsChannels, Journal, JournalEntry,
    JournalFuture, JournalState, PhoneNumberId,
};

fn number(n: u128) -> PhoneNumberId {
    Uuid::from_u128(n).into()
}

/// Returns a request for each phone number from `first` on.
fn requests(first: u128, count: u128) -> impl Iterator<Item = SmsConnectorRequest> + Send {
    (first..first + count).map(|n| SmsConnectorRequest::new("n", number(n)))
}

fn client(bird: &InMemory) -> ClientBuilder {
    let key = AccessKey::new(KEY).unwrap();
    Client::builder().access_key(key).transport(bird.transport()).seed(0)
}

/// Returns a workspace whose client never looks a number up, for replies that are scripted in their order.
fn scripted(bird: &InMemory) -> Workspace {
    workspace(client(bird).look_up(false))
}

/// Returns the id of the connector of a phone number. It differs from the number's.
fn connector_of(number: PhoneNumberId) -> ConnectorId {
    Uuid::from_u128((1 << 64) + number.as_uuid().as_u128()).into()
}

/// Returns the phone number of a POST.
fn number_of(request: &Request) -> Option<PhoneNumberId> {
    let body: serde_json::Value = serde_json::from_slice(&request.body).ok()?;
    Some(body["arguments"]["phoneNumberId"].as_str()?.parse().unwrap())
}

/// Replies to a POST or a GET as Bird does, with one connector for each phone number.
fn connector(request: &Request, is_ready: bool) -> Reply {
    let (status, id) = match number_of(request) {
        Some(number) => (201, connector_of(number).to_string()),
        None => (200, request.path.rsplit('/').next().unwrap().to_owned()),
    };
    Reply::json(status, fixtures::connector(&id, WORKSPACE, is_ready.then_some(&id)))
}

/// Returns the phone numbers of the POSTs so far.
fn posted(bird: &InMemory) -> Vec<PhoneNumberId> {
    bird.requests().iter().filter_map(number_of).collect()
}

async fn all<S>(batch: InstallSmsChannels<S>) -> Vec<BatchOutcome>
where
    S: Stream<Item = SmsConnectorRequest> + Send,
{
    batch.start().collect().await
}

/// Runs a batch until a condition holds, which must be before its first outcome.
async fn run_until<S>(batch: &mut BatchOutcomes<S>, condition: impl Fn() -> bool)
where
    S: Stream<Item = SmsConnectorRequest> + Send,
{
    while !condition() {
        assert!(poll_immediate(batch.next()).await.is_none());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Returns a journal of an earlier run.
fn journal(entries: impl IntoIterator<Item = (PhoneNumberId, JournalEntry)>) -> Arc<MemoryJournal> {
    Arc::new(entries.into_iter().collect())
}

fn intent(number: PhoneNumberId) -> (PhoneNumberId, JournalEntry) {
    (number, JournalEntry::Intent { name: "n".to_owned() })
}

fn created(number: PhoneNumberId) -> (PhoneNumberId, JournalEntry) {
    (number, JournalEntry::Created { connector_id: connector_id(), warning: None })
}

type Hook = dyn Fn(Option<&JournalEntry>) -> JournalFuture<'static> + Send + Sync;

/// A journal that waits for a future of the test before it loads and before it takes an entry.
struct HookedJournal {
    entries: MemoryJournal,
    hook: Box<Hook>,
}

impl HookedJournal {
    /// Creates a journal whose hook is called with each entry, and with `None` for a load.
    fn new(
        hook: impl Fn(Option<&JournalEntry>) -> JournalFuture<'static> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { entries: MemoryJournal::default(), hook: Box::new(hook) })
    }
}

impl Journal for HookedJournal {
    fn load(&self) -> JournalFuture<'_, JournalState> {
        let hook = (self.hook)(None);
        Box::pin(async {
            hook.await?;
            self.entries.load().await
        })
    }

    fn append(&self, number: PhoneNumberId, entry: JournalEntry) -> JournalFuture<'_> {
        let hook = (self.hook)(Some(&entry));
        Box::pin(async move {
            hook.await?;
            self.entries.append(number, entry).await
        })
    }
}

/// The hook of a journal that goes on at once.
fn go_on() -> JournalFuture<'static> {
    Box::pin(async { Ok(()) })
}

/// The entries of a journal, each with the numbers of POSTs and GETs that were sent before it.
type Steps = Arc<Mutex<Vec<(&'static str, usize, usize)>>>;

/// Returns a journal that fails at one kind of entry, and the steps that it records.
fn recording(bird: &InMemory, fails_at: &'static str) -> (Arc<HookedJournal>, Steps) {
    let steps = Steps::default();
    let recorded = Arc::clone(&steps);
    let bird = bird.clone();
    let journal = HookedJournal::new(move |entry| {
        let name = match entry {
            None => return go_on(),
            Some(JournalEntry::Intent { .. }) => "intent",
            Some(JournalEntry::Created { .. }) => "created",
            Some(JournalEntry::Ready { .. }) => "ready",
            Some(_) => "failed",
        };
        let recorded = Arc::clone(&recorded);
        let bird = bird.clone();
        Box::pin(async move {
            // A batch that does not wait for its entry would send the next request in this time.
            tokio::time::sleep(Duration::from_millis(100)).await;
            recorded.lock().unwrap().push((name, bird.posts(), bird.gets()));
            if name == fails_at { Err(io::Error::other("disk full")) } else { Ok(()) }
        })
    });
    (journal, steps)
}
