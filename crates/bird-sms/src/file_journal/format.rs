//! The format of a journal: JSON Lines. The last field of each object is the checksum of the bytes before it.
//!
//! ```json
//! {"at":"…","event":"journal","version":1,"workspaceId":"…","baseUrl":"https://api.bird.com","crc32":"…"}
//! {"at":"…","phoneNumberId":"…","event":"intent","name":"…","crc32":"1c291ca3"}
//! ```
//!
//! In every later version, the first line must have a `version` and the checksum as well.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use jiff::Timestamp;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::{FileJournalError, open_regular_file};
use crate::{JournalEntry, JournalState, PhoneNumberId, WorkspaceId};

const VERSION: u32 = 1;

/// The start of every journal.
const HEADER_START: &[u8] = br#"{"at":""#;
/// More bytes than the first line has.
const MAX_HEADER: usize = 4096;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header<'a> {
    at: Timestamp,
    event: Cow<'a, str>,
    version: u32,
    workspace_id: WorkspaceId,
    base_url: Cow<'a, str>,
}

/// The field that the first line has in every version.
#[derive(Deserialize)]
struct HeaderVersion {
    version: u32,
}

/// Any line after the first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntryLine<'a> {
    pub(super) at: Timestamp,
    pub(super) phone_number_id: PhoneNumberId,
    #[serde(flatten)]
    pub(super) entry: Cow<'a, JournalEntry>,
}

/// The bytes before and after the checksum.
const CHECKSUM: (&[u8], &[u8]) = (br#","crc32":""#, br#""}"#);

/// Returns the CRC-32 of Ethernet and zlib, as eight hexadecimal digits.
fn checksum(bytes: &[u8]) -> String {
    // Larger tables would make this faster than any disk, but would take 15 KB more.
    const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
    format!("{:08x}", CRC.checksum(bytes))
}

/// Returns the bytes of a line, with its line break.
pub(super) fn encode(line: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(line).expect("a line is made of strings and numbers");
    bytes.pop();
    let checksum = checksum(&bytes);
    [&bytes, CHECKSUM.0, checksum.as_bytes(), CHECKSUM.1, b"\n"].concat()
}

/// Returns the first line, with its line break.
pub(super) fn header(at: Timestamp, workspace_id: WorkspaceId, base_url: &str) -> Vec<u8> {
    let event = Cow::Borrowed("journal");
    let base_url = base_url.into();
    encode(&Header { at, event, version: VERSION, workspace_id, base_url })
}

/// Decodes a line without its line break, or returns the problem.
fn decode<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
    if !is_intact(line) {
        return Err("its checksum is wrong".to_owned());
    }
    serde_json::from_slice(line).map_err(|error| error.to_string())
}

/// Returns whether the bytes are a line with the right checksum.
fn is_intact(line: &[u8]) -> bool {
    let split = || {
        let (rest, checksum) = line.strip_suffix(CHECKSUM.1)?.split_last_chunk::<8>()?;
        Some((rest.strip_suffix(CHECKSUM.0)?, checksum))
    };
    split().is_some_and(|(content, found)| checksum(content).as_bytes() == found)
}

/// The content of a [`FileJournal`](super::FileJournal) when it was opened.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct JournalContent {
    /// The state of each row.
    pub rows: JournalState,
    /// The number of the last line, counted from 1, if a crash tore it. No step was taken after such a line.
    pub torn_line: Option<u64>,
    pub(super) has_header: bool,
    /// The end of the last whole line, in bytes.
    pub(super) end: u64,
    /// Whether the last whole line has no line break.
    pub(super) unterminated: bool,
}

impl JournalContent {
    /// Reads a journal for the API at this base URL, and for this workspace if one is given. Changes nothing. A journal
    /// that does not exist is empty.
    ///
    /// # Errors
    ///
    /// Fails as [`FileJournal::open`](super::FileJournal::open) does, except that the file may be in use.
    pub fn read(
        path: impl AsRef<Path>,
        workspace_id: Option<WorkspaceId>,
        base_url: &str,
    ) -> Result<Self, FileJournalError> {
        // Normalizes the URL as a client does.
        let url = Url::parse(base_url);
        let base_url = url.as_ref().map_or(base_url, |url| url.as_str().trim_end_matches('/'));
        let owner = Owner { path: path.as_ref(), workspace_id, base_url };
        match open_regular_file(owner.path, OpenOptions::new().read(true)) {
            Ok(file) => Self::of(file, owner),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(owner.failed(error)),
        }
    }

