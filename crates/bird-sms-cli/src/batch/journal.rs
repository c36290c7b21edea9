//! The journal of a batch: what was done, on disk before the next step, so that a process that was killed
//! at any moment can be followed by one that goes on.
//!
//! A line of JSON for each event; the first says which workspace it is of. It is only ever appended to.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use bird_sms::{
    BoxFuture, ChannelId, ConnectorId, Error, Journal, JournalEntry, PhoneNumberId, SmsChannel,
    SmsConnectorRequest, WorkspaceId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::output::{Status, message};

/// A line of the journal.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    at: Timestamp,
    #[serde(flatten)]
    event: Event,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Event {
    /// The first line.
    Journal {
        version: u32,
        workspace_id: WorkspaceId,
    },
    /// The POST is about to leave.
    Intent {
        phone_number_id: PhoneNumberId,
        name: String,
    },
    Created {
        phone_number_id: PhoneNumberId,
        connector_id: ConnectorId,
    },
    /// Somebody looked the connector up and told its id.
    Adopted {
        phone_number_id: PhoneNumberId,
        connector_id: ConnectorId,
    },
    Ready {
        phone_number_id: PhoneNumberId,
        connector_id: ConnectorId,
        channel_id: ChannelId,
    },
    /// The connector exists, its channel is not there.
    NotReady {
        phone_number_id: PhoneNumberId,
        connector_id: ConnectorId,
        message: String,
    },
    /// Nothing was created.
    Refused {
        phone_number_id: PhoneNumberId,
        message: String,
    },
    /// Nothing was created.
    Unreachable {
        phone_number_id: PhoneNumberId,
        message: String,
    },
    /// A connector may exist.
    Unknown {
        phone_number_id: PhoneNumberId,
        message: String,
    },
    /// A connector exists, and its id is not known.
    Exists {
        phone_number_id: PhoneNumberId,
        message: String,
    },
}

const VERSION: u32 = 1;

/// What the journal says of a phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No connector was created: it can be installed.
    Nothing,
    /// A connector may exist.
    Unknown,
    /// A connector exists, and its id is not known.
    Exists,
    /// The connector exists, and its channel is to be waited for.
    Created(ConnectorId),
    /// Done.
    Ready(ConnectorId, ChannelId),
}

impl Standing {
    /// How much is known of a connector that exists.
    fn knows(self) -> u8 {
        match self {
            Self::Nothing | Self::Unknown | Self::Exists => 0,
            Self::Created(_) => 1,
            Self::Ready(..) => 2,
        }
    }

    /// Whether a connector exists, or may, that is not ready.
    pub(crate) fn is_unfinished(self) -> bool {
        matches!(self, Self::Unknown | Self::Exists | Self::Created(_))
    }
}

impl Event {
    fn standing(&self) -> Option<(PhoneNumberId, Standing)> {
        Some(match *self {
            Self::Journal { .. } => return None,
            Self::Intent { phone_number_id, .. } | Self::Unknown { phone_number_id, .. } => {
                (phone_number_id, Standing::Unknown)
            }
            Self::Created { phone_number_id, connector_id }
            | Self::Adopted { phone_number_id, connector_id }
            | Self::NotReady { phone_number_id, connector_id, .. } => {
                (phone_number_id, Standing::Created(connector_id))
            }
            Self::Ready { phone_number_id, connector_id, channel_id } => {
                (phone_number_id, Standing::Ready(connector_id, channel_id))
            }
            Self::Refused { phone_number_id, .. } | Self::Unreachable { phone_number_id, .. } => {
                (phone_number_id, Standing::Nothing)
            }
            Self::Exists { phone_number_id, .. } => (phone_number_id, Standing::Exists),
        })
    }

    /// How an install ended. `doubtful` is one of a number that may have had a connector before.
    fn ended(
        phone_number_id: PhoneNumberId,
        result: Result<&SmsChannel, &Error>,
        doubtful: bool,
    ) -> Self {
        let error = match result {
            Ok(channel) => {
                let (connector_id, channel_id) = (channel.connector_id, channel.id);
                return Self::Ready { phone_number_id, connector_id, channel_id };
            }
            Err(error) => error,
        };
        let message = message(error, doubtful);
        match (Status::of(error, doubtful), error.connector_id()) {
            (Status::NotReady, Some(connector_id)) => {
                Self::NotReady { phone_number_id, connector_id, message }
            }
            (Status::Refused, _) => Self::Refused { phone_number_id, message },
            (Status::Unreachable, _) => Self::Unreachable { phone_number_id, message },
            (Status::Exists, _) => Self::Exists { phone_number_id, message },
            _ => Self::Unknown { phone_number_id, message },
        }
    }
}

