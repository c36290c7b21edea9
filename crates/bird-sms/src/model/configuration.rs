use std::path::PathBuf;
use std::time::Duration;

use crate::{ParseIdError, PhoneNumberId};

/// Why input can't be used. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// There is no access key.
    #[error("there is no access key; set BIRD_ACCESS_KEY")]
    NoAccessKey,
    /// There is no workspace id.
    #[error("there is no workspace id; set BIRD_WORKSPACE_ID")]
    NoWorkspaceId,
    /// The access key cannot be sent.
    #[error("the access key {0}")]
    AccessKey(&'static str),
    /// A name, or another value that isn't secret, contains the access key.
    #[error("the {0} contains the access key")]
    AccessKeyIn(&'static str),
    /// Requests cannot be sent to the base URL.
    #[error("the API URL {0}")]
    BaseUrl(&'static str),
    /// An environment variable for the proxy does not contain the URL of a proxy.
    #[error(
        "the environment variable {0} is not the URL of a proxy, such as http://proxy.example:3128"
    )]
    Proxy(&'static str),
    /// An environment variable for the proxy names a SOCKS proxy.
    #[error(
        "the environment variable {0} names a SOCKS proxy, which is not supported; give an HTTP proxy"
    )]
    SocksProxy(&'static str),
    /// The user agent cannot be sent in a header.
    #[error("the user agent contains a character that cannot be sent in a header")]
    UserAgent,
    /// An id is not a UUID.
    #[error(transparent)]
    Id(#[from] ParseIdError),
    /// An id belongs to something else.
    #[error("the {0} {1}")]
    WrongId(&'static str, &'static str),
    /// The name of the connector is empty.
    #[error("the name is empty; give the connector a name")]
    EmptyName,
    /// The channel message type is an empty string.
    #[error("the channel message type is empty; give a value such as `promotional`, or omit it")]
    EmptyChannelMessageType,
    /// A batch has two requests for the same phone number. The second one is not sent.
    #[error("the batch has an earlier request for phone number {0}")]
    DuplicatePhoneNumber(PhoneNumberId),
    /// A rate limit of zero would never send anything.
    #[error("a rate limit is zero; give at least one request per second")]
    ZeroRateLimit,
    /// A timeout is so short that requests would be sent without waiting for their responses.
    #[error("{0} is shorter than {1:?}; a request would be sent without waiting for its response")]
    TooShort(&'static str, Duration),
    /// A duration that must not be zero is zero.
    #[error("{0} is zero")]
    ZeroDuration(&'static str),
    /// The file that the environment variable `SSL_CERT_FILE` names cannot be read.
    #[error("SSL_CERT_FILE names a file that cannot be read: {}: {problem}", path.display())]
    RootFile {
        /// The value of the variable.
        path: PathBuf,
        /// Why it can't be read.
        problem: String,
    },
    /// No root certificates were found, for example because a container has none.
    #[error(
        "no root certificates were found; install the CA certificates of the platform, or set SSL_CERT_FILE to a file \
         of CA certificates"
    )]
    NoTrustedRoots,
    /// TLS or the HTTP client could not be set up.
    #[error("TLS could not be set up: {0}")]
    Tls(String),
}
