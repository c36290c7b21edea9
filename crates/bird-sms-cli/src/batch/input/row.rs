//! A row, in either format.

use bird_sms::{ChannelMessageType, PhoneNumberId, SmsConnectorRequest, UseCaseId};
use uuid::Uuid;

use super::report::Problem;
use crate::secret;

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

/// Builds the request of a row, or describes all that is wrong with the values of [`COLUMNS`].
pub(super) fn request(
    texts: [Option<&str>; 4],
    conversational: Option<bool>,
) -> Result<SmsConnectorRequest, String> {
    let [name, phone_number_id, use_case_id, channel_message_type] = texts;
    let mut reasons = Vec::new();
    let number = phone_number_id.unwrap_or_default().parse::<PhoneNumberId>();
    reasons.extend(number.as_ref().err().map(ToString::to_string));
    // The other values are checked also when this one is wrong.
    let number = number.unwrap_or_else(|_| Uuid::nil().into());
    let use_case_id = use_case_id.map(str::parse::<UseCaseId>).transpose();
    reasons.extend(use_case_id.as_ref().err().map(ToString::to_string));
    let request = SmsConnectorRequest::new(name.unwrap_or_default(), number)
        .use_case_id(use_case_id.unwrap_or_default())
        .channel_message_type(channel_message_type.map(ChannelMessageType::from))
        .conversational(conversational);
    reasons.extend(request.check().err().map(|error| error.to_string()));
    // Each row is checked before the first one is sent.
    if [name, channel_message_type].into_iter().flatten().any(secret::is_in) {
        reasons.push("a value contains the access key".to_owned());
    }
    if reasons.is_empty() { Ok(request) } else { Err(reasons.join("; ")) }
}

/// Describes an unknown column or field, and suggests the known name that differs from it only in case, spaces,
/// hyphens and underscores, or another separator. A name that contains the access key is not shown.
pub(super) fn unknown(kind: &str, name: &str) -> String {
    let name = name.trim();
    let letters = |name: &str| name.to_lowercase().replace([' ', '-', '_'], "");
    let hint = match COLUMNS.into_iter().find(|column| letters(column) == letters(name)) {
        Some(column) => format!("did you mean {column}?"),
        None if kind == "column" && name.contains(COLUMNS[1]) => {
            "separate the columns by `,`, `;` or tab".to_owned()
        }
        None => format!("the {kind}s are {}", COLUMNS.join(",")),
    };
    if secret::is_in(name) {
        return format!("unknown {kind} that contains the access key; {hint}");
    }
    let shown: String = name.chars().take(SHOWN).collect();
    format!("unknown {kind} {shown:?}; {hint}")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_contains_all, report};
    use super::*;

    #[test]
    fn an_unknown_column_or_field_is_shown_with_the_known_name_that_it_resembles() {
        let known = format!("s are {}", COLUMNS.join(","));
        let long = "x".repeat(1024 * 1024 - 10);
        for (name, shown, hint) in [
            ("Name", "Name", "did you mean name?"),
            ("phone-number-id", "phone-number-id", "did you mean phone_number_id?"),
            (" Phone Number ID ", "Phone Number ID", "did you mean phone_number_id?"),
            ("phoneNumberId", "phoneNumberId", "did you mean phone_number_id?"),
            ("note", "note", &known),
            ("phone_number", "phone_number", &known),
            (&long, &"x".repeat(40), &known),
        ] {
            for (kind, input) in [
                ("header has the unknown column", format!("{name},x\n")),
                ("row has the unknown field", format!("{{\"{name}\":1}}\n")),
            ] {
                assert_contains_all(&report(&input), &[&format!("the {kind} {shown:?}; "), hint]);
            }
        }
    }
}
