//! A row, in either format.

use bird_sms::{PhoneNumberId, SmsConnectorRequest};
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
    "the row is longer than 1 MiB; is there a quote that is never closed?";

pub(crate) type Row = Result<SmsConnectorRequest, Problem>;

/// Holds the values of a row before they are parsed.
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
