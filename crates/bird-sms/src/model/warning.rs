use std::fmt;

use serde::{Deserialize, Serialize};

/// What a success leaves open. Serializes as a JSON object with the field `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Warning {
    /// An earlier attempt may have created another connector for the same phone number.
    PossibleDuplicate {
        /// The HTTP status of the response to the earlier attempt. `None` when there was no response, as in an
        /// earlier run that was killed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
}

impl Warning {
    /// Returns the kind, as it is serialized.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PossibleDuplicate { .. } => "possible-duplicate",
        }
    }

    /// Returns what to do, as one sentence for a person.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::PossibleDuplicate { .. } => {
                "Look in the Bird dashboard for a second connector of this phone number."
            }
        }
    }
}

/// `an earlier attempt (HTTP 503) may have created another connector for this phone number`
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PossibleDuplicate { status } => {
                f.write_str("an earlier attempt ")?;
                if let Some(status) = status {
                    write!(f, "(HTTP {status}) ")?;
                }
                f.write_str("may have created another connector for this phone number")
            }
        }
    }
}
