use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use super::line::{EntryLine, Header, VERSION, decode, decode_header};
use super::{FileJournalError, open_regular_file};
use crate::{JournalState, WorkspaceId};

/// The content of a [`FileJournal`](super::FileJournal) when it was opened.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct JournalContent {
    /// The state of each row.
    pub rows: JournalState,
    /// The number of the last line, counted from 1, if a crash tore it. No step followed such a line.
    pub torn_line: Option<u64>,
    workspace_id: Option<WorkspaceId>,
    /// The version of the file. 0 while it has no header.
    pub(super) version: u32,
    /// The end of the last whole line, in bytes.
    pub(super) end: u64,
    /// Whether the last whole line has no line break.
    pub(super) unterminated: bool,
}

impl JournalContent {
    /// Reads a journal, of this workspace if one is given, and changes nothing. A journal that does not exist is empty.
    ///
    /// # Errors
    ///
    /// Fails as [`FileJournal::open`](super::FileJournal::open) does, except that the file may be in use.
    pub fn read(
        path: impl AsRef<Path>,
        workspace_id: Option<WorkspaceId>,
    ) -> Result<Self, FileJournalError> {
        let path = path.as_ref();
        match open_regular_file(path, OpenOptions::new().read(true)) {
            Ok(file) => Self::of(file, path, workspace_id),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(FileJournalError::Io { path: path.to_owned(), source }),
        }
    }

    pub(super) fn of(
        file: impl Read,
        path: &Path,
        workspace_id: Option<WorkspaceId>,
    ) -> Result<Self, FileJournalError> {
        let mut content = Self::default();
        let mut reader = BufReader::new(file);
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            let read = reader
                .read_until(b'\n', &mut bytes)
                .map_err(|source| FileJournalError::Io { path: path.to_owned(), source })?;
            if read == 0 {
                break;
            }
            let line = bytes.strip_suffix(b"\n").unwrap_or_else(|| {
                // A crash may leave zeros in place of the rest.
                let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                &bytes[..end]
            });
            content.unterminated = !bytes.ends_with(b"\n");
            let applied = if number == 1 {
                content.apply_header(line, path)?
            } else {
                content.apply_entry(line)
            };
            match applied {
                Ok(()) if content.unterminated => content.end += line.len() as u64,
                Ok(()) => content.end += read as u64,
                // A crash tears the end off a line, so that the rest does not start with a whole line.
                Err(_) if content.unterminated && !content.starts_with_whole_line(line) => {
                    content.torn_line = Some(number);
                    content.unterminated = false;
                }
                Err(problem) => {
                    let path = path.to_owned();
                    return Err(FileJournalError::Damaged { path, line: number, problem });
                }
            }
        }
        match (content.workspace_id, workspace_id) {
            (Some(found), Some(expected)) if found != expected => {
                Err(FileJournalError::OtherWorkspace { path: path.to_owned(), found, expected })
            }
            _ => Ok(content),
        }
    }

    /// Applies the first line. The inner error is for a line that a crash may have torn.
    fn apply_header(
        &mut self,
        line: &[u8],
        path: &Path,
    ) -> Result<Result<(), String>, FileJournalError> {
        match decode_header(line) {
            Ok(header) if header.version > VERSION => {
                let path = path.to_owned();
                Err(FileJournalError::Newer { path, version: header.version })
            }
            Ok(Header { version, workspace_id, .. }) => {
                (self.version, self.workspace_id) = (version, Some(workspace_id));
                Ok(Ok(()))
            }
            Err(problem) if self.unterminated && may_be_torn_header(line) => Ok(Err(problem)),
            Err(problem) if line.starts_with(HEADER_START) => {
                Err(FileJournalError::Damaged { path: path.to_owned(), line: 1, problem })
            }
            Err(_) => Err(FileJournalError::NotAJournal { path: path.to_owned() }),
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
    line.starts_with(HEADER_START) || HEADER_START.starts_with(line)
}

#[cfg(test)]
mod tests {
    use super::super::line::encode;
    use super::*;

    #[test]
    fn what_a_crash_cut_anywhere_can_be_read_also_with_zeros_in_place_of_the_rest() {
        let id = WorkspaceId::from(uuid::Uuid::from_u128(1));
        let mut header = encode(&Header::new(jiff::Timestamp::UNIX_EPOCH, id), VERSION);
        // The line break is part of what is cut.
        for kept in 0..header.len() {
            for zeros in [0, 1, 100] {
                let torn = [&header[..kept], &vec![0; zeros]].concat();
                let content = JournalContent::of(&torn[..], Path::new("j"), Some(id)).unwrap();
                let is_whole = kept + 1 == header.len();
                assert_eq!(content.end, if is_whole { kept as u64 } else { 0 }, "{torn:?}");
                assert_eq!(content.torn_line.is_some(), !is_whole && !torn.is_empty(), "{torn:?}");
                assert_eq!(content.unterminated, is_whole, "{torn:?}");
            }
        }
        header.extend(b"\0\0");
        let content = JournalContent::of(&header[..], Path::new("j"), Some(id)).unwrap();
        assert_eq!((content.torn_line, content.end), (Some(2), header.len() as u64 - 2));
        let other = JournalContent::of(&b"{\"b\0\0"[..], Path::new("j"), None);
        assert!(matches!(other, Err(FileJournalError::NotAJournal { .. })));
    }
}
