//! The rows of a batch: CSV with a header, or JSON Lines.

use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use bird_sms::{ChannelMessageType, ParseIdError, PhoneNumberId, SmsConnectorRequest, UseCaseId};
use csv::{ByteRecord, ReaderBuilder};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::args::{Defaults, phone_number};
use crate::numbers::{ByNumber, choose};
use crate::secret;

/// The columns of CSV and the fields of JSON Lines, in snake case and in camel case.
const COLUMNS: [[&str; 2]; 6] = [
    ["name", "name"],
    ["phone_number_id", "phoneNumberId"],
    ["phone_number", "phoneNumber"],
    ["use_case_id", "useCaseId"],
    ["channel_message_type", "channelMessageType"],
    ["conversational", "conversational"],
];
const NAME: usize = 0;
const PHONE_NUMBER_ID: usize = 1;
const PHONE_NUMBER: usize = 2;
const CONVERSATIONAL: usize = 5;

/// The values of a row, by column.
type Values<'a> = [Option<&'a str>; COLUMNS.len()];

/// The byte order mark that spreadsheets write at the start of UTF-8 files.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";
/// The maximum size of the input, in bytes, which is enough for millions of rows.
const MAX_INPUT: u64 = 256 * 1024 * 1024;
/// How many bad rows a report shows.
const SHOWN_ROWS: usize = 50;
/// How many characters of an unknown column name a report shows. The name may be a whole line.
const SHOWN_NAME: usize = 40;
const NOT_BOOLEAN: &str = "conversational is neither true nor false";
const NOT_UTF8: &str = "is not UTF-8; save the file as `CSV UTF-8`";

/// The rows of a batch, which have all passed the checks.
pub(crate) struct Input {
    rows: Arc<[(u32, SmsConnectorRequest)]>,
    /// The line on which each phone number id appears.
    lines: HashMap<PhoneNumberId, u32>,
    pub(super) table: Table,
    defaults: Defaults,
    /// The input, if it has phone numbers whose ids are not known yet.
    unresolved: Option<Vec<u8>>,
}

/// The dialect of a CSV file.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub(super) separator: u8,
    pub(super) has_bom: bool,
}

/// The context for reading a row.
struct With<'a> {
    defaults: &'a Defaults,
    /// The ids of phone numbers, or `None` before they are read.
    numbers: Option<&'a ByNumber>,
    /// Becomes true if a row has a phone number whose id is not known.
    is_unresolved: Cell<bool>,
}

impl Input {
    /// Reads and checks all rows of a file, or of standard input for `-`. The inner error reports the bad rows.
    pub(crate) fn check(path: &Path, defaults: &Defaults) -> io::Result<Result<Self, String>> {
        let source: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path)?)
        };
        let mut bytes = Vec::new();
        if source.take(MAX_INPUT + 1).read_to_end(&mut bytes)? as u64 > MAX_INPUT {
            return Err(io::Error::other("it is longer than 256 MiB"));
        }
        Ok(Self::of(bytes, defaults, None))
    }

    fn of(bytes: Vec<u8>, defaults: &Defaults, numbers: Option<&ByNumber>) -> Result<Self, String> {
        let with = With { defaults, numbers, is_unresolved: Cell::new(false) };
        let mut rows = Rows {
            with: &with,
            good: Vec::new(),
            lines: HashMap::new(),
            bad: 0,
            shown: Vec::new(),
            table: Table { separator: b',', has_bom: bytes.starts_with(BOM) },
        };
        let text = bytes.strip_prefix(BOM).unwrap_or(&bytes);
        match text.trim_ascii_start().first() {
            Some(b'{') => rows.read_json_lines(text),
            Some(b'[') => return Err("is a JSON array; write one object per line".to_owned()),
            None => {
                return Err(
                    "the file is empty; a table needs a header, even without rows".to_owned()
                );
            }
            _ => rows.read_csv(text)?,
        }
        if rows.bad > 0 {
            return Err(rows.report());
        }
        Ok(Self {
            rows: rows.good.into(),
            lines: rows.lines,
            table: rows.table,
            defaults: defaults.clone(),
            unresolved: with.is_unresolved.get().then_some(bytes),
        })
    }

    /// Returns whether ids of phone numbers must be looked up.
    pub(crate) fn is_unresolved(&self) -> bool {
        self.unresolved.is_some()
    }

    /// Replaces phone numbers with their ids, or reports the bad rows.
    pub(crate) fn resolve(self, numbers: &ByNumber) -> Result<Self, String> {
        match self.unresolved {
            Some(text) => Self::of(text, &self.defaults, Some(numbers)),
            None => Ok(self),
        }
    }

    /// Returns the number of rows.
    pub(crate) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Returns whether a row has this phone number id.
    pub(super) fn has(&self, number: PhoneNumberId) -> bool {
        self.lines.contains_key(&number)
    }

    /// Returns the line on which a phone number id appears.
    pub(super) fn line(&self, number: PhoneNumberId) -> u32 {
        self.lines.get(&number).copied().unwrap_or_default()
    }

    /// Returns the rows in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = SmsConnectorRequest> + Send + use<> {
        let rows = Arc::clone(&self.rows);
        (0..rows.len()).map(move |index| rows[index].1.clone())
    }
}

