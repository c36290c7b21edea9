//! The rows of a batch: CSV with a header, or JSON Lines.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bird_sms::{PhoneNumberId, SmsConnectorRequest};
use serde::Deserialize;

/// The columns of a CSV file, and the fields of a JSON line.
const COLUMNS: [&str; 5] =
    ["name", "phone_number_id", "use_case_id", "channel_message_type", "conversational"];
/// How many of them a row cannot do without: the first ones.
const REQUIRED: usize = 2;
/// The longest row, in bytes. A quote that is never closed would make one of the rest of the file.
const ROW_LIMIT: u64 = 1024 * 1024;
/// How many bad rows a report shows.
const SHOWN: usize = 50;

/// A file of rows, which is read more than once so that none of it has to be held in memory.
pub(crate) struct Input {
    file: File,
    json: bool,
}

/// A row that cannot be used.
#[derive(Debug, PartialEq)]
pub(crate) struct BadRow {
    line: u64,
    reason: String,
    /// Whether the rows after it cannot be told.
    last: bool,
}

pub(crate) type Row = Result<SmsConnectorRequest, BadRow>;

impl Input {
    /// A file, or `-` for standard input, which is copied to a temporary file.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = if path == Path::new("-") { spool(io::stdin())? } else { File::open(path)? };
        if !file.metadata()?.is_file() {
            file = spool(file)?;
        }
        let mut input = Self { file, json: false };
        let mut start = Vec::new();
        input.rewound()?.take(1024).read_to_end(&mut start)?;
        let start = start.strip_prefix(BOM).unwrap_or(&start);
        input.json = start.trim_ascii_start().starts_with(b"{");
        Ok(input)
    }

    /// How many rows there are; or, when some of them cannot be used, a report of all that cannot.
    pub(crate) fn check(&self) -> io::Result<Result<u64, String>> {
        let mut lines = HashMap::<PhoneNumberId, u64>::new();
        let (mut rows, mut bad) = (0_u64, Vec::new());
        for (line, row) in self.numbered_rows()? {
            rows += 1;
            let row = row.and_then(|request| match lines.insert(request.phone_number_id(), line) {
                None => Ok(()),
                Some(first) => Err(BadRow {
                    line,
                    reason: format!("the phone number id is that of line {first} already"),
                    last: false,
                }),
            });
            bad.extend(row.err());
        }
        if bad.is_empty() {
            return Ok(Ok(rows));
        }
        let plural = if bad.len() == 1 { "" } else { "s" };
        let unread = bad.iter().any(|row| row.last);
        let of = if unread { String::new() } else { format!(" of {rows}") };
        let mut report = format!("{} row{plural}{of} cannot be used", bad.len());
        for BadRow { line, reason, .. } in bad.iter().take(SHOWN) {
            let _ = write!(report, "\n  line {line}: {reason}");
        }
        if bad.len() > SHOWN {
            let _ = write!(report, "\n  … and {} more", bad.len() - SHOWN);
        }
        if unread {
            report.push_str("\n  the rows after that were not read");
        }
        Ok(Err(report))
    }

    /// The rows, from the start.
    pub(crate) fn rows(&self) -> io::Result<impl Iterator<Item = Row> + Send + use<>> {
        Ok(self.numbered_rows()?.map(|(_, row)| row))
    }

    fn numbered_rows(&self) -> io::Result<Box<dyn Iterator<Item = (u64, Row)> + Send>> {
        let file = self.rewound()?;
        Ok(if self.json { Box::new(json_rows(file)) } else { csv_rows(file) })
    }

    fn rewound(&self) -> io::Result<File> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }
}

/// The byte order mark that some programs put before UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

fn spool(mut source: impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut source, &mut file)?;
    Ok(file)
}

