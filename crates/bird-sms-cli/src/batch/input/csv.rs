//! Rows of CSV with a header.

use std::io::{Read, Take};
use std::iter;

use bird_sms::SmsConnectorRequest;
use csv::ByteRecord;

use super::Rows;
use super::report::Problem;
use super::row::{self, COLUMNS, REQUIRED, ROW_LIMIT, TOO_LONG, unknown};

/// The capacity of the reader's buffer, in bytes.
const BUFFER: usize = 8 * 1024;

/// What is wrong with text in the encoding of an older spreadsheet, and how to correct it.
const NOT_UTF8: &str = "is not UTF-8; save the file as `CSV UTF-8`";

type Reader<R> = csv::Reader<Take<R>>;

/// Returns the separator that the header line has most of, outside quotes: a comma, unless semicolons or
/// tabs outnumber the commas.
pub(super) fn separator(start: &[u8]) -> u8 {
    let line_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    let unquoted = start.split(|byte| *byte == b'"').step_by(2).flatten();
    let header = unquoted.skip_while(line_end).take_while(|byte| !line_end(byte));
    let count = |separator: &u8| header.clone().filter(|byte| *byte == separator).count();
    // Of equal counts, the last is the maximum.
    [b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// Reads rows. A header that cannot be used is the only row.
pub(super) fn rows(source: impl Read + Send + 'static, separator: u8) -> Rows {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(BUFFER)
        .from_reader(source.take(0));
    let mut record = ByteRecord::new();
    let header = read(&mut reader, &mut record).and_then(|_| columns(&record));
    let columns = match header {
        Ok(columns) => columns,
        Err(reason) => return Box::new(iter::once((0, Err(Problem::Unreadable(reason))))),
    };
    Box::new(iter::from_fn(move || {
        let offset = reader.position().byte();
        let row = match read(&mut reader, &mut record) {
            Ok(false) => return None,
            Ok(true) => request(&columns, &record).map_err(Problem::Invalid),
            Err(reason) => Err(Problem::Unreadable(reason)),
        };
        Some((offset, row))
    }))
}

/// Reads a record, and returns false when there is none.
fn read<R: Read>(reader: &mut Reader<R>, record: &mut ByteRecord) -> Result<bool, String> {
    // The buffer may read ahead by its capacity, so that only a row of more than `ROW_LIMIT` uses this up.
    reader.get_mut().set_limit(ROW_LIMIT + BUFFER as u64);
    let found = reader.read_byte_record(record).map_err(|error| error.to_string())?;
    if reader.get_ref().limit() == 0 { Err(TOO_LONG.to_owned()) } else { Ok(found) }
}

/// Finds which of [`COLUMNS`] each column of the file is.
fn columns(header: &ByteRecord) -> Result<Vec<usize>, String> {
    let (mut columns, mut problems) = (Vec::new(), Vec::new());
    for name in header {
        let name = str::from_utf8(name).map_err(|_| format!("the header {NOT_UTF8}"))?;
        match COLUMNS.iter().position(|column| *column == name.trim()) {
            None => problems.push(format!("the header has the {}", unknown("column", name))),
            Some(column) if columns.contains(&column) => {
                problems.push(format!("the header has the column {} twice", COLUMNS[column]));
            }
            Some(column) => columns.push(column),
        }
    }
    if !problems.is_empty() {
        // A file without a header may have any number of columns.
        problems.truncate(COLUMNS.len());
        return Err(problems.join("; "));
    }
    match (0..REQUIRED).find(|column| !columns.contains(column)) {
        Some(column) => Err(format!("the header does not have the column {}", COLUMNS[column])),
        None => Ok(columns),
    }
}

fn request(columns: &[usize], record: &ByteRecord) -> Result<SmsConnectorRequest, String> {
    let (found, expected) = (record.len(), columns.len());
    if found != expected {
        return Err(format!("expected {expected} columns, as in the header; found {found}"));
    }
    let mut fields = [None; COLUMNS.len()];
    for (field, column) in record.iter().zip(columns) {
        let text = str::from_utf8(field)
            .map_err(|_| format!("the column {} {NOT_UTF8}", COLUMNS[*column]))?;
        // The name is the only text in which spaces count.
        let text = if *column == 0 { text } else { text.trim() };
        fields[*column] = (!text.is_empty()).then_some(text);
    }
    let [texts @ .., conversational] = fields;
    let conversational = match conversational {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err("conversational is neither true nor false".to_owned()),
    };
    row::request(texts, conversational)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_contains_all, report, report_of_bytes, requests};
    use super::*;

    #[test]
    fn the_separator_is_that_of_the_header_line() {
        let expected = requests(r#"{"name":"a,b","phone_number_id":"A"}"#);
        for text in [
            "name,phone_number_id\n\"a,b\",A\n",
            "name;phone_number_id\na,b;A\n",
            "\u{feff}\r\n\"name\";\"phone_number_id\"\r\n\"a,b\";\"A\"\r\n",
            "name\tphone_number_id\na,b\tA\n",
        ] {
            assert_eq!(requests(text), expected, "{text:?}");
        }
        for (header, expected) in [
            ("", b','),
            ("name", b','),
            ("a;b,c", b','),
            ("a;b;c,d\n,,,", b';'),
            ("\"a,,,\"\tb", b'\t'),
            ("\"a\n,,\";b", b';'),
        ] {
            assert_eq!(separator(header.as_bytes()), expected, "{header:?}");
        }
    }

    #[test]
    fn a_wrong_header_is_reported_alone() {
        assert!(report("").contains("does not have the column name"));
        for (header, reason) in [
            (
                "name|phone_number_id",
                "unknown column \"name|phone_number_id\"; separate the columns by `,`, `;` or tab",
            ),
            ("Name;Phone Number Id", "\"Name\"; did you mean name?; the header has the unknown"),
            ("name,phone_number_id,name", "the column name twice"),
            ("phone_number_id", "does not have the column name"),
            ("name", "does not have the column phone_number_id"),
        ] {
            let report = report(&format!("{header}\nx,A\n"));
            assert_contains_all(
                &report,
                &["1 row cannot", reason, "rows after that were not read"],
            );
        }
    }

    #[test]
    fn a_row_of_the_longest_length_is_read_whatever_comes_before() {
        let longest = "x".repeat(usize::try_from(ROW_LIMIT).unwrap() - 3);
        for rows_before in [0, 100, 1000] {
            let report = report(&format!(
                "name,phone_number_id\n{}{longest},y\n{longest},y\n",
                "x,y\n".repeat(rows_before)
            ));
            assert_contains_all(&report, &[&format!(" of {} cannot", rows_before + 2)]);
        }
    }

    #[test]
    fn what_is_not_utf8_is_a_bad_row() {
        let report = report_of_bytes(b"name,phone_number_id\n\xff,x\nok,y\n");
        assert_contains_all(&report, &["2 rows of 2", "line 2: the column name is not UTF-8"]);
        assert_contains_all(
            &report_of_bytes(b"\xff\n"),
            &["line 1: the header is not UTF-8; save the file as"],
        );
    }
}
