use std::fmt;

use serde::{Deserialize, Serialize};

/// A warning about a connector that was created. Serializes as a JSON object with the field `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Warning {
    /// An earlier attempt may have created another connector for the same phone number.
    PossibleDuplicate {
        /// The HTTP status of the response to the earlier attempt. `None` if there was none, for example because an earlier
        /// run was killed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
}

impl Warning {
    /// Returns the kind, as in JSON.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PossibleDuplicate { .. } => "possible-duplicate",
        }
    }

    /// Returns what to do next, as one sentence.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::PossibleDuplicate { .. } => {
                "Check the Bird dashboard for a second connector with this phone number."
            }
        }
    }
}

/// Formats the warning as a clause: `an earlier attempt (HTTP 503) may have created another connector for this phone number`
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
