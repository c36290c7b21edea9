//! Batches against servers in memory, mostly with a paused clock.

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

/// Returns `count` requests for the phone numbers from `first` on.
fn requests(first: u128, count: u128) -> impl Iterator<Item = SmsConnectorRequest> + Send {
    (first..first + count).map(|n| SmsConnectorRequest::new("n", number(n)))
}

fn client(bird: &InMemory) -> ClientBuilder {
    let key = AccessKey::new(KEY).unwrap();
    Client::builder().access_key(key).transport(bird.transport()).seed(0)
}

/// Returns a workspace whose client never looks up a number: a lookup would use up a scripted reply.
fn scripted(bird: &InMemory) -> Workspace {
    workspace(client(bird).look_up(false))
}

/// Returns the id of a phone number's connector, which differs from the id of the number.
fn connector_of(number: PhoneNumberId) -> ConnectorId {
    Uuid::from_u128((1 << 64) + number.as_uuid().as_u128()).into()
}

/// Returns the phone number id in a POST, or `None` for a GET.
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

/// Returns the phone number ids in the POSTs so far.
fn posted(bird: &InMemory) -> Vec<PhoneNumberId> {
    bird.requests().iter().filter_map(number_of).collect()
}

async fn all<S>(batch: InstallSmsChannels<S>) -> Vec<BatchOutcome>
where
    S: Stream<Item = SmsConnectorRequest> + Send,
{
    batch.start().collect().await
}

/// Runs a batch until a condition holds. Panics if the batch returns an outcome or ends before that.
async fn run_until<S>(batch: &mut BatchOutcomes<S>, condition: impl Fn() -> bool)
where
    S: Stream<Item = SmsConnectorRequest> + Send,
{
    while !condition() {
        assert!(poll_immediate(batch.next()).await.is_none());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Returns a journal with the entries of an earlier run.
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

/// A journal that awaits a future of the test before each load and each append.
struct HookedJournal {
    entries: MemoryJournal,
    hook: Box<Hook>,
}

impl HookedJournal {
    /// Creates a journal whose hook gets each entry that is appended, and `None` for a load.
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

/// Returns the future of a hook that lets the journal continue at once.
fn go_on() -> JournalFuture<'static> {
    Box::pin(async { Ok(()) })
}

/// The kind of each journal entry, with the number of POSTs and GETs that were sent before it.
type Steps = Arc<Mutex<Vec<(&'static str, usize, usize)>>>;

/// Returns a journal that fails to write one kind of entry, and the steps that it records.
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
            // During this sleep, a batch that does not wait for its entry would send the next request.
            tokio::time::sleep(Duration::from_millis(100)).await;
            recorded.lock().unwrap().push((name, bird.posts(), bird.gets()));
            if name == fails_at { Err(io::Error::other("disk full")) } else { Ok(()) }
        })
    });
    (journal, steps)
}
