use std::collections::BTreeMap;

use bird_api::types::{CreateConnectorReq, SmsArguments};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::open_enum::open_enum;
use super::printable;
use crate::{AccessKey, ConfigurationError, PhoneNumberId, UseCaseId, WorkspaceId};

/// The connector template of SMS connectors.
pub(crate) const SMS_TEMPLATE: &str = "sms-messagebird:1";

open_enum! {
    /// The type of the messages of a channel. Bird publishes no list of values: create other values with
    /// `ChannelMessageType::from("…")`.
    pub enum ChannelMessageType {
        /// `promotional`: marketing.
        Promotional = "promotional",
    }
}

/// A request to create the SMS connector of a phone number. It serializes to JSON, for example for a job queue.
///
/// ```
/// use bird_sms::{ChannelMessageType, SmsConnectorRequest, UseCaseId};
///
/// let request = SmsConnectorRequest::new("My SMS channel", "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?)
///     .with_use_case_id("be123b02-dacf-31f9-b3e5-50b18260bc23".parse::<UseCaseId>()?)
///     .with_channel_message_type(ChannelMessageType::Promotional)
///     .with_conversational(true);
/// let job = serde_json::to_string(&request)?;
/// assert_eq!(serde_json::from_str::<SmsConnectorRequest>(&job)?, request);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// An unknown field of the JSON is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Fields")]
#[must_use]
pub struct SmsConnectorRequest {
    name: String,
    phone_number_id: PhoneNumberId,
    #[serde(skip_serializing_if = "Option::is_none")]
    use_case_id: Option<UseCaseId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_message_type: Option<ChannelMessageType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversational: Option<bool>,
}

/// The JSON of a request before its fields are checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    name: Option<String>,
    phone_number_id: Option<PhoneNumberId>,
    use_case_id: Option<UseCaseId>,
    channel_message_type: Option<ChannelMessageType>,
    conversational: Option<bool>,
    #[serde(flatten)]
    unknown: BTreeMap<String, serde_json::Value>,
}

impl TryFrom<Fields> for SmsConnectorRequest {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        const NAMES: [&str; 5] =
            ["name", "phoneNumberId", "useCaseId", "channelMessageType", "conversational"];
        if let Some(name) = fields.unknown.keys().next() {
            let letters = |name: &str| name.to_lowercase().replace([' ', '-', '_'], "");
            let hint = match NAMES.into_iter().find(|known| letters(known) == letters(name)) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("the fields are {}", NAMES.join(", ")),
            };
            return Err(format!("unknown field {:?}; {hint}", printable(name, 40)));
        }
        Ok(Self {
            name: fields.name.ok_or("the field `name` is missing")?,
            phone_number_id: fields
                .phone_number_id
                .ok_or("the field `phoneNumberId` is missing")?,
            use_case_id: fields.use_case_id,
            channel_message_type: fields.channel_message_type,
            conversational: fields.conversational,
        })
    }
}

impl SmsConnectorRequest {
    /// Creates a request for a connector with this name and phone number.
    pub fn new(name: impl Into<String>, phone_number_id: PhoneNumberId) -> Self {
        Self {
            name: name.into(),
            phone_number_id,
            use_case_id: None,
            channel_message_type: None,
            conversational: None,
        }
    }

    /// Sets the use case of the number. Default: the field is not sent.
    ///
    /// US 10DLC and North American toll-free numbers need the use case that they were registered with. Newer versions of
    /// Bird's documentation require a use case for every sender. A sender without a registration has a generic one.
    /// [The scenarios](https://github.com/bird-sms/bird-sms/blob/main/crates/bird-sms-cli/src/scenarios.md) have the details.
    pub fn with_use_case_id(mut self, use_case_id: impl Into<Option<UseCaseId>>) -> Self {
        self.use_case_id = use_case_id.into();
        self
    }

    /// Sets the type of the messages. Default: the field is not sent.
    pub fn with_channel_message_type(
        mut self,
        channel_message_type: impl Into<Option<ChannelMessageType>>,
    ) -> Self {
        self.channel_message_type = channel_message_type.into();
        self
    }

    /// Sets whether an incoming message opens a conversation in the inbox. Default: the field is not sent, and Bird decides.
    pub fn with_conversational(mut self, conversational: impl Into<Option<bool>>) -> Self {
        self.conversational = conversational.into();
        self
    }

