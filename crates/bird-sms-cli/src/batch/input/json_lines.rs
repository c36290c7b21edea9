//! Rows of JSON Lines.

use std::io::{BufRead, BufReader, Read};
use std::iter;

use bird_sms::SmsConnectorRequest;
use serde::Deserialize;

use super::BOM;
use super::report::Problem;
use super::row::{Fields, ROW_LIMIT, Row, TOO_LONG};

/// Reads rows, and skips empty lines.
pub(super) fn rows(source: impl Read + Send + 'static) -> impl Iterator<Item = (u64, Row)> + Send {
    let mut reader = BufReader::new(source);
    let mut next = 0;
    let mut line = Vec::new();
    iter::from_fn(move || {
        loop {
            let offset = next;
            line.clear();
            let read = reader.by_ref().take(ROW_LIMIT + 1).read_until(b'\n', &mut line);
            next += line.len() as u64;
            let row = match read {
                Ok(0) => return None,
                Ok(_) if line.len() as u64 > ROW_LIMIT => {
                    Err(Problem::Unreadable(TOO_LONG.to_owned()))
                }
                Ok(_) => {
                    let text = line.strip_prefix(BOM).filter(|_| offset == 0).unwrap_or(&line);
                    if text.trim_ascii().is_empty() {
                        continue;
                    }
                    request(text).map_err(Problem::Invalid)
                }
                Err(error) => Err(Problem::Unreadable(error.to_string())),
            };
            return Some((offset, row));
        }
    })
}

fn request(line: &[u8]) -> Result<SmsConnectorRequest, String> {
    let fields: JsonFields = serde_json::from_slice(line).map_err(|error| {
        // The report has the line number in the file, and this text that in the row, which is 1.
        let text = error.to_string();
        text.split(" at line ").next().unwrap_or_default().to_owned()
    })?;
    Fields {
        name: &fields.name,
        phone_number_id: &fields.phone_number_id,
        use_case_id: fields.use_case_id.as_deref(),
        channel_message_type: fields.channel_message_type.as_deref(),
        conversational: fields.conversational,
    }
    .request()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonFields {
    name: String,
    phone_number_id: String,
    use_case_id: Option<String>,
    channel_message_type: Option<String>,
    conversational: Option<bool>,
}
