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
    use std::collections::HashMap;

    use jiff::Timestamp;
    use uuid::Uuid;

    use super::super::line::encode;
    use super::*;
    use crate::{JournalEntry, PhoneNumberId};

    fn entries() -> Vec<(PhoneNumberId, JournalEntry)> {
        let connector_id = Uuid::from_u128(7).into();
        let channel_id = Uuid::from_u128(8).into();
        let ready = JournalEntry::Ready { connector_id, channel_id, warning: None };
        [
            (1, JournalEntry::Intent { name: "SMS 1".to_owned() }),
            (1, JournalEntry::Created { connector_id, warning: None }),
            (2, JournalEntry::Intent { name: "SMS 2".to_owned() }),
            (2, JournalEntry::Unknown { message: "m".to_owned() }),
            (3, JournalEntry::Intent { name: "SMS 3".to_owned() }),
            (1, ready),
            (3, JournalEntry::Refused { message: "m".to_owned() }),
        ]
        .map(|(number, entry)| (Uuid::from_u128(number).into(), entry))
        .into()
    }

    /// Returns the lines of a journal with these entries.
    fn lines(entries: &[(PhoneNumberId, JournalEntry)]) -> Vec<Vec<u8>> {
        let at = Timestamp::UNIX_EPOCH;
        let header = encode(&Header::new(at, Uuid::from_u128(1).into()), VERSION);
        let entries = entries
            .iter()
            .map(|(number, entry)| encode(&EntryLine::new(at, *number, entry), VERSION));
        [header].into_iter().chain(entries).collect()
    }

    fn read(bytes: &[u8]) -> Result<JournalContent, FileJournalError> {
        JournalContent::of(bytes, Path::new("j"), None)
    }

    // Fault 45.
    #[test]
    fn a_journal_that_was_cut_anywhere_has_its_whole_lines_also_with_zeros_in_place_of_the_rest() {
        let entries = entries();
        let lines = lines(&entries);
        let journal = lines.concat();
        for kept in 0..=journal.len() {
            // A line that lacks only its line break is whole.
            let mut whole = 0;
            let mut length = 0;
            while let Some(line) = lines.get(whole)
                && length + line.len() <= kept + 1
            {
                whole += 1;
                length += line.len();
            }
            let mut rows = JournalState::default();
            for (number, entry) in entries.iter().take(whole.saturating_sub(1)) {
                rows.apply(*number, entry, Some(Timestamp::UNIX_EPOCH));
            }
            for zeros in [0, 1, 100] {
                let cut = [&journal[..kept], &vec![0; zeros]].concat();
                let content = read(&cut).unwrap();
                let cut_at = format!("{kept} bytes and {zeros} zeros");
                assert_eq!(content.end, length.min(kept) as u64, "{cut_at}");
                assert_eq!(content.unterminated, length > kept, "{cut_at}");
                let torn = (length < cut.len() && length <= kept).then_some(whole as u64 + 1);
                assert_eq!(content.torn_line, torn, "{cut_at}");
                let states = |rows: &JournalState| rows.rows().collect::<HashMap<_, _>>();
                assert_eq!(states(&content.rows), states(&rows), "{cut_at}");
            }
        }
        let other = read(b"{\"b\0\0");
        assert!(matches!(other, Err(FileJournalError::NotAJournal { .. })));
    }

    // Fault 46.
    #[test]
    fn every_bit_flip_of_a_journal_is_an_error_that_names_its_line() {
        let lines = lines(&entries());
        // The last line of a journal is judged in another way than the others.
        for count in 1..=lines.len() {
            let journal = lines[..count].concat();
            for bit in 0..journal.len() * 8 {
                let mut flipped = journal.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let expected = journal[..bit / 8].split(|byte| *byte == b'\n').count() as u64;
                match read(&flipped) {
                    Err(FileJournalError::Damaged { line, .. }) if line == expected => {}
                    // Without its first line it may be another file.
                    Err(FileJournalError::NotAJournal { .. } | FileJournalError::Newer { .. })
                        if expected == 1 => {}
                    result => panic!("bit {bit} in line {expected} of {count}: {result:?}"),
                }
            }
        }
    }
}
