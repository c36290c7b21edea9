//! The outcome of a row, and the file of outcomes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use bird_sms::{
    BatchOutcome, ChannelId, ConnectorId, ConnectorState, Error, PhoneNumberId, RowState,
    SmsConnectorRequest, Warning,
};
use serde::Serialize;

/// The status of a row after the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    Ready,
    /// The connector exists, and its channel is not ready.
    NotReady,
    /// Bird refused the request, or the request cannot be sent.
    Refused,
    /// No connector was created: Bird was not reached, or the journal could not be written.
    Unreachable,
    /// A connector may exist.
    Unknown,
    /// A connector exists, and its id is not known.
    Exists,
}

impl Status {
    fn of(row: RowState, error: Option<&Error>) -> Self {
        if row.channel_id().is_some() {
            return Self::Ready;
        }
        match (row.connector_state(), error) {
            (ConnectorState::Exists(_), _) => Self::NotReady,
            (ConnectorState::ExistsIdUnknown, _) => Self::Exists,
            (ConnectorState::Unknown, _) => Self::Unknown,
            (ConnectorState::NotCreated, Some(Error::Refused(_) | Error::Configuration(_))) => {
                Self::Refused
            }
            (ConnectorState::NotCreated, _) => Self::Unreachable,
        }
    }
}

/// A row of the outcome file.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) phone_number_id: PhoneNumberId,
    pub(super) status: Status,
    pub(super) connector_id: Option<ConnectorId>,
    pub(super) channel_id: Option<ChannelId>,
    pub(super) error: Option<String>,
    /// The kind of the warning, such as that of a possible second connector.
    warning: Option<&'static str>,
    /// The HTTP status of the response that refused the request, and its error code if it has one.
    #[serde(skip)]
    pub(super) refusal: Option<String>,
    /// Whether this run created the connector.
    #[serde(skip)]
    pub(super) created: bool,
}

impl Outcome {
    fn new(request: &SmsConnectorRequest, row: RowState, error: Option<&Error>) -> Self {
        Self {
            name: request.name().to_owned(),
            phone_number_id: request.phone_number_id(),
            status: Status::of(row, error),
            connector_id: row.connector_state().connector_id(),
            channel_id: row.channel_id(),
            error: error.map(Error::chain),
            warning: row.warning().as_ref().map(Warning::kind),
            refusal: None,
            created: false,
        }
    }

    /// Creates the outcome of an install of this run.
    pub(super) fn of_install(outcome: &BatchOutcome) -> Self {
        let error = outcome.result.as_ref().err();
        let refusal = match error {
            Some(Error::Refused(error)) => Some(match &error.response.code {
                Some(code) => format!("{} {code}", error.response.status),
                None => error.response.status.to_string(),
            }),
            _ => None,
        };
        let created = outcome.created;
        Self { refusal, created, ..Self::new(&outcome.request, outcome.state, error) }
    }

    /// Creates the outcome of a row that this run skipped, or did not reach before it was stopped.
    pub(super) fn skipped(request: &SmsConnectorRequest, row: RowState) -> Self {
        let mut outcome = Self::new(request, row, None);
        let error = match outcome.status {
            Status::Unknown => Some(
                "it is not known whether an earlier run created a connector; check the Bird dashboard, then give \
                 --adopt or --retry-unknown",
            ),
            Status::Exists => Some(
                "a connector exists, and its id is not known; find it in the Bird dashboard and give \
                 --adopt",
            ),
            Status::NotReady => {
                Some("the connector exists; this run stopped before waiting for it")
            }
            Status::Ready | Status::Refused | Status::Unreachable => None,
        };
        outcome.error = error.map(str::to_owned);
        outcome
    }
}

/// The destination of the outcomes: a file, stdout or nowhere.
pub(super) enum OutcomeWriter {
    Nowhere,
    Csv(Box<csv::Writer<Box<dyn Write>>>),
    JsonLines(BufWriter<Box<dyn Write>>),
}

impl OutcomeWriter {
    /// Opens the output. `-` is stdout, as JSON Lines if `json` is set. A file is JSON Lines if its name ends in `.jsonl`
    /// or `.ndjson`. All else is CSV.
    pub(super) fn open(path: Option<&Path>, json: bool) -> io::Result<Self> {
        let Some(path) = path else { return Ok(Self::Nowhere) };
        let to_stdout = path == Path::new("-");
        let json = if to_stdout {
            json
        } else {
            path.extension().is_some_and(|extension| extension == "jsonl" || extension == "ndjson")
        };
        let sink: Box<dyn Write> =
            if to_stdout { Box::new(io::stdout()) } else { Box::new(File::create(path)?) };
        Ok(if json {
            Self::JsonLines(BufWriter::new(sink))
        } else {
            Self::Csv(Box::new(csv::Writer::from_writer(sink)))
        })
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
