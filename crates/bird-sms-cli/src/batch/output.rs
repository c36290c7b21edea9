//! What is told of each row, and of all of them at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use bird_sms::{BatchOutcome, Error, SmsConnectorRequest, UnknownReason};
use serde::Serialize;

use super::journal::Standing;
use crate::exit::Code;

/// How a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    Ready,
    NotReady,
    Refused,
    Unreachable,
    /// A connector may exist.
    Unknown,
    /// A connector exists, and its id is not known.
    Exists,
}

impl Status {
    /// That of an install that failed. `doubtful` is one of a number that may have a connector from an
    /// attempt before.
    pub(crate) fn of(error: &Error, doubtful: bool) -> Self {
        match error {
            _ if error.connector_id().is_some() => Self::NotReady,
            Error::CreatedIdUnknown(_) => Self::Exists,
            Error::OutcomeUnknown(error) if error.reason == UnknownReason::AlreadyExists => {
                Self::Exists
            }
            Error::Refused(error) if doubtful && error.response.status == 409 => Self::Exists,
            // That this attempt created nothing does not tell what became of the one before.
            _ if doubtful || error.connector_may_exist() => Self::Unknown,
            Error::Refused(_) | Error::Configuration(_) => Self::Refused,
            _ => Self::Unreachable,
        }
    }
}

/// What is told of a failure.
pub(crate) fn message(error: &Error, doubtful: bool) -> String {
    match (Status::of(error, doubtful), error.connector_may_exist()) {
        (Status::Exists, false) => format!(
            "A connector exists, probably from an attempt before, and its id is not known: look for it \
             in the dashboard, then give --adopt. {error}"
        ),
        (Status::Unknown, false) => format!(
            "What became of an attempt before is still not known: look in the dashboard. The last one: \
             {error}"
        ),
        _ => error.to_string(),
    }
}

/// A row of the output.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    name: String,
    phone_number_id: String,
    pub(crate) status: Status,
    connector_id: Option<String>,
    channel_id: Option<String>,
    pub(crate) error: Option<String>,
    /// Of a refusal: the status, and the code if there was one.
    #[serde(skip)]
    refusal: Option<String>,
}

impl Outcome {
    fn new(request: &SmsConnectorRequest, status: Status) -> Self {
        Self {
            name: request.name().to_owned(),
            phone_number_id: request.phone_number_id().to_string(),
            status,
            connector_id: None,
            channel_id: None,
            error: None,
            refusal: None,
        }
    }

    pub(crate) fn phone_number_id(&self) -> &str {
        &self.phone_number_id
    }

    /// Of an install of this run.
    pub(crate) fn of(outcome: &BatchOutcome, doubtful: bool) -> Self {
        let request = &outcome.request;
        let error = match &outcome.result {
            Ok(channel) => {
                return Self {
                    connector_id: Some(channel.connector_id.to_string()),
                    channel_id: Some(channel.id.to_string()),
                    ..Self::new(request, Status::Ready)
                };
            }
            Err(error) => error,
        };
        let refusal = match error {
            Error::Refused(error) => Some(match &error.response.code {
                Some(code) => format!("{} {code}", error.response.status),
                None => error.response.status.to_string(),
            }),
            _ => None,
        };
        Self {
            connector_id: error.connector_id().map(|id| id.to_string()),
            error: Some(message(error, doubtful)),
            refusal,
            ..Self::new(request, Status::of(error, doubtful))
        }
    }

    /// Of a row that this run leaves as it is.
    pub(crate) fn before(request: &SmsConnectorRequest, standing: Standing) -> Option<Self> {
        let told = |status, error: &str| {
            Some(Self { error: Some(error.to_owned()), ..Self::new(request, status) })
        };
        match standing {
            Standing::Ready(connector_id, channel_id) => Some(Self {
                connector_id: Some(connector_id.to_string()),
                channel_id: Some(channel_id.to_string()),
                ..Self::new(request, Status::Ready)
            }),
            Standing::Unknown => told(
                Status::Unknown,
                "an earlier run does not know whether it created a connector; look in the dashboard, \
                 then give --adopt or --retry-unknown",
            ),
            Standing::Exists => told(
                Status::Exists,
                "a connector exists, and its id is not known; look in the dashboard, then give --adopt",
            ),
            Standing::Nothing | Standing::Created(_) => None,
        }
    }
}

