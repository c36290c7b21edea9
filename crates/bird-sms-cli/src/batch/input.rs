//! The rows of a batch: CSV with a header, or JSON Lines.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write as _};
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

/// Rows that were checked. They are read more than once, so that none of them has to be held in memory, and
/// from a copy: what is installed is what was checked, whoever edits the file in the meantime.
pub(crate) struct Input {
    copy: File,
    json: bool,
    rows: u64,
}

/// A row that cannot be used.
#[derive(Debug, PartialEq)]
pub(crate) struct BadRow {
    /// Where it begins, in bytes; line ends may come first.
    at: u64,
    problem: Problem,
    /// Whether the rows after it cannot be told.
    last: bool,
}

#[derive(Debug, PartialEq)]
enum Problem {
    Reason(String),
    /// Another row, which begins here, has its phone number id.
    Twice(u64),
}

impl BadRow {
    fn new(at: u64, reason: String, last: bool) -> Self {
        Self { at, problem: Problem::Reason(reason), last }
    }
}

pub(crate) type Row = Result<SmsConnectorRequest, BadRow>;

type Rows = Box<dyn Iterator<Item = (u64, Row)> + Send>;

impl Input {
    /// The rows of a file, or of standard input for `-`; or, when some of them cannot be used, a report of
    /// all that cannot.
    pub(crate) fn check(path: &Path) -> io::Result<Result<Self, String>> {
        let mut source: Box<dyn Read + Send> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path)?)
        };
        let mut start = Vec::new();
        source.by_ref().take(1024).read_to_end(&mut start)?;
        let json = start.strip_prefix(BOM).unwrap_or(&start).trim_ascii_start().starts_with(b"{");
        let copy = tempfile::tempfile()?;
        let source =
            Copying { source: io::Cursor::new(start).chain(source), copy: copy.try_clone()? };
        let mut starts = HashMap::<PhoneNumberId, u64>::new();
        let (mut rows, mut bad) = (0_u64, Vec::new());
        for (at, row) in numbered_rows(source, json) {
            rows += 1;
            let row = row.and_then(|request| match starts.insert(request.phone_number_id(), at) {
                None => Ok(()),
                Some(first) => Err(BadRow { at, problem: Problem::Twice(first), last: false }),
            });
            bad.extend(row.err());
        }
        let input = Self { copy, json, rows };
        Ok(if bad.is_empty() { Ok(input) } else { Err(input.report(&bad)?) })
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> u64 {
        self.rows
    }

    /// The rows, from the start. One who reads them at a time.
    pub(crate) fn rows(&self) -> io::Result<impl Iterator<Item = Row> + Send + use<>> {
        Ok(numbered_rows(self.rewound()?, self.json).map(|(_, row)| row))
    }

    fn rewound(&self) -> io::Result<File> {
        let mut copy = self.copy.try_clone()?;
        copy.seek(SeekFrom::Start(0))?;
        Ok(copy)
    }

    fn report(&self, bad: &[BadRow]) -> io::Result<String> {
        let shown = &bad[..bad.len().min(SHOWN)];
        let firsts = shown.iter().filter_map(|row| match row.problem {
            Problem::Reason(_) => None,
            Problem::Twice(first) => Some(first),
        });
        let lines = self.lines(shown.iter().map(|row| row.at).chain(firsts))?;
        let plural = if bad.len() == 1 { "" } else { "s" };
        let unread = bad.iter().any(|row| row.last);
        let of = if unread { String::new() } else { format!(" of {}", self.rows) };
        let mut report = format!("{} row{plural}{of} cannot be used", bad.len());
        for BadRow { at, problem, .. } in shown {
            let _ = write!(report, "\n  line {}: ", lines[at]);
            let _ = match problem {
                Problem::Reason(reason) => report.write_str(reason),
                Problem::Twice(first) => {
                    write!(report, "the phone number id is that of line {} already", lines[first])
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

    /// The lines of rows that begin at these bytes. The CSV reader's own lines are off by the line ends
    /// that come before a row: the `\n` of the row before, when that ends with `\r\n`, and empty lines.
    fn lines(&self, starts: impl Iterator<Item = u64>) -> io::Result<BTreeMap<u64, u64>> {
        let mut lines: BTreeMap<u64, u64> = starts.map(|start| (start, 0)).collect();
        let mut bytes = BufReader::new(self.rewound()?).bytes().enumerate().peekable();
        let mut line = 1;
        for (start, found) in &mut lines {
            while let Some((at, byte)) = bytes.peek() {
                let line_end = matches!(byte, Ok(b'\r' | b'\n'));
                if *at as u64 >= *start && !line_end {
                    break;
                }
                line += u64::from(matches!(byte, Ok(b'\n')));
                bytes.next().map(|(_, byte)| byte).transpose()?;
            }
            *found = line;
        }
        Ok(lines)
    }
}

/// The byte order mark that some programs put before UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Copies what is read.
struct Copying<R> {
    source: R,
    copy: File,
}

impl<R: Read> Read for Copying<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.copy.write_all(&buffer[..read])?;
        Ok(read)
    }
}

/// Each row, and where it begins.
fn numbered_rows(source: impl Read + Send + 'static, json: bool) -> Rows {
    if json { Box::new(json_rows(source)) } else { csv_rows(source) }
}

fn csv_rows(source: impl Read + Send + 'static) -> Rows {
    let row_bytes = Arc::new(AtomicU64::new(0));
    let bounded = Bounded { source, row_bytes: Arc::clone(&row_bytes) };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bounded);
    let columns = match reader.headers().map_err(broken).and_then(columns) {
        Ok(columns) => columns,
        Err(reason) => return Box::new(std::iter::once((0, Err(BadRow::new(0, reason, true))))),
    };
    let width = columns.len();
    let mut record = csv::ByteRecord::new();
    let mut ended = false;
    Box::new(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        row_bytes.store(0, Ordering::Relaxed);
        let at = reader.position().byte();
        let row = match reader.read_byte_record(&mut record) {
            Ok(false) => return None,
            Ok(true) if record.len() != width => {
                Err((format!("it has {} columns, and the header has {width}", record.len()), false))
            }
            Ok(true) => csv_row(&columns, &record).map_err(|reason| (reason, false)),
            Err(error) => Err((broken(error), true)),
        };
        ended = matches!(row, Err((_, true)));
        Some((at, row.map_err(|(reason, last)| BadRow::new(at, reason, last))))
    }))
}