fn csv_rows(file: File) -> Box<dyn Iterator<Item = (u64, Row)> + Send> {
    let row_bytes = Arc::new(AtomicU64::new(0));
    let bounded = Bounded { source: file, row_bytes: Arc::clone(&row_bytes) };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bounded);
    let columns = match reader.headers().map_err(broken).and_then(columns) {
        Ok(columns) => columns,
        Err(reason) => {
            let bad = BadRow { line: 1, reason, last: true };
            return Box::new(std::iter::once((1, Err(bad))));
        }
    };
    let width = columns.len();
    let mut record = csv::ByteRecord::new();
    let mut ended = false;
    Box::new(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        row_bytes.store(0, Ordering::Relaxed);
        let read = reader.read_byte_record(&mut record);
        let line = match &read {
            Ok(_) => record.position().map_or(0, csv::Position::line),
            Err(_) => reader.position().line(),
        };
        let bad = |reason, last| Some((line, Err(BadRow { line, reason, last })));
        match read {
            Ok(false) => None,
            Ok(true) if record.len() != width => {
                bad(format!("it has {} columns, and the header has {width}", record.len()), false)
            }
            Ok(true) => Some((
                line,
                csv_row(&columns, &record).map_err(|reason| BadRow { line, reason, last: false }),
            )),
            Err(error) => {
                ended = true;
                bad(broken(error), true)
            }
        }
    }))
}

/// Which of [`COLUMNS`] each column of the file is.
fn columns(header: &csv::StringRecord) -> Result<Vec<usize>, String> {
    let mut columns = Vec::new();
    for name in header {
        let known = COLUMNS.iter().position(|column| *column == name.trim());
        let Some(column) = known else {
            let known = COLUMNS.join(",");
            return Err(format!("the header has an unknown column; the columns are {known}"));
        };
        if columns.contains(&column) {
            return Err(format!("the header has the column {} twice", COLUMNS[column]));
        }
        columns.push(column);
    }
    for (column, name) in COLUMNS.iter().enumerate().take(REQUIRED) {
        if !columns.contains(&column) {
            return Err(format!("the header does not have the column {name}"));
        }
    }
    Ok(columns)
}

fn csv_row(columns: &[usize], record: &csv::ByteRecord) -> Result<SmsConnectorRequest, String> {
    let mut fields = [None; COLUMNS.len()];
    for (field, column) in record.iter().zip(columns) {
        let text = str::from_utf8(field)
            .map_err(|_| format!("the column {} is not UTF-8", COLUMNS[*column]))?;
        fields[*column] = (!text.is_empty()).then_some(text);
    }
    let [name, phone_number_id, use_case_id, channel_message_type, conversational] = fields;
    let mut fields = Fields {
        name: name.unwrap_or_default(),
        phone_number_id: phone_number_id.unwrap_or_default().trim(),
        use_case_id: use_case_id.map(str::trim),
        channel_message_type: channel_message_type.map(str::trim),
        conversational: None,
    };
    match conversational.map(str::trim) {
        None => {}
        Some("true") => fields.conversational = Some(true),
        Some("false") => fields.conversational = Some(false),
        Some(_) => return Err("conversational is neither `true` nor `false`".to_owned()),
    }
    fields.request()
}

fn broken(error: csv::Error) -> String {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.to_string(),
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        other => format!("it is not CSV: {other:?}"),
    }
}

fn json_rows(file: File) -> impl Iterator<Item = (u64, Row)> + Send {
    let mut reader = BufReader::new(file);
    let (mut line, mut ended) = (0, false);
    std::iter::from_fn(move || {
        loop {
            let mut bytes = Vec::new();
            if ended {
                return None;
            }
            line += 1;
            let read = reader.by_ref().take(ROW_LIMIT + 1).read_until(b'\n', &mut bytes);
            let row = match read {
                Ok(0) => return None,
                Ok(_) if bytes.len() as u64 > ROW_LIMIT => Err((TOO_LONG.to_owned(), true)),
                Ok(_) => {
                    let text = bytes.strip_prefix(BOM).filter(|_| line == 1).unwrap_or(&bytes);
                    if text.trim_ascii().is_empty() {
                        continue;
                    }
                    json_row(text).map_err(|reason| (reason, false))
                }
                Err(error) => Err((error.to_string(), true)),
            };
            ended = matches!(row, Err((_, true)));
            let row = row.map_err(|(reason, last)| BadRow { line, reason, last });
            return Some((line, row));
        }
    })
}

