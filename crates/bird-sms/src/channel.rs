use bird_api::Answer;

use crate::{ChannelId, Connector, ConnectorId, Workspace, WorkspaceId};

/// An SMS channel that is installed: what all of this is for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SmsChannel {
    /// Its id, which the rest of Bird's API asks for.
    pub id: ChannelId,
    /// The connector that it came with.
    pub connector_id: ConnectorId,
    /// The workspace that it is installed in.
    pub workspace_id: WorkspaceId,
    /// All that Bird told of the connector: its name, its phone number. `None` when a part of it that the
    /// install does not need was not as the contract describes it; a warning is traced then.
    pub connector: Option<Connector>,
}

impl SmsChannel {
    pub(crate) fn new(
        id: ChannelId,
        workspace: &Workspace,
        connector_id: ConnectorId,
        answer: &Answer,
    ) -> Self {
        let connector = Connector::decode(answer)
            .inspect_err(|problem| {
                let problem = workspace.client().key().redact(problem);
                tracing::warn!(problem, "the connector is not as the contract describes it");
            })
            .ok();
        Self { id, connector_id, workspace_id: workspace.id(), connector }
    }
}
