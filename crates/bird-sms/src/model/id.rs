//! The ids of an install, each a type of its own so that they cannot be swapped.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Why a text is not an id. It never shows the text, which may be a key pasted in the wrong place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} {problem}")]
pub struct ParseIdError {
    what: &'static str,
    problem: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The id as a UUID.
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
    };
}

id!(
    /// The id of a workspace: a UUID. Neither the `ws_…` identifier nor the dashboard's URL is one.
    WorkspaceId,
    "workspace id"
);
id!(
    /// The id of a connector, which links a workspace to a platform.
    ConnectorId,
    "connector id"
);
id!(
    /// The id of an SMS channel: what an install is for.
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

/// What people call a workspace's id.
const WORKSPACE: &str = "workspace id";

fn parse(text: &str, workspace: bool) -> Result<Uuid, &'static str> {
    /// The length of a UUID with hyphens. Other spellings are not what the vendor shows.
    const HYPHENATED: usize = 36;

    if text.is_empty() {
        return Err("is empty; it must be a UUID such as 2cffb55c-120e-91a8-8f10-ed9d1b412d29");
    }
    if text.contains("://") || text.contains("bird.com") {
        return Err("is a URL; paste only the UUID that stands in it");
    }
    if text.starts_with("ws_") {
        if !workspace {
            return Err("is the `ws_…` identifier of a workspace; it must be a UUID of its own");
        }
        return Err(
            "starts with `ws_`, which is not the id that the API knows; paste the workspace's UUID, \
             which the dashboard shows in its address after /workspaces/",
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
    fn a_uuid_is_an_id_and_prints_back() {
        let text = "2cffb55c-120e-91a8-8f10-ed9d1b412d29";
        assert_eq!(text.parse::<WorkspaceId>().unwrap().to_string(), text);
    }

    #[test]
    fn what_people_paste_instead_gets_advice() {
        let problem = |text: &str| text.parse::<WorkspaceId>().unwrap_err().to_string();
        assert!(problem("ws_123").contains("UUID, which the dashboard shows"));
        assert!(problem("https://app.bird.com/workspaces/x").contains("is a URL"));
        assert!(problem("").contains("is empty"));
        let number = "ws_123".parse::<PhoneNumberId>().unwrap_err().to_string();
        assert!(number.contains("identifier of a workspace"), "{number}");
    }

    #[test]
    fn what_could_change_the_path_is_no_id_and_is_not_shown() {
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