/// The rows that were read so far.
struct Rows<'a> {
    with: &'a With<'a>,
    good: Vec<(u32, SmsConnectorRequest)>,
    /// The line on which each phone number id appears.
    lines: HashMap<PhoneNumberId, u32>,
    bad: usize,
    /// The line and the problem of each of the first bad rows.
    shown: Vec<(u32, String)>,
    table: Table,
}

impl Rows<'_> {
    fn add(&mut self, line: u32, request: Result<SmsConnectorRequest, String>) {
        let request =
            request.and_then(|request| match self.lines.entry(request.phone_number_id()) {
                Entry::Occupied(earlier) => {
                    Err(format!("the phone number id is already used on line {}", earlier.get()))
                }
                Entry::Vacant(number) => {
                    number.insert(line);
                    Ok(request)
                }
            });
        match request {
            Ok(request) => self.good.push((line, request)),
            Err(problem) => {
                self.bad += 1;
                if self.bad <= SHOWN_ROWS {
                    self.shown.push((line, problem));
                }
            }
        }
    }

    fn report(self) -> String {
        let plural = if self.bad == 1 { "" } else { "s" };
        let of = self.good.len() + self.bad;
        let lines = self.shown.iter().map(|(line, problem)| format!("\n  line {line}: {problem}"));
        let more = self.bad.saturating_sub(SHOWN_ROWS);
        let more = (more > 0).then(|| format!("\n  … and {more} more"));
        let report: String = lines.chain(more).collect();
        format!("{} row{plural} of {of} cannot be used{report}", self.bad)
    }

    fn read_json_lines(&mut self, text: &[u8]) {
        for (line, row) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let row = row.trim_ascii();
            if !row.is_empty() {
                self.add(line, read_object(row, self.with));
            }
        }
    }

    /// Reads CSV, or returns why its header cannot be used.
    fn read_csv(&mut self, text: &[u8]) -> Result<(), String> {
        let (separator, start) = separator(text);
        self.table.separator = separator;
        let mut reader = ReaderBuilder::new()
            .delimiter(separator)
            .has_headers(false)
            .flexible(true)
            .from_reader(&text[start..]);
        let mut record = ByteRecord::new();
        let mut header = None;
        let mut counted = 0;
        let mut line = 1;
        loop {
            // Count lines here, because the reader doesn't count the empty lines before a row or the `\n` of a `\r\n`.
            let before = start + offset(&reader);
            let found = reader.read_byte_record(&mut record).map_err(|error| error.to_string())?;
            let row = &text[before..start + offset(&reader)];
            let before = before + row.iter().take_while(|byte| is_line_end(**byte)).count();
            line += line_ends(&text[counted..before]);
            counted = before;
            if found && record.iter().all(is_blank) {
                continue;
            }
            match &header {
                None => {
                    let columns = columns(&record);
                    header = Some(columns.map_err(|problem| format!("line {line}: {problem}"))?);
                }
                Some(_) if !found => return Ok(()),
                Some(columns) => {
                    let is_open = || row.split(|byte| *byte == b'"').count() % 2 == 0;
                    let request = if record.iter().flatten().copied().any(is_line_end) && is_open()
                    {
                        // Without a closing quote, the cell contains the rest of the file.
                        Err("a quote is not closed".to_owned())
                    } else {
                        values(columns, &record).and_then(|values| request(values, self.with))
                    };
                    self.add(line, request);
                }
            }
        }
    }
}

