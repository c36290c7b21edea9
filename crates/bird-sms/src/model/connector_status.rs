use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::decode::decode;
use super::request::SMS_TEMPLATE;
use crate::{ChannelId, ConnectorId, PhoneNumberId, WorkspaceId};

/// The fields of a connector that a wait needs. A malformed value of any other field is ignored.
#[derive(Debug, PartialEq)]
pub(crate) struct ConnectorStatus {
    pub(crate) id: ConnectorId,
    pub(crate) workspace_id: Option<WorkspaceId>,
    /// The phone number id that the connector was created with.
    pub(crate) phone_number_id: Option<PhoneNumberId>,
    pub(crate) channel_id: Option<ChannelId>,
    /// The connector's template, unless it is a version of the SMS template.
    pub(crate) other_template: Option<String>,
}

impl ConnectorStatus {
    /// Decodes a body, or returns the problem with the path of the field.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Connector<'a> {
            #[serde(deserialize_with = "not_nil")]
            id: Uuid,
            #[serde(rename = "workspaceId")]
            workspace_id: Option<Uuid>,
            /// Raw, because a value of the wrong type must not be an error.
            #[serde(borrow)]
            arguments: Option<&'a RawValue>,
            /// Raw for the same reason as `arguments`.
            #[serde(rename = "connectorTemplateRef", borrow)]
            template: Option<&'a RawValue>,
            channel: Option<Channel>,
        }
        #[derive(serde::Deserialize)]
        struct Arguments {
            #[serde(rename = "phoneNumberId")]
            phone_number_id: Uuid,
        }
        #[derive(serde::Deserialize)]
        struct Channel {
            #[serde(rename = "channelId", default, deserialize_with = "uuid_or_empty")]
            channel_id: Option<Uuid>,
        }
        /// A string that borrows from the body if it can. Without the attribute, serde never borrows a `Cow`.
        #[derive(serde::Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
        fn uuid_or_empty<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Uuid>, D::Error> {
            match Option::<Text<'de>>::deserialize(source)? {
                Some(Text(text)) if !text.is_empty() => {
                    Uuid::try_parse(&text).map(Some).map_err(serde::de::Error::custom)
                }
                _ => Ok(None),
            }
        }
        fn not_nil<'de, D: Deserializer<'de>>(source: D) -> Result<Uuid, D::Error> {
            let id = Uuid::deserialize(source)?;
            if id.is_nil() {
                Err(serde::de::Error::custom("the nil UUID is not an id"))
            } else {
                Ok(id)
            }
        }
        let connector: Connector = decode(body)?;
        let channel_id = connector.channel.and_then(|channel| channel.channel_id);
        let arguments = connector.arguments.map(RawValue::get);
        let arguments = arguments.and_then(|json| serde_json::from_str::<Arguments>(json).ok());
        let template = connector.template.map(RawValue::get);
        let template = template.and_then(|json| serde_json::from_str::<Text>(json).ok());
        Ok(Self {
            id: connector.id.into(),
            workspace_id: connector.workspace_id.map(Into::into),
            phone_number_id: arguments.map(|arguments| arguments.phone_number_id.into()),
            channel_id: channel_id.filter(|id| !id.is_nil()).map(Into::into),
            other_template: template
                .filter(|Text(text)| is_other_template(text))
                .map(|Text(text)| text.into_owned()),
        })
    }
}

/// Returns whether a template is not a version of the SMS template.
pub(crate) fn is_other_template(template: &str) -> bool {
    !template.is_empty() && template.split(':').next() != SMS_TEMPLATE.split(':').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Connector;

    const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

    fn status(json: &str) -> Result<ConnectorStatus, String> {
        ConnectorStatus::decode(json.replace("ID", ID).as_bytes())
    }

    #[test]
    fn a_channel_without_an_id_is_not_ready() {
        let key = crate::AccessKey::new("top-secret-key").unwrap();
        for channel in [
            "",
            r#","channel":null"#,
            r#","channel":{}"#,
            r#","channel":{"channelId":null}"#,
            r#","channel":{"channelId":""}"#,
            r#","channel":{"channelId":"00000000-0000-0000-0000-000000000000"}"#,
        ] {
            let json = format!(
                r#"{{"id":"ID","name":"n","createdAt":"2025-01-21T01:43:10.940Z"{channel}}}"#
            );
            assert_eq!(status(&json).unwrap().channel_id, None, "{json}");
            let connector = Connector::decode(json.replace("ID", ID).as_bytes(), &key);
            assert_eq!(connector.unwrap().channel_id, None, "{json}");
        }
        let ready = status(r#"{"id":"ID","channel":{"channelId":"ID"}}"#).unwrap();
        assert_eq!(ready.channel_id, Some(ID.parse().unwrap()));
    }

    #[test]
    fn arguments_of_any_shape_are_decoded() {
        let number = |arguments: &str| {
            status(&format!(r#"{{"id":"ID","arguments":{arguments}}}"#)).unwrap().phone_number_id
        };
        assert_eq!(number(r#"{"a":[{}],"phoneNumberId":"ID"}"#), Some(ID.parse().unwrap()));
        for arguments in ["null", "[]", "7", r#""x""#, "{}", r#"{"phoneNumberId":7}"#] {
            assert_eq!(number(arguments), None, "{arguments}");
        }
    }

    #[test]
    fn only_the_name_of_a_template_is_compared() {
        let other = |template: &str| {
            let body = format!(r#"{{"id":"ID","connectorTemplateRef":{template}}}"#);
            status(&body).unwrap().other_template
        };
        let sms = ["\"sms-messagebird:1\"", "\"sms-messagebird:2.1\""];
        for template in sms.into_iter().chain(["null", "7", "{\"id\":[]}", "\"\""]) {
            assert_eq!(other(template), None, "{template}");
        }
        assert_eq!(other("\"voice-messagebird:1\"").as_deref(), Some("voice-messagebird:1"));
        assert_eq!(other("\"sms-\\u006dessage\"").as_deref(), Some("sms-message"));
    }

    #[test]
    fn a_malformed_response_names_the_path_of_the_field() {
        let problem = |json: &str| status(json).unwrap_err();
        assert!(problem(r#"{"id":null}"#).starts_with("`id`: "));
        let nil = r#"{"id":"00000000-0000-0000-0000-000000000000"}"#;
        assert!(problem(nil).starts_with("`id`: the nil UUID"));
        assert!(
            problem(r#"{"id":"ID","channel":{"channelId":7}}"#)
                .starts_with("`channel.channelId`: ")
        );
        assert!(problem(r#"{"id":"ID","id":"ID"}"#).contains("duplicate field"));
        assert!(problem(r#"{"id":"ID""#).contains("EOF"));
        assert!(problem("\u{feff}{}").contains("expected value"));
        // An error before the first field has no path.
        for body in ["", "{", r#"{"garbage"#] {
            assert!(problem(body).starts_with("EOF while parsing"), "{}", problem(body));
        }
        let cut = problem(r#"{"id":"ID","channel":{"chan"#);
        assert!(cut.starts_with("`channel`: EOF while parsing"), "{cut}");
        // Unknown values are skipped without recursion, so deep nesting does not overflow the stack.
        let deep = format!(r#"{{"x":{}1{}}}"#, "[".repeat(400_000), "]".repeat(400_000));
        assert!(problem(&deep).contains("missing field `id`"));
        let deep = format!(r#"{{"channel":{}"#, r#"{"channel":"#.repeat(400_000));
        assert!(status(&deep).is_err());
        assert!(ConnectorStatus::decode(b"{\"id\":\"\xff\"}").is_err());
    }
}
