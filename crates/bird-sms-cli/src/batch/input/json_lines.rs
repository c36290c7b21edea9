//! Rows of JSON Lines.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::iter;

use bird_sms::SmsConnectorRequest;
use serde::Deserialize;
use serde_json::Value;

use super::BOM;
use super::report::Problem;
use super::row::{self, COLUMNS, REQUIRED, ROW_LIMIT, Row, TOO_LONG, unknown};

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
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err("expected a JSON object".to_owned());
    }
    let fields: JsonFields = serde_json::from_slice(line).map_err(|error| {
        // The report has the line number in the file, and this text that in the row, which is 1.
        let text = error.to_string();
        format!("invalid JSON: {}", text.split(" at line ").next().unwrap_or_default())
    })?;
    if let Some(name) = fields.unknown.keys().next() {
        return Err(format!("the row has the {}", unknown("field", name)));
    }
    let values =
        [fields.name, fields.phone_number_id, fields.use_case_id, fields.channel_message_type];
    let mut texts = [None; 4];
    for (column, value) in values.iter().enumerate() {
        texts[column] = match value {
            Some(Value::String(text)) => Some(&**text),
            None if column >= REQUIRED => None,
            Some(_) => return Err(format!("the field {} is not a string", COLUMNS[column])),
            None => return Err(format!("the field {} is missing", COLUMNS[column])),
        };
    }
    let conversational = match fields.conversational {
        None => None,
        Some(Value::Bool(conversational)) => Some(conversational),
        Some(_) => return Err("conversational is neither true nor false".to_owned()),
    };
    row::request(texts, conversational)
}

/// The fields of a JSON line. Their values may have any type, because the errors of serde do not name the field with
/// a value of the wrong type.
#[derive(Deserialize)]
struct JsonFields {
    name: Option<Value>,
    phone_number_id: Option<Value>,
    use_case_id: Option<Value>,
    channel_message_type: Option<Value>,
    conversational: Option<Value>,
    #[serde(flatten)]
    unknown: BTreeMap<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_contains_all, report, requests};

    #[test]
    fn a_field_of_the_wrong_type_is_named_and_a_field_may_be_null() {
        for (row, reason) in [
            (r#"{"name":5,"phone_number_id":"A"}"#, "the field name is not a string"),
            (
                r#"{"name":"x","phone_number_id":["A"]}"#,
                "the field phone_number_id is not a string",
            ),
            (r#"{"name":null,"phone_number_id":"A"}"#, "the field name is missing"),
            (
                r#"{"name":"x","phone_number_id":"A","conversational":"true"}"#,
                "conversational is neither true nor false",
            ),
            (
                r#"{"name":"x","name":"y","phone_number_id":"A"}"#,
                "invalid JSON: duplicate field `name`",
            ),
            (r#"{"name":"x"#, "invalid JSON: EOF while parsing a string"),
        ] {
            assert_contains_all(&report(row), &[&format!("line 1: {reason}")]);
        }
        let row = r#"{"name":"x","phone_number_id":"A","use_case_id":null,"conversational":null}"#;
        assert_eq!(requests(row), requests("name,phone_number_id\nx,A\n"));
    }
}
