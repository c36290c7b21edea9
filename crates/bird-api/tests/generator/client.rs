// @generated from crates/bird-api/tests/generator/contract.yaml by `cargo xtask codegen`. Do not edit.

#[allow(unused_imports)]
pub use progenitor_client::{ByteStream, ClientInfo, Error, ResponseValue};
#[allow(unused_imports)]
use progenitor_client::{encode_path, ClientHooks, OperationInfo, RequestBuilderExt};
/// Types used as operation parameters and responses.
#[allow(clippy::all)]
pub mod types {
    ///`Item`
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub struct Item {
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub color: ::std::option::Option<ItemColor>,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub day: ::std::option::Option<::std::string::String>,
        pub level: i64,
        #[serde(deserialize_with = "::std::option::Option::deserialize")]
        pub parent: ::std::option::Option<Parent>,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub since: ::std::option::Option<::jiff::Timestamp>,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub size: ::std::option::Option<SizeOfItem>,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub tags: ::std::option::Option<::std::vec::Vec<::std::string::String>>,
    }
    ///`NewItem`
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, PartialEq)]
    #[non_exhaustive]
    pub struct NewItem {
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub enabled: ::std::option::Option<bool>,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub login: ::std::option::Option<NewItemLogin>,
        pub name: ::std::string::String,
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub note: ::std::option::Option<::std::string::String>,
        pub password: ::std::string::String,
    }
    ///`NewItemLogin`
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Default, PartialEq)]
    #[non_exhaustive]
    pub struct NewItemLogin {
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub token: ::std::option::Option<::std::string::String>,
    }
    ///`Parent`
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct Parent {
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub id: ::std::option::Option<::std::string::String>,
    }
    ///`SizeOfItem`
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    #[serde(transparent)]
    pub struct SizeOfItem(pub Size);
    impl ::std::ops::Deref for SizeOfItem {
        type Target = Size;
        fn deref(&self) -> &Size {
            &self.0
        }
    }
    impl ::std::convert::From<Size> for SizeOfItem {
        fn from(value: Size) -> Self {
            Self(value)
        }
    }
    impl ::std::fmt::Display for SizeOfItem {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            self.0.fmt(f)
        }
    }
    impl ::std::str::FromStr for SizeOfItem {
        type Err = <Size as ::std::str::FromStr>::Err;
        fn from_str(value: &str) -> ::std::result::Result<Self, Self::Err> {
            Ok(Self(value.parse()?))
        }
    }
    impl ::std::convert::TryFrom<&str> for SizeOfItem {
        type Error = <Size as ::std::str::FromStr>::Err;
        fn try_from(value: &str) -> ::std::result::Result<Self, Self::Error> {
            value.parse()
        }
    }
    impl ::std::convert::TryFrom<String> for SizeOfItem {
        type Error = <Size as ::std::str::FromStr>::Err;
        fn try_from(value: String) -> ::std::result::Result<Self, Self::Error> {
            value.parse()
        }
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
    /// Redacts the secret fields.
    impl ::std::fmt::Debug for NewItem {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            f.debug_struct("NewItem")
                .field("enabled", &self.enabled)
                .field("login", &self.login)
                .field("name", &self.name)
                .field("note", &self.note.as_ref().map(|_| "[redacted]"))
                .field("password", &"[redacted]")
                .finish()
        }
    }
    /// Redacts the secret fields.
    impl ::std::fmt::Debug for NewItemLogin {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            f.debug_struct("NewItemLogin")
                .field("token", &self.token.as_ref().map(|_| "[redacted]"))
                .finish()
        }
    }
    ///`ItemColor`
    ///
    /// Open: an unknown value decodes as `Unknown`, which keeps the value.
    #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
    #[non_exhaustive]
    pub enum ItemColor {
        /// `red`
        Red,
        /// A value that this version does not define.
        Unknown(::std::string::String),
    }
    impl ItemColor {
        /// Returns the value as it is written in JSON.
        #[must_use]
        pub fn as_str(&self) -> &str {
            match self {
                Self::Red => "red",
                Self::Unknown(value) => value,
            }
        }
    }
    impl ::std::convert::From<&str> for ItemColor {
        fn from(value: &str) -> Self {
            match value {
                "red" => Self::Red,
                other => Self::Unknown(other.to_owned()),
            }
        }
    }
    /// Never fails.
    impl ::std::str::FromStr for ItemColor {
        type Err = ::std::convert::Infallible;
        fn from_str(value: &str) -> ::std::result::Result<Self, Self::Err> {
            ::std::result::Result::Ok(Self::from(value))
        }
    }
    impl ::std::fmt::Display for ItemColor {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            f.write_str(self.as_str())
        }
    }
    impl ::serde::Serialize for ItemColor {
        fn serialize<S: ::serde::Serializer>(
            &self,
            serializer: S,
        ) -> ::std::result::Result<S::Ok, S::Error> {
            serializer.serialize_str(self.as_str())
        }
    }
    impl<'de> ::serde::Deserialize<'de> for ItemColor {
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
    ///`Size`
    ///
    /// Open: an unknown value decodes as `Unknown`, which keeps the value.
    #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
    #[non_exhaustive]
    pub enum Size {
        /// `small`
        Small,
        /// `large`
        Large,
        /// A value that this version does not define.
        Unknown(::std::string::String),
    }
    impl Size {
        /// Returns the value as it is written in JSON.
        #[must_use]
        pub fn as_str(&self) -> &str {
            match self {
                Self::Small => "small",
                Self::Large => "large",
                Self::Unknown(value) => value,
            }
        }
    }
    impl ::std::convert::From<&str> for Size {
        fn from(value: &str) -> Self {
            match value {
                "small" => Self::Small,
                "large" => Self::Large,
                other => Self::Unknown(other.to_owned()),
            }
        }
    }
    /// Never fails.
    impl ::std::str::FromStr for Size {
        type Err = ::std::convert::Infallible;
        fn from_str(value: &str) -> ::std::result::Result<Self, Self::Err> {
            ::std::result::Result::Ok(Self::from(value))
        }
    }
    impl ::std::fmt::Display for Size {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            f.write_str(self.as_str())
        }
    }
    impl ::serde::Serialize for Size {
        fn serialize<S: ::serde::Serializer>(
            &self,
            serializer: S,
        ) -> ::std::result::Result<S::Ok, S::Error> {
            serializer.serialize_str(self.as_str())
        }
    }
    impl<'de> ::serde::Deserialize<'de> for Size {
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
    impl Item {
        /// Creates a value from its required fields. The optional fields are `None`.
        #[must_use]
        pub fn new(level: i64) -> Self {
            Self {
                level,
                color: ::std::option::Option::None,
                day: ::std::option::Option::None,
                parent: ::std::option::Option::None,
                since: ::std::option::Option::None,
                size: ::std::option::Option::None,
                tags: ::std::option::Option::None,
            }
        }
    }
    impl NewItem {
        /// Creates a value from its required fields. The optional fields are `None`.
        #[must_use]
        pub fn new(
            name: ::std::string::String,
            password: ::std::string::String,
        ) -> Self {
            Self {
                name,
                password,
                enabled: ::std::option::Option::None,
                login: ::std::option::Option::None,
                note: ::std::option::Option::None,
            }
        }
    }
}
#[derive(Clone, Debug)]
/**Client for Items

Version: v1*/
pub struct Client {
    pub(crate) baseurl: String,
    pub(crate) client: reqwest::Client,
    pub(crate) inner: crate::RequestContext,
}
impl Client {
    /// The URL of the first server in the contract.
    pub const DEFAULT_BASE_URL: &'static str = "https://one.example";
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
    /// Builds the request of [`Client::put_item`] without the headers that [`crate::RequestContext`] adds.
    ///
    /// # Errors
    ///
    /// Fails if the base URL is invalid or the body cannot be serialized.
    pub fn put_item_request<'a>(
        &'a self,
        item_id: i64,
        idempotency_key: Option<&'a str>,
        x_trace: &'a ::uuid::Uuid,
        body: &'a types::NewItem,
    ) -> ::reqwest::Result<::reqwest::Request> {
        let url = format!(
            "{}/items/{}", self.baseurl, encode_path(& item_id.to_string()),
        );
        let mut request = self
            .client
            .put(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body);
        if let Some(value) = idempotency_key {
            request = request.header("Idempotency-Key", value.to_string());
        }
        request = request.header("X-Trace", x_trace.to_string());
        request.build()
    }
    /**Sends a `PUT` request to `/items/{itemId}`

*/
    ///
    /// # Errors
    ///
    /// See [`Error`]. A response with a status other than 2xx is an [`Error::UnexpectedResponse`].
    pub async fn put_item<'a>(
        &'a self,
        item_id: i64,
        idempotency_key: Option<&'a str>,
        x_trace: &'a ::uuid::Uuid,
        body: &'a types::NewItem,
    ) -> Result<ResponseValue<types::Item>, Error<()>> {
        let mut request = self
            .put_item_request(item_id, idempotency_key, x_trace, body)?;
        let info = OperationInfo {
            operation_id: "put_item",
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
