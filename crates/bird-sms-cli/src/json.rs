use std::fmt::Write;

use bird_sms::escape_controls;
use serde::Serialize;

/// Returns a value as JSON on one line. Characters that a terminal would interpret are escaped.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    let json =
        serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
    if json.is_ascii() && !json.contains('\u{7f}') {
        return json;
    }
    json.chars().fold(String::with_capacity(json.len()), |mut escaped, c| {
        let mut buffer = [0; 4];
        if matches!(escape_controls(c.encode_utf8(&mut buffer)), std::borrow::Cow::Owned(_)) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Fault 48 in docs/reliability.md.
    #[test]
    fn control_characters_are_escaped_and_read_back_the_same() {
        let text = "a\u{1b}[31m \u{7f} \u{9b} \u{202e} \u{e0041} é \"";
        let json = to_json(&text);
        assert_eq!(json, r#""a\u001b[31m \u007f \u009b \u202e \udb40\udc41 é \"""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
