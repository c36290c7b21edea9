//! Decides whether a text from outside reveals the access key: a server may send the key back in any encoding.
//!
//! A *view* is the text, or what a decoder makes of it. Views are compared with *forms* of the key (verbatim,
//! base64, base32, hexadecimal), letters and digits alone and without their case, so that separators,
//! line breaks and UTF-16 make no difference.

use std::borrow::Cow;

use data_encoding::{BASE32_NOPAD, BASE64_NOPAD, Encoding, HEXLOWER};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};

use super::AccessKey;

/// The longest text that is examined, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// The fewest letters and digits in a row that count as a part of the key.
const SHORTEST_PART: usize = 8;
const REDACTED: &str = "[redacted]";

impl AccessKey {
    /// Returns whether a text has the key, or a third of it in a row, verbatim or encoded.
    ///
    /// The encodings are another case, escapes (of URLs, JSON, C, HTML and quoted-printable), base64, base32,
    /// hexadecimal, UTF-16, separators between characters, reversal and ROT13, and each two of them; and bytes
    /// in decimal. A part is at least eight letters and digits long. A key that has fewer than eight is only found
    /// whole, verbatim or escaped, because noise would have it by chance.
    ///
    /// A text of more than 64 KiB is not examined, and counts as revealing.
    #[must_use]
    pub fn reveals(&self, text: &str) -> bool {
        let forms = self.0.forms.get_or_init(|| Forms::new(self.0.key.expose_secret()));
        let is_shown = || any_view(text.as_bytes(), forms.decode, |view| forms.occur_in(view));
        text.len() > MAX_TEXT || text.len() >= forms.width && is_shown()
    }

    /// Returns the text, or `[redacted]` in its place when the text [reveals](Self::reveals) the key.
    #[must_use]
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let is_shown = !self.reveals(text);
        Cow::Borrowed(if is_shown { text } else { REDACTED })
    }
}

