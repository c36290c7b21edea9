use crate::ParseIdError;

/// Input that cannot be used. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// There is no access key.
    #[error("there is no access key; set BIRD_ACCESS_KEY")]
    NoAccessKey,
    /// The access key cannot be sent.
    #[error("the access key {0}")]
    AccessKey(&'static str),
    /// The base URL is not one that requests can be sent to.
    #[error("the API URL {0}")]
    BaseUrl(&'static str),
    /// The user agent cannot be sent in a header.
    #[error("the user agent contains a character that cannot be sent in a header")]
    UserAgent,
    /// An id is not a UUID.
    #[error(transparent)]
    Id(#[from] ParseIdError),
    /// The name of the connector is empty.
    #[error("the name is empty; a connector needs one")]
    EmptyName,
    /// The channel message type is an empty string.
    #[error("the channel message type is empty; give a value such as `promotional`, or none")]
    EmptyChannelMessageType,
    /// A rate limit of zero would never send anything.
    #[error("a rate limit is zero; give at least one request per second")]
    ZeroRateLimit,
    /// A duration that must not be zero is zero.
    #[error("{0} is zero")]
    ZeroDuration(&'static str),
    /// TLS or the HTTP client could not be set up.
    #[error("TLS could not be set up: {0}")]
    Tls(String),
}
