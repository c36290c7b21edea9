//! The values of a user that are never printed: an access key given in place of a file name, an id or a URL would
//! otherwise be printed in an error, and end in a log.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use bird_sms::AccessKey;
use jiff::SignedDuration;
use uuid::Uuid;

use crate::regular_file::read_short_text;

/// The shortest value that may be a secret, in bytes.
const SHORTEST_SECRET: usize = 16;
/// The shortest access key that is searched for in encodings, in bytes. Most texts contain a shorter key by chance.
const SHORTEST_ENCODED: usize = 8;
const REDACTED: &str = "[redacted]";

/// The values that are never printed.
pub(crate) struct Scrubber {
    keys: Vec<AccessKey>,
    /// Each value as it is printed, plain and by `{:?}`. The longest value is the first, because it may contain others.
    values: Vec<String>,
}

impl Scrubber {
    /// Collects the values from the arguments, the file of `--access-key-file` and the environment of this process.
    pub(crate) fn of_process() -> Self {
        let args = || std::env::args_os().skip(1);
        Self::new(
            args(),
            key_of_file(args()).into_iter().chain(std::env::var_os("BIRD_ACCESS_KEY")),
        )
    }

    /// Collects the access keys, and each argument that may be a secret.
    pub(crate) fn new(
        args: impl Iterator<Item = OsString>,
        access_keys: impl IntoIterator<Item = OsString>,
    ) -> Self {
        let (mut keys, mut values) = (Vec::new(), BTreeSet::new());
        for key in access_keys {
            let key = key.to_str().map_or(&*key, |key| OsStr::new(key.trim()));
            values.extend(forms(key));
            let key = key.to_str().filter(|key| key.len() >= SHORTEST_ENCODED);
            keys.extend(key.and_then(|key| AccessKey::new(key).ok()));
        }
        for arg in args {
            let text = arg.to_string_lossy();
            let (option, value) = text.split_once('=').unwrap_or((&text, ""));
            // The name of an option is not part of the value, but text after dashes may not be an option.
            let whole = if text.starts_with("--") { option.trim_start_matches('-') } else { &text };
            let secrets = [whole, value].into_iter().filter(|value| may_be_secret(value));
            values.extend(secrets.flat_map(|secret| forms(OsStr::new(secret))));
        }
        values.remove("");
        let mut values: Vec<String> = values.into_iter().collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { keys, values }
    }

    /// Returns whether a text has an access key, in any encoding.
    pub(crate) fn reveals_key(&self, text: &str) -> bool {
        self.keys.iter().any(|key| key.reveals(text))
    }

    /// Returns the text with `[redacted]` in place of each value. A text that reveals the access key in another way is
    /// replaced as a whole.
    pub(crate) fn scrub<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut scrubbed = Cow::Borrowed(text);
        for value in self.values.iter().filter(|value| text.contains(value.as_str())) {
            scrubbed = Cow::Owned(scrubbed.replace(value.as_str(), REDACTED));
        }
        if self.reveals_key(&scrubbed) {
            return Cow::Borrowed(REDACTED);
        }
        scrubbed
    }
}

/// Returns the access key of the file that `--access-key-file` names, in arguments that may have errors.
fn key_of_file(mut args: impl Iterator<Item = OsString>) -> Option<OsString> {
    const OPTION: &str = "--access-key-file";
    let arg = args.find(|arg| arg.to_string_lossy().split('=').next() == Some(OPTION))?;
    let path = match arg.to_str()?.strip_prefix(OPTION)?.strip_prefix('=') {
        Some(path) => path.into(),
        None => args.next()?,
    };
    read_short_text(Path::new(&path)).ok().map(OsString::from)
}

/// Returns the forms in which a value is printed: by `display()`, by `{:?}`, and by `{:?}` of its lossy text.
#[allow(clippy::unnecessary_debug_formatting, reason = "errors print paths in both ways")]
fn forms(value: &OsStr) -> [String; 3] {
    let unquoted = |quoted: String| quoted.trim_matches('"').to_owned();
    let text = value.to_string_lossy();
    [unquoted(format!("{value:?}")), unquoted(format!("{text:?}")), text.into_owned()]
}

/// Returns whether a value may be an access key, a token or a password: long, without white space, with letters and
/// digits, and not a valid value of an option.
pub(crate) fn may_be_secret(value: &str) -> bool {
    let is_uuid = |value: &str| Uuid::try_parse(value).is_ok();
    value.len() >= SHORTEST_SECRET
        && !value.contains(char::is_whitespace)
        && value.contains(|c: char| c.is_ascii_alphabetic())
        && value.contains(|c: char| c.is_ascii_digit())
        && !is_uuid(value)
        && !value.split_once('=').is_some_and(|(a, b)| is_uuid(a) && is_uuid(b))
        && !value.split_once("://").map_or_else(|| is_file_name(value), is_plain_url)
        && value.parse::<SignedDuration>().is_err()
}

