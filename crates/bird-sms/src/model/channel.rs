use std::fmt;

use bytes::Bytes;

use crate::{ChannelId, Connector, ConnectorId, Warning, WorkspaceId};

/// An installed SMS channel.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct SmsChannel {
    /// The id of the channel, which other parts of Bird's API require.
    pub id: ChannelId,
    /// The connector that the channel belongs to.
    pub connector_id: ConnectorId,
    /// The workspace that the channel is installed in.
    pub workspace_id: WorkspaceId,
    /// Set when an earlier attempt may have created another connector.
    pub warning: Option<Warning>,
    body: Bytes,
}

impl SmsChannel {
    /// Creates the channel from the body of the response that contained its id.
    pub(crate) fn new(
        id: ChannelId,
        connector_id: ConnectorId,
        workspace_id: WorkspaceId,
        body: &Bytes,
    ) -> Self {
        Self { id, connector_id, workspace_id, warning: None, body: body.clone() }
    }

    pub(crate) fn warning(self, warning: Option<Warning>) -> Self {
        Self { warning, ..self }
    }

    /// Decodes the connector, with its name and its phone number, from the response that contained the channel.
    ///
    /// Nothing is sent. The body is decoded at each call, because most callers need only the id. Returns `None`
    /// if a field that the install does not need differs from the contract.
    #[must_use]
    pub fn connector(&self) -> Option<Connector> {
        Connector::decode(&self.body).ok()
    }
}

/// Omits the body of the response.
impl fmt::Debug for SmsChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmsChannel")
            .field("id", &self.id)
            .field("connector_id", &self.connector_id)
            .field("workspace_id", &self.workspace_id)
            .field("warning", &self.warning)
            .finish_non_exhaustive()
    }
}