/// Why a journal cannot be used. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error("the journal {0} cannot be used: {1}")]
    Io(PathBuf, #[source] io::Error),
    #[error("the journal {0} is in use by another process")]
    InUse(PathBuf),
    #[error("{0} is not a journal of bird-sms; it was left as it is, name another file")]
    NotAJournal(PathBuf),
    #[error("the journal {0} is of version {1}, which only a newer bird-sms can read")]
    Newer(PathBuf, u32),
    #[error(
        "line {1} of the journal {0} cannot be read: {2}. A journal is only ever appended to; mend the \
         line by hand, from what the dashboard shows, or it would be forgotten what it tells of"
    )]
    Unreadable(PathBuf, u64, String),
    #[error(
        "the journal {0} is of workspace {1}, and this is workspace {2}; take another file (an embedded \
         sandbox is a new workspace each time)"
    )]
    OtherWorkspace(PathBuf, WorkspaceId, WorkspaceId),
}

/// What a journal says.
#[derive(Debug, Default)]
pub(crate) struct Story {
    workspace_id: Option<WorkspaceId>,
    standings: HashMap<PhoneNumberId, Standing>,
    /// Where the last whole line ends, in bytes.
    end: u64,
}

impl Story {
    /// Reads a journal, of this workspace if one is given. One that does not exist says nothing.
    pub(crate) fn read(
        path: &Path,
        workspace_id: Option<WorkspaceId>,
    ) -> Result<Self, JournalError> {
        match File::open(path) {
            Ok(file) => Self::of(&file, path, workspace_id),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(JournalError::Io(path.to_owned(), error)),
        }
    }

    fn of(
        file: &File,
        path: &Path,
        workspace_id: Option<WorkspaceId>,
    ) -> Result<Self, JournalError> {
        let mut story = Self::default();
        let mut reader = BufReader::new(file);
        // Of a line that cannot be read; it is torn when it is the last one.
        let mut torn = None;
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            let read = reader
                .read_until(b'\n', &mut bytes)
                .map_err(|error| JournalError::Io(path.to_owned(), error))?;
            if read == 0 {
                break;
            }
            if let Some((number, problem)) = torn.take() {
                return Err(JournalError::Unreadable(path.to_owned(), number, problem));
            }
            match serde_json::from_slice::<Line>(&bytes) {
                Ok(line) if bytes.ends_with(b"\n") => {
                    if number == 1 {
                        story.workspace_id = Some(workspace_of(&line.event, path)?);
                    }
                    story.end += read as u64;
                    story.tell(&line.event);
                }
                _ if number == 1 && !may_be_torn_start(&bytes) => {
                    return Err(JournalError::NotAJournal(path.to_owned()));
                }
                Ok(_) => torn = Some((number, "it has no end".to_owned())),
                Err(problem) => torn = Some((number, problem.to_string())),
            }
        }
        match (story.workspace_id, workspace_id) {
            (Some(other), Some(id)) if other != id => {
                Err(JournalError::OtherWorkspace(path.to_owned(), other, id))
            }
            _ => Ok(story),
        }
    }

    fn tell(&mut self, event: &Event) {
        if let Some((number, standing)) = event.standing() {
            let known = self.standings.entry(number).or_insert(standing);
            // What is known of a connector is not forgotten over an event that knows less.
            if standing.knows() >= known.knows() {
                *known = standing;
            }
        }
    }

    pub(crate) fn standing(&self, number: PhoneNumberId) -> Standing {
        self.standings.get(&number).copied().unwrap_or(Standing::Nothing)
    }

    /// Notes the id of a connector that was looked up.
    pub(crate) fn adopt(&mut self, number: PhoneNumberId, connector_id: ConnectorId) {
        self.standings.insert(number, Standing::Created(connector_id));
    }

    /// How many numbers it tells of whose connector exists, or may, without being ready.
    pub(crate) fn unfinished(&self) -> usize {
        self.standings.values().filter(|standing| standing.is_unfinished()).count()
    }
}

/// The workspace that the first line names.
fn workspace_of(first: &Event, path: &Path) -> Result<WorkspaceId, JournalError> {
    match *first {
        Event::Journal { version: ..=VERSION, workspace_id } => Ok(workspace_id),
        Event::Journal { version, .. } => Err(JournalError::Newer(path.to_owned(), version)),
        _ => Err(JournalError::NotAJournal(path.to_owned())),
    }
}

/// Whether a first line that cannot be read is what a crash left of one, and not another file.
fn may_be_torn_start(line: &[u8]) -> bool {
    let start = &br#"{"at":""#[..];
    !line.ends_with(b"\n")
        && (line.starts_with(start)
            || start.starts_with(line)
            || line.iter().all(|byte| *byte == 0))
}

