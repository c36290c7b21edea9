use std::borrow::Cow;
use std::fmt;

use bird_api::types::{self, Capabilities};
use bytes::Bytes;
use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use uuid::Uuid;

use crate::open_enum::open_enum;
use crate::{ChannelId, ConnectorId, WorkspaceId};

/// A connector as Bird shows it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Connector {
    /// The id of the connector.
    pub id: ConnectorId,
    /// The workspace that it belongs to.
    pub workspace_id: Option<WorkspaceId>,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The region that it was installed in.
    pub region: Option<String>,
    /// The channel, once it has been provisioned.
    pub channel_id: Option<ChannelId>,
    /// The platform of the channel.
    pub platform: Option<String>,
    /// The phone number.
    pub number: Option<Number>,
    /// The template that it was made from, such as `sms-messagebird:1`.
    pub template_ref: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
    json: Json,
}

impl Connector {
    /// All that Bird told, as the JSON object that it sent: also the fields that this version does not
    /// know.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json.0
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, String> {
        let connector: types::Connector = decode(body)?;
        let json = String::from_utf8_lossy(body).trim().to_owned();
        let channel = connector.channel.unwrap_or_default();
        Ok(Self {
            id: connector.id.into(),
            workspace_id: connector.workspace_id.map(Into::into),
            name: connector.name,
            description: connector.description,
            region: connector.region,
            channel_id: channel.channel_id.map(Into::into),
            platform: channel.platform,
            number: connector.number.map(Into::into),
            template_ref: connector.connector_template_ref,
            created_at: connector.created_at,
            updated_at: connector.updated_at,
            json: Json(json),
        })
    }
}

#[derive(Clone, PartialEq)]
struct Json(String);

/// The fields say it already.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

/// The phone number of a connector.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Number {
    /// The number itself: E.164, or a sender's name.
    pub phone_number: Option<String>,
    /// The country, as ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// The type of the number.
    pub number_type: Option<NumberType>,
    /// The type of endpoint that it is.
    pub endpoint_type: Option<EndpointType>,
    /// What it can do, such as `sms-outbound`.
    pub capabilities: Vec<String>,
}

open_enum! {
    /// The type of a phone number.
    pub enum NumberType {
        /// `mobile`
        Mobile = "mobile",
        /// `local`
        Local = "local",
        /// `toll-free`
        TollFree = "toll-free",
        /// `national`
        National = "national",
    }
}

open_enum! {
    /// The type of endpoint that a phone number is.
    pub enum EndpointType {
        /// `alpha-number`: a sender's name.
        AlphaNumber = "alpha-number",
        /// `long-code-number`
        LongCodeNumber = "long-code-number",
    }
}

impl From<types::NumberConfig> for Number {
    fn from(number: types::NumberConfig) -> Self {
        Self {
            phone_number: number.phone_number,
            country: number.country,
            number_type: number.number_type.map(|value| value.as_str().into()),
            endpoint_type: number.endpoint_type.map(|value| value.as_str().into()),
            capabilities: number.capabilities.map(capabilities).unwrap_or_default(),
        }
    }
}

/// On the wire they are a list, or one string with commas.
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

/// What a wait needs of a response, and nothing that it can fail over without need.
#[derive(Debug, PartialEq)]
pub(crate) struct ConnectorStatus {
    pub(crate) id: ConnectorId,
    pub(crate) workspace_id: Option<WorkspaceId>,
    pub(crate) channel_id: Option<ChannelId>,
}

impl ConnectorStatus {
    pub(crate) fn decode(body: &[u8]) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Connector {
            id: Uuid,
            #[serde(rename = "workspaceId")]
            workspace_id: Option<Uuid>,
            channel: Option<Channel>,
        }
        #[derive(serde::Deserialize)]
        struct Channel {
            #[serde(rename = "channelId", default, deserialize_with = "uuid_or_empty")]
            channel_id: Option<Uuid>,
        }
        /// Not copied: a `Cow` borrows only where it is told to.
        #[derive(serde::Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
        /// An empty text is as good as none.
        fn uuid_or_empty<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Uuid>, D::Error> {
            match Option::<Text<'de>>::deserialize(source)? {
                Some(Text(text)) if !text.is_empty() => {
                    Uuid::try_parse(&text).map(Some).map_err(serde::de::Error::custom)
                }
                _ => Ok(None),
            }
        }
        let connector: Connector = decode(body)?;
        Ok(Self {
            id: connector.id.into(),
            workspace_id: connector.workspace_id.map(Into::into),
            channel_id: connector.channel.and_then(|channel| channel.channel_id).map(Into::into),
        })
    }
}

