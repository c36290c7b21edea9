// @generated from contract/numbers.yaml by `cargo xtask codegen`. Do not edit.

use crate::{Client, Error, ResponseValue};
#[allow(unused_imports)]
use progenitor_client::{encode_path, ClientHooks, OperationInfo, RequestBuilderExt};
/// Types used as operation parameters and responses.
#[allow(clippy::all)]
pub mod types {
    ///A sender with a name. The reference does not show which fields are required.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct AlphaSender {
        ///The name.
        #[serde(
            rename = "alphaString",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub alpha_string: ::std::option::Option<::std::string::String>,
        ///When the sender was added.
        #[serde(
            rename = "createdAt",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub created_at: ::std::option::Option<::jiff::Timestamp>,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub endpoint: ::std::option::Option<Endpoint>,
        ///The id of the endpoint.
        #[serde(
            rename = "endpointId",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub endpoint_id: ::std::option::Option<::uuid::Uuid>,
        ///The id of the sender.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub id: ::std::option::Option<::uuid::Uuid>,
        ///When the sender was last changed.
        #[serde(
            rename = "updatedAt",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub updated_at: ::std::option::Option<::jiff::Timestamp>,
    }
    ///A page of alphanumeric senders.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct AlphaSenderList {
        ///The `pageToken` of the next page; none on the last page.
        #[serde(
            rename = "nextPageToken",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub next_page_token: ::std::option::Option<::std::string::String>,
        ///The senders.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub results: ::std::option::Option<::std::vec::Vec<AlphaSender>>,
    }
    /**Why a request failed. Any field may be missing, and a proxy's error is not JSON at
all.
*/
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct ApiError {
        ///The kind of error, for programs.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub code: ::std::option::Option<::std::string::String>,
        ///More about the error.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub details: ::std::option::Option<
            ::serde_json::Map<::std::string::String, ::serde_json::Value>,
        >,
        ///The error, for people.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub message: ::std::option::Option<::std::string::String>,
    }
    ///The state of a capability in one direction.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct CapabilityState {
        ///Why it is not active, such as `subscription-is-not-active`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub issues: ::std::option::Option<::std::vec::Vec<::std::string::String>>,
        ///The state.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub status: ::std::option::Option<CapabilityStateStatus>,
    }
    /**What uses an endpoint. The public reference is cut off after the id and shows no
capability, so the connector may be one for voice.
*/
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct Dependency {
        ///The id of the connector. A value of another type counts as absent.
        #[serde(
            rename = "connectorId",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        #[serde(default, deserialize_with = "lenient")]
        pub connector_id: ::std::option::Option<::uuid::Uuid>,
        ///The kind of user, such as `connector`.
        #[serde(rename = "type", skip_serializing_if = "::std::option::Option::is_none")]
        pub type_: ::std::option::Option<::std::string::String>,
    }
    ///The directions of a capability.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct Directions {
        ///Whether the number can receive.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub inbound: ::std::option::Option<bool>,
        ///Whether the number can send.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub outbound: ::std::option::Option<bool>,
    }
    ///The endpoint of a number, which other parts of Bird refer to. The reference does not show which fields are required.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct Endpoint {
        ///The state of each capability. A value of another type counts as absent.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        #[serde(default, deserialize_with = "lenient")]
        pub capabilities: ::std::option::Option<::std::vec::Vec<EndpointCapability>>,
        /**What uses the endpoint. Bird does not document whether or when an SMS channel
adds an entry, so a number without entries may still be in use.
*/
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub dependencies: ::std::option::Option<::std::vec::Vec<Dependency>>,
        ///The id of the endpoint.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub id: ::std::option::Option<::uuid::Uuid>,
        ///The number or the name of the sender.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub name: ::std::option::Option<::std::string::String>,
        ///The kind of endpoint.
        #[serde(rename = "type", skip_serializing_if = "::std::option::Option::is_none")]
        pub type_: ::std::option::Option<EndpointType>,
    }
    ///The state of a capability.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct EndpointCapability {
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub inbound: ::std::option::Option<CapabilityState>,
        ///The capability, such as `sms`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub name: ::std::option::Option<::std::string::String>,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub outbound: ::std::option::Option<CapabilityState>,
    }
    ///The state of a use case at a registry, such as the 10DLC registry.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct IntegrationState {
        ///The status at the registry, any string.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub status: ::std::option::Option<::std::string::String>,
    }
    ///An ordinary phone number.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub struct LongCode {
        pub capabilities: NumberCapabilities,
        ///The country, as ISO 3166-1 alpha-2.
        #[serde(rename = "countryCode")]
        pub country_code: ::std::string::String,
        ///When the number was added.
        #[serde(rename = "createdAt")]
        pub created_at: ::jiff::Timestamp,
        ///When the number will be removed.
        #[serde(
            rename = "deprovisionAt",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub deprovision_at: ::std::option::Option<::jiff::Timestamp>,
        pub endpoint: Endpoint,
        ///The id of the endpoint, the same value.
        #[serde(rename = "endpointId")]
        pub endpoint_id: ::uuid::Uuid,
        ///The id of the number, which an install asks for.
        pub id: ::uuid::Uuid,
        ///The number in E.164.
        #[serde(rename = "numberString")]
        pub number_string: ::std::string::String,
        ///The type of the number.
        #[serde(rename = "type", skip_serializing_if = "::std::option::Option::is_none")]
        pub type_: ::std::option::Option<NumberType>,
        ///When the number was last changed.
        #[serde(rename = "updatedAt")]
        pub updated_at: ::jiff::Timestamp,
    }
    ///A page of long code numbers.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct LongCodeList {
        ///The `pageToken` of the next page; none on the last page.
        #[serde(
            rename = "nextPageToken",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub next_page_token: ::std::option::Option<::std::string::String>,
        ///The numbers.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub results: ::std::option::Option<::std::vec::Vec<LongCode>>,
    }
    ///What a number can do.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct NumberCapabilities {
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub mms: ::std::option::Option<Directions>,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub sms: ::std::option::Option<Directions>,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub voice: ::std::option::Option<Directions>,
    }
    /**Something that a number needs, of one of five kinds. The reference only shows the
fields of `kyc-form`, and not which are required.
*/
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct Requirement {
        ///The capabilities that need it.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub capabilities: ::std::option::Option<::std::vec::Vec<::std::string::String>>,
        ///The countries that need it.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub destinations: ::std::option::Option<::std::vec::Vec<::std::string::String>>,
        ///When the status was determined.
        #[serde(
            rename = "evaluatedAt",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub evaluated_at: ::std::option::Option<::jiff::Timestamp>,
        ///What is missing.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub issues: ::std::option::Option<::std::vec::Vec<::std::string::String>>,
        ///The status, for people.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub message: ::std::option::Option<::std::string::String>,
        ///Whether the requirement can be changed.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub mutable: ::std::option::Option<bool>,
        ///The name, such as `use-case-sms` or `brand:nl`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub name: ::std::option::Option<::std::string::String>,
        /**The status. `satisfied` means that nothing is missing. The public reference shows
no other value.
*/
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub status: ::std::option::Option<::std::string::String>,
        ///The kind of requirement.
        #[serde(rename = "type", skip_serializing_if = "::std::option::Option::is_none")]
        pub type_: ::std::option::Option<RequirementType>,
    }
    ///The compliance requirements of an endpoint, or a page of them.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct RequirementList {
        ///The token of the next page. The reference only calls the list possibly paginated.
        #[serde(
            rename = "nextPageToken",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub next_page_token: ::std::option::Option<::std::string::String>,
        ///The requirements.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub results: ::std::option::Option<::std::vec::Vec<Requirement>>,
    }
    ///A short code. The reference does not show which fields are required.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct ShortCode {
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub capabilities: ::std::option::Option<NumberCapabilities>,
        ///The country, as ISO 3166-1 alpha-2.
        #[serde(
            rename = "countryCode",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub country_code: ::std::option::Option<::std::string::String>,
        ///When the short code was added.
        #[serde(
            rename = "createdAt",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub created_at: ::std::option::Option<::jiff::Timestamp>,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub endpoint: ::std::option::Option<Endpoint>,
        ///The id of the endpoint.
        #[serde(
            rename = "endpointId",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub endpoint_id: ::std::option::Option<::uuid::Uuid>,
        ///The id of the short code.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub id: ::std::option::Option<::uuid::Uuid>,
        ///The short code.
        #[serde(
            rename = "numberString",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub number_string: ::std::option::Option<::std::string::String>,
        ///The type, such as `dedicated`.
        #[serde(rename = "type", skip_serializing_if = "::std::option::Option::is_none")]
        pub type_: ::std::option::Option<::std::string::String>,
        ///When the short code was last changed.
        #[serde(
            rename = "updatedAt",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub updated_at: ::std::option::Option<::jiff::Timestamp>,
    }
    ///A page of short codes.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub struct ShortCodeList {
        ///The `pageToken` of the next page; none on the last page.
        #[serde(
            rename = "nextPageToken",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub next_page_token: ::std::option::Option<::std::string::String>,
        ///The short codes.
        pub results: ::std::vec::Vec<ShortCode>,
    }
    ///The purpose of messages. The reference does not show which fields are required.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct UseCase {
        ///The type, such as `default`.
        #[serde(
            rename = "caseType",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub case_type: ::std::option::Option<::std::string::String>,
        ///The id of the use case.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub id: ::std::option::Option<::uuid::Uuid>,
        #[serde(
            rename = "integrationState",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub integration_state: ::std::option::Option<IntegrationState>,
        ///The name.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub name: ::std::option::Option<::std::string::String>,
        ///The status, such as `created`.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub status: ::std::option::Option<::std::string::String>,
    }
    ///A page of use cases.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct UseCaseList {
        ///The `pageToken` of the next page; none on the last page.
        #[serde(
            rename = "nextPageToken",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub next_page_token: ::std::option::Option<::std::string::String>,
        ///The use cases.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub results: ::std::option::Option<::std::vec::Vec<UseCase>>,
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
    ///The state.
    ///
    /// Open: an unknown value decodes as `Unknown`, which keeps the value.
    #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
    #[non_exhaustive]
    pub enum CapabilityStateStatus {
        /// `active`
        Active,
        /// `inactive`
        Inactive,
        /// A value that this version does not define.
        Unknown(::std::string::String),
    }
    impl CapabilityStateStatus {
        /// Returns the value as it is written in JSON.
        #[must_use]
        pub fn as_str(&self) -> &str {
            match self {
                Self::Active => "active",
                Self::Inactive => "inactive",
                Self::Unknown(value) => value,
            }
        }
    }
    impl ::std::convert::From<&str> for CapabilityStateStatus {
        fn from(value: &str) -> Self {
            match value {
                "active" => Self::Active,
                "inactive" => Self::Inactive,
                other => Self::Unknown(other.to_owned()),
            }
        }
    }
    /// Never fails.
    impl ::std::str::FromStr for CapabilityStateStatus {
        type Err = ::std::convert::Infallible;
        fn from_str(value: &str) -> ::std::result::Result<Self, Self::Err> {
            ::std::result::Result::Ok(Self::from(value))
        }
    }
    impl ::std::fmt::Display for CapabilityStateStatus {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            f.write_str(self.as_str())
        }
    }
    impl ::serde::Serialize for CapabilityStateStatus {
        fn serialize<S: ::serde::Serializer>(
            &self,
            serializer: S,
        ) -> ::std::result::Result<S::Ok, S::Error> {
            serializer.serialize_str(self.as_str())
        }
    }
    impl<'de> ::serde::Deserialize<'de> for CapabilityStateStatus {
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
    ///The kind of endpoint.
    ///
    /// Open: an unknown value decodes as `Unknown`, which keeps the value.
    #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
    #[non_exhaustive]
    pub enum EndpointType {
        /// `long-code-number`
        LongCodeNumber,
        /// `short-code-number`
        ShortCodeNumber,
        /// `alpha-number`
        AlphaNumber,
        /// A value that this version does not define.
        Unknown(::std::string::String),
    }
    impl EndpointType {
        /// Returns the value as it is written in JSON.
        #[must_use]
        pub fn as_str(&self) -> &str {
            match self {
                Self::LongCodeNumber => "long-code-number",
                Self::ShortCodeNumber => "short-code-number",
                Self::AlphaNumber => "alpha-number",
                Self::Unknown(value) => value,
            }
        }
    }
    impl ::std::convert::From<&str> for EndpointType {
        fn from(value: &str) -> Self {
            match value {
                "long-code-number" => Self::LongCodeNumber,
                "short-code-number" => Self::ShortCodeNumber,
                "alpha-number" => Self::AlphaNumber,
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
    ///The type of a number.
    ///
    /// Open: an unknown value decodes as `Unknown`, which keeps the value.
    #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
    #[non_exhaustive]
    pub enum NumberType {
        /// `local`
        Local,
        /// `mobile`
        Mobile,
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
                Self::Local => "local",
                Self::Mobile => "mobile",
                Self::TollFree => "toll-free",
                Self::National => "national",
                Self::Unknown(value) => value,
            }
        }
    }
    impl ::std::convert::From<&str> for NumberType {
        fn from(value: &str) -> Self {
            match value {
                "local" => Self::Local,
                "mobile" => Self::Mobile,
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
    ///The kind of requirement.
    ///
    /// Open: an unknown value decodes as `Unknown`, which keeps the value.
    #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
    #[non_exhaustive]
    pub enum RequirementType {
        /// `kyc-form`
        KycForm,
        /// `use-case`
        UseCase,
        /// `tfn-verification`
        TfnVerification,
        /// `ten-dlc`
        TenDlc,
        /// `sms-originator`
        SmsOriginator,
        /// A value that this version does not define.
        Unknown(::std::string::String),
    }
    impl RequirementType {
        /// Returns the value as it is written in JSON.
        #[must_use]
        pub fn as_str(&self) -> &str {
            match self {
                Self::KycForm => "kyc-form",
                Self::UseCase => "use-case",
                Self::TfnVerification => "tfn-verification",
                Self::TenDlc => "ten-dlc",
                Self::SmsOriginator => "sms-originator",
                Self::Unknown(value) => value,
            }
        }
    }
    impl ::std::convert::From<&str> for RequirementType {
        fn from(value: &str) -> Self {
            match value {
                "kyc-form" => Self::KycForm,
                "use-case" => Self::UseCase,
                "tfn-verification" => Self::TfnVerification,
                "ten-dlc" => Self::TenDlc,
                "sms-originator" => Self::SmsOriginator,
                other => Self::Unknown(other.to_owned()),
            }
        }
    }
    /// Never fails.
    impl ::std::str::FromStr for RequirementType {
        type Err = ::std::convert::Infallible;
        fn from_str(value: &str) -> ::std::result::Result<Self, Self::Err> {
            ::std::result::Result::Ok(Self::from(value))
        }
    }
    impl ::std::fmt::Display for RequirementType {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            f.write_str(self.as_str())
        }
    }
    impl ::serde::Serialize for RequirementType {
        fn serialize<S: ::serde::Serializer>(
            &self,
            serializer: S,
        ) -> ::std::result::Result<S::Ok, S::Error> {
            serializer.serialize_str(self.as_str())
        }
    }
    impl<'de> ::serde::Deserialize<'de> for RequirementType {
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
    impl LongCode {
        /// Creates a value from its required fields. The optional fields are `None`.
        #[must_use]
        pub fn new(
            capabilities: NumberCapabilities,
            country_code: ::std::string::String,
            created_at: ::jiff::Timestamp,
            endpoint: Endpoint,
            endpoint_id: ::uuid::Uuid,
            id: ::uuid::Uuid,
            number_string: ::std::string::String,
            updated_at: ::jiff::Timestamp,
        ) -> Self {
            Self {
                capabilities,
                country_code,
                created_at,
                endpoint,
                endpoint_id,
                id,
                number_string,
                updated_at,
                deprovision_at: ::std::option::Option::None,
                type_: ::std::option::Option::None,
            }
        }
    }
    impl ShortCodeList {
        /// Creates a value from its required fields. The optional fields are `None`.
        #[must_use]
        pub fn new(results: ::std::vec::Vec<ShortCode>) -> Self {
            Self {
                results,
                next_page_token: ::std::option::Option::None,
            }
        }
    }
}
#[allow(clippy::all)]
impl Client {
    /// Builds the request of [`Client::list_requirements`] without the headers that [`crate::RequestContext`] adds.
    ///
    /// # Errors
    ///
    /// Fails if the base URL is invalid or the body cannot be serialized.
    pub fn list_requirements_request<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        endpoint_id: &'a str,
        page_token: Option<&'a str>,
    ) -> ::reqwest::Result<::reqwest::Request> {
        let url = format!(
            "{}/workspaces/{}/endpoints/{}/compliance-requirements", self.baseurl,
            encode_path(& workspace_id.to_string()), encode_path(& endpoint_id
            .to_string()),
        );
        self.client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("pageToken", &page_token))
            .build()
    }
    /**List the compliance requirements of an endpoint

Sends a `GET` request to `/workspaces/{workspaceId}/endpoints/{endpointId}/compliance-requirements`

Arguments:
- `workspace_id`: The id of the workspace, a UUID.
- `endpoint_id`: The id of the endpoint, which for a long code is the id of the number.
- `page_token`: The `nextPageToken` of the previous page. This parameter is an inference: the
response may have a token, but Bird documents no parameter for it.

*/
    ///
    /// # Errors
    ///
    /// See [`Error`]. A response with a status other than 2xx is an [`Error::UnexpectedResponse`].
    pub async fn list_requirements<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        endpoint_id: &'a str,
        page_token: Option<&'a str>,
    ) -> Result<ResponseValue<types::RequirementList>, Error<()>> {
        let mut request = self
            .list_requirements_request(workspace_id, endpoint_id, page_token)?;
        let info = OperationInfo {
            operation_id: "list_requirements",
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
    /// Builds the request of [`Client::list_alpha_senders`] without the headers that [`crate::RequestContext`] adds.
    ///
    /// # Errors
    ///
    /// Fails if the base URL is invalid or the body cannot be serialized.
    pub fn list_alpha_senders_request<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        limit: Option<i64>,
        page_token: Option<&'a str>,
        reverse: Option<bool>,
    ) -> ::reqwest::Result<::reqwest::Request> {
        let url = format!(
            "{}/workspaces/{}/numbers-alpha", self.baseurl, encode_path(& workspace_id
            .to_string()),
        );
        self.client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("limit", &limit))
            .query(&progenitor_client::QueryParam::new("pageToken", &page_token))
            .query(&progenitor_client::QueryParam::new("reverse", &reverse))
            .build()
    }
    /**List the alphanumeric senders of a workspace

Sends a `GET` request to `/workspaces/{workspaceId}/numbers-alpha`

Arguments:
- `workspace_id`: The id of the workspace, a UUID.
- `limit`: The number of results; 10 by default.
- `page_token`: The `nextPageToken` of the previous page.
- `reverse`: Whether to list the newest first.
*/
    ///
    /// # Errors
    ///
    /// See [`Error`]. A response with a status other than 2xx is an [`Error::UnexpectedResponse`].
    pub async fn list_alpha_senders<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        limit: Option<i64>,
        page_token: Option<&'a str>,
        reverse: Option<bool>,
    ) -> Result<ResponseValue<types::AlphaSenderList>, Error<()>> {
        let mut request = self
            .list_alpha_senders_request(workspace_id, limit, page_token, reverse)?;
        let info = OperationInfo {
            operation_id: "list_alpha_senders",
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
    /// Builds the request of [`Client::list_long_codes`] without the headers that [`crate::RequestContext`] adds.
    ///
    /// # Errors
    ///
    /// Fails if the base URL is invalid or the body cannot be serialized.
    pub fn list_long_codes_request<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        limit: Option<i64>,
        number_string: Option<&'a str>,
        page_token: Option<&'a str>,
        reverse: Option<bool>,
    ) -> ::reqwest::Result<::reqwest::Request> {
        let url = format!(
            "{}/workspaces/{}/numbers-long-code", self.baseurl, encode_path(&
            workspace_id.to_string()),
        );
        self.client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("limit", &limit))
            .query(&progenitor_client::QueryParam::new("numberString", &number_string))
            .query(&progenitor_client::QueryParam::new("pageToken", &page_token))
            .query(&progenitor_client::QueryParam::new("reverse", &reverse))
            .build()
    }
    /**List the long code numbers of a workspace

Ordered by a date, oldest first. Bird doesn't say which date.

Sends a `GET` request to `/workspaces/{workspaceId}/numbers-long-code`

Arguments:
- `workspace_id`: The id of the workspace, a UUID.
- `limit`: The number of results; 10 by default.
- `number_string`: The leading digits, with the country code; `+` is optional. A whole number also
matches longer ones.

- `page_token`: The `nextPageToken` of the previous page.
- `reverse`: Whether to list the newest first.
*/
    ///
    /// # Errors
    ///
    /// See [`Error`]. A response with a status other than 2xx is an [`Error::UnexpectedResponse`].
    pub async fn list_long_codes<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        limit: Option<i64>,
        number_string: Option<&'a str>,
        page_token: Option<&'a str>,
        reverse: Option<bool>,
    ) -> Result<ResponseValue<types::LongCodeList>, Error<()>> {
        let mut request = self
            .list_long_codes_request(
                workspace_id,
                limit,
                number_string,
                page_token,
                reverse,
            )?;
        let info = OperationInfo {
            operation_id: "list_long_codes",
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
    /// Builds the request of [`Client::get_long_code`] without the headers that [`crate::RequestContext`] adds.
    ///
    /// # Errors
    ///
    /// Fails if the base URL is invalid or the body cannot be serialized.
    pub fn get_long_code_request<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        long_code_number_id: &'a str,
    ) -> ::reqwest::Result<::reqwest::Request> {
        let url = format!(
            "{}/workspaces/{}/numbers-long-code/{}", self.baseurl, encode_path(&
            workspace_id.to_string()), encode_path(& long_code_number_id.to_string()),
        );
        self.client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()
    }
    /**Show a long code number

Sends a `GET` request to `/workspaces/{workspaceId}/numbers-long-code/{longCodeNumberId}`

Arguments:
- `workspace_id`: The id of the workspace, a UUID.
- `long_code_number_id`: The id of the number, which is also the id of its endpoint.
*/
    ///
    /// # Errors
    ///
    /// See [`Error`]. A response with a status other than 2xx is an [`Error::UnexpectedResponse`].
    pub async fn get_long_code<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        long_code_number_id: &'a str,
    ) -> Result<ResponseValue<types::LongCode>, Error<()>> {
        let mut request = self.get_long_code_request(workspace_id, long_code_number_id)?;
        let info = OperationInfo {
            operation_id: "get_long_code",
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
    /// Builds the request of [`Client::list_short_codes`] without the headers that [`crate::RequestContext`] adds.
    ///
    /// # Errors
    ///
    /// Fails if the base URL is invalid or the body cannot be serialized.
    pub fn list_short_codes_request<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        limit: Option<i64>,
        page_token: Option<&'a str>,
        reverse: Option<bool>,
    ) -> ::reqwest::Result<::reqwest::Request> {
        let url = format!(
            "{}/workspaces/{}/numbers-short-code", self.baseurl, encode_path(&
            workspace_id.to_string()),
        );
        self.client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("limit", &limit))
            .query(&progenitor_client::QueryParam::new("pageToken", &page_token))
            .query(&progenitor_client::QueryParam::new("reverse", &reverse))
            .build()
    }
    /**List the short codes of a workspace

Sends a `GET` request to `/workspaces/{workspaceId}/numbers-short-code`

Arguments:
- `workspace_id`: The id of the workspace, a UUID.
- `limit`: The number of results; 10 by default.
- `page_token`: The `nextPageToken` of the previous page.
- `reverse`: Whether to list the newest first.
*/
    ///
    /// # Errors
    ///
    /// See [`Error`]. A response with a status other than 2xx is an [`Error::UnexpectedResponse`].
    pub async fn list_short_codes<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        limit: Option<i64>,
        page_token: Option<&'a str>,
        reverse: Option<bool>,
    ) -> Result<ResponseValue<types::ShortCodeList>, Error<()>> {
        let mut request = self
            .list_short_codes_request(workspace_id, limit, page_token, reverse)?;
        let info = OperationInfo {
            operation_id: "list_short_codes",
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
    /// Builds the request of [`Client::list_use_cases`] without the headers that [`crate::RequestContext`] adds.
    ///
    /// # Errors
    ///
    /// Fails if the base URL is invalid or the body cannot be serialized.
    pub fn list_use_cases_request<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        limit: Option<i64>,
        page_token: Option<&'a str>,
        reverse: Option<bool>,
    ) -> ::reqwest::Result<::reqwest::Request> {
        let url = format!(
            "{}/workspaces/{}/use-cases", self.baseurl, encode_path(& workspace_id
            .to_string()),
        );
        self.client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("limit", &limit))
            .query(&progenitor_client::QueryParam::new("pageToken", &page_token))
            .query(&progenitor_client::QueryParam::new("reverse", &reverse))
            .build()
    }
    /**List the SMS use cases of a workspace

Sends a `GET` request to `/workspaces/{workspaceId}/use-cases`

Arguments:
- `workspace_id`: The id of the workspace, a UUID.
- `limit`: The number of results; by default 10 or 25, depending on the page of the reference.
- `page_token`: The `nextPageToken` of the previous page.
- `reverse`: Whether to list the newest first.
*/
    ///
    /// # Errors
    ///
    /// See [`Error`]. A response with a status other than 2xx is an [`Error::UnexpectedResponse`].
    pub async fn list_use_cases<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        limit: Option<i64>,
        page_token: Option<&'a str>,
        reverse: Option<bool>,
    ) -> Result<ResponseValue<types::UseCaseList>, Error<()>> {
        let mut request = self
            .list_use_cases_request(workspace_id, limit, page_token, reverse)?;
        let info = OperationInfo {
            operation_id: "list_use_cases",
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
