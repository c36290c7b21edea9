//! JSON decoding that names the field which is wrong, and that salvages an id from the rest.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use uuid::Uuid;

use crate::ConnectorId;

/// Decodes a body, or says what is wrong at which path.
pub(super) fn decode<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, String> {
    // UTF-8 is checked once for the whole text, where a slice would be checked string by string. Tracking
    // the path costs more still, and is done only for an error.
    let text = str::from_utf8(body).ok();
    text.and_then(|text| serde_json::from_str(text).ok()).map_or_else(|| decode_with_path(body), Ok)
}

fn decode_with_path<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, String> {
    let mut source = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut source).map_err(|error| {
        match error.path().to_string() {
            path if path == "." => error.inner().to_string(),
            path => format!("`{path}`: {}", error.inner()),
        }
    })?;
    source.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Returns the top-level `id` of a connector's JSON, even when the rest is cut off or malformed.
pub(crate) fn salvage_id(body: &Bytes) -> Option<ConnectorId> {
    struct Salvage<'a>(&'a mut Option<Uuid>);
    impl<'de> Visitor<'de> for Salvage<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a connector")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                if key == "id" {
                    *self.0 = Some(map.next_value()?);
                    break;
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }
    let mut id = None;
    // An error after the id does not matter: the body may be cut off there.
    let _ = serde_json::Deserializer::from_slice(body).deserialize_map(Salvage(&mut id));
    id.map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

    #[test]
    fn the_id_is_salvaged_from_a_body_that_is_cut_off_or_malformed() {
        let salvaged = |json: &str| salvage_id(&Bytes::from(json.replace("ID", ID)));
        let id = Some(ID.parse().unwrap());
        assert_eq!(salvaged(r#"{"id":"ID","name":"te"#), id);
        assert_eq!(salvaged(r#"{"name":"a","arguments":{"id":"x"},"id":"ID","channel":7}"#), id);
        assert_eq!(salvaged(r#"{"name":{"id":"ID"},"na"#), None);
        assert_eq!(salvaged(r#"{"id":"12"#), None);
        assert_eq!(salvaged(r#"["ID"]"#), None);
        assert_eq!(salvaged(""), None);
    }
}
