//! Turns the contracts of bird-sms, `openapi.yaml` and `contract/numbers.yaml`, into the Rust source of its raw client.
//!
//! The build script of `bird-api` calls [`generate`] and [`extend`] on every build, and `cargo xtask codegen` calls them
//! to refresh the checked-in copies.
//!
//! ```
//! # let yaml = "{openapi: 3.0.3, info: {title: t, version: v1}, paths: {}}";
//! let rust = bird_codegen::generate("openapi.yaml", yaml)?;
//! assert!(rust.starts_with("// @generated"));
//! # Ok::<(), bird_codegen::Error>(())
//! ```
//!
//! The module `contract` adapts the contract, [progenitor] generates the client from it, and the module `passes` adapts
//! the generated code.
//!
//! The output is deterministic: the same contract and the same versions of the dependencies always give the same
//! bytes. Formatting needs neither rustfmt nor a nightly compiler.
//!
//! A crate that includes the output must define
//! `crate::RequestContext` (the headers of each request; see `bird-api`) and depend on `jiff`, `progenitor_client`,
//! `reqwest`, `serde`, `serde_json` and `uuid`.

mod contract;
mod document;
mod passes;
#[cfg(test)]
mod tests;
mod text;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use progenitor::{GenerationSettings, Generator, InterfaceStyle, TypeImpl};
use schemars::schema::{InstanceType, SchemaObject};
use serde_json::{Value, json};

/// The first problem in a contract, with its line and JSON pointer.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: {message} (at #{pointer})")]
pub struct Error {
    file: String,
    line: usize,
    pointer: String,
    message: String,
}

impl Error {
    fn at(pointer: &str, message: String) -> Self {
        Self { file: String::new(), line: 1, pointer: pointer.to_owned(), message }
    }

    fn of(self, file: &str) -> Self {
        Self { file: file.to_owned(), ..self }
    }

    fn locate(self, yaml: &str) -> Self {
        Self { line: document::line(yaml, &self.pointer), ..self }
    }
}

impl From<syn::Error> for Error {
    fn from(error: syn::Error) -> Self {
        Self::at("", format!("the generated code does not parse: {error}"))
    }
}

/// Generates formatted Rust code from the text of a contract.
///
/// `file` is the file name of the contract. It appears in errors and on the first line of the output.
///
/// # Errors
///
/// Fails if `yaml` is not an `OpenAPI` 3.0 document, or uses a part of `OpenAPI` that progenitor or this crate does not
/// support.
pub fn generate(file: &str, yaml: &str) -> Result<String, Error> {
    generate_code(yaml).map(|code| mark(file, &code)).map_err(|error| error.of(file))
}

/// Generates a module from another contract of the same API. The module contains its types, and its operations as
/// methods of `crate::Client`.
///
/// # Errors
///
/// Fails as [`generate`] does.
pub fn extend(file: &str, yaml: &str) -> Result<String, Error> {
    let extend = |code: String| {
        let mut module = syn::parse_file(&code)?;
        passes::use_client_of_crate(&mut module);
        Ok(mark(file, &prettyplease::unparse(&module)))
    };
    generate_code(yaml).and_then(extend).map_err(|error| error.of(file))
}

fn mark(file: &str, code: &str) -> String {
    format!("// @generated from {file} by `cargo xtask codegen`. Do not edit.\n\n{code}")
}

fn generate_code(yaml: &str) -> Result<String, Error> {
    let mut contract = parse(yaml)?;
    let marks = contract::prepare(&mut contract).map_err(|error| error.locate(yaml))?;
    render(&contract, &marks).map_err(|mut error| {
        if error.pointer.is_empty() {
            error.pointer = culprit(&contract).unwrap_or_default();
        }
        error.locate(yaml)
    })
}

fn parse(yaml: &str) -> Result<Value, Error> {
    // Unlike `serde_json::Value`, this type refuses duplicate keys.
    let value = yaml_serde::from_str::<yaml_serde::Value>(yaml).map_err(|error| Error {
        line: error.location().map_or(1, |location| location.line()),
        ..Error::at("", format!("invalid YAML: {error}"))
    })?;
    serde_json::to_value(value).map_err(|error| Error::at("", format!("not JSON: {error}")))
}

/// Generates Rust code from a contract that [`contract::prepare`] has adapted.
fn render(contract: &Value, marks: &BTreeSet<String>) -> Result<String, Error> {
    let unsupported =
        |error: String| Error::at("", format!("progenitor does not support this: {error}"));
    let spec = serde_json::from_value(contract.clone())
        .map_err(|error| Error::at("", format!("not an OpenAPI 3.0 document: {error}")))?;
    let tokens = quietly(|| Generator::new(&settings()).generate_tokens(&spec));
    let tokens = tokens.map_err(unsupported)?.map_err(|error| unsupported(error.to_string()))?;
    let mut file: syn::File = syn::parse2(tokens)?;
    passes::run(&mut file, contract, marks)?;
    Ok(prettyplease::unparse(&file))
}

/// Returns a JSON pointer to the innermost schema or operation without which progenitor succeeds.
fn culprit(contract: &Value) -> Option<String> {
    let parts = document::parts(contract).ok()?.into_iter();
    let parts = parts.filter(|part| ["schema", "operation"].contains(&part.kind));
    let mut pointers: Vec<_> = parts.map(|part| part.pointer).collect();
    pointers.sort_by_key(|pointer| std::cmp::Reverse(pointer.matches('/').count()));
    // Searches for the smallest number of parts, innermost first, whose removal is enough.
    let counts: Vec<_> = (1..=pointers.len()).collect();
    let last = counts.partition_point(|count| {
        let mut without = contract.clone();
        for pointer in &pointers[..*count] {
            let (above, name) = pointer.rsplit_once('/').unwrap_or_default();
            match without.pointer_mut(above) {
                Some(Value::Object(item)) if above.starts_with("/paths/") && name != "schema" => {
                    item.remove(name);
                }
                _ => contract::set(&mut without, pointer, json!({})),
            }
        }
        render(&without, &BTreeSet::new()).is_err()
    });
    pointers.get(last).cloned()
}

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs a function that may panic, and returns the panic's message instead of printing it.
fn quietly<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                print(info);
            }
        }));
    });
    IS_QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    IS_QUIET.set(false);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
    })
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

/// Runs the README's example as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