fn json_row(line: &[u8]) -> Result<SmsConnectorRequest, String> {
    let fields: JsonFields = serde_json::from_slice(line).map_err(|error| {
        // The line of one line is no news.
        let text = error.to_string();
        text.split(" at line ").next().unwrap_or_default().to_owned()
    })?;
    Fields {
        name: &fields.name,
        phone_number_id: &fields.phone_number_id,
        use_case_id: fields.use_case_id.as_deref(),
        channel_message_type: fields.channel_message_type.as_deref(),
        conversational: fields.conversational,
    }
    .request()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonFields {
    name: String,
    phone_number_id: String,
    use_case_id: Option<String>,
    channel_message_type: Option<String>,
    conversational: Option<bool>,
}

/// A row before it is understood.
struct Fields<'a> {
    name: &'a str,
    phone_number_id: &'a str,
    use_case_id: Option<&'a str>,
    channel_message_type: Option<&'a str>,
    conversational: Option<bool>,
}

impl Fields<'_> {
    /// The request, or all that is wrong with it.
    fn request(&self) -> Result<SmsConnectorRequest, String> {
        let mut reasons = Vec::new();
        let number = self.phone_number_id.parse::<PhoneNumberId>();
        reasons.extend(number.as_ref().err().map(ToString::to_string));
        // What is wrong with the rest is said also when there is no number.
        let number = number.unwrap_or_else(|_| bird_sms::PhoneNumberId::from(uuid::Uuid::nil()));
        let mut request = SmsConnectorRequest::new(self.name, number);
        match self.use_case_id.map(str::parse).transpose() {
            Ok(None) => {}
            Ok(Some(id)) => request = request.use_case_id(id),
            Err(error) => reasons.push(error.to_string()),
        }
        if let Some(kind) = self.channel_message_type {
            request = request.channel_message_type(kind.into());
        }
        if let Some(conversational) = self.conversational {
            request = request.conversational(conversational);
        }
        reasons.extend(request.check().err().map(|error| error.to_string()));
        if reasons.is_empty() { Ok(request) } else { Err(reasons.join("; ")) }
    }
}

const TOO_LONG: &str = "the row is longer than 1 MiB; is there a quote that is never closed?";

