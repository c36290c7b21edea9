use std::io;
use std::path::PathBuf;

use crate::WorkspaceId;
use crate::error::chain;

/// The reason why a [`FileJournal`](super::FileJournal) cannot be used. The file was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are paths, ids and errors")]
pub enum FileJournalError {
    /// The file, or the file that locks its workspace, cannot be opened, read or written.
    #[error("the journal {} cannot be used", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// Another process has the journal open.
    #[error("the journal {} is in use by another process", path.display())]
    InUse { path: PathBuf },
    /// Another journal of the workspace in the same folder is open.
    #[error("another batch of workspace {workspace_id} is running with a journal in this folder")]
    WorkspaceInUse { workspace_id: WorkspaceId },
    /// The file is something else.
    #[error("{} is not a journal of bird-sms", path.display())]
    NotAJournal { path: PathBuf },
    /// A newer version of this crate wrote the journal.
    #[error("the journal {} has version {version}, which a newer bird-sms reads", path.display())]
    Newer { path: PathBuf, version: u32 },
    /// A line was changed, or a part of it is missing. Without the line, the journal would forget a connector.
    #[error("line {line} of the journal {} is damaged: {problem}", path.display())]
    Damaged { path: PathBuf, line: u64, problem: String },
    /// The journal is that of another workspace.
    #[error("the journal {} is for workspace {found}, and this is workspace {expected}", path.display())]
    OtherWorkspace { path: PathBuf, found: WorkspaceId, expected: WorkspaceId },
}

impl FileJournalError {
    /// Returns the error and its causes on one line, as `{:#}` of anyhow prints them.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }

    /// Returns what to do next, as one sentence.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Io { .. } => "Correct the cause, or name another file.",
            Self::InUse { .. } | Self::WorkspaceInUse { .. } => {
                "Wait until the other batch has ended."
            }
            Self::NotAJournal { .. } => "Name another file; this one was not changed.",
            Self::Newer { .. } => "Use the newer version.",
            Self::Damaged { .. } => {
                "Restore the file from a copy. Without a copy, remove the line, and take the phone numbers that have a \
                 connector in the Bird dashboard out of the rows: the journal may have forgotten them."
            }
            Self::OtherWorkspace { .. } => {
                "Name another file; a sandbox is a new workspace each time that it starts."
            }
        }
    }
}
