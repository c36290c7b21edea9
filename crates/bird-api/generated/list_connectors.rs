// @generated from contract/list-connectors.yaml by `cargo xtask codegen`. Do not edit.

#[allow(unused_imports)]
pub use progenitor_client::{ByteStream, ClientInfo, Error, ResponseValue};
#[allow(unused_imports)]
use progenitor_client::{encode_path, ClientHooks, OperationInfo, RequestBuilderExt};
/// Types used as operation parameters and responses.
#[allow(clippy::all)]
pub mod types {
    ///A page of connectors.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub struct ConnectorPage {
        ///The token of the next page; absent on the last page.
        #[serde(
            rename = "nextPageToken",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        pub next_page_token: ::std::option::Option<::std::string::String>,
        ///The connectors of the page.
        pub results: ::std::vec::Vec<ListedConnector>,
    }
    ///The channel of a listed connector.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    #[non_exhaustive]
    pub struct ListedChannel {
        ///The id of the channel.
        #[serde(
            rename = "channelId",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        #[serde(default, deserialize_with = "lenient")]
        pub channel_id: ::std::option::Option<::uuid::Uuid>,
    }
    ///What a page shows of a connector. A field of another shape counts as absent.
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    #[non_exhaustive]
    pub struct ListedConnector {
        ///The channel of the connector, once it is provisioned.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        #[serde(default, deserialize_with = "lenient")]
        pub channel: ::std::option::Option<ListedChannel>,
        ///The template that the connector was created from.
        #[serde(
            rename = "connectorTemplateRef",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        #[serde(default, deserialize_with = "lenient")]
        pub connector_template_ref: ::std::option::Option<::std::string::String>,
        ///When the connector was created, by RFC 3339.
        #[serde(
            rename = "createdAt",
            skip_serializing_if = "::std::option::Option::is_none"
        )]
        #[serde(default, deserialize_with = "lenient")]
        pub created_at: ::std::option::Option<::std::string::String>,
        ///The id of the connector.
        pub id: ::uuid::Uuid,
        ///The name of the connector.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        #[serde(default, deserialize_with = "lenient")]
        pub name: ::std::option::Option<::std::string::String>,
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
    /// Decodes a value of another shape as absent.
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
    impl ConnectorPage {
        /// Creates a value from its required fields. The optional fields are `None`.
        #[must_use]
        pub fn new(results: ::std::vec::Vec<ListedConnector>) -> Self {
            Self {
                results,
                next_page_token: ::std::option::Option::None,
            }
        }
    }
    impl ListedConnector {
        /// Creates a value from its required fields. The optional fields are `None`.
        #[must_use]
        pub fn new(id: ::uuid::Uuid) -> Self {
            Self {
                id,
                channel: ::std::option::Option::None,
                connector_template_ref: ::std::option::Option::None,
                created_at: ::std::option::Option::None,
                name: ::std::option::Option::None,
            }
        }
    }
}
#[derive(Clone, Debug)]
/**Client for List connectors

The connectors of a workspace, in pages. They show what a lost response leaves
open: whether a connector exists.


Version: v1*/
pub struct Client {
    pub(crate) baseurl: String,
    pub(crate) client: reqwest::Client,
    pub(crate) inner: crate::RequestContext,
}
impl Client {
    /// The URL of the first server of the contract.
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
    /// Builds the request of [`Client::list_connectors`] without the headers that [`crate::RequestContext`] adds.
    ///
    /// # Errors
    ///
    /// Fails when the base URL is not a URL or the body cannot be serialized.
    pub fn list_connectors_request<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        limit: Option<i32>,
        page_token: Option<&'a str>,
        template_ref: Option<&'a str>,
    ) -> ::reqwest::Result<::reqwest::Request> {
        let url = format!(
            "{}/workspaces/{}/connectors", self.baseurl, encode_path(& workspace_id
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
            .query(&progenitor_client::QueryParam::new("templateRef", &template_ref))
            .build()
    }
    /**List the connectors of a workspace

One page of the connectors. `nextPageToken` is absent on the last page.


Sends a `GET` request to `/workspaces/{workspaceId}/connectors`

Arguments:
- `workspace_id`: The id of the workspace.
- `limit`: The number of connectors in a page. The vendor's default is 10.
- `page_token`: The `nextPageToken` of the page before.
- `template_ref`: The template of the connectors to list, as `slug:version`.
*/
    ///
    /// # Errors
    ///
    /// See [`Error`]. A response with a status other than 2xx is an [`Error::UnexpectedResponse`].
    pub async fn list_connectors<'a>(
        &'a self,
        workspace_id: &'a ::uuid::Uuid,
        limit: Option<i32>,
        page_token: Option<&'a str>,
        template_ref: Option<&'a str>,
    ) -> Result<ResponseValue<types::ConnectorPage>, Error<()>> {
        let mut request = self
            .list_connectors_request(workspace_id, limit, page_token, template_ref)?;
        let info = OperationInfo {
            operation_id: "list_connectors",
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
