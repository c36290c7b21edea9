//! The format of a line: a JSON object.

use bird_sms::{JournalEntry, PhoneNumberId, WorkspaceId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version that is written.
pub(super) const VERSION: u32 = 1;

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
pub(super) struct EntryLine {
    at: Timestamp,
    pub(super) phone_number_id: PhoneNumberId,
    #[serde(flatten)]
    pub(super) entry: JournalEntry,
}

impl Header {
    pub(super) fn new(workspace_id: WorkspaceId) -> Self {
        Self { at: Timestamp::now(), event: HeaderEvent::Journal, version: VERSION, workspace_id }
    }
}

impl EntryLine {
    pub(super) fn new(phone_number_id: PhoneNumberId, entry: JournalEntry) -> Self {
        Self { at: Timestamp::now(), phone_number_id, entry }
    }
}

/// Returns the bytes of a line, with its line break.
pub(super) fn encode(line: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(line).expect("a line is made of strings and numbers");
    bytes.push(b'\n');
    bytes
}

/// Decodes a line, or says what is wrong with it.
pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}
