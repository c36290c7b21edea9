use std::fmt;

use bird_api::Response;
use bytes::Bytes;

use crate::{ChannelId, Connector, ConnectorId, Workspace, WorkspaceId};

/// An SMS channel that is installed: what all of this is for.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct SmsChannel {
    /// Its id, which the rest of Bird's API asks for.
    pub id: ChannelId,
    /// The connector that it came with.
    pub connector_id: ConnectorId,
    /// The workspace that it is installed in.
    pub workspace_id: WorkspaceId,
    response: Bytes,
}

impl SmsChannel {
    pub(crate) fn new(
        id: ChannelId,
        workspace: &Workspace,
        connector_id: ConnectorId,
        response: &Response,
    ) -> Self {
        Self { id, connector_id, workspace_id: workspace.id(), response: response.body.clone() }
    }

    /// All that Bird told of the connector, such as its name and its phone number, in the response that had
    /// the channel. It is decoded with each call: most need only the id. Nothing is sent.
    ///
    /// `None` when a part of it that the install does not need is not as the contract describes it.
    #[must_use]
    pub fn connector(&self) -> Option<Connector> {
        Connector::decode(&self.response).ok()
    }
}

impl fmt::Debug for SmsChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmsChannel")
            .field("id", &self.id)
            .field("connector_id", &self.connector_id)
            .field("workspace_id", &self.workspace_id)
            .finish_non_exhaustive()
    }
}
