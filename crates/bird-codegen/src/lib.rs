//! Turns the contract of bird-sms, `openapi.yaml`, into the Rust source of its raw client.
//!
//! The build script of `bird-api` calls [`generate`] on every build, and `cargo xtask codegen` calls it to
//! refresh the checked-in copy.
//!
//! ```
//! # let yaml = "{openapi: 3.0.3, info: {title: t, version: v1}, paths: {}}";
//! let rust = bird_codegen::generate(yaml)?;
//! assert!(rust.starts_with("// @generated"));
//! # Ok::<(), bird_codegen::Error>(())
//! ```
//!
//! [progenitor] generates the client. Small passes adapt its input and its output: `contract.rs` changes
//! the contract before the generation, `passes` changes the Rust code after it. Each pass documents its
//! reason.
//!
//! The output is deterministic: the same contract and the same versions of the dependencies give the same
//! bytes. Formatting needs neither rustfmt nor a nightly compiler. The code that includes the output provides
//! a type `crate::RequestContext` (the headers of each request; see `bird-api`) and the crates `jiff`,
//! `progenitor_client`, `reqwest`, `serde`, `serde_json` and `uuid`.

mod contract;
mod passes;

use openapiv3::OpenAPI;
use progenitor::{GenerationSettings, Generator, InterfaceStyle, TypeImpl};
use schemars::schema::{InstanceType, SchemaObject};

/// The reasons why [`generate`] fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The contract is not YAML, or not an `OpenAPI` 3.0 document.
    #[error("the contract is not an OpenAPI 3.0 document in YAML: {0}")]
    Contract(#[from] yaml_serde::Error),
    /// progenitor cannot generate a client from this contract.
    #[error("progenitor cannot generate a client from the contract: {0}")]
    Generate(#[from] progenitor::Error),
    /// The output of progenitor or of a pass of this crate is not Rust.
    #[error("the generated code does not parse: {0}")]
    Syntax(#[from] syn::Error),
    /// The contract or the output of progenitor does not have the form that a pass of this crate expects.
    #[error("{0}")]
    Unsupported(String),
}

/// Turns the text of `openapi.yaml` into formatted Rust.
///
/// # Errors
///
/// Fails when the text is not an `OpenAPI` 3.0 document, or uses a part of `OpenAPI` that progenitor or
/// this crate does not support.
pub fn generate(yaml: &str) -> Result<String, Error> {
    let mut contract: OpenAPI = yaml_serde::from_str(yaml)?;
    let marked = contract::prepare(&mut contract);
    let tokens = Generator::new(&settings()).generate_tokens(&contract)?;
    let mut file: syn::File = syn::parse2(tokens)?;
    passes::run(&mut file, &marked)?;
    Ok(format!(
        "// @generated from a contract by `cargo xtask codegen`. Do not edit.\n\n{}",
        prettyplease::unparse(&file)
    ))
}

fn settings() -> GenerationSettings {
    let date_time = SchemaObject {
        instance_type: Some(InstanceType::String.into()),
        format: Some("date-time".to_owned()),
        ..SchemaObject::default()
    };
    let mut settings = GenerationSettings::new();
    settings
        .with_interface(InterfaceStyle::Positional)
        .with_inner_type(quote::quote!(crate::RequestContext))
        .with_derive("PartialEq")
        .with_map_type("::std::collections::BTreeMap")
        .with_conversion(
            date_time,
            "::jiff::Timestamp",
            [TypeImpl::FromStr, TypeImpl::Display].into_iter(),
        );
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The checked-in client shows what each pass does.
    #[test]
    fn the_contract_generates_the_checked_in_client_each_time() {
        let root = std::env::var("CARGO_MANIFEST_DIR").unwrap() + "/../..";
        let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
        for (contract, client) in
            [("openapi.yaml", "client.rs"), ("contract/list-connectors.yaml", "list_connectors.rs")]
        {
            let (contract, client) =
                (read(contract), read(&format!("crates/bird-api/generated/{client}")));
            for _ in 0..3 {
                let same = generate(&contract).unwrap() == client;
                assert!(same, "`cargo xtask codegen` changes the client; review the difference");
            }
        }
    }

    #[test]
    fn a_text_that_is_not_a_contract_is_an_error() {
        for text in ["a: [", "a: 1"] {
            assert!(matches!(generate(text), Err(Error::Contract(_))), "{text}");
        }
    }
}

/// The example of the README, which is tested with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
