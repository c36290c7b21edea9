//! The numbers and use cases of a sandbox.

use serde_json::{Value, json};
use uuid::Uuid;

/// The default long codes. Regulators reserve these numbers for fiction.
pub(crate) const NUMBERS: [&str; 10] = [
    "+12025550101",
    "+12025550102",
    "+447700900001",
    "+447700900002",
    "+447700900003",
    "+447700900004",
    "+61491570156",
    "+61491570157",
    "+61491570158",
    "+61491570159",
];

/// Calling codes and their countries.
const COUNTRIES: [(&str, &str); 5] =
    [("+1", "US"), ("+31", "NL"), ("+44", "GB"), ("+49", "DE"), ("+61", "AU")];

/// The ids and names of the use cases that every sandbox has.
pub(crate) const USE_CASES: [(Uuid, &str); 2] = [
    (Uuid::from_u128(0xbe12_3b02_dacf_31f9_b3e5_50b1_8260_bc23), "One-time passwords"),
    (Uuid::from_u128(0x5f4f_2c5e_6b0c_4a35_9f5d_0c6a_5d0a_7c11), "Delivery updates"),
];

/// When every number was created and last updated.
const CREATED: &str = "2025-01-21T01:43:10Z";

/// The kind of a number, named as in Bird's endpoint types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberKind {
    LongCode,
    ShortCode,
    Alpha,
}

#[derive(Clone, Debug)]
pub(crate) struct Number {
    pub(crate) id: Uuid,
    pub(crate) kind: NumberKind,
    pub(crate) text: String,
}

fn id(number: u128) -> Uuid {
    uuid::Builder::from_random_bytes(number.to_be_bytes()).into_uuid()
}

impl Number {
    /// Creates a long code, whose id ends with its digits.
    pub(crate) fn long_code(text: &str) -> Self {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let id = id(u128::from_str_radix(&digits, 16).unwrap_or_default());
        Self { id, kind: NumberKind::LongCode, text: format!("+{digits}") }
    }

    /// Creates a long code for an id that is not listed.
    pub(crate) fn unlisted(id: Uuid) -> Self {
        let text = format!("+3197{:010}", id.as_u128() % 10_000_000_000);
        Self { id, kind: NumberKind::LongCode, text }
    }

    pub(crate) fn short_code() -> Self {
        Self { id: id(0x12345), kind: NumberKind::ShortCode, text: "12345".to_owned() }
    }

    pub(crate) fn alpha() -> Self {
        Self { id: id(0xa1fa), kind: NumberKind::Alpha, text: "Example".to_owned() }
    }

    pub(crate) fn country(&self) -> &'static str {
        let mut known = COUNTRIES.iter().filter(|(start, _)| self.text.starts_with(start));
        known.next().map_or("US", |(_, country)| country)
    }

    pub(crate) fn endpoint_type(&self) -> &'static str {
        match self.kind {
            NumberKind::LongCode => "long-code-number",
            NumberKind::ShortCode => "short-code-number",
            NumberKind::Alpha => "alpha-number",
        }
    }

    /// Returns the number as in a response of Bird, with the connector that uses it.
    pub(crate) fn json(&self, connector: Option<Uuid>) -> Value {
        let dependencies: Vec<_> =
            connector.iter().map(|id| json!({ "type": "connector", "connectorId": id })).collect();
        let mut number = json!({
            "id": self.id,
            "endpointId": self.id,
            "createdAt": CREATED,
            "updatedAt": CREATED,
            "endpoint": {
                "id": self.id,
                "type": self.endpoint_type(),
                "name": self.text,
                "capabilities": [{
                    "name": "sms",
                    "inbound": (self.kind != NumberKind::Alpha).then(|| json!({ "status": "active" })),
                    "outbound": { "status": "active" },
                }],
                "dependencies": dependencies,
            },
        });
        if self.kind == NumberKind::Alpha {
            number["alphaString"] = json!(self.text);
            return number;
        }
        number["numberString"] = json!(self.text);
        number["countryCode"] = json!(self.country());
        let is_long = self.kind == NumberKind::LongCode;
        number["type"] = json!(if is_long { "mobile" } else { "dedicated" });
        number["capabilities"] = json!({
            "sms": { "inbound": true, "outbound": true },
            "mms": { "inbound": false, "outbound": false },
            "voice": { "inbound": false, "outbound": false },
        });
        number
    }
}
