// @generated from openapi.yaml by `cargo xtask codegen`. Do not edit.

#[allow(unused_imports)]
pub use progenitor_client::{ByteStream, ClientInfo, Error, ResponseValue};
#[allow(unused_imports)]
use progenitor_client::{encode_path, ClientHooks, OperationInfo, RequestBuilderExt};
/// Types used as operation parameters and responses.
#[allow(clippy::all)]
pub mod types {
    /**Why a request failed. Any field may be missing, and a proxy's error is not JSON at
all.
*/
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct ApiError {
        ///The kind of error, for programs.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub code: ::std::option::Option<::std::string::String>,
        ///What is wrong with each field, by the path of the field.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub details: ::std::option::Option<
            ::std::collections::BTreeMap<
                ::std::string::String,
                ::std::vec::Vec<::std::string::String>,
            >,
        >,
        ///The error, for people.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub message: ::std::option::Option<::std::string::String>,
    }
    /**What a number can do: a comma-separated string, or a list.
*/
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    #[serde(untagged)]
    #[non_exhaustive]
    pub enum Capabilities {
        /// Variant `Joined`.
        Joined(::std::string::String),
        /// Variant `List`.
        List(::std::vec::Vec<::std::string::String>),
    }
    impl ::std::convert::From<::std::vec::Vec<::std::string::String>> for Capabilities {
        fn from(value: ::std::vec::Vec<::std::string::String>) -> Self {
            Self::List(value)
        }
    }
    ///The channel of a connector.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct ChannelConfig {
        /**The id of the channel, once it has been provisioned. An empty string counts as
absent.
*/
        #[serde(
            rename = "channelId",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        #[serde(default, deserialize_with = "lenient")]
        pub channel_id: ::std::option::Option<::uuid::Uuid>,
        ///The platform of the channel.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub platform: ::std::option::Option<::std::string::String>,
    }
    ///A link between a workspace and a platform.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub struct Connector {
        /**The arguments that the connector was created with. A value of another type
counts as absent.
*/
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        #[serde(default, deserialize_with = "lenient")]
        pub arguments: ::std::option::Option<
            ::serde_json::Map<::std::string::String, ::serde_json::Value>,
        >,
        /**The channel of the connector. Missing, null or without a `channelId` while it
is being provisioned.
*/
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub channel: ::std::option::Option<ChannelConfig>,
        ///The template that the connector is based on, as `slug:version`.
        #[serde(
            rename = "connectorTemplateRef",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub connector_template_ref: ::std::option::Option<::std::string::String>,
        ///The slug of the template that the connector is based on.
        #[serde(
            rename = "connectorTemplateSlug",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub connector_template_slug: ::std::option::Option<::std::string::String>,
        ///When the connector was created.
        #[serde(rename = "createdAt")]
        pub created_at: ::jiff::Timestamp,
        ///The data capture of the connector.
        #[serde(
            rename = "dataCapture",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub data_capture: ::std::option::Option<DataCapture>,
        /**The configuration and state of the connector's data synchronisation. A value of
another type counts as absent.
*/
        #[serde(
            rename = "dataFetching",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        #[serde(default, deserialize_with = "lenient")]
        pub data_fetching: ::std::option::Option<DataFetching>,
        ///The description of the connector.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub description: ::std::option::Option<::std::string::String>,
        ///The id of the connector.
        pub id: ::uuid::Uuid,
        ///The name of the connector.
        pub name: ::std::string::String,
        ///The phone number of the connector.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub number: ::std::option::Option<NumberConfig>,
        ///The region that the connector was installed in.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub region: ::std::option::Option<::std::string::String>,
        ///The routing key of the connector.
        #[serde(
            rename = "routingKey",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub routing_key: ::std::option::Option<::std::string::String>,
        ///When the connector was last updated.
        #[serde(
            rename = "updatedAt",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub updated_at: ::std::option::Option<::jiff::Timestamp>,
        ///The id of the workspace that the connector belongs to.
        #[serde(
            rename = "workspaceId",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub workspace_id: ::std::option::Option<::uuid::Uuid>,
    }
    ///What to install, and from which template.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, PartialEq)]
    #[serde(deny_unknown_fields)]
    #[non_exhaustive]
    pub struct CreateConnectorReq {
        /**The arguments that the template asks for. For SMS: `SmsArguments`.
*/
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub arguments: ::std::option::Option<
            ::serde_json::Map<::std::string::String, ::serde_json::Value>,
        >,
        /**The default of the channel's conversational flag: whether an incoming message
opens a conversation in the inbox.
*/
        #[serde(
            rename = "channelConversationalStatusEnabled",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub channel_conversational_status_enabled: ::std::option::Option<bool>,
        /**The template to base the connector on, as `slug:version`. For SMS:
`sms-messagebird:1`.
*/
        #[serde(
            rename = "connectorTemplateRef",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub connector_template_ref: ::std::option::Option<::std::string::String>,
        /**A secret token that grants access to a template that is not generally
available.
*/
        #[serde(
            rename = "invitationToken",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub invitation_token: ::std::option::Option<::std::string::String>,
        ///The name of the connector.
        pub name: ::std::string::String,
        /**The arguments of the template's security schemes, by scheme and name. They
are secrets. SMS needs none.
*/
        #[serde(
            rename = "securityArguments",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub security_arguments: ::std::option::Option<
            ::std::collections::BTreeMap<
                ::std::string::String,
                ::std::collections::BTreeMap<
                    ::std::string::String,
                    ::std::string::String,
                >,
            >,
        >,
    }
    ///The data capture of a connector.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct DataCapture {
        ///Bird's documentation only shows an example.
        #[serde(
            rename = "captureEndpoint",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub capture_endpoint: ::std::option::Option<::std::string::String>,
    }
    ///The configuration and state of a connector's data synchronisation.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct DataFetching {
        ///Bird's documentation only shows an example.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub schedule: ::std::option::Option<::std::string::String>,
        ///The streams of the synchronisation.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub streams: ::std::option::Option<::std::vec::Vec<DataStream>>,
    }
    ///A stream of a connector's data synchronisation.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct DataStream {
        ///Bird's documentation only shows an example.
        #[serde(
            rename = "cursorField",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub cursor_field: ::std::option::Option<::std::string::String>,
        ///Bird's documentation only shows an example.
        #[serde(
            rename = "duplicatesFilterCapacity",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub duplicates_filter_capacity: ::std::option::Option<i64>,
        ///Bird's documentation only shows an example.
        #[serde(
            rename = "endCondition",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub end_condition: ::std::option::Option<::std::string::String>,
        ///Bird's documentation only shows an example.
        #[serde(
            rename = "eventName",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub event_name: ::std::option::Option<::std::string::String>,
        ///Bird's documentation only shows an example.
        #[serde(
            rename = "eventStreamName",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub event_stream_name: ::std::option::Option<::std::string::String>,
        ///Bird's documentation only shows an example.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub filter: ::std::option::Option<::std::string::String>,
        ///Bird's documentation only shows an example.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub incremental: ::std::option::Option<bool>,
        ///Bird's documentation only shows an example.
        #[serde(
            rename = "initialState",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub initial_state: ::std::option::Option<::std::string::String>,
        ///Bird's documentation only shows an example.
        #[serde(
            rename = "streamName",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub stream_name: ::std::option::Option<::std::string::String>,
    }
    ///The phone number that a connector sends from and receives at.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct NumberConfig {
        ///What the number can do.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub capabilities: ::std::option::Option<Capabilities>,
        ///The country of the number, as ISO 3166-1 alpha-2.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub country: ::std::option::Option<::std::string::String>,
        ///The endpoint type of the number.
        #[serde(
            rename = "endpointType",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub endpoint_type: ::std::option::Option<EndpointType>,
        ///The id of the number.
        #[serde(
            rename = "numberId",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub number_id: ::std::option::Option<::uuid::Uuid>,
        ///The type of the number.
        #[serde(
            rename = "numberType",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub number_type: ::std::option::Option<NumberType>,
        ///The number itself, as E.164 or as a sender name.
        #[serde(
            rename = "phoneNumber",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub phone_number: ::std::option::Option<::std::string::String>,
        ///The profiles attached to the number, each for one capability.
        #[serde(
            rename = "profileAttachments",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub profile_attachments: ::std::option::Option<
            ::std::vec::Vec<ProfileAttachment>,
        >,
        ///The id of the number's profile.
        #[serde(
            rename = "profileId",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub profile_id: ::std::option::Option<::uuid::Uuid>,
        ///The variables of the number. A value of another type counts as absent.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        #[serde(default, deserialize_with = "lenient")]
        pub variables: ::std::option::Option<NumberVariables>,
    }
    ///The variables of a number.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    #[serde(transparent)]
    pub struct NumberVariables(
        pub ::serde_json::Map<::std::string::String, ::serde_json::Value>,
    );
    impl ::std::ops::Deref for NumberVariables {
        type Target = ::serde_json::Map<::std::string::String, ::serde_json::Value>;
        fn deref(
            &self,
        ) -> &::serde_json::Map<::std::string::String, ::serde_json::Value> {
            &self.0
        }
    }
    impl ::std::convert::From<NumberVariables>
    for ::serde_json::Map<::std::string::String, ::serde_json::Value> {
        fn from(value: NumberVariables) -> Self {
            value.0
        }
    }
    impl ::std::convert::From<
        ::serde_json::Map<::std::string::String, ::serde_json::Value>,
    > for NumberVariables {
        fn from(
            value: ::serde_json::Map<::std::string::String, ::serde_json::Value>,
        ) -> Self {
            Self(value)
        }
    }
    ///A profile that is attached to a number for one capability.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct ProfileAttachment {
        ///The capability that the profile is attached for.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub capability: ::std::option::Option<::std::string::String>,
        ///The id of the profile.
        #[serde(
            rename = "profileId",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub profile_id: ::std::option::Option<::std::string::String>,
        ///The variables of the attachment.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub variables: ::std::option::Option<ProfileAttachmentVariables>,
    }
    ///The variables of a profile's attachment to a number.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct ProfileAttachmentVariables {
        ///The id of the connector that the profile is attached for.
        #[serde(
            rename = "connectorId",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub connector_id: ::std::option::Option<::std::string::String>,
    }
    ///The arguments of the template `sms-messagebird:1`.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub struct SmsArguments {
        /**The kind of traffic, for example `promotional`. Bird does not publish the
list of values.
*/
        #[serde(
            rename = "channelMessageType",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub channel_message_type: ::std::option::Option<::std::string::String>,
        ///The id of the phone number to install.
        #[serde(rename = "phoneNumberId")]
        pub phone_number_id: ::uuid::Uuid,
        /**The id of the use case. Required for US 10DLC and North American toll-free
numbers; newer copies of Bird's documentation expect it for every sender.
*/
        #[serde(
            rename = "useCaseId",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub use_case_id: ::std::option::Option<::uuid::Uuid>,
    }
    /// Error types.
    pub mod error {
        /// Error from a `TryFrom` or `FromStr` implementation.
        pub struct ConversionError(::std::borrow::Cow<'static, str>);
        impl ::std::error::Error for ConversionError {}
        impl ::std::fmt::Display for ConversionError {
            fn fmt(
                &self,
                f: &mut ::std::fmt::Formatter<'_>,
            ) -> Result<(), ::std::fmt::Error> {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }
        impl ::std::fmt::Debug for ConversionError {
            fn fmt(
                &self,
                f: &mut ::std::fmt::Formatter<'_>,
            ) -> Result<(), ::std::fmt::Error> {
                ::std::fmt::Debug::fmt(&self.0, f)
            }
        }
        impl From<&'static str> for ConversionError {
            fn from(value: &'static str) -> Self {
                Self(value.into())
            }
        }
        impl From<String> for ConversionError {
            fn from(value: String) -> Self {
                Self(value.into())
            }
        }
    }
    /// Decodes a value of another type as absent.
    fn lenient<'de, D, T>(
        deserializer: D,
    ) -> ::std::result::Result<::std::option::Option<T>, D::Error>
    where
        D: ::serde::Deserializer<'de>,
        T: ::serde::Deserialize<'de>,
    {
        #[derive(::serde::Deserialize)]
        #[serde(untagged)]
        enum Lenient<T> {
            Fits(::std::option::Option<T>),
            Differs(::serde::de::IgnoredAny),
        }
        ::std::result::Result::Ok(
            match <Lenient<T> as ::serde::Deserialize>::deserialize(deserializer)? {
                Lenient::Fits(value) => value,
                Lenient::Differs(_) => ::std::option::Option::None,
            },
        )
    }
    /// Redacts the secret fields.
    impl ::std::fmt::Debug for CreateConnectorReq {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            f.debug_struct("CreateConnectorReq")
                .field("arguments", &self.arguments)
                .field(
                    "channel_conversational_status_enabled",
                    &self.channel_conversational_status_enabled,
                )
                .field("connector_template_ref", &self.connector_template_ref)
                .field(
                    "invitation_token",
                    &self.invitation_token.as_ref().map(|_| "[redacted]"),
                )
                .field("name", &self.name)
                .field(
                    "security_arguments",
                    &self.security_arguments.as_ref().map(|_| "[redacted]"),
                )
                .finish()
        }
    }
    ///The endpoint type of a number. Bird may add values.
    ///
    /// Open: an unknown value decodes as `Unknown`, which keeps the value.
    #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
    #[non_exhaustive]
    pub enum EndpointType {
        /// `alpha-number`
        AlphaNumber,
        /// `long-code-number`
        LongCodeNumber,
        /// `short-code-number`
        ShortCodeNumber,
        /// A value that this version does not define.
        Unknown(::std::string::String),
    }
    impl EndpointType {
        /// Returns the value as it is written in JSON.
        #[must_use]
        pub fn as_str(&self) -> &str {
            match self {
                Self::AlphaNumber => "alpha-number",
                Self::LongCodeNumber => "long-code-number",
                Self::ShortCodeNumber => "short-code-number",
                Self::Unknown(value) => value,
            }
        }
    }
    impl ::std::convert::From<&str> for EndpointType {
        fn from(value: &str) -> Self {
            match value {
                "alpha-number" => Self::AlphaNumber,
                "long-code-number" => Self::LongCodeNumber,
                "short-code-number" => Self::ShortCodeNumber,
                other => Self::Unknown(other.to_owned()),
            }
        }
    }
    /// Never fails.
    impl ::std::str::FromStr for EndpointType {
        type Err = ::std::convert::Infallible;
        fn from_str(value: &str) -> ::std::result::Result<Self, Self::Err> {
            ::std::result::Result::Ok(Self::from(value))
        }
    }
    impl ::std::fmt::Display for EndpointType {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            f.write_str(self.as_str())
        }
    }
    impl ::serde::Serialize for EndpointType {
        fn serialize<S: ::serde::Serializer>(
            &self,
            serializer: S,
        ) -> ::std::result::Result<S::Ok, S::Error> {
            serializer.serialize_str(self.as_str())
        }
    }
    impl<'de> ::serde::Deserialize<'de> for EndpointType {
        fn deserialize<D: ::serde::Deserializer<'de>>(
            deserializer: D,
        ) -> ::std::result::Result<Self, D::Error> {
            let value = <::std::borrow::Cow<
                'de,
                str,
            > as ::serde::Deserialize>::deserialize(deserializer)?;
            ::std::result::Result::Ok(Self::from(&*value))
        }
    }
    ///The type of a number. Bird may add values.
    ///
    /// Open: an unknown value decodes as `Unknown`, which keeps the value.
    #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
    #[non_exhaustive]
    pub enum NumberType {
        /// `mobile`
        Mobile,
        /// `local`
        Local,
        /// `toll-free`
        TollFree,
        /// `national`
        National,
        /// A value that this version does not define.
        Unknown(::std::string::String),
    }
    impl NumberType {
        /// Returns the value as it is written in JSON.
        #[must_use]
        pub fn as_str(&self) -> &str {
            match self {
                Self::Mobile => "mobile",
                Self::Local => "local",
                Self::TollFree => "toll-free",
                Self::National => "national",
                Self::Unknown(value) => value,
            }
        }
    }
    impl ::std::convert::From<&str> for NumberType {
        fn from(value: &str) -> Self {
            match value {
                "mobile" => Self::Mobile,
                "local" => Self::Local,
                "toll-free" => Self::TollFree,
                "national" => Self::National,
                other => Self::Unknown(other.to_owned()),
            }
        }
    }
    /// Never fails.
    impl ::std::str::FromStr for NumberType {
        type Err = ::std::convert::Infallible;
        fn from_str(value: &str) -> ::std::result::Result<Self, Self::Err> {
            ::std::result::Result::Ok(Self::from(value))
        }
    }
    impl ::std::fmt::Display for NumberType {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            f.write_str(self.as_str())
        }
    }
    impl ::serde::Serialize for NumberType {
        fn serialize<S: ::serde::Serializer>(
            &self,
            serializer: S,
        ) -> ::std::result::Result<S::Ok, S::Error> {
            serializer.serialize_str(self.as_str())
        }
    }
    impl<'de> ::serde::Deserialize<'de> for NumberType {
        fn deserialize<D: ::serde::Deserializer<'de>>(
            deserializer: D,
        ) -> ::std::result::Result<Self, D::Error> {
            let value = <::std::borrow::Cow<
                'de,
                str,
            > as ::serde::Deserialize>::deserialize(deserializer)?;
            ::std::result::Result::Ok(Self::from(&*value))
        }
    }
    impl Connector {
        /// Creates a value from its required fields. The optional fields are `None`.
        #[must_use]
        pub fn new(
            created_at: ::jiff::Timestamp,
            id: ::uuid::Uuid,
            name: ::std::string::String,
        ) -> Self {
            Self {
                created_at,
                id,
                name,
                arguments: ::std::option::Option::None,
                channel: ::std::option::Option::None,
                connector_template_ref: ::std::option::Option::None,
                connector_template_slug: ::std::option::Option::None,
                data_capture: ::std::option::Option::None,
                data_fetching: ::std::option::Option::None,
                description: ::std::option::Option::None,
                number: ::std::option::Option::None,
                region: ::std::option::Option::None,
                routing_key: ::std::option::Option::None,
                updated_at: ::std::option::Option::None,
                workspace_id: ::std::option::Option::None,
            }
        }
    }
    impl CreateConnectorReq {
        /// Creates a value from its required fields. The optional fields are `None`.
        #[must_use]
        pub fn new(name: ::std::string::String) -> Self {
            Self {
                name,
                arguments: ::std::option::Option::None,
                channel_conversational_status_enabled: ::std::option::Option::None,
                connector_template_ref: ::std::option::Option::None,
                invitation_token: ::std::option::Option::None,
                security_arguments: ::std::option::Option::None,
            }
        }
    }
    impl SmsArguments {
        /// Creates a value from its required fields. The optional fields are `None`.
        #[must_use]
        pub fn new(phone_number_id: ::uuid::Uuid) -> Self {
            Self {
                phone_number_id,
                channel_message_type: ::std::option::Option::None,
                use_case_id: ::std::option::Option::None,
            }
        }
    }
}
#[derive(Clone, Debug)]
/**Client for Connectors

The part of Bird's connectors API that installs an SMS channel: create a
connector from a template, then read it until its channel exists.

A *connector* links a workspace to a platform. Installing one creates the
*channel*, asynchronously: the response to the creation may arrive before the
channel exists.


Version: v1*/
pub struct Client {
    pub(crate) baseurl: String,
    pub(crate) client: reqwest::Client,
    pub(crate) inner: crate::RequestContext,
}
impl Client {
    /// The URL of the first server in the contract.
    pub const DEFAULT_BASE_URL: &'static str = "https://api.bird.com";
    /// Construct a new client with an existing `reqwest::Client`,
    /// allowing more control over its configuration.
    ///
    /// `baseurl` is the base URL provided to the internal
    /// `reqwest::Client`, and should include a scheme and hostname,
    /// as well as port and a path stem if applicable.
    pub fn new_with_client(
        baseurl: &str,
        client: reqwest::Client,
        inner: crate::RequestContext,
    ) -> Self {
        Self {
            baseurl: baseurl.to_string(),
            client,
            inner,
        }
    }
}
impl ClientInfo<crate::RequestContext> for Client {
    fn api_version() -> &'static str {
        "v1"
    }
    fn baseurl(&self) -> &str {
        self.baseurl.as_str()
    }
    fn client(&self) -> &reqwest::Client {
        &self.client
    }
    fn inner(&self) -> &crate::RequestContext {
        &self.inner
    }
}
#[allow(clippy::all)]
impl Client {
    /// Builds the request of [`Client::create_connector`] without the headers that [`crate::RequestContext`] adds.
    ///
    /// # Errors
    ///
    /// Fails if the base URL is invalid or the body cannot be serialized.
    pub fn create_connector_request<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        body: &'a types::CreateConnectorReq,
    ) -> ::reqwest::Result<::reqwest::Request> {
        let url = format!(
            "{}/workspaces/{}/connectors", self.baseurl, encode_path(& workspace_id
            .to_string()),
        );
        self.client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()
    }
    /**Create a connector from a template

Starts the installation of a connector and responds at once; its channel is
provisioned in the background. Read the connector until it has a
`channel.channelId`.

Not idempotent: Bird documents no idempotency key, and a 409 if a connector
already exists. No 409 has been observed, so it is not known whether it has the
id of the connector, or is the response to a second request for a phone number.


Sends a `POST` request to `/workspaces/{workspaceId}/connectors`

Arguments:
- `workspace_id`: The id of the workspace, a UUID. The `ws_…` identifier and the address of the
dashboard are something else.

- `body`: What to install.
*/
    ///
    /// # Errors
    ///
    /// See [`Error`]. A response with a status other than 2xx is an [`Error::UnexpectedResponse`].
    pub async fn create_connector<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        body: &'a types::CreateConnectorReq,
    ) -> Result<ResponseValue<types::Connector>, Error<()>> {
        let mut request = self.create_connector_request(workspace_id, body)?;
        let info = OperationInfo {
            operation_id: "create_connector",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => ResponseValue::from_response(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
    /// Builds the request of [`Client::get_connector`] without the headers that [`crate::RequestContext`] adds.
    ///
    /// # Errors
    ///
    /// Fails if the base URL is invalid or the body cannot be serialized.
    pub fn get_connector_request<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        connector_id: &'a ::uuid::Uuid,
    ) -> ::reqwest::Result<::reqwest::Request> {
        let url = format!(
            "{}/workspaces/{}/connectors/{}", self.baseurl, encode_path(& workspace_id
            .to_string()), encode_path(& connector_id.to_string()),
        );
        self.client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()
    }
    /**Show the details of a connector

The connector as it is now. `channel.channelId` appears once the channel has
been provisioned.


Sends a `GET` request to `/workspaces/{workspaceId}/connectors/{connectorId}`

Arguments:
- `workspace_id`: The id of the workspace, a UUID. The `ws_…` identifier and the address of the
dashboard are something else.

- `connector_id`: The id of the connector, from the response to its creation.
*/
    ///
    /// # Errors
    ///
    /// See [`Error`]. A response with a status other than 2xx is an [`Error::UnexpectedResponse`].
    pub async fn get_connector<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        connector_id: &'a ::uuid::Uuid,
    ) -> Result<ResponseValue<types::Connector>, Error<()>> {
        let mut request = self.get_connector_request(workspace_id, connector_id)?;
        let info = OperationInfo {
            operation_id: "get_connector",
        };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => ResponseValue::from_response(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
}
/// Items consumers will typically use such as the Client.
pub mod prelude {
    #[allow(unused_imports)]
    pub use super::Client;
}