/// A journal that this process alone writes.
#[derive(Debug)]
pub(crate) struct JournalFile {
    lines: mpsc::Sender<Pending>,
    doubtful: Mutex<HashSet<PhoneNumberId>>,
    created: AtomicU64,
}

/// A line, and who waits until it is on disk.
#[derive(Debug)]
struct Pending {
    line: Vec<u8>,
    stored: oneshot::Sender<io::Result<()>>,
}

impl JournalFile {
    /// Opens or creates a journal for this workspace, and holds it until it is dropped.
    pub(crate) fn open(
        path: &Path,
        workspace_id: WorkspaceId,
    ) -> Result<(Self, Story), JournalError> {
        let failed = |error| JournalError::Io(path.to_owned(), error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::InUse(path.to_owned()),
            TryLockError::Error(error) => failed(error),
        })?;
        let story = Story::of(&file, path, Some(workspace_id))?;
        // What a crash tore off was never waited for.
        file.set_len(story.end).map_err(failed)?;
        file.seek(SeekFrom::Start(story.end)).map_err(failed)?;
        if story.end == 0 {
            let first = line(Event::Journal { version: VERSION, workspace_id });
            file.write_all(&first).and_then(|()| file.sync_all()).map_err(failed)?;
            sync_folder(path).map_err(failed)?;
        }
        let (lines, pending) = mpsc::channel();
        thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write(file, &pending))
            .map_err(failed)?;
        let journal = Self { lines, doubtful: Mutex::default(), created: AtomicU64::default() };
        Ok((journal, story))
    }

    /// The install of this number is a second one: the first may have created a connector.
    pub(crate) fn doubt(&self, number: PhoneNumberId) {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
    }

    pub(crate) fn doubts(&self, number: PhoneNumberId) -> bool {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner).contains(&number)
    }

    /// Stores the id of a connector that was looked up.
    pub(crate) async fn adopt(
        &self,
        phone_number_id: PhoneNumberId,
        connector_id: ConnectorId,
    ) -> io::Result<()> {
        self.store(Event::Adopted { phone_number_id, connector_id }).await
    }

    /// How many connectors it has seen created.
    pub(crate) fn created(&self) -> u64 {
        self.created.load(Ordering::Relaxed)
    }

    async fn store(&self, event: Event) -> io::Result<()> {
        let gone = || io::Error::other("the journal is not written any more");
        let (stored, wait) = oneshot::channel();
        self.lines.send(Pending { line: line(event), stored }).map_err(|_| gone())?;
        wait.await.map_err(|_| gone())?
    }
}

impl Journal for JournalFile {
    fn append<'a>(
        &'a self,
        request: &'a SmsConnectorRequest,
        step: JournalEntry<'a>,
    ) -> BoxFuture<'a> {
        let phone_number_id = request.phone_number_id();
        let event = match step {
            JournalEntry::Intent => {
                Event::Intent { phone_number_id, name: request.name().to_owned() }
            }
            JournalEntry::Created(connector_id) => {
                self.created.fetch_add(1, Ordering::Relaxed);
                Event::Created { phone_number_id, connector_id }
            }
            JournalEntry::Ended(result) => {
                Event::ended(phone_number_id, result, self.doubts(phone_number_id))
            }
            _ => return Box::pin(std::future::ready(Ok(()))),
        };
        Box::pin(self.store(event))
    }
}

fn line(event: Event) -> Vec<u8> {
    let line = Line { at: Timestamp::now(), event };
    let mut bytes = serde_json::to_vec(&line).expect("a line is made of strings and numbers");
    bytes.push(b'\n');
    bytes
}

/// Writes what comes, and waits for the disk once for all that came in the meantime.
fn write(mut file: File, pending: &mpsc::Receiver<Pending>) {
    let mut failed: Option<(ErrorKind, String)> = None;
    while let Ok(first) = pending.recv() {
        let together: Vec<_> = std::iter::once(first).chain(pending.try_iter()).collect();
        if failed.is_none() {
            let lines: Vec<u8> =
                together.iter().flat_map(|pending| pending.line.iter().copied()).collect();
            let result = file.write_all(&lines).and_then(|()| file.sync_data());
            // After a failure the end of the file is not known, so that nothing more is written to it.
            failed = result.err().map(|error| (error.kind(), error.to_string()));
        }
        for Pending { stored, .. } in together {
            let result = match &failed {
                None => Ok(()),
                Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
            };
            // Whoever stopped waiting does not need to know.
            let _ = stored.send(result);
        }
    }
}

/// A new file is there after a crash when its folder is on disk too.
fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