    /// Returns the name of the connector.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the id of the phone number to install.
    #[must_use]
    pub fn phone_number_id(&self) -> PhoneNumberId {
        self.phone_number_id
    }

    /// Returns the use case, if it is set.
    #[must_use]
    pub fn use_case_id(&self) -> Option<UseCaseId> {
        self.use_case_id
    }

    /// Returns the type of the messages, if it is set.
    #[must_use]
    pub fn channel_message_type(&self) -> Option<&ChannelMessageType> {
        self.channel_message_type.as_ref()
    }

    /// Returns whether an incoming message opens a conversation, if it is set.
    #[must_use]
    pub fn conversational(&self) -> Option<bool> {
        self.conversational
    }

    /// Checks that the request can be sent. Creations and installs check this first.
    ///
    /// # Errors
    ///
    /// Fails if the name is empty, if a message type is set and empty, or if an id is the nil UUID or is given twice.
    pub fn check(&self) -> Result<(), ConfigurationError> {
        self.body(None, None).map(drop)
    }

    /// Returns the body of the POST, or why it cannot be sent. Text that contains the access key is refused, because
    /// it would be printed and logged.
    pub(crate) fn body(
        &self,
        key: Option<&AccessKey>,
        workspace: Option<WorkspaceId>,
    ) -> Result<CreateConnectorReq, ConfigurationError> {
        self.check_ids(workspace)?;
        if self.name.trim().is_empty() {
            return Err(ConfigurationError::EmptyName);
        }
        if key.is_some_and(|key| key.is_in(&self.name)) {
            return Err(ConfigurationError::AccessKeyIn("name"));
        }
        if let Some(kind) = &self.channel_message_type {
            if kind.as_str().trim().is_empty() {
                return Err(ConfigurationError::EmptyChannelMessageType);
            }
            if key.is_some_and(|key| key.is_in(kind.as_str())) {
                return Err(ConfigurationError::AccessKeyIn("channel message type"));
            }
        }
        let Ok(serde_json::Value::Object(arguments)) = serde_json::to_value(self.arguments())
        else {
            unreachable!("a struct of strings serializes as an object");
        };
        let mut body = CreateConnectorReq::new(self.name.clone());
        body.connector_template_ref = Some(SMS_TEMPLATE.to_owned());
        body.arguments = Some(arguments);
        body.channel_conversational_status_enabled = self.conversational;
        Ok(body)
    }

    /// Returns whether the request contains this id.
    pub(crate) fn has_id(&self, id: Uuid) -> bool {
        id == *self.phone_number_id.as_uuid()
            || self.use_case_id.is_some_and(|of| *of.as_uuid() == id)
    }

    /// Checks that no id was pasted in the place of another one.
    fn check_ids(&self, workspace: Option<WorkspaceId>) -> Result<(), ConfigurationError> {
        let wrong = |what, problem| Err(ConfigurationError::WrongId(what, problem));
        let number = Uuid::from(self.phone_number_id);
        let use_case = self.use_case_id.map(Uuid::from);
        for (what, id) in [("phone number id", Some(number)), ("use case id", use_case)] {
            if id == Some(Uuid::nil()) {
                return wrong(what, "is the nil UUID, which identifies nothing");
            }
            if id.is_some() && id == workspace.map(Uuid::from) {
                return wrong(what, "is the id of the workspace");
            }
        }
        if use_case == Some(number) {
            return wrong("use case id", "is the phone number id");
        }
        Ok(())
    }