/// Returns whether a value names a file: it exists, or has an extension of at most five letters.
fn is_file_name(value: &str) -> bool {
    let path = Path::new(value);
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    let is_extension = extension.bytes().all(|byte| byte.is_ascii_alphabetic());
    (1..=5).contains(&extension.len()) && is_extension && !value.contains('@') || path.exists()
}

/// Returns whether a URL, split after its scheme, cannot contain a secret: it has no user, query or fragment.
fn is_plain_url((scheme, rest): (&str, &str)) -> bool {
    scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) && !rest.contains(['@', '?', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Zq7xW2mK9vLp4RtY8sNb3HcJ6dFg5QaXe1UoT0iM";
    const ID: &str = "2cffb55c-120e-91a8-8f10-ed9d1b412d29";

    fn scrubber(args: &[&str], key: Option<&str>) -> Scrubber {
        Scrubber::new(args.iter().map(OsString::from), key.map(OsString::from))
    }

    #[test]
    fn an_argument_that_may_be_a_secret_is_not_printed() {
        let pair = format!("{SECRET}={ID}");
        for (arg, printed) in [
            (SECRET.to_owned(), SECRET),
            (format!("--journal={SECRET}"), SECRET),
            (format!("--{SECRET}"), SECRET),
            (format!("--{SECRET}=x"), SECRET),
            (format!("BIRD_ACCESS_KEY={SECRET}"), SECRET),
            (format!("--adopt={pair}"), &*pair),
            ("https://user:pass1@example.com".to_owned(), "https://user:pass1@example.com"),
            ("user:pass1@example.com".to_owned(), "user:pass1@example.com"),
            ("https://example.com/?token=a1".to_owned(), "https://example.com/?token=a1"),
            ("abcdef.0123456789".to_owned(), "abcdef.0123456789"),
            ("abc\"def\\012345678".to_owned(), "abc\"def\\012345678"),
        ] {
            let scrubber = scrubber(&["install", &arg], None);
            let text = scrubber
                .scrub(&format!("cannot open {printed}: {printed:?}: not found"))
                .into_owned();
            assert!(!text.contains(printed) && !text.contains("012345678"), "{text}");
            assert!(text.starts_with("cannot open [redacted]: \"[redacted]\""), "{text}");
        }
    }

    #[test]
    fn other_arguments_are_printed() {
        let pair = format!("{ID}={ID}");
        for arg in [
            "a1b2c3d4e5f6a7b",
            "onlylettersinthisargument",
            "1234567890123456",
            "+31612345678",
            "a name with 123 numbers",
            ID,
            &pair,
            "numbers-2025-01-21.csv",
            "/data/2025/run-0000001/journal.jsonl",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../bird-sms-cli/src/../src/../../../crates"),
            "https://api2.example.com:8443/v1/workspaces",
            "http://127.0.0.1:8080/abcdefg",
            "1h30m15s500ms250us",
            "--posts-per-second-and-more",
        ] {
            for arg in [arg.to_owned(), format!("--option={arg}")] {
                let text = format!("invalid value '{arg}'");
                assert_eq!(scrubber(&[&arg], None).scrub(&text), text);
            }
        }
    }

    #[test]
    fn the_key_of_the_environment_is_found_in_any_encoding() {
        let scrubber = scrubber(&[], Some(&format!("{SECRET}\n")));
        let upper = SECRET.to_uppercase();
        assert_eq!(scrubber.scrub("invalid value 'x'"), "invalid value 'x'");
        assert_eq!(scrubber.scrub(&format!("no such file: {SECRET}")), "no such file: [redacted]");
        assert_eq!(scrubber.scrub(&format!("no such file: {upper}")), REDACTED);
        assert_eq!(scrubber.scrub(&format!("no such file: {}", &SECRET[1..])), REDACTED);
    }

    #[test]
    fn only_a_short_or_refused_key_itself_is_replaced() {
        assert_eq!(scrubber(&[], Some("k9!")).scrub("a k9! b K9!"), "a [redacted] b K9!");
        assert_eq!(scrubber(&[], Some("two words")).scrub("a two words b"), "a [redacted] b");
        assert_eq!(scrubber(&[], Some("")).scrub("a"), "a");
    }

    #[test]
    fn the_longest_value_is_replaced_first() {
        let longer = format!("{SECRET}-0123");
        assert_eq!(scrubber(&[SECRET, &longer], None).scrub(&longer), REDACTED);
    }
}
