//! Redacts the access key in text, and removes or escapes characters that control a terminal.

use std::borrow::Cow;

use secrecy::ExposeSecret;
use serde_json::Value;
use uuid::Uuid;

use super::AccessKey;

/// The shortest key that is removed, in bytes. Text may contain a shorter one by chance.
const SHORTEST: usize = 8;
const REDACTED: &str = "[redacted]";

impl AccessKey {
    /// Returns the text with `[redacted]` instead of the key, ignoring case.
    ///
    /// A key of fewer than eight characters is not replaced, because text often contains it by chance. An encoded key is not
    /// replaced either, so decode the text first.
    #[must_use]
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let key = self.0.expose_secret().as_bytes();
        let mut redacted = String::new();
        let mut rest = text;
        if key.len() >= SHORTEST {
            // The key is ASCII, so a match starts and ends between characters.
            while let Some(start) =
                rest.as_bytes().windows(key.len()).position(|part| part.eq_ignore_ascii_case(key))
            {
                redacted.push_str(&rest[..start]);
                redacted.push_str(REDACTED);
                rest = &rest[start + key.len()..];
            }
        }
        if redacted.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(redacted + rest) }
    }

    /// Returns whether [`redact`](Self::redact) would change the text.
    ///
    /// Returns `false` for a UUID that is longer than the key, because an id may contain the same digits by chance.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        const UUID: usize = 36;
        let is_id = text.len() == UUID
            && self.0.expose_secret().len() < UUID
            && Uuid::try_parse(text).is_ok();
        !is_id && matches!(self.redact(text), Cow::Owned(_))
    }

    /// Redacts each string, number and field name that contains the key. Returns whether any of them did.
    pub(crate) fn redact_json(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) if self.is_in(text) => {
                *text = self.redact(text).into_owned();
                true
            }
            Value::Number(number) if self.is_in(&number.to_string()) => {
                *value = REDACTED.into();
                true
            }
            Value::Array(values) => {
                values.iter_mut().fold(false, |found, value| self.redact_json(value) | found)
            }
            Value::Object(fields) => {
                let names: Vec<_> =
                    fields.keys().filter(|name| self.is_in(name)).cloned().collect();
                for name in &names {
                    let value = fields.remove(name).unwrap_or_default();
                    fields.insert(self.redact(name).into_owned(), value);
                }
                let values = fields.values_mut();
                values.fold(!names.is_empty(), |found, value| self.redact_json(value) | found)
            }
            _ => false,
        }
    }

    /// Redacts a body. JSON is decoded first, because it can escape the key in several ways.
    pub(crate) fn redact_body(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let Ok(mut json) = serde_json::from_str::<Value>(&text) else {
            return self.redact(&text).into_owned();
        };
        // If a field name is repeated, `json` has only the last value, so the text is searched as well.
        let is_found = self.redact_json(&mut json) | self.is_in(&text);
        if is_found { json.to_string() } else { text.trim().to_owned() }
    }
}

/// Returns the start of text from the network: at most `limit` bytes and an ellipsis, on one line, without
/// characters that control a terminal or are not visible.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    // `str::floor_char_boundary` needs Rust 1.91.
    let is_boundary = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=limit.min(text.len())).rfind(is_boundary).unwrap_or_default();
    let start = text[..end].replace(is_unprintable, " ");
    let ellipsis = if end < text.len() { "…" } else { "" };
    format!("{start}{ellipsis}").trim().to_owned()
}

/// Returns the text with the characters that control a terminal or are not visible escaped: `\u{202e}`.
#[must_use]
pub fn escape_controls(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unprintable(c) { escaped.extend(c.escape_unicode()) } else { escaped.push(c) }
    }
    Cow::Owned(escaped)
}

/// Returns whether a character controls a terminal or is not visible: C0, DEL, C1, bidi controls, zero-width
/// characters, line and paragraph separators, and tags.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}')
        || matches!(c, '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const KEY: &str = "top-secret-key";

    fn key(text: &str) -> AccessKey {
        AccessKey::new(text).unwrap()
    }

    #[test]
    fn the_key_is_redacted_in_any_case() {
        let text = "é top-secret-key, TOP-SECRET-KEYé; Top-Secret-Keytop-secret-key";
        let redacted = "é [redacted], [redacted]é; [redacted][redacted]";
        assert_eq!(key(KEY).redact(text), redacted);
        assert!(matches!(key(KEY).redact("top-secret-ke"), Cow::Borrowed("top-secret-ke")));
    }

    #[test]
    fn a_short_key_is_not_redacted() {
        assert_eq!(key("1234567").redact("a 1234567"), "a 1234567");
        assert_eq!(key("12345678").redact("a 12345678"), "a [redacted]");
        assert!(!key("x").is_in("x"));
    }

    #[test]
    fn a_uuid_is_redacted_only_if_it_is_the_key() {
        let id = "2cffb55c-120e-91a8-8f10-ed9d1b412d29";
        let part = key("2CFFB55C");
        let mut json = json!({ "id": id, "name": format!("of {id}"), "n": [1, true, null] });
        assert!(part.redact_json(&mut json));
        let name = "of [redacted]-120e-91a8-8f10-ed9d1b412d29";
        assert_eq!(json, json!({ "id": id, "name": name, "n": [1, true, null] }));
        assert!(key(id).is_in(id) && !part.is_in(id));
    }

    #[test]
    fn every_part_of_json_is_redacted() {
        let key = key("0123456789");
        for (body, redacted) in [
            (r#" {"b": 1, "a":"\u002b"} "#, r#"{"b": 1, "a":"\u002b"}"#),
            (r#"{"a":[{"b":"x\u00301234\u00356789"}]}"#, r#"{"a":[{"b":"x[redacted]"}]}"#),
            (r#"{"0123456789":10123456789}"#, r#"{"[redacted]":"[redacted]"}"#),
            (r#"{"a":"0123456789","a":7}"#, r#"{"a":7}"#),
            (r#"{"a":"0123456789"#, r#"{"a":"[redacted]"#),
            ("\u{1b}0123456789", "\u{1b}[redacted]"),
        ] {
            assert_eq!(key.redact_body(body.as_bytes()), redacted);
        }
        let deep = format!("{}\"0123456789\"{}", "[".repeat(1000), "]".repeat(1000));
        assert!(key.redact_body(deep.as_bytes()).contains("[\"[redacted]\"]"));
        assert_eq!(key.redact_body(b"\xff0123456789"), "\u{fffd}[redacted]");
    }

    #[test]
    fn printable_text_is_bounded_and_has_no_controls() {
        assert_eq!(printable(" a\u{1b}[2Jb\u{9b}c\u{202e}d\n ", 20), "a [2Jb c d");
        assert_eq!(printable("ééé\u{e0041}", 5), "éé…");
        assert_eq!(escape_controls("a\u{200b}\u{feff}\n"), "a\\u{200b}\\u{feff}\\u{a}");
        assert!(matches!(escape_controls("é…"), Cow::Borrowed("é…")));
    }

    proptest! {
        #[test]
        fn redaction_removes_only_the_key(secret in "[!#-&(-_a-~][!-~]{6,38}[!#-&(-_a-~]", parts in prop::collection::vec(".{0,9}", 1..5)) {
            let key = key(&secret);
            prop_assume!(!parts.iter().any(|part| key.is_in(part)));
            let redacted = key.redact(&parts.join(&secret)).into_owned();
            prop_assert_eq!(redacted, parts.join(REDACTED));
        }
    }
}