/// Returns the start of a text from the network: at most `limit` bytes and an ellipsis, on one line, without
/// characters that control a terminal or are not visible, and `[redacted]` when it reveals the key.
pub(crate) fn printable(text: &str, key: &AccessKey, limit: usize) -> String {
    // `str::floor_char_boundary` of Rust 1.91.
    let floor = |text: &str, end: usize| {
        (0..=end.min(text.len())).rfind(|end| text.is_char_boundary(*end)).unwrap_or_default()
    };
    // The margin finds a key that is cut by the limit; what follows is not shown, and so not examined.
    let text = key.redact(&text[..floor(text, 2 * limit)]);
    let end = floor(&text, limit);
    let start = text[..end].replace(is_unprintable, " ");
    format!("{start}{}", if end < text.len() { "…" } else { "" }).trim().to_owned()
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

/// The forms of a key, cut into parts of `width` bytes that overlap.
pub(super) struct Forms {
    /// Each part as a number, and how many parts in a row are a third of their form; sorted.
    parts: SecretBox<Vec<(u64, usize)>>,
    width: usize,
    /// Which bytes of a view are compared.
    kept: fn(&u8) -> bool,
    /// Whether the key is long enough not to be found in decoded noise by chance.
    decode: bool,
}

impl Forms {
    fn new(key: &str) -> Self {
        let key = key.as_bytes();
        let letters = key.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
        let kept = if letters < key.len().min(SHORTEST_PART) {
            u8::is_ascii_graphic
        } else {
            u8::is_ascii_alphanumeric
        };
        let mut forms = Zeroizing::new(vec![key.to_vec()]);
        let decode = key.iter().filter(|byte| kept(byte)).count() >= SHORTEST_PART;
        if decode {
            for base in &BASES {
                // The key may begin at any byte of a block; the whole blocks that follow do not depend on what
                // surrounds the key.
                let starts = (0..base.bytes).map(|start| &key[start..]);
                forms.extend(starts.map(|key| {
                    let whole = key.len() / base.bytes * base.bytes;
                    base.encoding.encode(&key[..whole]).into_bytes()
                }));
            }
        }
        forms.iter_mut().for_each(|form| form.retain(kept));
        let width = SHORTEST_PART.min(forms[0].len());
        let mut parts = Vec::with_capacity(forms.iter().map(Vec::len).sum());
        for form in forms.iter().filter(|form| form.len() >= width) {
            let needed = (form.len() / 3).max(SHORTEST_PART).min(form.len()) - width + 1;
            parts.extend(
                form.windows(width)
                    .map(|part| (part.iter().fold(0, |sum, byte| shift(sum, *byte)), needed)),
            );
        }
        parts.sort_unstable();
        parts.dedup_by_key(|(part, _)| *part);
        Self { parts: SecretBox::new(Box::new(parts)), width, kept, decode }
    }

    /// Returns whether parts of the key that overlap make up a third of a form somewhere in a view.
    fn occur_in(&self, view: &[u8]) -> bool {
        let parts = self.parts.expose_secret();
        let mask = u64::MAX >> (64 - 8 * self.width);
        let (mut part, mut run) = (0, 0);
        view.iter().filter(|byte| (self.kept)(byte)).any(|byte| {
            part = shift(part, *byte) & mask;
            let found = parts.binary_search_by_key(&part, |(part, _)| *part);
            run = if found.is_ok() { run + 1 } else { 0 };
            found.is_ok_and(|at| run >= parts[at].1)
        })
    }
}

/// Appends a byte, without its case, to a part.
fn shift(part: u64, byte: u8) -> u64 {
    part << 8 | u64::from(byte.to_ascii_lowercase())
}

/// An encoding in blocks of bytes and of symbols.
struct Base {
    encoding: Encoding,
    bytes: usize,
    symbols: usize,
    /// The symbol that a byte stands for; other bytes are skipped.
    symbol: fn(u8) -> Option<u8>,
}

static BASES: [Base; 3] = [
    Base {
        encoding: BASE64_NOPAD,
        bytes: 3,
        symbols: 4,
        symbol: |byte| match byte {
            b'-' => Some(b'+'),
            b'_' => Some(b'/'),
            _ => (byte.is_ascii_alphanumeric() || b"+/".contains(&byte)).then_some(byte),
        },
    },
    Base {
        encoding: BASE32_NOPAD,
        bytes: 5,
        symbols: 8,
        symbol: |byte| match byte.to_ascii_uppercase() {
            upper @ (b'A'..=b'Z' | b'2'..=b'7') => Some(upper),
            _ => None,
        },
    },
    Base {
        encoding: HEXLOWER,
        bytes: 1,
        symbols: 2,
        symbol: |byte| byte.is_ascii_hexdigit().then_some(byte.to_ascii_lowercase()),
    },
];

/// Returns whether a view satisfies `found`: the text, each of its decodings, and each rewriting of these; and
/// the same of the text without its escapes.
///
/// There are at most 192 views, none longer than the text: a base is decoded once, and a rewriting adds nothing.
fn any_view(text: &[u8], decode: bool, mut found: impl FnMut(&[u8]) -> bool) -> bool {
    let mut is_found_within = |text: &[u8]| {
        let mut decodings = rewritings(text).chain(base_decodings(text));
        found(text)
            || decode
                && decodings.any(|view| {
                    found(&view) || is_readable(&view) && rewritings(&view).any(|view| found(&view))
                })
    };
    let unescaped = unescape(text);
    is_found_within(text) || unescaped != text && is_found_within(&unescaped)
}

/// Returns whether a view has eight printable characters in a row, which noise seldom has.
fn is_readable(view: &[u8]) -> bool {
    view.split(|byte| !matches!(byte, b' '..=b'~')).any(|run| run.len() >= 8)
}

/// Undoes what the comparison does not: escapes, separators within them, reversal and ROT13.
fn rewritings(view: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let bytes = view.iter().copied();
    let is_separator = |byte: &u8| !byte.is_ascii_graphic() || b"-.,".contains(byte);
    let joined = bytes.clone().filter(move |byte| !is_separator(byte)).collect();
    let rotated = bytes.clone().map(rot13).collect();
    [unescape(view), joined, bytes.rev().collect(), rotated]
        .into_iter()
        .filter(move |rewritten| rewritten != view)
}

fn rot13(byte: u8) -> u8 {
    match byte.to_ascii_lowercase() {
        b'a'..=b'm' => byte + 13,
        b'n'..=b'z' => byte - 13,
        _ => byte,
    }
}

/// Decodes a text from each symbol at which a block may begin, skipping what is not a symbol.
fn base_decodings(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let numbers = text.split(|byte| !byte.is_ascii_digit());
    let decimal = numbers.filter_map(|number| str::from_utf8(number).ok()?.parse().ok()).collect();
    let bases = BASES.iter().flat_map(move |base| {
        let symbols: Vec<u8> = text.iter().copied().filter_map(base.symbol).collect();
        (0..base.symbols).filter_map(move |start| {
            let symbols = symbols.get(start..)?;
            let whole = symbols.len() / base.symbols * base.symbols;
            base.encoding.decode(&symbols[..whole]).ok()
        })
    });
    bases.chain(std::iter::once(decimal))
}

/// What begins a character by number, the fewest and the most digits of the number, and its radix.
const ESCAPES: [(&str, usize, usize, u32); 12] = [
    ("\\u000000", 2, 2, 16),
    ("\\u{", 1, 8, 16),
    ("\\u", 4, 4, 16),
    ("\\x", 2, 2, 16),
    ("\\", 1, 3, 8),
    ("&#x", 1, 8, 16),
    ("&#", 1, 8, 10),
    ("%u", 4, 4, 16),
    ("%", 2, 2, 16),
    ("=", 2, 2, 16),
    ("0x", 2, 2, 16),
    ("U+", 4, 4, 16),
];

/// Undoes the escapes of URLs, JSON, C, HTML and quoted-printable, all of them in one pass.
fn unescape(view: &[u8]) -> Vec<u8> {
    let (mut rest, mut unescaped) = (view, Vec::with_capacity(view.len()));
    while let Some(first) = rest.first() {
        let (byte, length) = escape(rest).unwrap_or((Some(*first), 1));
        unescaped.extend(byte.filter(u8::is_ascii));
        rest = &rest[length..];
    }
    unescaped
}

/// Returns the character of the escape that a text begins with, and the length of the escape.
fn escape(text: &[u8]) -> Option<(Option<u8>, usize)> {
    for (prefix, least, most, radix) in ESCAPES {
        let (begin, rest) = text.split_at_checked(prefix.len()).unwrap_or_default();
        if !begin.eq_ignore_ascii_case(prefix.as_bytes()) {
            continue;
        }
        let digits = rest.iter().map_while(|byte| char::from(*byte).to_digit(radix)).take(most);
        let count = digits.clone().count();
        if count >= least {
            let number = digits
                .fold(0, |number: u32, digit| number.saturating_mul(radix).saturating_add(digit));
            let closed = least < most && matches!(rest.get(count), Some(b';' | b'}'));
            let length = prefix.len() + count + usize::from(closed);
            return Some((u8::try_from(number).ok(), length));
        }
    }
    match text {
        [b'\\', b'b' | b'f' | b'n' | b'r' | b't' | b'v', ..] => Some((None, 2)),
        [b'\\', b'\\', ..] => Some((Some(b'\\'), 2)),
        [b'\\', b'/' | b'"', ..] => Some((None, 1)),
        // No named character of HTML is an ASCII letter or digit.
        [b'&', name @ ..] => {
            let length = name.iter().take(8).take_while(|byte| byte.is_ascii_alphabetic()).count();
            let is_named = length > 1 && name.get(length) == Some(&b';');
            is_named.then_some((name.starts_with(b"amp;").then_some(b'&'), length + 2))
        }
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use data_encoding::{BASE32, BASE64, BASE64URL_NOPAD};
    use proptest::prelude::*;

    use super::*;

    const SHORT: &str = "top-secret-key";
    const LONG: &str = "Zq7xW2mK9vLp4RtY8sNb3HcJ6dFg5QaXe1UoT0iM";

    fn key(text: &str) -> AccessKey {
        AccessKey::new(text).unwrap()
    }

    fn each(text: &str, encode: impl Fn(u8) -> String) -> String {
        text.bytes().map(encode).collect()
    }

    fn join(text: &str, separator: &str) -> String {
        text.split("").filter(|part| !part.is_empty()).collect::<Vec<_>>().join(separator)
    }

    type Encoder = fn(&str) -> String;

    pub(crate) const ENCODERS: [Encoder; 36] = [
        str::to_owned,
        str::to_lowercase,
        str::to_uppercase,
        |key| key.chars().rev().collect(),
        |key| each(key, |byte| char::from(rot13(byte)).into()),
        // Escapes.
        |key| each(key, |byte| format!("%{byte:02x}")),
        |key| each(key, |byte| format!("%{byte:02X}")),
        |key| {
            each(key, |b| {
                if b % 3 == 0 && b > b'f' { format!("%{b:02X}") } else { char::from(b).into() }
            })
        },
        |key| each(key, |byte| format!("={byte:02X}")),
        |key| each(key, |byte| format!("\\u{byte:04x}")),
        |key| each(key, |b| if b % 2 == 0 { format!("\\u{b:04X}") } else { char::from(b).into() }),
        |key| each(key, |byte| format!("\\u{{{byte:x}}}")),
        |key| each(key, |byte| format!("\\U{byte:08x}")),
        |key| each(key, |byte| format!("\\x{byte:02x}")),
        |key| each(key, |byte| format!("\\{byte:03o}")),
        |key| each(key, |byte| format!("&#{byte};")),
        |key| each(key, |byte| format!("&#x{byte:x};")),
        |key| key.replace('-', "&hyphen;"),
        // Bases.
        |key| BASE64.encode(key.as_bytes()),
        |key| BASE64URL_NOPAD.encode(key.as_bytes()),
        |key| BASE64.encode(format!("AccessKey {key}").as_bytes()),
        |key| BASE64.encode(format!("a {key} and more").as_bytes()),
        |key| BASE32.encode(key.as_bytes()),
        |key| BASE32_NOPAD.encode(format!("AccessKey {key}").as_bytes()).to_lowercase(),
        |key| each(key, |byte| format!("{byte:02x}")),
        |key| each(key, |byte| format!("{byte:02X}:")),
        |key| each(key, |byte| format!("0x{byte:02x}, ")),
        // Separators.
        |key| join(key, "\0"),
        |key| join(key, " "),
        |key| join(key, "-"),
        |key| join(key, ", "),
        |key| join(key, "."),
        |key| join(key, "\u{200b}"),
        |key| join(key, "\r\n"),
        |key| join(key, "\u{ad}"),
        // Numbers, which are not found when they are encoded in turn.
        |key| format!("{:?}", key.as_bytes()),
    ];

    #[test]
    fn a_key_is_found_in_each_encoding_and_each_two_of_them() {
        for secret in [SHORT, LONG] {
            let key = key(secret);
            let pairs = ENCODERS[..35].iter().flat_map(|f| ENCODERS.iter().map(move |g| (f, g)));
            for (inner, outer) in pairs {
                let encoded = outer(&inner(secret));
                let sentence = format!("the key {encoded} is not valid.");
                assert_eq!(key.redact(&sentence), REDACTED, "{sentence}");
                let json = serde_json::json!({ "code": "Denied", "message": encoded }).to_string();
                assert!(key.reveals(&json), "{json}");
            }
        }
    }

    #[test]
    fn a_third_of_a_key_is_found_and_less_is_not() {
        let key = key(LONG);
        let encoded = BASE64.encode(&LONG.as_bytes()[9..27]);
        for part in [&LONG[..13], &LONG[14..27], &LONG[..39], &encoded] {
            assert!(key.reveals(&format!("key={part}...")), "{part}");
        }
        assert!(!key.reveals(&format!("{}...{}", &LONG[..12], &LONG[36..])));
    }

    #[test]
    fn a_short_or_odd_key_is_found_as_it_is() {
        for (secret, text) in
            [("k9", "a %6B9"), ("!?!?!?!?!?!?", "a !?!?!?!?"), ("secret", "SeCrEt")]
        {
            assert!(key(secret).reveals(text), "{text}");
            let other = "the connector cannot be found; c2VjcmV0, azk=";
            assert!(!key(secret).reveals(other), "{secret}");
        }
    }

    #[test]
    fn texts_without_the_key_are_shown() {
        let image = BASE64.encode(&(0..=255).cycle().take(4000).collect::<Vec<u8>>());
        for text in [
            "",
            "One or more fields provided in the request body are malformed",
            "The requested resource could not be found",
            r#"{"code":"InvalidPayload","message":"property \"name\" is missing","details":{".name":[]}}"#,
            r#"{"code":"Unauthorized","message":"Authentication failed: your AccessKey is wrong"}"#,
            r#"{"code": "RateLimited", "retryAfter": 12, "limits": [50, 500, 1000, 65, 66, 67]}"#,
            "secret",
            "Authorization: AccessKey [redacted]",
            "QWNjZXNzS2V5IA==",
            "top secret",
            "2cffb55c-120e-91a8-8f10-ed9d1b412d29",
            "a1405560c8d34b1a877d3f449ad95352",
            "PHONE 2cffb55c-120e-91a8-8f10-ed9d1b412d29=be123b02-dacf-31f9-b3e5-50b18260bc23",
            "2025-01-21T01:43:10.940Z",
            "Tue, 21 Jan 2025 01:43:10 GMT",
            "1737423790940, 1737423790941, 1737423790942",
            "+31612345678",
            "My SMS channel",
            "sandbox-3f449ad95352a1405560c8d34b1a877d",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "9f:86:d0:81:88:4c:7d:65:9a:2f:ea:a0:c5:5a:d0:15:a3:bf:4f:1b:2b:0b:82:2c:d1:5d:6c:15:b0:f0:0a",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGh5cGVyIGh5cGVyIGh5cGVyIGh5cGVyIGg",
            "MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43UOV3HO6DZPI======",
            "https://example.com/a%20path/?next=%2Flogin%3Fx%3D1&amp;token=abc#top",
            "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<center>nginx/1.25.3</center></html>",
            "<title>Attention Required! | Cloudflare</title><span>Ray ID: 8f1e2d3c4b5a6978</span>&nbsp;&copy;",
            "<Error><Code>AccessDenied</Code><RequestId>4442587FB7D0A2F9</RequestId></Error>",
            "java.lang.NullPointerException\n\tat com.example.Gateway.handle(Gateway.java:214)\n",
            "thread 'main' panicked at src/main.rs:4:5:\nindex out of bounds: the len is 3\n   0: rust_begin",
            "Traceback (most recent call last):\n  File \"app.py\", line 3, in <module>\nKeyError: 'id'",
            "upstream connect error or disconnect/reset before headers. reset reason: connection timeout",
            "Root=1-67890abc-0123456789abcdef01234567",
            "0x00 0x01 0xff \\x00\\x7f \\u202e \\n",
            "Ungültiger Schlüssel: ключ недействителен, 密钥无效 🔑",
            "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt",
            &LONG[..12],
            &image,
        ] {
            assert_eq!(key(LONG).redact(text), text);
        }
    }

    #[test]
    fn the_work_is_bounded() {
        let nested = BASE64.encode("%5Cu0025%2541&amp;#x41; \\\\u{25}".repeat(1500).as_bytes());
        for text in ["%25".repeat(MAX_TEXT / 3), "=\\u0025 ".repeat(MAX_TEXT / 8), nested] {
            let mut views = 0;
            any_view(text.as_bytes(), true, |view| {
                assert!(view.len() <= text.len());
                views += 1;
                false
            });
            assert!((24..=192).contains(&views), "{views}");
        }
        assert!(key(LONG).reveals(&" ".repeat(MAX_TEXT + 1)));
    }

    #[test]
    fn texts_are_bounded_and_cannot_control_a_terminal() {
        let key = key(LONG);
        assert_eq!(printable(" a\u{1b}[2Jb\u{9b}c\u{202e}d\n ", &key, 20), "a [2Jb c d");
        assert_eq!(printable("ééé\u{e0041}", &key, 5), "éé…");
        let cut = format!("{}{LONG}", "x".repeat(100));
        assert_eq!(printable(&cut, &key, 105), REDACTED);
        assert_eq!(escape_controls("a\u{200b}\u{feff}\n"), "a\\u{200b}\\u{feff}\\u{a}");
        assert!(matches!(escape_controls("é…"), Cow::Borrowed("é…")));
    }

    proptest! {
        #[test]
        fn a_key_is_found_wherever_it_is(
            secret in "[A-Za-z0-9]{16}[A-Za-z0-9_.~/-]{8,40}",
            (before, after) in (".{0,200}", ".{0,200}"),
            (inner, outer) in (0..35_usize, 0..ENCODERS.len()),
        ) {
            let text = format!("{before}{}{after}", ENCODERS[outer](&ENCODERS[inner](&secret)));
            prop_assert!(key(&secret).reveals(&text));
        }

        #[test]
        fn other_texts_are_shown(
            (secret, other) in ("[A-Za-z0-9]{16}[A-Za-z0-9_-]{8,48}", "[!-~]{0,64}"),
            text in ".{0,200}",
            (inner, outer) in (0..ENCODERS.len(), 0..ENCODERS.len()),
        ) {
            let text = format!("{text}{}", ENCODERS[outer](&ENCODERS[inner](&other)));
            prop_assert!(!key(&secret).reveals(&text));
        }
    }
}
