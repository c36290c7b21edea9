//! The rows of a batch: CSV with a header, or JSON Lines.

mod csv;
mod json_lines;
mod report;
mod row;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, Write};
use std::path::Path;

use bird_sms::PhoneNumberId;

use self::report::{BadRow, Problem, report};
pub(crate) use self::row::Row;

/// The byte order mark that some programs write before UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The rows of a batch, after the check.
///
/// The rows are in a temporary copy of the file, and are read from there one at a time: memory does not grow
/// with the size of the file, and a change of the file after the check has no effect.
pub(crate) struct Input {
    copy: File,
    format: Format,
    rows: u64,
}

impl Input {
    /// Checks all rows of a file, or of standard input for `-`. The inner error is a report of the rows
    /// that cannot be used.
    pub(crate) fn check(path: &Path) -> io::Result<Result<Self, String>> {
        let mut source: Box<dyn Read + Send> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path)?)
        };
        let mut start = Vec::new();
        source.by_ref().take(1024).read_to_end(&mut start)?;
        let format = Format::detect(&start);
        let copy = tempfile::tempfile().map_err(|error| {
            let folder = std::env::temp_dir();
            io::Error::other(format!(
                "no temporary copy can be made in {}: {error}",
                folder.display()
            ))
        })?;
        let source = Tee { source: Cursor::new(start).chain(source), copy: copy.try_clone()? };
        let mut offsets = HashMap::<PhoneNumberId, u64>::new();
        let (mut rows, mut bad) = (0, Vec::new());
        for (offset, row) in format.rows(Box::new(source)) {
            rows += 1;
            let problem = match row {
                Ok(request) => offsets
                    .insert(request.phone_number_id(), offset)
                    .map(|earlier| Problem::Duplicate { earlier }),
                Err(problem) => Some(problem),
            };
            bad.extend(problem.map(|problem| BadRow { offset, problem }));
            if let Some(BadRow { problem: Problem::Unreadable(_), .. }) = bad.last() {
                break;
            }
        }
        let input = Self { copy, format, rows };
        Ok(if bad.is_empty() { Ok(input) } else { Err(report(&bad, rows, input.rewind()?)?) })
    }

    /// Returns the number of rows.
    pub(crate) fn len(&self) -> u64 {
        self.rows
    }

    /// Returns the rows, from the first one.
    ///
    /// Only one of these iterators can be in use at a time, because they share a position in the copy.
    pub(crate) fn rows(&self) -> io::Result<impl Iterator<Item = Row> + Send + use<>> {
        Ok(self.format.rows(Box::new(self.rewind()?)).map(|(_, row)| row))
    }

    fn rewind(&self) -> io::Result<File> {
        let mut copy = self.copy.try_clone()?;
        copy.rewind()?;
        Ok(copy)
    }
}

#[derive(Clone, Copy)]
enum Format {
    Csv { separator: u8 },
    JsonLines,
}

impl Format {
    /// Determines the format from the first bytes of a file.
    fn detect(start: &[u8]) -> Self {
        let start = start.strip_prefix(BOM).unwrap_or(start);
        if start.trim_ascii_start().starts_with(b"{") {
            Self::JsonLines
        } else {
            Self::Csv { separator: csv::separator(start) }
        }
    }

    /// Reads rows, each with the byte offset that it begins at. Line ends may come before the row. No row
    /// can be read after one that is [`Unreadable`](Problem::Unreadable).
    fn rows(self, source: Box<dyn Read + Send>) -> Rows {
        match self {
            Self::Csv { separator } => csv::rows(source, separator),
            Self::JsonLines => Box::new(json_lines::rows(source)),
        }
    }
}

type Rows = Box<dyn Iterator<Item = (u64, Row)> + Send>;

/// Copies what is read to a file.
struct Tee<R> {
    source: R,
    copy: File,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.copy.write_all(&buffer[..read])?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use bird_sms::{ChannelMessageType, SmsConnectorRequest, UseCaseId};

    use super::*;

    const A: &str = "2cffb55c-120e-91a8-8f10-ed9d1b412d29";
    const B: &str = "be123b02-dacf-31f9-b3e5-50b18260bc23";

    fn check(bytes: &[u8]) -> Result<Input, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Input::check(file.path()).unwrap()
    }

    /// Returns the requests of a file in which `A` and `B` stand for two UUIDs.
    pub(super) fn requests(text: &str) -> Vec<SmsConnectorRequest> {
        let input = check(text.replace('A', A).replace('B', B).as_bytes()).unwrap();
        let requests: Vec<_> = input.rows().unwrap().map(Result::unwrap).collect();
        assert_eq!(input.len(), requests.len() as u64);
        requests
    }

    /// Returns the report of a file with rows that cannot be used.
    pub(super) fn report(text: &str) -> String {
        report_of_bytes(text.replace('A', A).replace('B', B).as_bytes())
    }

    pub(super) fn report_of_bytes(bytes: &[u8]) -> String {
        check(bytes).err().unwrap()
    }

    pub(super) fn assert_contains_all(report: &str, parts: &[&str]) {
        for part in parts {
            assert!(report.contains(part), "no {part:?} in {report}");
        }
    }

    #[test]
    fn a_row_is_a_request() {
        let all = "name,phone_number_id,use_case_id,channel_message_type,conversational\n\
                   \"Sales, Rotterdam\",A,B,promotional,true\n other,B,,,\n";
        let expected = [
            SmsConnectorRequest::new("Sales, Rotterdam", A.parse().unwrap())
                .use_case_id(B.parse::<UseCaseId>().unwrap())
                .channel_message_type(ChannelMessageType::Promotional)
                .conversational(true),
            SmsConnectorRequest::new(" other", B.parse().unwrap()),
        ];
        assert_eq!(requests(all), expected);
        let lines = r#"
{"name":"Sales, Rotterdam","phone_number_id":"A","use_case_id":"B","channel_message_type":"promotional","conversational":true}

{"phone_number_id":"B","name":" other"}"#;
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
    fn what_is_installed_is_what_was_checked() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "name,phone_number_id\nx,{A}\n").unwrap();
        let input = Input::check(file.path()).unwrap().unwrap();
        write!(file, "y,{A}\nz,{B}\n").unwrap();
        assert_eq!(input.rows().unwrap().count(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn rows_may_come_from_a_pipe_and_not_from_a_directory() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let path = fifo.clone();
        let writer = std::thread::spawn(move || std::fs::write(path, "name,phone_number_id\n"));
        assert_eq!(Input::check(&fifo).unwrap().unwrap().len(), 0);
        writer.join().unwrap().unwrap();
        let error = Input::check(folder.path()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn a_row_without_an_end_is_given_up_in_bounded_memory() {
        let endless = vec![b'x'; 64 * 1024 * 1024];
        for start in
            ["name,phone_number_id\nx,", "name,phone_number_id\n\"x\n\n", "{\"name\":\"", ""]
        {
            let mut bytes = start.as_bytes().to_vec();
            bytes.extend_from_slice(&endless);
            assert_contains_all(&report_of_bytes(&bytes), &["longer than 1 MiB", "not read"]);
        }
    }
}