/// Which of [`COLUMNS`] each column of the file is.
fn columns(header: &csv::StringRecord) -> Result<Vec<usize>, String> {
    let mut columns = Vec::new();
    for name in header {
        let known = COLUMNS.iter().position(|column| *column == name.trim());
        let Some(column) = known else {
            let known = COLUMNS.join(",");
            // It may be a row, with a name that is long.
            let name: String = name.chars().take(40).collect();
            return Err(format!(
                "the header has the unknown column {name:?}; the columns are {known}"
            ));
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

fn json_rows(source: impl Read + Send + 'static) -> impl Iterator<Item = (u64, Row)> + Send {
    let mut reader = BufReader::new(source);
    let (mut next, mut ended) = (0, false);
    std::iter::from_fn(move || {
        loop {
            let mut bytes = Vec::new();
            if ended {
                return None;
            }
            let at = next;
            let read = reader.by_ref().take(ROW_LIMIT + 1).read_until(b'\n', &mut bytes);
            next += bytes.len() as u64;
            let row = match read {
                Ok(0) => return None,
                Ok(_) if bytes.len() as u64 > ROW_LIMIT => Err((TOO_LONG.to_owned(), true)),
                Ok(_) => {
                    let text = bytes.strip_prefix(BOM).filter(|_| at == 0).unwrap_or(&bytes);
                    if text.trim_ascii().is_empty() {
                        continue;
                    }
                    json_row(text).map_err(|reason| (reason, false))
                }
                Err(error) => Err((error.to_string(), true)),
            };
            ended = matches!(row, Err((_, true)));
            return Some((at, row.map_err(|(reason, last)| BadRow::new(at, reason, last))));
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

    fn check(bytes: &[u8]) -> Result<Input, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Input::check(file.path()).unwrap()
    }

    fn requests(text: &str) -> Vec<SmsConnectorRequest> {
        let input = check(text.replace('A', A).replace('B', B).as_bytes()).unwrap();
        let requests: Vec<_> = input.rows().unwrap().map(Result::unwrap).collect();
        assert_eq!(input.len(), requests.len() as u64);
        requests
    }

    fn report(text: &str) -> String {
        check(text.replace('A', A).replace('B', B).as_bytes()).err().unwrap()
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
        assert!(twice.contains("line 4: the phone number id is that of line 3 already"), "{twice}");
    }

    #[test]
    fn what_is_installed_is_what_was_checked() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "name,phone_number_id\nx,{A}\n").unwrap();
        let input = Input::check(file.path()).unwrap().unwrap();
        write!(file, "y,{A}\nz,{B}\n").unwrap();
        assert_eq!(input.rows().unwrap().count(), 1);
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
            (
                "name;phone_number_id",
                "unknown column \"name;phone_number_id\"; the columns are name,",
            ),
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
            let report = check(&bytes).err().unwrap();
            assert!(report.contains("longer than 1 MiB"), "{report}");
            assert!(report.contains("not read"), "{report}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_a_bad_row() {
        let report = check(b"name,phone_number_id\n\xff,x\nok,y\n").err().unwrap();
        insta(&report, &["2 rows of 2", "line 2: the column name is not UTF-8"]);
    }
}
