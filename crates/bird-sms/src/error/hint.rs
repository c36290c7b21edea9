//! What to do next, in one table: by the purpose of the request and by its error.

use super::{AttemptError, NumbersRead, TransportErrorKind};

/// The purpose of a request.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Create,
    /// Read a connector.
    Read,
    Numbers(NumbersRead),
}

pub(super) const PROXY_AUTHENTICATION: &str = "Put the user name and the password into the URL of the proxy, as in http://user:password@host:port. If they are \
     already there, the proxy refuses them, or requires another kind of authentication than Basic, which is not \
     supported.";
pub(super) const OTHER_PRODUCT: &str = "Create an access key in the organization settings of Bird, under Access keys; keys that begin with bk_ or test_ are \
     for other APIs.";

/// Returns the hint after an attempt that failed.
pub(super) fn after_attempt(step: Step, error: &AttemptError) -> &'static str {
    let response = match (error, step) {
        (AttemptError::Response(response), _) => response,
        (AttemptError::Transport(error), _) => return after_transport(error.kind()),
        (AttemptError::OtherTemplate(_), _) => {
            return "Look at the connector in the Bird dashboard: it has no SMS channel. If an install created it, do \
                    not create it again.";
        }
        (_, Step::Numbers(_)) => return "Check that the API URL is Bird's.",
        _ => return "Check that the API URL is Bird's; do not create the connector again.",
    };
    match (response.status, step) {
        (300..=399, _) => {
            "Check the API URL. Redirects are not followed, because the access key would be sent to another host."
        }
        (401, _) if response.other_product => OTHER_PRODUCT,
        (401, _) => "Check the access key, and that its role may use the API.",
        (403, Step::Create) => {
            "The access key's policy must allow `create` on /workspaces/{workspaceId}/connectors."
        }
        (403, Step::Read) => {
            "The access key's policy must allow `view` on /workspaces/{workspaceId}/connectors/{connectorId}."
        }
        (404, Step::Read) => "Check the connector id and the workspace id.",
        (404, Step::Numbers(NumbersRead::Number | NumbersRead::Requirements)) => {
            "Check the phone number id and the workspace id."
        }
        (404, _) => "Check the workspace id.",
        (407, _) => PROXY_AUTHENTICATION,
        (409, Step::Create) => {
            "A connector for this phone number already exists. The Bird dashboard shows its id."
        }
        (422, Step::Create) if response.is_about("useCaseId") => {
            "Give the id of a use case. https://docs.bird.com/api/channels-api/supported-channels/programmable-sms/installing-an-sms-channel/sms-use-cases describes use cases."
        }
        (422, Step::Create) if response.is_about("phoneNumberId") => {
            "Check the phone number id. https://docs.bird.com/api/numbers-api/api-reference/long-code-numbers describes numbers."
        }
        (429, Step::Create) => "The workspace is over its rate limit. Retry later.",
        (_, Step::Create) => "Correct the request and retry.",
        (_, Step::Read) => "Retry later; do not create the connector again.",
        (_, Step::Numbers(_)) => "Retry later.",
    }
}

pub(super) fn after_transport(kind: TransportErrorKind) -> &'static str {
    match kind {
        TransportErrorKind::Dns => {
            "Check the host in the API URL, and that this machine can resolve names; it is safe to retry."
        }
        TransportErrorKind::Proxy => {
            "Check the proxy in HTTPS_PROXY or ALL_PROXY; NO_PROXY lists the hosts that need none. It is safe to retry."
        }
        TransportErrorKind::Certificate => {
            "Check the API URL. If a proxy inspects TLS, trust its CA certificate: on Linux, set SSL_CERT_FILE."
        }
        TransportErrorKind::CertificateExpired => {
            "Check the clock of this machine. If the clock is right, the certificate must be renewed."
        }
        TransportErrorKind::ProxyAuthentication => PROXY_AUTHENTICATION,
        TransportErrorKind::RateLimited => {
            "Retry later, or with a longer timeout: the requests before this one use up the rate limit."
        }
        TransportErrorKind::Connect => "Check the API URL and the network; it is safe to retry.",
        _ => "It is safe to retry.",
    }
}
