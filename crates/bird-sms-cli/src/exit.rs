//! The exit codes of the command.

use std::process::ExitCode;

use bird_sms::{CheckError, CheckProblem, Error, NumbersError};

use crate::status::Status;

/// An exit code, which shows what is known about the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// The command succeeded.
    Done = 0,
    /// An error without a code of its own, or a batch that stopped before it began every row.
    Unexpected = 1,
    /// The usage or the configuration is wrong: no connector was created.
    Usage = 2,
    /// Bird refused the request: no connector was created.
    Refused = 3,
    /// Bird could not be reached: no connector was created.
    Unreachable = 4,
    /// A connector exists or may exist, but its id is not known.
    IdUnknown = 5,
    /// The connector exists, but its channel is not ready.
    NotReady = 6,
    /// A read or a check failed, and this run created nothing.
    ReadFailed = 7,
    /// SIGHUP ended the command: 128 plus the number of the signal.
    HungUp = 129,
    /// SIGINT ended the command: 128 plus the number of the signal.
    Interrupted = 130,
    /// SIGTERM ended the command: 128 plus the number of the signal.
    Terminated = 143,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

impl Code {
    /// All codes.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::Unexpected,
        Self::Usage,
        Self::Refused,
        Self::Unreachable,
        Self::IdUnknown,
        Self::NotReady,
        Self::ReadFailed,
        Self::HungUp,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// Returns the meaning of the code, on one line.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unexpected => "unexpected error",
            Self::Usage => "usage or configuration error: no connector was created",
            Self::Refused => "refused: no connector was created",
            Self::Unreachable => "Bird could not be reached: no connector was created",
            Self::IdUnknown => "a connector exists or may exist, but its id is not known",
            Self::NotReady => {
                "the connector exists (its id is printed), but its channel is not ready"
            }
            Self::ReadFailed => "a read or a check failed, and this run created nothing",
            Self::HungUp => "hung up (SIGHUP); the id of the connector is printed if it is known",
            Self::Interrupted => {
                "interrupted (SIGINT); the id of the connector is printed if it is known"
            }
            Self::Terminated => {
                "terminated (SIGTERM); the id of the connector is printed if it is known"
            }
        }
    }

    /// Returns the name of the code in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unexpected => "unexpected",
            Self::Usage => "usage",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::IdUnknown => "outcome-unknown",
            Self::NotReady => "not-ready",
            Self::ReadFailed => "read-failed",
            Self::HungUp => "hung-up",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }

    /// Returns how the signal of the code ended the command, such as `hung up`.
    pub(crate) fn signal(self) -> String {
        self.name().replace('-', " ")
    }

    /// Returns the code of an install that failed.
    #[must_use]
    pub fn of_install(error: &Error) -> Self {
        let state = error.connector_state();
        match error {
            Error::Configuration(_) => Self::Usage,
            Error::Journal(_) if !state.may_exist() => Self::Unexpected,
            _ => Status::of(state, Some(error)).code(),
        }
    }

    /// Returns the code of a check that failed. A check creates nothing.
    pub(crate) fn of_check(error: &CheckError) -> Self {
        match error.problem {
            CheckProblem::Unreachable => Self::Unreachable,
            CheckProblem::Unavailable => Self::ReadFailed,
            _ => Self::Refused,
        }
    }

    /// Returns the code for numbers that could not be read. Reading creates nothing.
    pub(crate) fn of_numbers(error: &NumbersError) -> Self {
        match error.response().map(|response| response.status) {
            Some(300..=407 | 409..=499) => Self::Refused,
            _ => Self::Unreachable,
        }
    }

    /// Returns the code of a wait or a read that failed. Neither creates a connector.
    pub(crate) fn of_read(error: &Error) -> Self {
        match error {
            Error::Configuration(_) => Self::Usage,
            Error::NotReady(..) => Self::NotReady,
            _ => Self::ReadFailed,
        }
    }
}
