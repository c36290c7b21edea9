//! A row, in either format.

use bird_sms::{PhoneNumberId, SmsConnectorRequest};
use strsim::osa_distance;
use uuid::Uuid;

use super::report::Problem;

/// The columns of a CSV file, and the fields of a JSON line.
pub(super) const COLUMNS: [&str; 5] =
    ["name", "phone_number_id", "use_case_id", "channel_message_type", "conversational"];
/// The number of [`COLUMNS`] that every row needs: the first ones.
pub(super) const REQUIRED: usize = 2;
/// The length of the longest row, in bytes. After a quote that is not closed, the rest of the file would be
/// one row.
pub(super) const ROW_LIMIT: u64 = 1024 * 1024;
pub(super) const TOO_LONG: &str =
    "the row is longer than 1 MiB; is there a quote that is not closed?";
/// The number of characters of an unknown name that a report shows. The name may be long, because the header
/// may be missing.
const SHOWN: usize = 40;

pub(crate) type Row = Result<SmsConnectorRequest, Problem>;

/// The values of a row before they are parsed.
pub(super) struct Fields<'a> {
    pub(super) name: &'a str,
    pub(super) phone_number_id: &'a str,
    pub(super) use_case_id: Option<&'a str>,
    pub(super) channel_message_type: Option<&'a str>,
    pub(super) conversational: Option<bool>,
}

impl Fields<'_> {
    /// Builds the request, or describes all that is wrong with the values.
    pub(super) fn request(&self) -> Result<SmsConnectorRequest, String> {
        let mut reasons = Vec::new();
        let number = self.phone_number_id.parse::<PhoneNumberId>();
        reasons.extend(number.as_ref().err().map(ToString::to_string));
        // The other values are checked also when this one is wrong.
        let number = number.unwrap_or_else(|_| Uuid::nil().into());
        let mut request = SmsConnectorRequest::new(self.name, number);
        match self.use_case_id.map(str::parse).transpose() {
            Ok(None) => {}
            Ok(Some(id)) => request = request.use_case_id(id),
            Err(error) => reasons.push(error.to_string()),
        }
        if let Some(kind) = self.channel_message_type {
            request = request.channel_message_type(kind.into());
        }
        if let Some(conversational) = self.conversational {
            request = request.conversational(conversational);
        }
        reasons.extend(request.check().err().map(|error| error.to_string()));
        if reasons.is_empty() { Ok(request) } else { Err(reasons.join("; ")) }
    }
}

/// Describes an unknown column or field, and suggests the known name that is similar.
pub(super) fn unknown(kind: &str, name: &str) -> String {
    let shown: String = name.trim().chars().take(SHOWN).collect();
    let snake_case = shown.to_lowercase().replace([' ', '-'], "_");
    // One edit in a short name, and two edits in a long name. More edits would make `note` similar to `name`.
    let similar = |column: &&str| osa_distance(&snake_case, column) <= (column.len() / 4).min(2);
    let hint = match COLUMNS.into_iter().find(similar) {
        Some(column) => format!("did you mean {column}?"),
        None => format!("the {kind}s are {}", COLUMNS.join(",")),
    };
    if name.split_whitespace().any(may_be_secret) {
        format!("unknown {kind} (not shown, because the name may be a secret); {hint}")
    } else {
        format!("unknown {kind} {shown:?}; {hint}")
    }
}

/// Returns whether a word may be an access key: a long mix of letters and digits, other than a UUID.
fn may_be_secret(word: &str) -> bool {
    // A UUID without hyphens has the form of the keys of many services.
    let uuid = word.len() == 36 && Uuid::try_parse(word).is_ok();
    word.chars().count() >= 20
        && word.contains(char::is_alphabetic)
        && word.contains(char::is_numeric)
        && !uuid
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_contains_all, report_of_bytes};
    use super::*;

    fn report(text: &str) -> String {
        report_of_bytes(text.as_bytes())
    }

    #[test]
    fn an_unknown_column_or_field_gets_a_suggestion_when_it_is_similar_to_a_known_one() {
        for (name, similar) in [
            ("Name", "name"),
            ("nmae", "name"),
            ("phone-number-id", "phone_number_id"),
            (" Phone Number ID ", "phone_number_id"),
            ("phoneNumberId", "phone_number_id"),
            ("usecase_ids", "use_case_id"),
            ("channel message type", "channel_message_type"),
            ("CONVERSATION", "conversational"),
        ] {
            let hint = format!("unknown column {:?}; did you mean {similar}?", name.trim());
            assert_contains_all(&report(&format!("{name},x\n")), &["the header has the ", &hint]);
            let hint = format!("unknown field {:?}; did you mean {similar}?", name.trim());
            assert_contains_all(
                &report(&format!("{{\"{name}\":1}}\n")),
                &["the row has the ", &hint],
            );
        }
        for name in ["", "note", "phone", "phone_number", "id", "status"] {
            let known = COLUMNS.join(",");
            assert_eq!(
                unknown("column", name),
                format!("unknown column {name:?}; the columns are {known}")
            );
        }
    }

    #[test]
    fn a_long_unknown_name_is_truncated() {
        let shown = format!("\"{}\";", "x".repeat(40));
        let name = "x".repeat(1024 * 1024 - 10);
        assert_contains_all(&report(&format!("{name},name\n")), &[&shown]);
        assert_contains_all(&report(&format!("{{\"{name}\":1}}\n")), &[&shown]);
    }

    #[test]
    fn input_that_may_be_a_secret_is_not_shown() {
        let key = "aB3dE5fG7hI9jK1lM3nO";
        for text in [key, &format!("AccessKey {key}"), "0123456789abcdef0123456789abcdef"] {
            for input in [
                format!("{text},name\nx,A\n"),
                format!("{{\"{text}\":1}}\n"),
                format!("{{\"conversational\":\"{text}\"}}\n"),
                format!("{{}}\n\"{text}\"\n"),
                format!("{{}}\n{text}\n"),
                format!(
                    "name,phone_number_id,use_case_id,conversational\nx,{text},{text},{text}\n"
                ),
            ] {
                let report = report(&input);
                assert!(!report.contains(&text[10..]), "{report}");
            }
        }
        for shown in
            ["2cffb55c-120e-91a8-8f10-ed9d1b412d29", &key[1..], "phone_number_of_the_sender"]
        {
            assert_contains_all(&unknown("column", shown), &[shown]);
        }
    }
}
