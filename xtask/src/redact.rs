//! Takes out of an answer what tells of a customer, and leaves its shape.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use serde_json::Value;
use uuid::Uuid;

/// Fields whose text is chosen by people.
const PROSE: [&str; 3] = ["name", "description", "routingKey"];
/// Fields whose values are the customer's own, whatever they are called.
const FREE: [&str; 2] = ["arguments", "variables"];

/// The answer with ids, phone numbers and names replaced. Equal ids stay equal.
pub(crate) fn redacted(answer: &Value) -> Value {
    replaced("", answer, false)
}

fn replaced(name: &str, value: &Value, free: bool) -> Value {
    let free = free || FREE.contains(&name);
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), replaced(name, value, free)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(|item| replaced(name, item, free)).collect(),
        Value::String(text) => {
            if let Ok(id) = text.parse::<Uuid>() {
                stand_in(id).to_string().into()
            } else if is_phone_number(name, text) {
                "+00000000000".into()
            } else if free || PROSE.contains(&name) || is_id(name) {
                "redacted".into()
            } else {
                value.clone()
            }
        }
        Value::Number(_) if free => 0.into(),
        other => other.clone(),
    }
}

/// The same for the same id, and not to be turned back: it has fewer bits.
fn stand_in(id: Uuid) -> Uuid {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(id);
    Uuid::from_u128(u128::from(hash & 0xffff_ffff) | 0x4000_8000_0000_0000_0000)
}

fn is_id(name: &str) -> bool {
    name == "id" || name.ends_with("Id") || name.ends_with("_id")
}

fn is_phone_number(name: &str, text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let other = |c: char| !(c.is_ascii_digit() || "+-() .".contains(c));
    name == "phoneNumber" || (digits >= 7 && !text.contains(other))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_numbers_and_names_are_taken_out_and_the_shape_stays() {
        let answer = json!({
            "id": "1f0e5a3c-0b5a-4f0e-9a52-3d2c1b0a9f8e",
            "name": "Jane's shop",
            "channel": {"channelId": "1f0e5a3c-0b5a-4f0e-9a52-3d2c1b0a9f8e", "platform": "sms-messagebird"},
            "number": {"phoneNumber": "JaneShop", "numberType": "mobile", "alias": "+31 6 1234 5678"},
            "arguments": {"phone": 31_612_345_678_u64, "on": true, "list": ["Jane"]},
            "externalId": "cust-17",
            "createdAt": "2026-01-01T00:00:00Z",
        });
        let redacted = redacted(&answer);
        let text = redacted.to_string();
        for secret in ["1f0e5a3c", "Jane", "1234", "31612345678", "cust-17"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert_eq!(redacted["id"], redacted["channel"]["channelId"]);
        assert!(redacted["id"].as_str().unwrap().parse::<Uuid>().is_ok());
        assert_eq!(redacted["channel"]["platform"], "sms-messagebird");
        assert_eq!(redacted["number"]["numberType"], "mobile");
        assert_eq!(redacted["createdAt"], "2026-01-01T00:00:00Z");
        assert_eq!(redacted["arguments"], json!({"phone": 0, "on": true, "list": ["redacted"]}));
    }
}
