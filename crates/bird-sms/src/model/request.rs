use bird_api::types::{CreateConnectorReq, SmsArguments};
use serde::{Deserialize, Serialize};

use super::open_enum::open_enum;
use crate::{AccessKey, ConfigurationError, PhoneNumberId, UseCaseId};

/// The connector template of SMS connectors.
pub(crate) const SMS_TEMPLATE: &str = "sms-messagebird:1";

open_enum! {
    /// The type of the messages of a channel. The vendor does not publish the list of values; any text can be given as
    /// `ChannelMessageType::from("…")`.
    pub enum ChannelMessageType {
        /// `promotional`: marketing.
        Promotional = "promotional",
    }
}

/// The request for an SMS connector of a phone number. Serializes as a JSON object, so that
/// it can be stored in a queue or in a table of jobs.
///
/// ```
/// use bird_sms::{ChannelMessageType, SmsConnectorRequest, UseCaseId};
///
/// let request = SmsConnectorRequest::new("My SMS channel", "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?)
///     .use_case_id("be123b02-dacf-31f9-b3e5-50b18260bc23".parse::<UseCaseId>()?)
///     .channel_message_type(ChannelMessageType::Promotional)
///     .conversational(true);
/// let job = serde_json::to_string(&request)?;
/// assert_eq!(serde_json::from_str::<SmsConnectorRequest>(&job)?, request);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[must_use]
pub struct SmsConnectorRequest {
    name: String,
    phone_number_id: PhoneNumberId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    use_case_id: Option<UseCaseId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel_message_type: Option<ChannelMessageType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conversational: Option<bool>,
}

impl SmsConnectorRequest {
    /// Creates a request for a connector with this name, for this phone number.
    pub fn new(name: impl Into<String>, phone_number_id: PhoneNumberId) -> Self {
        Self {
            name: name.into(),
            phone_number_id,
            use_case_id: None,
            channel_message_type: None,
            conversational: None,
        }
    }

    /// Sets the use case of the number. US 10DLC and North American toll-free numbers need the one with which they were
    /// registered. Newer versions of the vendor's documentation require a use case for every sender; a sender without a
    /// registration has a generic one. By default, the field is not sent.
    ///
    /// [The scenarios](https://github.com/bird-sms/bird-sms/blob/main/docs/scenarios.md) have the details.
    pub fn use_case_id(mut self, use_case_id: impl Into<Option<UseCaseId>>) -> Self {
        self.use_case_id = use_case_id.into();
        self
    }

    /// Sets the type of the messages. By default, the field is not sent.
    pub fn channel_message_type(
        mut self,
        channel_message_type: impl Into<Option<ChannelMessageType>>,
    ) -> Self {
        self.channel_message_type = channel_message_type.into();
        self
    }

    /// Sets whether an incoming message opens a conversation in the inbox. By default, the field is not
    /// sent, and Bird decides.
    pub fn conversational(mut self, conversational: impl Into<Option<bool>>) -> Self {
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
    pub fn get_use_case_id(&self) -> Option<UseCaseId> {
        self.use_case_id
    }

    /// Returns the type of the messages, if it is set.
    #[must_use]
    pub fn get_channel_message_type(&self) -> Option<&ChannelMessageType> {
        self.channel_message_type.as_ref()
    }

    /// Returns whether an incoming message opens a conversation, if that is set.
    #[must_use]
    pub fn get_conversational(&self) -> Option<bool> {
        self.conversational
    }

    /// Checks that the request can be sent. A creation and an install check the same before they send
    /// anything.
    ///
    /// # Errors
    ///
    /// Fails if the name is empty, or if a message type is set and empty.
    pub fn check(&self) -> Result<(), ConfigurationError> {
        self.body(None).map(drop)
    }

    /// Returns the body of the POST, or why it cannot be sent. Text that contains the access key is refused, because
    /// it would be printed and logged.
    pub(crate) fn body(
        &self,
        key: Option<&AccessKey>,
    ) -> Result<CreateConnectorReq, ConfigurationError> {
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
    fn the_body_equals_that_of_the_vendors_documentation() {
        let request = SmsConnectorRequest::new("My SMS channel", NUMBER.parse().unwrap())
            .use_case_id("be123b02-dacf-31f9-b3e5-50b18260bc23".parse::<UseCaseId>().unwrap())
            .conversational(true);
        assert_eq!(
            serde_json::to_value(request.body(None).unwrap()).unwrap(),
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
    fn a_field_that_is_not_set_is_not_sent() {
        let request = SmsConnectorRequest::new("n", NUMBER.parse().unwrap());
        let body = serde_json::to_value(request.body(None).unwrap()).unwrap();
        assert!(body.get("channelConversationalStatusEnabled").is_none());
        assert_eq!(body["arguments"].as_object().unwrap().len(), 1);
    }

    #[test]
    fn fields_that_are_not_set_are_omitted_and_a_request_reads_back() {
        let request = SmsConnectorRequest::new("n", NUMBER.parse().unwrap());
        let full = request
            .clone()
            .use_case_id(UseCaseId::from(uuid::Uuid::nil()))
            .channel_message_type(ChannelMessageType::from("2fa"))
            .conversational(false);
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
        let blank = SmsConnectorRequest::new(" ", number).body(None);
        assert!(matches!(blank, Err(ConfigurationError::EmptyName)));
        let empty = ChannelMessageType::from("");
        let request = SmsConnectorRequest::new("n", number).channel_message_type(empty);
        assert!(matches!(request.body(None), Err(ConfigurationError::EmptyChannelMessageType)));
    }
}
