use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::{AccessKey, ChannelId, Connector, ConnectorId, Warning, WorkspaceId};

/// An installed SMS channel.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = bird_sandbox::Sandbox::builder().in_memory();
/// # let transport = sandbox.transport();
/// # let key = sandbox.access_key();
/// # let id = sandbox.workspace_id();
/// # let workspace = bird_sms::test_util::workspace(transport, key, id);
/// let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
/// let channel = workspace.install_sms_channel("My SMS channel", number).await?;
/// println!("{}", serde_json::to_string_pretty(&channel)?);
/// if let Some(connector) = channel.connector() {
///     assert_eq!(connector.name, "My SMS channel");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct SmsChannel {
    /// The id of the channel, which other parts of Bird's API require.
    pub id: ChannelId,
    /// The connector that the channel belongs to.
    pub connector_id: ConnectorId,
    /// The workspace that the channel is installed in.
    pub workspace_id: WorkspaceId,
    /// The warning that an earlier attempt may have created another connector.
    pub warning: Option<Warning>,
    body: Bytes,
    /// The access key, which is redacted when the body is decoded.
    key: AccessKey,
}

impl SmsChannel {
    /// Creates the channel from the body of the response that contained its id.
    pub(crate) fn new(
        id: ChannelId,
        connector_id: ConnectorId,
        workspace_id: WorkspaceId,
        body: &Bytes,
        key: &AccessKey,
    ) -> Self {
        let body = body.clone();
        let key = key.clone();
        Self { id, connector_id, workspace_id, warning: None, body, key }
    }

    pub(crate) fn warning(self, warning: Option<Warning>) -> Self {
        Self { warning, ..self }
    }

    /// Returns the connector, with its name and its phone number, from the response that contained the channel.
    ///
    /// Nothing is sent. Returns `None` if a field that installs ignore violates the contract, or if the channel comes from a
    /// journal, which stores no responses. Each call decodes the body again.
    #[must_use]
    pub fn connector(&self) -> Option<Connector> {
        Connector::decode(&self.body, &self.key).ok()
    }
}

/// Serializes as a JSON object with the ids, the warning, and fields of the response such as the name.
impl Serialize for SmsChannel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Json<'a> {
            channel_id: ChannelId,
            connector_id: ConnectorId,
            workspace_id: WorkspaceId,
            name: Option<&'a str>,
            phone_number: Option<&'a str>,
            platform: Option<&'a str>,
            created_at: Option<Timestamp>,
            warning: Option<Warning>,
        }
        let connector = self.connector();
        let connector = connector.as_ref();
        let number = connector.and_then(|connector| connector.number.as_ref());
        Json {
            channel_id: self.id,
            connector_id: self.connector_id,
            workspace_id: self.workspace_id,
            name: connector.map(|connector| &*connector.name),
            phone_number: number.and_then(|number| number.phone_number.as_deref()),
            platform: connector.and_then(|connector| connector.platform.as_deref()),
            created_at: connector.map(|connector| connector.created_at),
            warning: self.warning,
        }
        .serialize(serializer)
    }
}

/// Compares the ids and the warnings, but not the responses.
impl PartialEq for SmsChannel {
    fn eq(&self, other: &Self) -> bool {
        let parts = |channel: &Self| {
            (channel.id, channel.connector_id, channel.workspace_id, channel.warning)
        };
        parts(self) == parts(other)
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