/// Decodes, or says what is wrong at which path.
fn decode<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, String> {
    // A text is checked for UTF-8 at once, a slice string by string. Keeping track of the path costs; it
    // is done when there is something to say.
    let text = str::from_utf8(body).ok();
    text.and_then(|text| serde_json::from_str(text).ok()).map_or_else(|| decode_with_path(body), Ok)
}

fn decode_with_path<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, String> {
    let mut source = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut source).map_err(|error| {
        match error.path().to_string() {
            path if path == "." => error.inner().to_string(),
            path => format!("`{path}`: {}", error.inner()),
        }
    })?;
    source.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// The id at the top of a connector's JSON, even when the rest is torn off or makes no sense.
pub(crate) fn rescue_id(body: &Bytes) -> Option<ConnectorId> {
    struct Rescue<'a>(&'a mut Option<Uuid>);
    impl<'de> Visitor<'de> for Rescue<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a connector")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                if key == "id" {
                    *self.0 = Some(map.next_value()?);
                    break;
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }
    let mut id = None;
    // It fails for a body that is torn off; what was found before is found all the same.
    let _ = serde_json::Deserializer::from_slice(body).deserialize_map(Rescue(&mut id));
    id.map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

    fn status(json: &str) -> Result<ConnectorStatus, String> {
        ConnectorStatus::decode(json.replace("ID", ID).as_bytes())
    }

    // Fault 25.
    #[test]
    fn a_channel_without_an_id_is_pending() {
        for channel in [
            "",
            r#","channel":null"#,
            r#","channel":{}"#,
            r#","channel":{"channelId":null}"#,
            r#","channel":{"channelId":""}"#,
        ] {
            let json = format!(
                r#"{{"id":"ID","name":"n","createdAt":"2025-01-21T01:43:10.940Z"{channel}}}"#
            );
            assert_eq!(status(&json).unwrap().channel_id, None, "{json}");
            let connector = Connector::decode(json.replace("ID", ID).as_bytes());
            assert_eq!(connector.unwrap().channel_id, None, "{json}");
        }
        let ready = status(r#"{"id":"ID","channel":{"channelId":"ID"}}"#).unwrap();
        assert_eq!(ready.channel_id, Some(ID.parse().unwrap()));
    }

    // Fault 23.
    #[test]
    fn an_answer_that_makes_no_sense_is_refused_with_the_path() {
        let problem = |json: &str| status(json).unwrap_err();
        assert!(problem(r#"{"id":null}"#).starts_with("`id`: "));
        assert!(
            problem(r#"{"id":"ID","channel":{"channelId":7}}"#)
                .starts_with("`channel.channelId`: ")
        );
        assert!(problem(r#"{"id":"ID","id":"ID"}"#).contains("duplicate field"));
        assert!(problem(r#"{"id":"ID""#).contains("EOF"));
        assert!(problem("\u{feff}{}").contains("expected value"));
        // What is skipped is skipped without recursion, so that no depth overflows the stack.
        let deep = format!(r#"{{"x":{}1{}}}"#, "[".repeat(400_000), "]".repeat(400_000));
        assert!(problem(&deep).contains("missing field `id`"));
        let deep = format!(r#"{{"channel":{}"#, r#"{"channel":"#.repeat(400_000));
        assert!(status(&deep).is_err());
        assert!(ConnectorStatus::decode(b"{\"id\":\"\xff\"}").is_err());
    }

    #[test]
    fn the_id_is_found_in_what_is_torn_off_or_makes_no_sense() {
        let rescued = |json: &str| rescue_id(&Bytes::from(json.replace("ID", ID)));
        let id = Some(ID.parse().unwrap());
        assert_eq!(rescued(r#"{"id":"ID","name":"te"#), id);
        assert_eq!(rescued(r#"{"name":"a","arguments":{"id":"x"},"id":"ID","channel":7}"#), id);
        assert_eq!(rescued(r#"{"name":{"id":"ID"},"na"#), None);
        assert_eq!(rescued(r#"{"id":"12"#), None);
        assert_eq!(rescued(r#"["ID"]"#), None);
        assert_eq!(rescued(""), None);
    }
}
