//! Decodes JSON, names the path of a malformed field, and recovers the id of the connector from a malformed body.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use uuid::Uuid;

use crate::ConnectorId;

/// Decodes a body, or returns the problem with the path of the field.
pub(crate) fn decode<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, String> {
    // UTF-8 is checked once for the whole text, while `from_slice` would check each string. Tracking the path is
    // even slower, and is done only after an error.
    let text = str::from_utf8(body).ok();
    text.and_then(|text| serde_json::from_str(text).ok()).map_or_else(|| decode_with_path(body), Ok)
}

fn decode_with_path<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, String> {
    let mut source = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut source).map_err(|error| {
        // The path of the whole body is `.`. It ends with `?` if the body ends before the name of the field.
        match error.path().to_string().trim_end_matches(['.', '?']) {
            "" => error.inner().to_string(),
            path => format!("`{path}`: {}", error.inner()),
        }
    })?;
    source.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Returns the id of the connector in a body, even if the rest is truncated or malformed.
///
/// This is the `id` of the object. An object without any field of a connector is a wrapper: then it is the `id` of the only
/// nested object, one level below, that looks like a connector. Returns `None` if an object has two different ids, and for
/// the nil UUID.
pub(crate) fn recover_id(body: &[u8]) -> Option<ConnectorId> {
    let mut found = Found::default();
    let read =
        serde_json::Deserializer::from_slice(body).deserialize_any(IdCollector::root(&mut found));
    // A body that is truncated after its `id` is still useful. If it is truncated before an `id`, the object may be a
    // connector and the nested objects its parts, so their ids are not used.
    let is_wrapper = !found.is_connector && read.is_ok();
    match (&found.top[..], &found.nested[..]) {
        ([id], _) if !id.is_nil() => Some((*id).into()),
        ([], [id]) if is_wrapper && !id.is_nil() => Some((*id).into()),
        _ => None,
    }
}

/// The different ids in a body.
#[derive(Default)]
struct Found {
    top: Vec<Uuid>,
    /// True if the object has a field of a connector, even if that is only an `id` that is not a UUID.
    is_connector: bool,
    /// The ids of nested objects that also have another field of a connector.
    nested: Vec<Uuid>,
}

/// Collects the ids of an object and of the objects one level below.
struct IdCollector<'a> {
    found: &'a mut Found,
    nested: bool,
}

impl<'a> IdCollector<'a> {
    fn root(found: &'a mut Found) -> Self {
        Self { found, nested: false }
    }
}

impl<'de> Visitor<'de> for IdCollector<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a connector")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut ids = Vec::new();
        let mut is_connector = false;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            is_connector |= matches!(&*key, "createdAt" | "connectorTemplateRef" | "channel");
            self.found.is_connector |=
                !self.nested && (is_connector || matches!(&*key, "id" | "name"));
            if key == "id" {
                let id = map.next_value::<serde_json::Value>()?;
                let ids = if self.nested { &mut ids } else { &mut self.found.top };
                if let Some(Ok(id)) = id.as_str().map(Uuid::try_parse)
                    && !ids.contains(&id)
                {
                    ids.push(id);
                }
            } else if self.nested {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(IdCollector { found: self.found, nested: true })?;
            }
        }
        if self.nested && is_connector {
            self.found.nested.extend(ids);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for IdCollector<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "123e4567-e89b-12d3-a456-426614174000";
    const OTHER: &str = "5f4f2c5e-6b0c-4a35-9f5d-0c6a5d0a7c11";

    fn recovered(json: &str) -> Option<ConnectorId> {
        recover_id(json.replace("ID", ID).replace("OTHER", OTHER).as_bytes())
    }

    #[test]
    fn an_id_is_recovered_from_a_malformed_body() {
        let id = Some(ID.parse().unwrap());
        assert_eq!(recovered(r#"{"id":"ID","name":"te"#), id);
        assert_eq!(recovered(r#"{"name":"a","arguments":{"id":"x"},"id":"ID","channel":7}"#), id);
        assert_eq!(recovered(r#"{"id":"ID","channel":{"id":"OTHER","createdAt":7}}"#), id);
        assert_eq!(recovered(r#"{"name":{"id":"ID"},"na"#), None);
        assert_eq!(recovered(r#"{"id":"12"#), None);
        assert_eq!(recovered(r#"["ID"]"#), None);
        assert_eq!(recovered(""), None);
    }

    #[test]
    fn the_id_of_the_only_nested_connector_is_recovered() {
        let id = Some(ID.parse().unwrap());
        assert_eq!(recovered(r#"{"data":{"id":"ID","name":"n","createdAt":"now"}}"#), id);
        assert_eq!(recovered(r#"{"ok":true,"n":[1],"connector":{"channel":null,"id":"ID"}}"#), id);
        assert_eq!(recovered(r#"{"request":{"id":"ID"}}"#), None);
        assert_eq!(
            recovered(r#"{"a":{"id":"ID","channel":null},"b":{"id":"OTHER","channel":null}}"#),
            None
        );
    }

    #[test]
    fn the_id_of_a_nested_part_is_not_recovered() {
        let user = r#""createdBy":{"id":"ID","createdAt":"now"}"#;
        for body in [
            format!(r#"{{"id":"con_12345",{user}}}"#),
            format!(r#"{{{user},"id":null}}"#),
            format!(r#"{{{user},"createdAt":"now"}}"#),
            format!(r#"{{{user},"name":"n"}}"#),
            // The `id` of the connector may be in the part that was cut off.
            format!(r#"{{"status":"created",{user},"up"#),
        ] {
            assert_eq!(recovered(&body), None, "{body}");
        }
    }

    #[test]
    fn two_different_ids_in_an_object_are_not_recovered() {
        assert_eq!(recovered(r#"{"id":"ID","id":"OTHER"}"#), None);
        assert_eq!(recovered(r#"{"data":{"id":"ID","id":"OTHER","channel":null}}"#), None);
    }

    #[test]
    fn the_nil_uuid_is_not_recovered() {
        assert_eq!(recovered(r#"{"id":"00000000-0000-0000-0000-000000000000"}"#), None);
    }
}