/// Fails when a row is longer than [`ROW_LIMIT`]. Who reads rows sets the count back after each.
struct Bounded<R> {
    source: R,
    row_bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        if self.row_bytes.fetch_add(read as u64, Ordering::Relaxed) > ROW_LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, TOO_LONG));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const A: &str = "2cffb55c-120e-91a8-8f10-ed9d1b412d29";
    const B: &str = "be123b02-dacf-31f9-b3e5-50b18260bc23";

    fn input(bytes: &[u8]) -> Input {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Input::open(file.path()).unwrap()
    }

    fn requests(text: &str) -> Vec<SmsConnectorRequest> {
        let input = input(text.replace('A', A).replace('B', B).as_bytes());
        let requests: Vec<_> = input.rows().unwrap().map(Result::unwrap).collect();
        assert_eq!(input.check().unwrap(), Ok(requests.len() as u64));
        requests
    }

    fn report(text: &str) -> String {
        input(text.replace('A', A).replace('B', B).as_bytes()).check().unwrap().unwrap_err()
    }

    #[test]
    fn a_row_is_a_request() {
        let all = "name,phone_number_id,use_case_id,channel_message_type,conversational\n\
                   \"Sales, Rotterdam\",A,B,promotional,true\nother,B,,,\n";
        let expected = [
            SmsConnectorRequest::new("Sales, Rotterdam", A.parse().unwrap())
                .use_case_id(B.parse().unwrap())
                .channel_message_type("promotional".into())
                .conversational(true),
            SmsConnectorRequest::new("other", B.parse().unwrap()),
        ];
        assert_eq!(requests(all), expected);
        let lines = r#"
{"name":"Sales, Rotterdam","phone_number_id":"A","use_case_id":"B","channel_message_type":"promotional","conversational":true}

{"phone_number_id":"B","name":"other"}"#;
        assert_eq!(requests(lines), expected);
    }

    #[test]
    fn byte_order_marks_line_ends_and_the_order_of_the_columns_do_not_matter() {
        for text in [
            "\u{feff}name,phone_number_id\r\nx,A\r\n",
            "phone_number_id,name\nA,x",
            "\"name\",phone_number_id\n\nx, A \n\n",
            "\u{feff}{\"name\":\"x\",\"phone_number_id\":\"A\"}\r\n",
        ] {
            assert_eq!(requests(text), [SmsConnectorRequest::new("x", A.parse().unwrap())]);
        }
        assert_eq!(requests("name,phone_number_id\n"), []);
    }

    #[test]
    fn a_quoted_name_may_span_lines_and_the_lines_are_counted() {
        let report = report("name,phone_number_id\n\"two\nlines\",A\nbad,x\n");
        assert!(report.contains("line 4: the phone number id"), "{report}");
    }

    #[test]
    fn every_bad_row_is_reported_with_its_line_and_all_its_reasons() {
        let report = report(
            "name,phone_number_id,use_case_id,conversational\n\
             ok,A,,\n,B,,\nx,nonsense,y,\nagain,A,,\nx,B,,perhaps\nshort,B\n",
        );
        insta(
            &report,
            &[
                "5 rows of 6 cannot be used",
                "line 3: the name is empty",
                "line 4: the phone number id",
                "; the use case id",
                "line 5: the phone number id is that of line 2 already",
                "line 6: conversational is neither",
                "line 7: it has 2 columns, and the header has 4",
            ],
        );
        let report = self::report(
            "{\"name\":\"\",\"phone_number_id\":\"A\"}\n{\"nam\":1}\n{\"name\":\"x\"}\nnonsense",
        );
        insta(
            &report,
            &[
                "4 rows of 4",
                "line 1: the name is empty",
                "line 2: unknown field `nam`",
                "line 3: missing field `phone_number_id`",
                "line 4: expected",
            ],
        );
        let many = format!("name,phone_number_id\n{}", "x,y\n".repeat(60));
        insta(&self::report(&many), &["60 rows of 60", "… and 10 more"]);
    }

    fn insta(report: &str, parts: &[&str]) {
        for part in parts {
            assert!(report.contains(part), "no {part:?} in {report}");
        }
    }

    #[test]
    fn a_wrong_header_is_reported_alone() {
        assert!(report("").contains("does not have the column name"));
        for (header, reason) in [
            ("name;phone_number_id", "unknown column; the columns are name,phone_number_id,"),
            ("name,phone_number_id,name", "the column name twice"),
            ("phone_number_id", "does not have the column name"),
            ("name", "does not have the column phone_number_id"),
        ] {
            let report = report(&format!("{header}\nx,A\n"));
            assert!(report.contains(reason), "{report}");
            assert!(report.contains("the rows after that were not read"), "{report}");
        }
    }

    #[test]
    fn a_row_without_an_end_is_given_up_in_bounded_memory() {
        let endless = vec![b'x'; 64 * 1024 * 1024];
        for start in
            ["name,phone_number_id\nx,", "name,phone_number_id\n\"x\n\n", "{\"name\":\"", ""]
        {
            let mut bytes = start.as_bytes().to_vec();
            bytes.extend_from_slice(&endless);
            let report = input(&bytes).check().unwrap().unwrap_err();
            assert!(report.contains("longer than 1 MiB"), "{report}");
            assert!(report.contains("not read"), "{report}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_a_bad_row() {
        let report = input(b"name,phone_number_id\n\xff,x\nok,y\n").check().unwrap().unwrap_err();
        insta(&report, &["2 rows of 2", "line 2: the column name is not UTF-8"]);
    }
}