fn offset(reader: &csv::Reader<&[u8]>) -> usize {
    usize::try_from(reader.position().byte()).expect("the text is in memory")
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Counts `\n`, `\r\n` and `\r`.
fn line_ends(text: &[u8]) -> u32 {
    let is_end =
        |at: &usize| text[*at] == b'\n' || text[*at] == b'\r' && text.get(at + 1) != Some(&b'\n');
    u32::try_from((0..text.len()).filter(is_end).count()).unwrap_or(u32::MAX)
}

fn is_blank(cell: &[u8]) -> bool {
    cell.trim_ascii().is_empty()
}

/// Returns the separator, and the offset of the text after a first line such as `sep=;`. Without such a line, the
/// separator is the comma, semicolon or tab that the header has most often outside quotes. A comma wins a tie.
fn separator(text: &[u8]) -> (u8, usize) {
    let first = text.split(|byte| is_line_end(*byte)).next().unwrap_or_default();
    let bare = first.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(first);
    if let Some((b"sep=", &[separator])) = bare.split_at_checked(4) {
        return (separator, first.len());
    }
    let unquoted = text.split(|byte| *byte == b'"').step_by(2).flatten();
    let header =
        unquoted.skip_while(|byte| is_line_end(**byte)).take_while(|byte| !is_line_end(**byte));
    let count = |separator: &u8| header.clone().filter(|byte| *byte == separator).count();
    // If counts are equal, `max_by_key` returns the last element.
    ([b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b','), 0)
}

/// Returns the column of each cell of the header, or `None` for a cell without a name.
fn columns(header: &ByteRecord) -> Result<Vec<Option<usize>>, String> {
    let mut columns = Vec::new();
    let mut problems = Vec::new();
    for name in header {
        let name = str::from_utf8(name).map_err(|_| format!("the header {NOT_UTF8}"))?.trim();
        columns.push(match column("column", name) {
            _ if name.is_empty() => None,
            Ok(column) if columns.contains(&Some(column)) => {
                problems.push(format!("the header has the column {} twice", COLUMNS[column][0]));
                None
            }
            Ok(column) => Some(column),
            Err(problem) => {
                problems.push(format!("the header has the {problem}"));
                None
            }
        });
    }
    while columns.pop_if(|column| column.is_none()).is_some() {}
    if !problems.is_empty() {
        // If the file has no header, its first row may be much wider than a header.
        problems.truncate(COLUMNS.len());
        return Err(problems.join("; "));
    }
    let has = |column| columns.contains(&Some(column));
    if !has(NAME) {
        return Err("the header has no column `name`".to_owned());
    }
    if !has(PHONE_NUMBER_ID) && !has(PHONE_NUMBER) {
        return Err("the header has neither `phone_number_id` nor `phone_number`".to_owned());
    }
    Ok(columns)
}

/// Returns the column with this name. Otherwise, the error suggests a column whose name has the same letters, if any.
fn column(kind: &str, name: &str) -> Result<usize, String> {
    if let Some(column) = COLUMNS.iter().position(|names| names.contains(&name)) {
        return Ok(column);
    }
    let letters = |name: &str| name.to_lowercase().replace([' ', '-', '_'], "");
    let known = COLUMNS.map(|[name, _]| name);
    let hint = match known.into_iter().find(|known| letters(known) == letters(name)) {
        Some(known) => format!("did you mean {known}?"),
        None if kind == "column" && name.contains(known[PHONE_NUMBER_ID]) => {
            "separate the columns by `,`, `;` or tab".to_owned()
        }
        None => format!("the {kind}s are {}", known.join(",")),
    };
    if secret::is_in(name) {
        return Err(format!("unknown {kind} that contains the access key; {hint}"));
    }
    let shown: String = name.chars().take(SHOWN_NAME).collect();
    Err(format!("unknown {kind} {shown:?}; {hint}"))
}

/// Returns the values of a row of CSV.
fn values<'a>(columns: &[Option<usize>], record: &'a ByteRecord) -> Result<Values<'a>, String> {
    let found = record.len();
    let expected = columns.len();
    if found < expected || !record.iter().skip(expected).all(is_blank) {
        return Err(format!("expected {expected} columns, as in the header; found {found}"));
    }
    let mut values = Values::default();
    for (cell, column) in record.iter().zip(columns) {
        match column {
            Some(column) => {
                let value = str::from_utf8(cell);
                values[*column] = Some(
                    value.map_err(|_| format!("the column {} {NOT_UTF8}", COLUMNS[*column][0]))?,
                );
            }
            None if is_blank(cell) => {}
            None => return Err("a value is in a column without a name".to_owned()),
        }
    }
    Ok(values)
}

