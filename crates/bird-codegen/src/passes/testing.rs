//! Helpers of the tests: code without white space, so that formatting does not matter.

use std::collections::BTreeSet;

use quote::ToTokens;
use syn::ItemMod;

/// Generates from the contract of the tests.
pub(super) fn generated() -> String {
    squeeze(&crate::generate(include_str!("../../tests/small.yaml")).unwrap())
}

fn squeeze(code: &str) -> String {
    code.split_whitespace().collect()
}

pub(super) fn module(code: &str) -> ItemMod {
    syn::parse_str(&format!("mod types {{ {code} }}")).unwrap()
}

pub(super) fn printed(module: &ItemMod) -> String {
    squeeze(&module.to_token_stream().to_string())
}

/// Marks `field` of the struct `S`.
pub(super) fn marked(field: &str) -> BTreeSet<(String, String)> {
    [("S".to_owned(), field.to_owned())].into()
}
