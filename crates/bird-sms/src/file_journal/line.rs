//! The format of a line: a JSON object whose last field is the checksum of the bytes before it.
//!
//! `{"at":…,"event":…,"crc32":"1c291ca3"}`. Version 1 has no checksum, and is still read and continued.

use std::borrow::Cow;

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{JournalEntry, PhoneNumberId, WorkspaceId};

/// The version that is written to a new journal.
pub(super) const VERSION: u32 = 2;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    at: Timestamp,
    event: HeaderEvent,
    pub(super) version: u32,
    pub(super) workspace_id: WorkspaceId,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum HeaderEvent {
    Journal,
}

/// Every other line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntryLine<'a> {
    pub(super) at: Timestamp,
    pub(super) phone_number_id: PhoneNumberId,
    #[serde(flatten)]
    pub(super) entry: Cow<'a, JournalEntry>,
}

impl Header {
    pub(super) fn new(at: Timestamp, workspace_id: WorkspaceId) -> Self {
        Self { at, event: HeaderEvent::Journal, version: VERSION, workspace_id }
    }
}

impl<'a> EntryLine<'a> {
    pub(super) fn new(
        at: Timestamp,
        phone_number_id: PhoneNumberId,
        entry: &'a JournalEntry,
    ) -> Self {
        Self { at, phone_number_id, entry: Cow::Borrowed(entry) }
    }
}

/// The bytes before and after the checksum.
const CHECKSUM: (&[u8], &[u8]) = (br#","crc32":""#, br#""}"#);

/// The CRC of Ethernet and zlib, in eight hexadecimal digits.
fn checksum(bytes: &[u8]) -> String {
    // With larger tables it is faster than any disk, for 15 KB more.
    const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
    format!("{:08x}", CRC.checksum(bytes))
}

/// Returns the bytes of a line of this version, with its line break.
pub(super) fn encode(line: &impl Serialize, version: u32) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(line).expect("a line is made of strings and numbers");
    if version > 1 {
        bytes.pop();
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(CHECKSUM.0);
        bytes.extend_from_slice(checksum.as_bytes());
        bytes.extend_from_slice(CHECKSUM.1);
    }
    bytes.push(b'\n');
    bytes
}

/// Decodes a line without its line break, or returns the problem.
pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8], version: u32) -> Result<T, String> {
    if version > 1 {
        verify(bytes).ok_or_else(|| "its checksum is wrong".to_owned())?;
    }
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// Decodes the first line, which contains its version.
pub(super) fn decode_header(bytes: &[u8]) -> Result<Header, String> {
    let header: Header = decode(bytes, 1)?;
    match header.version {
        0 => Err("version 0 does not exist".to_owned()),
        1 => Ok(header),
        // The format of a newer version is not known.
        version if version > VERSION => Ok(header),
        _ => verify(bytes).map(|()| header).ok_or_else(|| "its checksum is wrong".to_owned()),
    }
}

fn verify(bytes: &[u8]) -> Option<()> {
    let rest = bytes.strip_suffix(CHECKSUM.1)?;
    let (rest, checksum) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
    let content = rest.strip_suffix(CHECKSUM.0)?;
    (self::checksum(content).as_bytes() == checksum).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_earlier_journals() {
        assert_eq!(checksum(b"123456789"), "cbf43926");
    }

    // Fault 46.
    #[test]
    fn every_bit_flip_of_a_line_is_an_error() {
        let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse().unwrap();
        let id = "5f4f2c5e-6b0c-4a35-9f5d-0c6a5d0a7c11".parse().unwrap();
        let entry = JournalEntry::Adopted { connector_id: id };
        let line = EntryLine::new(Timestamp::now(), number, &entry);
        let bytes = encode(&line, VERSION);
        let line = bytes.strip_suffix(b"\n").unwrap();
        assert!(decode::<EntryLine>(line, VERSION).is_ok());
        for bit in 0..line.len() * 8 {
            let mut flipped = line.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<EntryLine>(&flipped, VERSION).is_err(), "bit {bit}");
        }
        let header =
            encode(&Header::new(Timestamp::now(), id.as_uuid().to_owned().into()), VERSION);
        let header = header.strip_suffix(b"\n").unwrap();
        for bit in 0..header.len() * 8 {
            let mut flipped = header.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A newer version is another error.
            let header = decode_header(&flipped);
            assert!(
                header.is_err() || header.is_ok_and(|header| header.version > VERSION),
                "bit {bit}"
            );
        }
    }
}
