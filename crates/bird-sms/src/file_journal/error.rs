//! The journal of a batch. Each step is on disk before the next step is taken, so that a batch can be resumed after its
//! process was killed at any moment.
//!
//! The file is JSON Lines, and is only ever appended to. The first line has the id of the workspace. `line` has the
//! format of a line, `read` folds the lines, and `write` appends lines.

mod line;
mod read;
mod write;

use std::io;
use std::path::PathBuf;

use bird_sms::WorkspaceId;

pub(super) use read::JournalContent;
pub(super) use write::JournalFile;

/// The reason why a journal cannot be used. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalFileError {
    #[error("the journal {0} cannot be used: {1}")]
    Io(PathBuf, io::Error),
    #[error("the journal {0} is in use by another process")]
    InUse(PathBuf),
    #[error("another batch of workspace {0} is running with a journal in this folder")]
    WorkspaceInUse(WorkspaceId),
    #[error("{0} is not a journal of bird-sms; it was not changed, name another file")]
    NotAJournal(PathBuf),
    #[error("the journal {0} has version {1}, which a newer bird-sms reads")]
    Newer(PathBuf, u32),
    #[error(
        "line {1} of the journal {0} is damaged: {2}. Correct the line by hand from what the Bird dashboard shows; \
         without it the journal would forget a connector"
    )]
    Damaged(PathBuf, u64, String),
    #[error(
        "the journal {0} is for workspace {1}, and this is workspace {2}; name another file (an embedded sandbox is a \
         new workspace each time)"
    )]
    OtherWorkspace(PathBuf, WorkspaceId, WorkspaceId),
}
