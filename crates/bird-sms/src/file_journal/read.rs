use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use bird_sms::{JournalState, WorkspaceId};

use super::JournalFileError;
use super::line::{EntryLine, Header, VERSION, decode, decode_header};
use crate::regular_file::open_regular_file;

/// The content of a journal file.
#[derive(Debug, Default)]
pub(in crate::batch) struct JournalContent {
    pub(in crate::batch) rows: JournalState,
    /// The number of the last line, if a crash tore it.
    pub(in crate::batch) torn_line: Option<u64>,
    workspace_id: Option<WorkspaceId>,
    /// The version of the file. 0 while it has no header.
    pub(super) version: u32,
    /// The end of the last whole line, in bytes.
    pub(super) end: u64,
    /// Whether the last whole line has no line break.
    pub(super) unterminated: bool,
}

impl JournalContent {
    /// Reads a journal, of this workspace if one is given. A journal that does not exist is empty.
    pub(in crate::batch) fn read(
        path: &Path,
        workspace_id: Option<WorkspaceId>,
    ) -> Result<Self, JournalFileError> {
        match open_regular_file(path, OpenOptions::new().read(true)) {
            Ok(file) => Self::of(&file, path, workspace_id),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(JournalFileError::Io(path.to_owned(), error)),
        }
    }

    pub(super) fn of(
        file: &File,
        path: &Path,
        workspace_id: Option<WorkspaceId>,
    ) -> Result<Self, JournalFileError> {
        let mut content = Self::default();
        let mut reader = BufReader::new(file);
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            let read = reader
                .read_until(b'\n', &mut bytes)
                .map_err(|error| JournalFileError::Io(path.to_owned(), error))?;
            if read == 0 {
                break;
            }
            content.unterminated = !bytes.ends_with(b"\n");
            let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            let applied = if number == 1 {
                content.apply_header(line, path)?
            } else {
                content.apply_entry(line)
            };
            match applied {
                Ok(()) => content.end += read as u64,
                // A crash tears the end off a line, so that the rest does not start with a whole line.
                Err(_) if content.unterminated && !content.starts_with_whole_line(line) => {
                    content.torn_line = Some(number);
                    content.unterminated = false;
                }
                Err(problem) => {
                    return Err(JournalFileError::Damaged(path.to_owned(), number, problem));
                }
            }
        }
        match (content.workspace_id, workspace_id) {
            (Some(other), Some(id)) if other != id => {
                Err(JournalFileError::OtherWorkspace(path.to_owned(), other, id))
            }
            _ => Ok(content),
        }
    }

    /// Applies the first line. The inner error is for a line that a crash may have torn.
    fn apply_header(
        &mut self,
        line: &[u8],
        path: &Path,
    ) -> Result<Result<(), String>, JournalFileError> {
        match decode_header(line) {
            Ok(header) if header.version > VERSION => {
                Err(JournalFileError::Newer(path.to_owned(), header.version))
            }
            Ok(Header { version, workspace_id, .. }) => {
                (self.version, self.workspace_id) = (version, Some(workspace_id));
                Ok(Ok(()))
            }
            Err(problem) if self.unterminated && may_be_torn_header(line) => Ok(Err(problem)),
            Err(problem) if line.starts_with(HEADER_START) => {
                Err(JournalFileError::Damaged(path.to_owned(), 1, problem))
            }
            Err(_) => Err(JournalFileError::NotAJournal(path.to_owned())),
        }
    }

    fn apply_entry(&mut self, line: &[u8]) -> Result<(), String> {
        let line: EntryLine = decode(line, self.version)?;
        self.rows.apply(line.phone_number_id, &line.entry, Some(line.at));
        Ok(())
    }

    /// Returns whether bytes that are not a line start with a whole line.
    fn starts_with_whole_line(&self, bytes: &[u8]) -> bool {
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'}');
        ends.into_iter().any(|(at, _)| {
            let line = &bytes[..=at];
            decode::<EntryLine>(line, self.version.max(1)).is_ok() || decode_header(line).is_ok()
        })
    }
}

/// The start of every journal.
const HEADER_START: &[u8] = br#"{"at":""#;

/// Returns whether a first line that cannot be decoded may be part of a header, and not the start of another file.
fn may_be_torn_header(line: &[u8]) -> bool {
    line.starts_with(HEADER_START)
        || HEADER_START.starts_with(line)
        || line.iter().all(|byte| *byte == 0)
}
