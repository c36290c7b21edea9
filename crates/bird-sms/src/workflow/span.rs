//! The tracing span of an install.

use tracing::Span;

use crate::client::Workspace;
use crate::{Error, SmsChannel, SmsConnectorRequest};

/// Returns the span of an install. The id of the connector is recorded when it is known, and the outcome at the end.
pub(crate) fn install_span(workspace: &Workspace, request: &SmsConnectorRequest) -> Span {
    tracing::info_span!(
        "install_sms_channel",
        workspace_id = %workspace.id(),
        phone_number_id = %request.phone_number_id(),
        connector_id = tracing::field::Empty,
        outcome = tracing::field::Empty
    )
}

/// Records the outcome of an install in the current span.
pub(crate) fn record_outcome(result: &Result<SmsChannel, Error>) {
    Span::current().record("outcome", result.as_ref().map_or_else(Error::kind, |_| "ready"));
}