    pub(super) fn of(file: impl Read, owner: Owner) -> Result<Self, FileJournalError> {
        let mut content = Self::default();
        let mut reader = BufReader::new(file);
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            let read = reader.read_until(b'\n', &mut bytes).map_err(|error| owner.failed(error))?;
            if read == 0 {
                break;
            }
            let is_terminated = bytes.ends_with(b"\n");
            if bytes.trim_ascii().is_empty() {
                content.end += if is_terminated { read as u64 } else { 0 };
                continue;
            }
            // Git and editors end lines with CRLF, and a crash may leave zeros in place of the rest.
            let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r' | b'\0'));
            let line = &bytes[..end.map_or(0, |last| last + 1)];
            // A torn line has lost its end, so it does not start with a whole line. A long file without a header had
            // entries, which something destroyed.
            let may_be_short = content.has_header || read <= MAX_HEADER;
            let may_be_torn = || {
                let is_line = |at: usize| line[at] == b'}' && is_intact(&line[..=at]);
                !is_terminated && may_be_short && !(0..line.len()).any(is_line)
            };
            match content.apply(line, number, is_terminated, owner) {
                Ok(()) if is_terminated => content.end += read as u64,
                Ok(()) => {
                    content.end += line.len() as u64;
                    content.unterminated = true;
                }
                Err(FileJournalError::Damaged { .. }) if may_be_torn() => {
                    content.torn_line = Some(number);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(content)
    }

    /// Applies the first line or an entry.
    fn apply(
        &mut self,
        line: &[u8],
        number: u64,
        is_terminated: bool,
        owner: Owner,
    ) -> Result<(), FileJournalError> {
        let path = owner.path.to_owned();
        if self.has_header {
            let line: EntryLine = decode(line).map_err(|problem| {
                // This line may be the first line of another journal.
                let is_header = decode::<HeaderVersion>(line).is_ok();
                FileJournalError::Damaged { path, line: number, is_header, problem }
            })?;
            self.rows.apply(line.phone_number_id, &line.entry, Some(line.at));
            return Ok(());
        }
        let unmarked = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        let is_journal = unmarked.starts_with(HEADER_START)
            || !is_terminated && HEADER_START.starts_with(unmarked);
        if !is_journal {
            return Err(FileJournalError::NotAJournal { path });
        }
        let version = if unmarked == line {
            decode(line).map(|HeaderVersion { version }| version)
        } else {
            Err("it has a byte order mark (BOM); save the file as UTF-8 without one".to_owned())
        };
        let header = match version {
            Ok(VERSION) => decode(line),
            Ok(version) => return Err(FileJournalError::Newer { path, version }),
            Err(problem) => Err(problem),
        };
        match header {
            Ok(header) => owner.check(&header)?,
            Err(problem) => {
                return Err(FileJournalError::Damaged {
                    path,
                    line: number,
                    is_header: true,
                    problem,
                });
            }
        }
        self.has_header = true;
        Ok(())
    }
}

/// The path of a journal, and the workspace and base URL that it must belong to.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) path: &'a Path,
    pub(super) workspace_id: Option<WorkspaceId>,
    pub(super) base_url: &'a str,
}

impl Owner<'_> {
    pub(super) fn failed(&self, source: io::Error) -> FileJournalError {
        FileJournalError::Io { path: self.path.to_owned(), source }
    }

