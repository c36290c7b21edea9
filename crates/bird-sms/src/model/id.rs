//! The ids of an install. Each has its own type, so two ids cannot be swapped.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};
use uuid::Uuid;

/// Why an id could not be parsed. The message does not contain the input, which may be an access key pasted by mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} {problem}")]
pub struct ParseIdError {
    what: &'static str,
    problem: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Returns the id as a UUID.
            #[must_use]
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse(text, $what == WORKSPACE)
                    .map(Self)
                    .map_err(|problem| ParseIdError { what: $what, problem })
            }
        }

        /// Parses text like `from_str`, with the same hints in its errors.
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if !deserializer.is_human_readable() {
                    return Uuid::deserialize(deserializer).map(Self);
                }
                let text = Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    };
}

id!(
    /// The id of a workspace: a UUID, not the `ws_…` identifier or the URL of the dashboard.
    WorkspaceId,
    "workspace id"
);
id!(
    /// The id of a connector, which links a workspace to a platform.
    ConnectorId,
    "connector id"
);
id!(
    /// The id of an SMS channel: the result of an install.
    ChannelId,
    "channel id"
);
id!(
    /// The id of a phone number in the workspace.
    PhoneNumberId,
    "phone number id"
);
id!(
    /// The id of the use case that a phone number is registered for.
    UseCaseId,
    "use case id"
);

const WORKSPACE: &str = "workspace id";

fn parse(text: &str, workspace: bool) -> Result<Uuid, &'static str> {
    /// The length of a UUID with hyphens, the only form that Bird uses.
    const HYPHENATED: usize = 36;

    if text.is_empty() {
        return Err("is empty; it must be a UUID such as 2cffb55c-120e-91a8-8f10-ed9d1b412d29");
    }
    if text.starts_with(['"', '\'']) {
        return Err("is in quotes; give it without them");
    }
    if text.contains("://") || text.contains("bird.com") {
        return Err("is a URL; give only the UUID that it contains");
    }
    if text.starts_with("ws_") {
        if !workspace {
            return Err("is the `ws_…` identifier of a workspace; it must be a UUID");
        }
        return Err(
            "starts with `ws_`, which the API does not accept; give the workspace's UUID, \
             which the dashboard shows in its address after /workspaces/",
        );
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if (3..=15).contains(&digits)
        && text.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c))
    {
        return Err(
            "is a phone number; it must be a UUID such as 2cffb55c-120e-91a8-8f10-ed9d1b412d29",
        );
    }
    match Uuid::try_parse(text) {
        Ok(id) if text.len() == HYPHENATED => Ok(id),
        _ => Err("is not a UUID such as 2cffb55c-120e-91a8-8f10-ed9d1b412d29"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_parsed_and_printed_unchanged() {
        let text = "2cffb55c-120e-91a8-8f10-ed9d1b412d29";
        assert_eq!(text.parse::<WorkspaceId>().unwrap().to_string(), text);
    }

    #[test]
    fn a_url_or_a_ws_identifier_is_refused_with_a_hint() {
        let problem = |text: &str| text.parse::<WorkspaceId>().unwrap_err().to_string();
        assert!(problem("ws_123").contains("UUID, which the dashboard shows"));
        assert!(problem("https://app.bird.com/workspaces/x").contains("is a URL"));
        assert!(problem("").contains("is empty"));
        let number = "ws_123".parse::<PhoneNumberId>().unwrap_err().to_string();
        assert!(number.contains("identifier of a workspace"), "{number}");
        let quoted = problem("\"2cffb55c-120e-91a8-8f10-ed9d1b412d29\"");
        assert_eq!(quoted, "the workspace id is in quotes; give it without them");
    }

    #[test]
    fn a_phone_number_in_place_of_an_id_is_refused() {
        for text in ["+31612345678", "+1 (555) 010-9999", "31.6.12.34.56.78", "12345"] {
            let error = text.parse::<PhoneNumberId>().unwrap_err().to_string();
            assert!(
                error.starts_with("the phone number id is a phone number; it must be a UUID"),
                "{error}"
            );
        }
    }

    #[test]
    fn an_invalid_id_in_json_gives_the_hint_of_from_str() {
        let error = serde_json::from_str::<WorkspaceId>(r#""ws_123""#).unwrap_err().to_string();
        assert!(error.contains("UUID, which the dashboard shows"), "{error}");
        assert!(serde_json::from_str::<ConnectorId>("7").is_err());
        let id: ChannelId = Uuid::from_u128(7).into();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<ChannelId>(&json).unwrap(), id);
    }

    #[test]
    fn an_id_that_could_change_the_url_path_is_refused() {
        for text in [
            "..",
            "a/b",
            "\\",
            "?",
            "#",
            "%2e",
            "2cffb55c120e91a88f10ed9d1b412d29",
            "{2cffb55c-120e-91a8-8f10-ed9d1b412d29}",
            "2cffb55c-120e-91a8-8f10-ed9d1b412d2\n",
        ] {
            let error = text.parse::<ConnectorId>().unwrap_err().to_string();
            assert!(error.starts_with("the connector id is not a UUID"), "{error}");
            assert!(text.len() < 3 || !error.contains(text));
        }
    }
}