/// A JSON line. Each field accepts a value of any type, because serde's errors don't name the field of a wrong value.
#[derive(Deserialize)]
struct Object {
    name: Option<Value>,
    #[serde(alias = "phoneNumberId")]
    phone_number_id: Option<Value>,
    #[serde(alias = "phoneNumber")]
    phone_number: Option<Value>,
    #[serde(alias = "useCaseId")]
    use_case_id: Option<Value>,
    #[serde(alias = "channelMessageType")]
    channel_message_type: Option<Value>,
    conversational: Option<Value>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

fn read_object(row: &[u8], with: &With) -> Result<SmsConnectorRequest, String> {
    let object: Object = serde_json::from_slice(row)
        // The report adds the line number in the file. serde's line number is always 1.
        .map_err(|error| format!("invalid JSON: {}", error.to_string().replace(" line 1", "")))?;
    if let Some(name) = object.unknown.keys().next() {
        return Err(format!("the row has the {}", column("field", name).err().unwrap_or_default()));
    }
    let fields = [
        &object.name,
        &object.phone_number_id,
        &object.phone_number,
        &object.use_case_id,
        &object.channel_message_type,
        &object.conversational,
    ];
    let mut values = Values::default();
    for (column, field) in fields.into_iter().enumerate() {
        values[column] = match field {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(Value::Bool(value)) if column == CONVERSATIONAL => {
                Some(if *value { "true" } else { "false" })
            }
            Some(_) if column == CONVERSATIONAL => return Err(NOT_BOOLEAN.to_owned()),
            Some(_) => return Err(format!("the field {} is not a string", COLUMNS[column][0])),
        };
    }
    request(values, with)
}

/// Builds the request of a row, or describes every problem of its values.
fn request(values: Values, with: &With) -> Result<SmsConnectorRequest, String> {
    let [name, values @ ..] = values;
    // The name keeps its spaces, and all other values are trimmed.
    let values = values.map(|value| value.map(str::trim).filter(|text| !text.is_empty()));
    let [phone_number_id, number, use_case_id, channel_message_type, conversational] = values;
    let mut problems = Vec::new();
    let number = match (phone_number_id, number) {
        (Some(_), Some(_)) => Err("phone_number_id and phone_number are both given".to_owned()),
        (None, Some(number)) => id_of(number, with),
        (id, None) => id.unwrap_or_default().parse().map_err(|it: ParseIdError| it.to_string()),
    };
    problems.extend(number.as_ref().err().cloned());
    // A placeholder lets the other values be checked even if the number is wrong.
    let number = number.unwrap_or_else(|_| Uuid::max().into());
    let use_case_id = use_case_id.map(str::parse::<UseCaseId>).transpose();
    problems.extend(use_case_id.as_ref().err().map(ToString::to_string));
    let conversational = conversational.map(|text| match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => {
            problems.push(NOT_BOOLEAN.to_owned());
            None
        }
    });
    let request = SmsConnectorRequest::new(name.unwrap_or_default(), number)
        .with_use_case_id(use_case_id.unwrap_or_default().or(with.defaults.use_case_id))
        .with_channel_message_type(
            channel_message_type
                .map(ChannelMessageType::from)
                .or(with.defaults.channel_message_type.clone()),
        )
        .with_conversational(conversational.flatten().or(with.defaults.conversational));
    problems.extend(request.check().err().map(|error| error.to_string()));
    if [name, channel_message_type].into_iter().flatten().any(secret::is_in) {
        problems.push("a value contains the access key".to_owned());
    }
    if problems.is_empty() { Ok(request) } else { Err(problems.join("; ")) }
}

/// Returns the id of a phone number. Before the ids are known, returns a placeholder made from the digits: it is enough
/// to find a number that two rows have.
fn id_of(number: &str, with: &With) -> Result<PhoneNumberId, String> {
    let number = phone_number(number).map_err(|problem| format!("phone_number {problem}"))?;
    let Some(numbers) = with.numbers else {
        with.is_unresolved.set(true);
        return Ok(Uuid::from_u128(number[1..].parse().unwrap_or_default()).into());
    };
    choose(&number, numbers)
}

#[cfg(test)]
mod tests;
