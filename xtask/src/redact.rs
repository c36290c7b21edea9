//! Takes out of an answer what tells of a customer, and leaves its shape.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Number, Value};
use uuid::Uuid;

use crate::schema::{Additional, Shape};

/// Fields whose text is chosen by people.
const PROSE: [&str; 3] = ["name", "description", "routingKey"];
/// The digits in a row that may be a part of a phone number.
const DIGITS: usize = 7;
/// The length of a UUID with its hyphens.
const UUID: usize = 36;

/// The answer with ids, phone numbers and names replaced, and all values of fields that the contract does
/// not know. Equal ids stay equal.
pub(crate) fn redacted(answer: &Value, shape: &Shape) -> Value {
    let mut known = BTreeSet::new();
    collect_names(shape, &mut known);
    replaced("", answer, &known, false)
}

/// The names of all fields that the contract knows the values of.
fn collect_names<'a>(shape: &'a Shape, names: &mut BTreeSet<&'a str>) {
    for (name, field) in &shape.fields {
        if field.shape.additional != Additional::Free {
            names.insert(name);
        }
        collect_names(&field.shape, names);
    }
    let additional = match &shape.additional {
        Additional::Of(shape) => Some(&**shape),
        _ => None,
    };
    let items = shape.items.as_deref();
    for inner in shape.alternatives.values().chain(items).chain(additional) {
        collect_names(inner, names);
    }
}

/// `free` is what the contract does not know.
fn replaced(name: &str, value: &Value, known: &BTreeSet<&str>, free: bool) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let free = free || !known.contains(name.as_str());
                let name = if free { scrubbed(name) } else { name.clone() };
                let value = replaced(&name, value, known, free);
                (name, value)
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(|item| replaced(name, item, known, free)).collect(),
        Value::String(text) => {
            if let Ok(id) = text.parse::<Uuid>() {
                // In whichever of its spellings.
                stand_in(id).to_string().into()
            } else if text.parse::<Timestamp>().is_ok() {
                if free { "2000-01-01T00:00:00Z".into() } else { value.clone() }
            } else if is_phone_number(name, text) {
                "+00000000000".into()
            } else if free || PROSE.contains(&name) || is_id(name) {
                "redacted".into()
            } else {
                scrubbed(text).into()
            }
        }
        Value::Number(number) if free || is_id(name) || has_digits(number) => {
            if number.is_f64() {
                Number::from_f64(0.0).into()
            } else {
                0.into()
            }
        }
        other => other.clone(),
    }
}

/// A text with other ids, and without long rows of digits.
fn scrubbed(text: &str) -> String {
    let mut scrubbed = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let id = rest.get(..UUID).and_then(|id| id.parse::<Uuid>().ok());
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let taken = match id {
            Some(id) => {
                scrubbed.push_str(&stand_in(id).to_string());
                UUID
            }
            None if digits >= DIGITS => {
                scrubbed.push_str(&"0".repeat(digits));
                digits
            }
            None if digits > 0 => {
                scrubbed.push_str(&rest[..digits]);
                digits
            }
            None => {
                scrubbed.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    scrubbed
}

/// The same for the same id, and not to be turned back: it has fewer bits.
fn stand_in(id: Uuid) -> Uuid {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(id);
    Uuid::from_u128(u128::from(hash & 0xffff_ffff) | 0x4000_8000_0000_0000_0000)
}

fn is_id(name: &str) -> bool {
    name == "id" || name.ends_with("Id") || name.ends_with("_id")
}

/// Whether it may be a phone number without quotes.
fn has_digits(number: &Number) -> bool {
    number.to_string().bytes().filter(u8::is_ascii_digit).count() >= DIGITS
}

fn is_phone_number(name: &str, text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let other = |c: char| !(c.is_ascii_digit() || "+-() .".contains(c));
    let is_something_else = text.parse::<Date>().is_ok() || text.parse::<IpAddr>().is_ok();
    name == "phoneNumber" || (digits >= DIGITS && !text.contains(other) && !is_something_else)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::parse;

    fn redacted(answer: &Value) -> Value {
        let contract = parse(include_str!("../testdata/contract.yaml")).unwrap();
        let shape = Shape::at(&contract, "/components/schemas/Connector").unwrap();
        super::redacted(answer, &shape)
    }

    #[test]
    fn ids_numbers_and_names_are_taken_out_and_the_shape_stays() {
        let answer = json!({
            "id": "1f0e5a3c-0b5a-4f0e-9a52-3d2c1b0a9f8e",
            "name": "Jane's shop",
            "region": "eu-west-1",
            "channel": {"channelId": "1f0e5a3c-0b5a-4f0e-9a52-3d2c1b0a9f8e"},
            "number": {"phoneNumber": "JaneShop", "numberType": "mobile", "country": "+31 6 1234 5678"},
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
        assert_eq!(redacted["region"], "eu-west-1");
        assert_eq!(redacted["number"]["numberType"], "mobile");
        assert_eq!(redacted["createdAt"], "2026-01-01T00:00:00Z");
        assert_eq!(redacted["arguments"], json!({"phone": 0, "on": true, "list": ["redacted"]}));
    }

    #[test]
    fn a_phone_number_or_an_id_in_another_spelling_is_taken_out_of_a_field_that_is_known() {
        let answer = json!({
            "id": "1f0e5a3c0b5a4f0e9a523d2c1b0a9f8e",
            "region": 31_612_345_678_u64,
        });
        let text = redacted(&answer).to_string();
        assert!(!text.contains("1f0e5a3c") && !text.contains("31612345678"), "{text}");
    }

    #[test]
    fn of_a_field_that_the_contract_does_not_know_only_the_shape_stays() {
        let answer = json!({
            "msisdn": 31_612_345_678_u64,
            "score": 0.7,
            "born": "2026-01-01",
            "seen": "2026-01-01T10:11:12Z",
            "address": {"ip": "192.168.100.200", "street": "Main Street 1", "+31612345678": true},
            "list": ["Jane", null],
            "id": 12_345_678,
        });
        let expected = json!({
            "msisdn": 0,
            "score": 0.0,
            "born": "redacted",
            "seen": "2000-01-01T00:00:00Z",
            "address": {"ip": "redacted", "street": "redacted", "+00000000000": true},
            "list": ["redacted", null],
            "id": 0,
        });
        assert_eq!(redacted(&answer), expected);
    }

    #[test]
    fn what_stands_in_the_middle_of_a_text_is_taken_out_too() {
        let answer = json!({
            "region": "https://x/workspaces/1f0e5a3c-0b5a-4f0e-9a52-3d2c1b0a9f8e/y?from=31612345678&n=12",
        });
        let text = redacted(&answer)["region"].as_str().unwrap().to_owned();
        assert!(
            text.starts_with("https://x/workspaces/") && text.ends_with("/y?from=00000000000&n=12")
        );
        assert!(!text.contains("1f0e5a3c"), "{text}");
    }
}