/// Where the outcomes go.
pub(crate) enum Out {
    Nowhere,
    Csv(Box<csv::Writer<Box<dyn Write>>>),
    Json(BufWriter<Box<dyn Write>>),
}

impl Out {
    /// A file whose name ends with `.jsonl` or `.ndjson` gets JSON Lines, every other one CSV, and `-` is
    /// standard output.
    pub(crate) fn open(path: Option<&Path>, json: bool) -> io::Result<Self> {
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
            Self::Json(BufWriter::new(sink))
        } else {
            Self::Csv(Box::new(csv::Writer::from_writer(sink)))
        })
    }

    pub(crate) fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Csv(writer) => writer.serialize(outcome).map_err(io::Error::from),
            Self::Json(writer) => {
                serde_json::to_writer(&mut *writer, outcome)?;
                writer.write_all(b"\n")
            }
        }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Csv(writer) => writer.flush(),
            Self::Json(writer) => writer.flush(),
        }
    }
}

/// All rows, counted.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) rows: u64,
    pub(crate) ready: u64,
    /// Of those, the ones that an earlier run had finished.
    pub(crate) ready_before: u64,
    /// The connectors that this run created.
    pub(crate) created: u64,
    pub(crate) not_ready: u64,
    /// By status and code.
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) unreachable: u64,
    pub(crate) unknown: u64,
    pub(crate) exists: u64,
    /// The rows that were not come to, when the run was stopped.
    pub(crate) not_begun: u64,
    pub(crate) elapsed_seconds: f64,
}

impl Summary {
    pub(crate) fn count(&mut self, outcome: &Outcome) {
        match outcome.status {
            Status::Ready => self.ready += 1,
            Status::NotReady => self.not_ready += 1,
            Status::Refused => {
                let kind = outcome.refusal.clone().unwrap_or_default();
                *self.refused.entry(kind).or_default() += 1;
            }
            Status::Unreachable => self.unreachable += 1,
            Status::Unknown => self.unknown += 1,
            Status::Exists => self.exists += 1,
        }
    }

    /// The rows that ended, in this run or before.
    pub(crate) fn ended(&self) -> u64 {
        self.ready
            + self.not_ready
            + self.refused.values().sum::<u64>()
            + self.unreachable
            + self.unknown
            + self.exists
    }

    pub(crate) fn finish(&mut self, elapsed: Duration) {
        self.not_begun = self.rows - self.ended();
        self.elapsed_seconds = elapsed.as_secs_f64();
    }

    /// The code of the row that is worst off.
    pub(crate) fn code(&self) -> Code {
        if self.unknown + self.exists > 0 {
            Code::MayExist
        } else if self.not_ready > 0 {
            Code::NotReady
        } else if !self.refused.is_empty() {
            Code::Refused
        } else if self.unreachable > 0 {
            Code::Unreachable
        } else if self.not_begun > 0 {
            Code::Unexpected
        } else {
            Code::Done
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{} of {} rows ready ({} before this run), {} connectors created, in {:.1} s",
            self.ready, self.rows, self.ready_before, self.created, self.elapsed_seconds
        );
        let refused: u64 = self.refused.values().sum();
        let kinds: Vec<_> =
            self.refused.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
        for (count, what) in [
            (self.not_ready, "exist without their channel; the same command goes on waiting".to_owned()),
            (refused, format!("refused, nothing created ({})", kinds.join(", "))),
            (self.unreachable, "not sent, nothing created".to_owned()),
            (
                self.unknown,
                "unknown: a connector may exist; look in the dashboard, then --adopt or --retry-unknown"
                    .to_owned(),
            ),
            (
                self.exists,
                "exist, and their connector's id is not known; look in the dashboard, then --adopt"
                    .to_owned(),
            ),
            (self.not_begun, "not begun".to_owned()),
        ] {
            if count > 0 {
                let _ = write!(text, "\n{count} {what}");
            }
        }
        text
    }
}
