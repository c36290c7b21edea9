use std::fmt;

use bird_api::types::{self, Capabilities, EndpointType, NumberType};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

use super::decode::decode;
use crate::{AccessKey, ChannelId, ConnectorId, PhoneNumberId, WorkspaceId};

/// A connector as Bird returns it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = bird_sandbox::Sandbox::builder().in_memory();
/// # let transport = sandbox.transport();
/// # let key = sandbox.access_key();
/// # let id = sandbox.workspace_id();
/// # let workspace = bird_sms::test_util::workspace(transport, key, id);
/// # let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
/// # let id = workspace.install_sms_channel("My SMS channel", number).await?.connector_id;
/// let connector = workspace.connector(id).await?;
/// println!("{} of {}: {:?}", connector.name, connector.created_at, connector.channel_id);
/// println!("{}", connector.json()); // every field
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Connector {
    /// The id of the connector.
    pub id: ConnectorId,
    /// The workspace that the connector belongs to.
    pub workspace_id: Option<WorkspaceId>,
    /// The name that the connector was created with.
    pub name: String,
    /// The description of the connector.
    pub description: Option<String>,
    /// The region that the connector was installed in.
    pub region: Option<String>,
    /// The channel, once it is provisioned.
    pub channel_id: Option<ChannelId>,
    /// The platform of the channel.
    pub platform: Option<String>,
    /// The phone number that the connector sends from and receives at.
    pub number: Option<ConnectorNumber>,
    /// The phone number id that the connector was created with.
    pub phone_number_id: Option<PhoneNumberId>,
    /// The template that the connector was created from, such as `sms-messagebird:1`.
    pub template_ref: Option<String>,
    /// When the connector was created.
    pub created_at: Timestamp,
    /// When the connector was last changed.
    pub updated_at: Option<Timestamp>,
    json: Json,
}

impl Connector {
    /// Returns the JSON object as Bird sent it, including fields that this version does not know.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json.0
    }

    /// Decodes a body. The access key is redacted in every field and in [`json`](Self::json), but ids don't change.
    pub(crate) fn decode(body: &[u8], key: &AccessKey) -> Result<Self, String> {
        let connector: types::Connector = decode(body)?;
        if connector.id.is_nil() {
            return Err("`id`: the nil UUID is not an id".to_owned());
        }
        let text = |text: String| key.redact(&text).into_owned();
        let channel = connector.channel.unwrap_or_default();
        Ok(Self {
            id: connector.id.into(),
            workspace_id: connector.workspace_id.map(Into::into),
            name: text(connector.name),
            description: connector.description.map(text),
            region: connector.region.map(text),
            channel_id: channel.channel_id.filter(|id| !id.is_nil()).map(Into::into),
            platform: channel.platform.map(text),
            number: connector.number.map(|number| ConnectorNumber::new(number, text)),
            phone_number_id: connector
                .arguments
                .and_then(|arguments| {
                    arguments.get("phoneNumberId")?.as_str()?.parse::<Uuid>().ok()
                })
                .map(Into::into),
            template_ref: connector.connector_template_ref.map(text),
            created_at: connector.created_at,
            updated_at: connector.updated_at,
            json: Json(key.redact_body(body)),
        })
    }
}

/// Serializes as [`Connector::json`].
impl Serialize for Connector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json: Value = serde_json::from_str(self.json()).map_err(serde::ser::Error::custom)?;
        json.serialize(serializer)
    }
}

#[derive(Clone, PartialEq)]
struct Json(String);

/// Prints only the length, because the other fields of a connector show the content.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

/// The phone number of a connector.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConnectorNumber {
    /// The number in E.164 format, or the name of an alphanumeric sender.
    pub phone_number: Option<String>,
    /// The country, as ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// The type of the number.
    pub number_type: Option<NumberType>,
    /// The type of the endpoint behind the number.
    pub endpoint_type: Option<EndpointType>,
    /// The capabilities of the number, such as `sms-outbound`.
    pub capabilities: Vec<String>,
}

impl ConnectorNumber {
    fn new(number: types::NumberConfig, text: impl Fn(String) -> String) -> Self {
        let capabilities = number.capabilities.map(capabilities).unwrap_or_default();
        Self {
            phone_number: number.phone_number.map(&text),
            country: number.country.map(&text),
            number_type: number.number_type.map(|value| (*text(value.to_string())).into()),
            endpoint_type: number.endpoint_type.map(|value| (*text(value.to_string())).into()),
            capabilities: capabilities.into_iter().map(&text).collect(),
        }
    }
}

/// Converts both forms that the API uses: a list, and a string with commas.
fn capabilities(capabilities: Capabilities) -> Vec<String> {
    match capabilities {
        Capabilities::Joined(joined) => joined
            .split(',')
            .map(str::trim)
            .filter(|capability| !capability.is_empty())
            .map(str::to_owned)
            .collect(),
        Capabilities::List(list) => list,
        _ => Vec::new(),
    }
}
