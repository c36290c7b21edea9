//! The raw client of Bird's connectors API, generated from its `OpenAPI` contract.
//!
//! To install an SMS channel, use [`bird-sms`](https://docs.rs/bird-sms), which retries requests only if that is safe
//! and reports what each failure means for the connector. This crate sends single HTTP requests:
//!
//! ```no_run
//! use bird_api::{Client, RequestContext, types::CreateConnectorReq};
//!
//! # async fn example(http: reqwest::Client, key: reqwest::header::HeaderValue) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new_with_client(Client::DEFAULT_BASE_URL, http, RequestContext::new(key));
//! let workspace_id = "a1405560-c8d3-4b1a-877d-3f449ad95352".parse()?;
//! let connector = client.create_connector(&workspace_id, &CreateConnectorReq::new("My channel".into())).await?;
//! println!("{}", connector.id);
//! # Ok(())
//! # }
//! ```
//!
//! | item | purpose |
//! |---|---|
//! | [`Client`] | the operations, each also as a function that only builds the request |
//! | [`types`] | the schemas of connectors |
//! | [`numbers::types`] | the schemas of numbers, their requirements, and use cases |
//! | [`RequestContext`] | the headers and the body limit of every request |
//! | [`Client::exchange`] | sends one request and returns the raw [`Response`]; an error reports whether the request may have been sent |
//! | [`transport`] | replaces the HTTP client, for example in tests |
//!
//! With the feature `codegen` (on by default), the build script generates the client. Without the feature, the build
//! uses a prebuilt copy of the same code and is faster.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod context;
mod exchange;
pub mod transport;

#[allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    rustdoc::bare_urls,
    reason = "generated, with descriptions from a contract"
)]
mod client {
    #[cfg(feature = "codegen")]
    include!(concat!(env!("OUT_DIR"), "/client.rs"));
    #[cfg(not(feature = "codegen"))]
    include!("../generated/client.rs");
}

/// Types for reading numbers, their requirements, and use cases. The operations are methods of [`Client`].
#[allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    rustdoc::bare_urls,
    reason = "generated, with descriptions from a contract"
)]
pub mod numbers {
    #[cfg(feature = "codegen")]
    include!(concat!(env!("OUT_DIR"), "/numbers.rs"));
    #[cfg(not(feature = "codegen"))]
    include!("../generated/numbers.rs");
}

pub use client::{ByteStream, Client, ClientInfo, Error, ResponseValue, types};
pub use context::RequestContext;
pub use exchange::{BodyError, ExchangeError, ExchangeErrorKind, Response};

/// Runs the README's example as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
