//! The report of the rows that cannot be used.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufReader, Read};

/// The number of bad rows that a report shows.
const SHOWN: usize = 50;

/// A row that cannot be used.
pub(super) struct BadRow {
    /// The byte offset that the row begins at. Line ends may come before the row.
    pub(super) offset: u64,
    pub(super) problem: Problem,
}

#[derive(Debug)]
pub(crate) enum Problem {
    Invalid(String),
    /// The phone number id is also in an earlier row, which begins at this byte offset.
    Duplicate {
        earlier: u64,
    },
    /// The end of the row was not found, so that the rows after it cannot be read either.
    Unreadable(String),
}

/// Describes the bad rows among the first `rows` of a file, with their line numbers.
pub(super) fn report(bad: &[BadRow], rows: u64, file: impl Read) -> io::Result<String> {
    let shown = &bad[..bad.len().min(SHOWN)];
    let earlier = shown.iter().filter_map(|row| match row.problem {
        Problem::Duplicate { earlier } => Some(earlier),
        _ => None,
    });
    let lines = line_numbers(shown.iter().map(|row| row.offset).chain(earlier), file)?;
    let plural = if bad.len() == 1 { "" } else { "s" };
    let unread = bad.iter().any(|row| matches!(row.problem, Problem::Unreadable(_)));
    let of = if unread { String::new() } else { format!(" of {rows}") };
    let mut report = format!("{} row{plural}{of} cannot be used", bad.len());
    for BadRow { offset, problem } in shown {
        let _ = write!(report, "\n  line {}: ", lines[offset]);
        let _ = match problem {
            Problem::Invalid(reason) | Problem::Unreadable(reason) => report.write_str(reason),
            Problem::Duplicate { earlier } => {
                write!(report, "the phone number id is already in line {}", lines[earlier])
            }
        };
    }
    if bad.len() > SHOWN {
        let _ = write!(report, "\n  … and {} more", bad.len() - SHOWN);
    }
    if unread {
        report.push_str("\n  the rows after that were not read");
    }
    Ok(report)
}

/// Returns the line numbers of the rows that begin at some byte offsets.
///
/// The line numbers of the CSV reader are too low when line ends come before a row: the `\n` of `\r\n` after
/// the row before, and empty lines.
fn line_numbers(
    offsets: impl Iterator<Item = u64>,
    file: impl Read,
) -> io::Result<BTreeMap<u64, u64>> {
    let mut line = 1;
    let mut lines: BTreeMap<u64, u64> = offsets.map(|offset| (offset, line)).collect();
    let mut pending = lines.iter_mut().peekable();
    for (position, byte) in (0..).zip(BufReader::new(file).bytes()) {
        match byte? {
            b'\n' => line += 1,
            b'\r' => {}
            _ => {
                while let Some((_, found)) = pending.next_if(|(offset, _)| **offset <= position) {
                    *found = line;
                }
            }
        }
    }
    pending.for_each(|(_, found)| *found = line);
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_contains_all, report};

    #[test]
    fn a_quoted_name_may_span_lines_and_the_lines_are_counted() {
        let report = report("name,phone_number_id\n\"two\nlines\",A\nbad,x\n");
        assert!(report.contains("line 4: the phone number id"), "{report}");
    }

    #[test]
    fn the_line_of_a_row_is_true_whatever_ends_the_lines_before() {
        for (start, line) in [("", 2), ("ok,A\n", 3), ("\n\n", 4), ("ok,A\n\n\"a\nb\",B\n\n", 7)] {
            for (end, shown) in [("\n", "LF"), ("\r\n", "CRLF")] {
                let text =
                    format!("name,phone_number_id\n{start}bad,x\nworse,x\n").replace('\n', end);
                let report = report(&text);
                assert!(report.contains(&format!("\n  line {line}: ")), "{shown}: {report}");
                assert!(report.contains(&format!("\n  line {}: ", line + 1)), "{shown}: {report}");
            }
        }
        let twice = report("name,phone_number_id\r\n\r\nx,A\r\ny,A\r\n");
        assert_contains_all(&twice, &["line 4: the phone number id is already in line 3"]);
    }

    #[test]
    fn every_bad_row_is_reported_with_its_line_and_all_its_reasons() {
        let csv = "name,phone_number_id,use_case_id,conversational\n\
                   ok,A,,\n,B,,\nx,nonsense,y,\nagain,A,,\nx,B,,perhaps\nshort,B\n";
        assert_contains_all(
            &report(csv),
            &[
                "5 rows of 6 cannot be used",
                "line 3: the name is empty",
                "line 4: the phone number id",
                "; the use case id",
                "line 5: the phone number id is already in line 2",
                "line 6: conversational is neither",
                "line 7: expected 4 columns, as in the header; found 2",
            ],
        );
        let json_lines =
            "{\"name\":\"\",\"phone_number_id\":\"A\"}\n{\"nam\":1}\n{\"name\":\"x\"}\nnonsense";
        assert_contains_all(
            &report(json_lines),
            &[
                "4 rows of 4",
                "line 1: the name is empty",
                "line 2: the row has the unknown field \"nam\"",
                "line 3: the field phone_number_id is missing",
                "line 4: expected a JSON object",
            ],
        );
    }

    #[test]
    fn a_report_shows_the_first_fifty_bad_rows() {
        let many = report(&format!("name,phone_number_id\n{}", "x,y\n".repeat(60)));
        assert_contains_all(&many, &["60 rows of 60", "line 51: ", "… and 10 more"]);
        assert!(!many.contains("line 52"), "{many}");
    }
}