    fn check(&self, header: &Header) -> Result<(), FileJournalError> {
        let path = self.path.to_owned();
        let found = header.workspace_id;
        if let Some(expected) = self.workspace_id.filter(|id| *id != found) {
            return Err(FileJournalError::OtherWorkspace { path, found, expected });
        }
        if header.base_url != self.base_url {
            let found = header.base_url.to_string();
            let expected = self.base_url.to_owned();
            return Err(FileJournalError::OtherServer { path, found, expected });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::RowState;

    const URL: &str = "https://api.bird.com";

    fn id<T: From<uuid::Uuid>>(n: u128) -> T {
        uuid::Uuid::from_u128(n).into()
    }

    fn header() -> Vec<u8> {
        super::header(Timestamp::UNIX_EPOCH, id(1), URL)
    }

    fn entries() -> Vec<(PhoneNumberId, JournalEntry)> {
        let message = || "m".to_owned();
        [
            // A name with a brace, because a torn line may start or end with one.
            (2, JournalEntry::Intent { name: "{SMS} 2".to_owned() }),
            (2, JournalEntry::Created { connector_id: id(7), warning: None }),
            (3, JournalEntry::Intent { name: "SMS 3".to_owned() }),
            (3, JournalEntry::Unknown { message: message() }),
            (2, JournalEntry::NotReady { connector_id: id(7), message: message() }),
            (4, JournalEntry::Refused { message: message() }),
        ]
        .map(|(number, entry)| (id(number), entry))
        .into()
    }

    fn line((number, entry): &(PhoneNumberId, JournalEntry)) -> Vec<u8> {
        let entry = Cow::Borrowed(entry);
        encode(&EntryLine { at: Timestamp::UNIX_EPOCH, phone_number_id: *number, entry })
    }

    /// Returns the lines of a journal twice: as they are written, and with CRLF and a blank line, as from an editor.
    fn journals() -> [Vec<Vec<u8>>; 2] {
        let written: Vec<_> = [header()].into_iter().chain(entries().iter().map(line)).collect();
        let crlf = |line: &Vec<u8>| [line.trim_ascii_end(), b"\r\n"].concat();
        let mut edited: Vec<_> = written.iter().map(crlf).collect();
        edited.insert(2, b"\r\n".to_vec());
        [written, edited]
    }

    fn read(bytes: &[u8]) -> Result<JournalContent, FileJournalError> {
        let owner = Owner { path: Path::new("j"), workspace_id: Some(id(1)), base_url: URL };
        JournalContent::of(bytes, owner)
    }

    fn states(content: &JournalContent) -> HashMap<PhoneNumberId, RowState> {
        content.rows.rows().collect()
    }

    #[test]
    fn the_checksum_is_crc_32() {
        assert_eq!(checksum(b"123456789"), "cbf43926");
    }

    #[test]
    fn every_bit_flip_is_an_error_that_names_its_line() {
        for (lines, is_edited) in journals().into_iter().zip([false, true]) {
            // Each line is the last line once, because a damaged last line may count as torn.
            for count in 1..=lines.len() {
                let journal = lines[..count].concat();
                let whole = states(&read(&journal).unwrap());
                let last = journal.len() - lines[count - 1].len();
                let from = if count == lines.len() { 0 } else { last };
                for bit in from * 8..journal.len() * 8 {
                    let mut flipped = journal.clone();
                    flipped[bit / 8] ^= 1 << (bit % 8);
                    let expected = journal[..bit / 8].split(|byte| *byte == b'\n').count() as u64;
                    match read(&flipped) {
                        Err(FileJournalError::Damaged { line, .. }) if line == expected => {}
                        // A file without a header may not be a journal at all.
                        Err(FileJournalError::NotAJournal { .. }) if expected == 1 => {}
                        // A flip may leave a blank line blank.
                        Ok(content) if is_edited => assert_eq!(states(&content), whole),
                        result => panic!("bit {bit} on line {expected} of {count}: {result:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn a_journal_cut_anywhere_keeps_its_whole_lines() {
        for lines in journals() {
            let journal = lines.concat();
            for kept in 0..=journal.len() {
                let whole = entries().into_iter().filter(|entry| {
                    let line = line(entry);
                    let line = line.trim_ascii_end();
                    journal[..kept].windows(line.len()).any(|window| window == line)
                });
                let mut expected = JournalContent::default();
                for (number, entry) in whole {
                    expected.rows.apply(number, &entry, Some(Timestamp::UNIX_EPOCH));
                }
                for zeros in [0, 1, 100] {
                    let cut = [&journal[..kept], &vec![0; zeros]].concat();
                    let content = read(&cut).unwrap();
                    let cut_at = format!("{kept} bytes and {zeros} zeros");
                    assert_eq!(states(&content), states(&expected), "{cut_at}");
                    let end = usize::try_from(content.end).unwrap();
                    let is_lost = cut[end..].iter().any(|byte| !byte.is_ascii_whitespace());
                    let torn = (is_lost && !content.unterminated)
                        .then(|| cut[..end].split(|byte| *byte == b'\n').count() as u64);
                    assert_eq!(content.torn_line, torn, "{cut_at}");

                    let mut continued = cut[..end].to_vec();
                    continued.extend(content.unterminated.then_some(b'\n'));
                    continued.extend(if content.has_header { Vec::new() } else { header() });
                    continued.extend(line(&(id(9), entries()[0].1.clone())));
                    let content = read(&continued).unwrap();
                    assert!(content.rows.row(id(9)).is_unfinished(), "{cut_at}");
                    assert_eq!(states(&content).len(), states(&expected).len() + 1, "{cut_at}");
                }
            }
        }
    }

    #[test]
    fn a_journal_with_a_missing_or_damaged_header_is_refused() {
        let [lines, _] = journals();
        let journal = lines.concat();
        let mut flipped = journal.clone();
        flipped[40] ^= 1;
        let broken = [
            ("checksum", flipped),
            ("missing field `version`", lines[1..].concat()),
            ("byte order mark", [BYTE_ORDER_MARK, &journal].concat()),
            ("byte order mark", [b"\n", BYTE_ORDER_MARK, &journal].concat()),
            ("missing field `phoneNumberId`", [journal.clone(), journal].concat()),
        ];
        for (problem, bytes) in broken {
            let error = read(&bytes).unwrap_err();
            let is_header = matches!(error, FileJournalError::Damaged { is_header: true, .. });
            assert!(is_header, "{error}");
            assert!(error.to_string().contains(problem), "{error}");
            assert!(!error.hint().contains("remove"), "{}", error.hint());
        }
        let other = [&b"{\"b\0\0"[..], b"{\n", b"\0\0\n", b"name\r\n", b"\xEF\xBB\xBFname\n"];
        for bytes in other {
            let error = read(bytes).unwrap_err();
            assert!(matches!(error, FileJournalError::NotAJournal { .. }), "{error}");
        }
    }

    #[test]
    fn a_journal_of_a_newer_version_is_refused() {
        let newer = serde_json::json!({"at": "later", "version": 2});
        let error = read(&encode(&newer)).unwrap_err();
        assert!(matches!(error, FileJournalError::Newer { version: 2, .. }), "{error}");
    }
}
