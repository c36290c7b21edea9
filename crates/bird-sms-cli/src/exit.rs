//! How the command ends.

use std::process::ExitCode;

use bird_sms::{Error, ReadFailure};

/// The exit codes, and what each means for the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Done.
    Done = 0,
    /// Unexpected.
    Unexpected = 1,
    /// Usage or configuration: nothing was sent.
    Usage = 2,
    /// Refused by Bird: nothing was created.
    Refused = 3,
    /// Not reachable: nothing was created.
    Unreachable = 4,
    /// A connector may exist, and its id is not known.
    MayExist = 5,
    /// The connector exists, but its channel is not there.
    NotReady = 6,
    /// Interrupted (SIGINT).
    Interrupted = 130,
    /// Terminated (SIGTERM).
    Terminated = 143,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Done,
        Self::Unexpected,
        Self::Usage,
        Self::Refused,
        Self::Unreachable,
        Self::MayExist,
        Self::NotReady,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// What it says, in a line.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unexpected => "unexpected",
            Self::Usage => "usage or configuration: nothing was sent",
            Self::Refused => "refused by Bird: nothing was created",
            Self::Unreachable => "not reachable: nothing was created",
            Self::MayExist => "a connector may exist, and its id is not known",
            Self::NotReady => {
                "the connector exists (its id is printed), but its channel is not there"
            }
            Self::Interrupted => "interrupted; after the creation the connector's id is printed",
            Self::Terminated => "terminated; the same",
        }
    }

    /// The code of an install or a wait that failed.
    #[must_use]
    pub fn of_install(error: &Error) -> Self {
        match error {
            Error::Configuration(_) => Self::Usage,
            Error::Refused(_) => Self::Refused,
            Error::Unreachable(_) => Self::Unreachable,
            Error::OutcomeUnknown(_) | Error::CreatedIdUnknown(_) => Self::MayExist,
            Error::NotReady(_) | Error::Read(_) => Self::NotReady,
            _ => Self::Unexpected,
        }
    }

    /// The code of a read that failed, which says nothing of whether the connector exists.
    #[must_use]
    pub fn of_read(error: &Error) -> Self {
        match error {
            Error::Read(error) => match &error.cause {
                // A server that is there and does not serve.
                ReadFailure::Response(response) if matches!(response.status, 408 | 500..) => {
                    Self::Unreachable
                }
                ReadFailure::Response(_) => Self::Refused,
                ReadFailure::NoResponse(_) => Self::Unreachable,
                _ => Self::Unexpected,
            },
            other => Self::of_install(other),
        }
    }
}
