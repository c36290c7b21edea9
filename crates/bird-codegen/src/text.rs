//! Escapes the descriptions of a contract for doc comments, so rustdoc neither runs code nor creates links from them.

/// Escapes code blocks, HTML, links and tables in a description. Keeps code spans, lists, headings and emphasis.
///
/// Otherwise rustdoc would run code blocks as doctests, and warn about unknown HTML tags and links. Bidirectional
/// control characters are removed, because rustc refuses them in comments.
pub(crate) fn text(description: &str) -> String {
    description.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

fn line(line: &str) -> String {
    let is_shown = |c: &char| {
        !matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            && (!c.is_control() || c.is_whitespace())
    };
    let shown: String = line.chars().filter(is_shown).collect();
    // Four spaces at the start of a line or after a list marker would start a code block.
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = String::new();
    let mut rest = words.as_str();
    while let Some(first) = rest.chars().next() {
        let run = rest.len() - rest.trim_start_matches(first).len();
        let (taken, escape) = match first {
            '\\' if rest[1..].starts_with(|c: char| c.is_ascii_punctuation()) => (2, false),
            // If a code span continued on the next line, the escapes there would have no effect.
            '`' => code_span(rest, run).map_or((run, true), |length| (length, false)),
            '~' => (run, run > 2),
            '<' | '[' | '|' => (1, true),
            _ => (first.len_utf8(), false),
        };
        let (piece, after) = rest.split_at(taken);
        for c in piece.chars() {
            text.extend(escape.then_some('\\').into_iter().chain([c]));
        }
        rest = after;
    }
    text
}

/// Returns the length of the code span that begins `text` with this many backticks, if it is closed.
fn code_span(text: &str, ticks: usize) -> Option<usize> {
    let mut at = ticks;
    loop {
        at += text[at..].find('`')?;
        let run = text[at..].len() - text[at..].trim_start_matches('`').len();
        at += run;
        if run == ticks {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    use super::*;

    /// Returns the first part of the Markdown that rustdoc would not show as plain text.
    fn hidden(markdown: &str) -> Option<Event<'_>> {
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_TASKLISTS
            | Options::ENABLE_SMART_PUNCTUATION;
        let is_hidden = |event: &Event<'_>| match event {
            Event::Html(_) | Event::InlineHtml(_) | Event::FootnoteReference(_) => true,
            Event::Start(tag) => matches!(
                tag,
                Tag::CodeBlock(_)
                    | Tag::HtmlBlock
                    | Tag::Link { .. }
                    | Tag::Image { .. }
                    | Tag::Table(_)
                    | Tag::FootnoteDefinition(_)
            ),
            _ => false,
        };
        Parser::new_ext(markdown, options).find(is_hidden)
    }

    #[test]
    fn code_blocks_html_links_and_tables_are_escaped() {
        for (description, expected) in [
            ("Regions:\n\n    eu-west\n\tus-east", "Regions:\n\neu-west\nus-east"),
            ("-     fn main()", "- fn main()"),
            ("```\nlet a;\n```", "\\`\\`\\`\nlet a;\n\\`\\`\\`"),
            ("> ~~~ rust", "> \\~\\~\\~ rust"),
            ("<script>a</script>", "\\<script>a\\</script>"),
            ("`a\nb <b>` c", "\\`a\nb \\<b>\\` c"),
            ("[`Client`](https://a.example)", "\\[`Client`](https://a.example)"),
            ("| a |\n|---|\n| `<b>` |", "\\| a \\|\n\\|---\\|\n\\| `<b>` \\|"),
            ("a\u{202e}b\u{2}x-secret /a\u{3}\u{7}\r", "abx-secret /a"),
            (r"\<b> \\<b> \", r"\<b> \\\<b> \"),
            // These stay as they are.
            (
                "*a* `b<c>` ``d ` e`` ~~f~~\n- https://a.example/?b=c",
                "*a* `b<c>` ``d ` e`` ~~f~~\n- https://a.example/?b=c",
            ),
        ] {
            let text = text(description);
            assert_eq!(text, expected);
            assert_eq!(hidden(&text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_description_is_shown_as_text(
            description in "([ \t\n]|    |[-+*>#=_~`|<>!\\[\\]():/\\\\&;1.]|```|~~~|<b>|<!--|a|https://a\\.b|\u{202e}|\u{2}){0,40}"
        ) {
            let text = text(&description);
            prop_assert_eq!(hidden(&text), None, "{}", text);
        }
    }
}
