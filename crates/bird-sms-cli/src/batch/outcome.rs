//! The outcome of a row, and the file that outcomes are written to.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::Path;

use bird_sms::{
    BatchOutcome, ChannelId, ConnectorId, Error, PhoneNumberId, RowState, SmsConnectorRequest,
    Warning, escape_controls,
};
use serde::Serialize;

use super::input::{BOM, Table};
use crate::status::Status;

/// A row of the outcome file.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) line: u32,
    pub(super) name: String,
    pub(super) phone_number_id: PhoneNumberId,
    pub(super) status: Status,
    pub(super) connector_id: Option<ConnectorId>,
    pub(super) channel_id: Option<ChannelId>,
    pub(super) error: Option<String>,
    /// The kind of the warning, such as `possible-duplicate`.
    pub(super) warning: Option<&'static str>,
    /// The HTTP status of the response that refused the request, and its error code if it has one.
    #[serde(skip)]
    pub(super) refusal: Option<String>,
    /// True if this run created the connector.
    #[serde(skip)]
    pub(super) created: bool,
}

const COLUMNS: [&str; 8] =
    ["line", "name", "phone_number_id", "status", "connector_id", "channel_id", "error", "warning"];

impl Outcome {
    fn new(line: u32, request: &SmsConnectorRequest, row: RowState, error: Option<&Error>) -> Self {
        let connector = row.connector_state();
        let is_ready = row.channel_id().is_some();
        Self {
            line,
            name: request.name().to_owned(),
            phone_number_id: request.phone_number_id(),
            status: if is_ready { Status::Ready } else { Status::of(connector, error) },
            connector_id: connector.connector_id(),
            channel_id: row.channel_id(),
            error: error.map(Error::chain),
            warning: row.warning().as_ref().map(Warning::kind),
            refusal: None,
            created: false,
        }
    }

    /// Creates the outcome of an install of this run.
    pub(super) fn of_install(line: u32, outcome: &BatchOutcome) -> Self {
        let error = outcome.result.as_ref().err();
        let refusal = match error {
            Some(error @ Error::Refused(_)) => error.response().map(|response| {
                let code = response.code.as_ref().map(|code| format!(" {code}"));
                format!("{}{}", response.status, code.unwrap_or_default())
            }),
            _ => None,
        };
        let created = outcome.created;
        let mut row = Self::new(line, &outcome.request, outcome.state, error);
        if error.and_then(Error::status) == Some(404)
            && outcome.connector_state().connector_id().is_some()
            && let Some(text) = &mut row.error
        {
            text.push_str(
                "; if the connector was deleted, give --adopt PHONE_NUMBER_ID=CONNECTOR_ID for the new one",
            );
        }
        Self { refusal, created, ..row }
    }

    /// Creates the outcome of a row that this run skipped or did not reach before it was stopped.
    pub(super) fn skipped(line: u32, request: &SmsConnectorRequest, row: RowState) -> Self {
        let mut outcome = Self::new(line, request, row, None);
        let error = match outcome.status {
            Status::Unknown => Some(
                "it is not known whether an earlier run created a connector; check the Bird dashboard, then give \
                 --adopt or --retry-unknown",
            ),
            Status::Exists => Some(
                "a connector exists, but its id is not known; find it in the Bird dashboard and give \
                 --adopt",
            ),
            Status::NotReady | Status::Stopped => {
                Some("the connector exists; this run stopped before waiting for it")
            }
            Status::Ready | Status::Refused | Status::Unreachable => None,
        };
        outcome.error = error.map(str::to_owned);
        outcome
    }

    /// Returns the label of the row, with which messages about it begin.
    pub(super) fn label(&self) -> String {
        let name = escape_controls(&self.name);
        format!("line {}, {name}, {}", self.line, self.phone_number_id)
    }
}

/// The destination of the outcomes: a file, stdout or nowhere.
pub(super) enum OutcomeWriter {
    Nowhere,
    Csv(Box<csv::Writer<Box<dyn Write>>>),
    JsonLines(BufWriter<Box<dyn Write>>),
}

impl OutcomeWriter {
    /// Opens the output: stdout for `-`, and otherwise a file. Writes JSON Lines to stdout if `json` is set, and to a file
    /// whose name ends in `.jsonl` or `.ndjson`. Otherwise, writes CSV in the dialect of `table`.
    pub(super) fn open(path: Option<&Path>, json: bool, table: Table) -> io::Result<Self> {
        let Some(path) = path else { return Ok(Self::Nowhere) };
        let to_stdout = path == Path::new("-");
        let json = if to_stdout {
            json
        } else {
            path.extension().is_some_and(|extension| extension == "jsonl" || extension == "ndjson")
        };
        let mut sink: Box<dyn Write> =
            if to_stdout { Box::new(io::stdout()) } else { Box::new(File::create(path)?) };
        if json {
            return Ok(Self::JsonLines(BufWriter::new(sink)));
        }
        if table.has_bom {
            sink.write_all(BOM)?;
        }
        let mut writer = csv::WriterBuilder::new();
        let mut writer = writer.delimiter(table.separator).has_headers(false).from_writer(sink);
        writer.write_record(COLUMNS)?;
        Ok(Self::Csv(Box::new(writer)))
    }

    pub(super) fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Csv(writer) => writer.serialize(outcome).map_err(io::Error::from),
            Self::JsonLines(writer) => {
                serde_json::to_writer(&mut *writer, outcome)?;
                writer.write_all(b"\n")
            }
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Csv(writer) => writer.flush(),
            Self::JsonLines(writer) => writer.flush(),
        }
    }
}

/// Checks that an outcome file can be written, without changing anything.
pub(super) fn check_writable(path: &Path) -> io::Result<()> {
    match path.metadata() {
        Ok(file) if file.is_file() => OpenOptions::new().write(true).open(path).map(drop),
        Ok(file) if file.is_dir() => Err(ErrorKind::IsADirectory.into()),
        // Opening a pipe would wait for its reader.
        Ok(_) => Ok(()),
        Err(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            std::fs::read_dir(folder.unwrap_or(Path::new("."))).map(drop)
        }
    }
}

/// Returns whether a file looks like a journal, which must not be overwritten.
pub(super) fn is_journal(path: &Path) -> bool {
    let mut line = Vec::new();
    path.is_file()
        && File::open(path).is_ok_and(|file| {
            let read = BufReader::new(file.take(4096)).read_until(b'\n', &mut line);
            read.is_ok() && {
                let line = String::from_utf8_lossy(&line);
                line.contains(r#""event":"journal""#) && line.contains(r#""workspaceId""#)
            }
        })
}