    /// Returns the arguments of the connector template.
    pub(crate) fn arguments(&self) -> SmsArguments {
        let mut arguments = SmsArguments::new(*self.phone_number_id.as_uuid());
        arguments.use_case_id = self.use_case_id.map(|id| *id.as_uuid());
        arguments.channel_message_type =
            self.channel_message_type.as_ref().map(ToString::to_string);
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: &str = "2cffb55c-120e-91a8-8f10-ed9d1b412d29";

    #[test]
    fn the_request_body_matches_birds_documentation() {
        let request = SmsConnectorRequest::new("My SMS channel", NUMBER.parse().unwrap())
            .with_use_case_id("be123b02-dacf-31f9-b3e5-50b18260bc23".parse::<UseCaseId>().unwrap())
            .with_conversational(true);
        assert_eq!(
            serde_json::to_value(request.body(None, None).unwrap()).unwrap(),
            serde_json::json!({
                "connectorTemplateRef": "sms-messagebird:1",
                "name": "My SMS channel",
                "arguments": {
                    "phoneNumberId": NUMBER,
                    "useCaseId": "be123b02-dacf-31f9-b3e5-50b18260bc23"
                },
                "channelConversationalStatusEnabled": true
            })
        );
    }

    #[test]
    fn an_unset_field_is_not_sent() {
        let request = SmsConnectorRequest::new("n", NUMBER.parse().unwrap());
        let body = serde_json::to_value(request.body(None, None).unwrap()).unwrap();
        assert!(body.get("channelConversationalStatusEnabled").is_none());
        assert_eq!(body["arguments"].as_object().unwrap().len(), 1);
    }

    #[test]
    fn a_request_survives_a_round_trip_through_json() {
        let request = SmsConnectorRequest::new("n", NUMBER.parse().unwrap());
        let full = request
            .clone()
            .with_use_case_id(UseCaseId::from(Uuid::from_u128(7)))
            .with_channel_message_type(ChannelMessageType::from("2fa"))
            .with_conversational(false);
        let json = serde_json::json!({ "name": "n", "phoneNumberId": NUMBER });
        assert_eq!(serde_json::to_value(&request).unwrap(), json);
        assert_eq!(serde_json::to_value(&full).unwrap()["channelMessageType"], "2fa");
        for request in [request, full] {
            let json = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<SmsConnectorRequest>(&json).unwrap(), request);
        }
    }

    #[test]
    fn an_empty_name_or_message_type_is_refused() {
        let number = NUMBER.parse().unwrap();
        let blank = SmsConnectorRequest::new(" ", number).check();
        assert!(matches!(blank, Err(ConfigurationError::EmptyName)));
        let empty = ChannelMessageType::from("");
        let request = SmsConnectorRequest::new("n", number).with_channel_message_type(empty);
        assert_eq!(request.check(), Err(ConfigurationError::EmptyChannelMessageType));
    }

    #[test]
    fn an_id_in_the_wrong_field_is_refused() {
        let id = Uuid::from_u128(1);
        let other = Uuid::from_u128(2);
        for (number, use_case, problem) in [
            (Uuid::nil(), other, "the phone number id is the nil UUID, which identifies nothing"),
            (id, Uuid::nil(), "the use case id is the nil UUID, which identifies nothing"),
            (other, id, "the phone number id is the id of the workspace"),
            (id, other, "the use case id is the id of the workspace"),
            (id, id, "the use case id is the phone number id"),
        ] {
            let request = SmsConnectorRequest::new("n", number.into())
                .with_use_case_id(UseCaseId::from(use_case));
            let body = request.body(None, Some(other.into()));
            assert_eq!(body.unwrap_err().to_string(), problem);
        }
    }

    #[test]
    fn an_unknown_field_of_a_request_is_refused() {
        let read = |field: &str| {
            let json = format!(r#"{{"name":"n","phoneNumberId":"{NUMBER}",{field}}}"#);
            serde_json::from_str::<SmsConnectorRequest>(&json).map_err(|error| error.to_string())
        };
        for (field, hint) in [
            (r#""usecaseId":"x""#, r#"unknown field "usecaseId"; did you mean useCaseId?"#),
            (r#""Channel message-type":[]"#, "did you mean channelMessageType?"),
            (r#""number":7"#, "the fields are name, phoneNumberId, useCaseId, channelMessageType"),
            (r#""useCaseId":"+31612345678""#, "the use case id is a phone number"),
            (r#""use_case_id":null"#, "did you mean useCaseId?"),
        ] {
            let error = read(field).unwrap_err();
            assert!(error.contains(hint), "{error}");
        }
        let number = r#"{"name":"n","PhoneNumberId":"x"}"#;
        let error = serde_json::from_str::<SmsConnectorRequest>(number).unwrap_err().to_string();
        assert!(error.contains("did you mean phoneNumberId?"), "{error}");
        let error = serde_json::from_str::<SmsConnectorRequest>("{}").unwrap_err().to_string();
        assert!(error.starts_with("the field `name` is missing"), "{error}");
        let long = format!(r#""{}\u001b":1"#, "x".repeat(1000));
        assert!(read(&long).unwrap_err().len() < 200);
    }
}
