//! Removes everything that may identify a customer from a response.
//!
//! Field names, types and formats stay, so a redacted response still decodes. The values of a few fields stay as well,
//! because Bird chooses them.

use serde_json::{Map, Number, Value};
use uuid::Uuid;

/// Fields whose values Bird chooses. Array indices and the `/results` of a list are left out of the paths.
const KEPT: [&str; 23] = [
    "/capabilities",
    "/caseType",
    "/channel/platform",
    "/connectorTemplateRef",
    "/connectorTemplateSlug",
    "/countryCode",
    "/destinations",
    "/endpoint/capabilities/inbound/issues",
    "/endpoint/capabilities/inbound/status",
    "/endpoint/capabilities/name",
    "/endpoint/capabilities/outbound/issues",
    "/endpoint/capabilities/outbound/status",
    "/endpoint/dependencies/type",
    "/endpoint/type",
    "/issues",
    "/number/capabilities",
    "/number/country",
    "/number/endpointType",
    "/number/numberType",
    "/number/profileAttachments/capability",
    "/region",
    "/status",
    "/type",
];

/// Replaces each value that is not known to be safe with a placeholder.
pub(crate) fn redact(response: &Value) -> Value {
    redact_at("", response)
}

fn redact_at(path: &str, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut redacted = Map::new();
            for (index, (name, value)) in fields.iter().enumerate() {
                let value = redact_at(&format!("{path}/{name}"), value);
                // The keys of a map may be phone numbers or addresses.
                let name = if is_label(name) { name.clone() } else { format!("redacted{index}") };
                redacted.insert(name, value);
            }
            redacted.into()
        }
        Value::Array(items) => {
            let path = if path == "/results" { "" } else { path };
            items.iter().map(|item| redact_at(path, item)).collect()
        }
        Value::String(text) if text.is_empty() => value.clone(),
        Value::String(text) if KEPT.contains(&path) && is_label(text) => value.clone(),
        Value::String(text) if text.parse::<Uuid>().is_ok() => {
            "00000000-0000-4000-8000-000000000000".into()
        }
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => {
            "2000-01-01T00:00:00Z".into()
        }
        Value::String(_) => "redacted".into(),
        Value::Number(number) if number.is_f64() => Number::from_f64(0.0).into(),
        Value::Number(_) => 0.into(),
        Value::Bool(_) | Value::Null => value.clone(),
    }
}

/// Returns whether `text` looks like an identifier and has too few digits for a phone number or a UUID.
fn is_label(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:,".contains(&byte))
        && text.bytes().filter(u8::is_ascii_digit).count() <= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redaction_keeps_only_the_structure_and_values_bird_chooses() {
        let case: Value = yaml_serde::from_str(include_str!("../../testdata/redact.yaml")).unwrap();
        assert_eq!(redact(&case["response"]), case["redacted"]);
    }
}
