use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use bird_sms::{JournalState, WorkspaceId};

use super::JournalFileError;
use super::line::{EntryLine, Header, VERSION, decode};
use crate::regular_file::open_regular_file;

/// What a journal says.
#[derive(Debug, Default)]
pub(in crate::batch) struct JournalContent {
    pub(in crate::batch) rows: JournalState,
    workspace_id: Option<WorkspaceId>,
    /// Where the last whole line ends, in bytes.
    pub(super) end: u64,
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
        // A line that cannot be decoded. It was torn by a crash if it is the last one.
        let mut torn = None;
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            let read = reader
                .read_until(b'\n', &mut bytes)
                .map_err(|error| JournalFileError::Io(path.to_owned(), error))?;
            if read == 0 {
                break;
            }
            if let Some((number, problem)) = torn.take() {
                return Err(JournalFileError::Damaged(path.to_owned(), number, problem));
            }
            let applied = if number == 1 {
                content.apply_header(&bytes, path)?
            } else {
                content.apply_entry(&bytes)
            };
            match applied {
                Ok(()) => content.end += read as u64,
                Err(problem) => torn = Some((number, problem)),
            }
        }
        match (content.workspace_id, workspace_id) {
            (Some(other), Some(id)) if other != id => {
                Err(JournalFileError::OtherWorkspace(path.to_owned(), other, id))
            }
            _ => Ok(content),
        }
    }

    /// Applies the first line. The inner error is that of a line that a crash may have torn.
    fn apply_header(
        &mut self,
        bytes: &[u8],
        path: &Path,
    ) -> Result<Result<(), String>, JournalFileError> {
        match decode_line::<Header>(bytes) {
            Ok(header) if header.version > VERSION => {
                Err(JournalFileError::Newer(path.to_owned(), header.version))
            }
            Ok(header) => {
                self.workspace_id = Some(header.workspace_id);
                Ok(Ok(()))
            }
            Err(problem) if may_be_torn_header(bytes) => Ok(Err(problem)),
            Err(_) => Err(JournalFileError::NotAJournal(path.to_owned())),
        }
    }

    fn apply_entry(&mut self, bytes: &[u8]) -> Result<(), String> {
        let line: EntryLine = decode_line(bytes)?;
        self.rows.apply(line.phone_number_id, &line.entry);
        Ok(())
    }
}

fn decode_line<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    let line = bytes.strip_suffix(b"\n").ok_or_else(|| "it has no end".to_owned())?;
    decode(line)
}

/// Returns whether a first line that cannot be decoded is what a crash left of a header, and not another file.
fn may_be_torn_header(line: &[u8]) -> bool {
    let start = &br#"{"at":""#[..];
    !line.ends_with(b"\n")
        && (line.starts_with(start)
            || start.starts_with(line)
            || line.iter().all(|byte| *byte == 0))
}
