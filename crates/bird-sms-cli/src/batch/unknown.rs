//! Describes a row whose outcome is unknown: what to look for in Bird, and the commands that settle it.

use std::fmt::Write as _;

use bird_sms::escape_controls;
use jiff::Timestamp;
use serde_json::json;

use super::outcome::Outcome;
use crate::args::{BatchArgs, quote};
use crate::json::to_json;
use crate::status::Status;

/// Returns the command that runs the same batch.
pub(super) fn command(args: &BatchArgs) -> String {
    let [input, journal] = [&args.input, &args.journal].map(|path| path.display().to_string());
    format!(
        "bird-sms batch {} --journal {}{}{}",
        quote(&input),
        quote(&journal),
        args.shared.to_options(),
        args.create.to_options()
    )
}

/// Describes the row as lines, or as a JSON line.
pub(super) fn describe(args: &BatchArgs, row: &Outcome, sent_at: Option<Timestamp>) -> String {
    let number = row.phone_number_id;
    let connection = args.shared.to_options();
    let command = command(args);
    let adopt = format!("{command} --adopt {number}=CONNECTOR_ID");
    // If a connector exists, no command to create another one is offered.
    let retry =
        (row.status == Status::Unknown).then(|| format!("{command} --retry-unknown {number}"));
    if args.shared.json {
        return to_json(&json!({
            "event": "unknown", "line": row.line, "name": row.name, "phoneNumberId": number,
            "sentAt": sent_at, "status": row.status,
            "adopt": adopt, "retry": retry,
        }));
    }
    let exists = if retry.is_some() { "may exist" } else { "exists" };
    let name = escape_controls(&row.name);
    let mut text = format!("{}: a connector {exists}, but its id is not known. ", row.label());
    let _ = write!(
        text,
        "Run `bird-sms check --phone-number-id {number}{connection}` and look in the Bird dashboard for a connector with \
         the name {name}"
    );
    if let Some(sent_at) = sent_at {
        let _ = write!(text, ", created about {sent_at:.0}");
    }
    let _ = write!(text, "\n  found:     {adopt}");
    if let Some(retry) = retry {
        let _ = write!(text, "\n  not found: {retry}");
    }
    text
}
