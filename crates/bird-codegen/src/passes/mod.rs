//! The passes over the Rust code that progenitor generated: one concept per module.

mod lenient;
mod non_exhaustive;
mod open_enum;
mod operation;
mod secret;

use std::collections::BTreeSet;

use syn::{
    Attribute, Field, Fields, File, Item, ItemImpl, ItemMod, ItemStruct, LitStr, parse_quote,
};

use crate::Error;
use crate::contract::Marked;

/// Runs every pass. The order matters: the passes over the fields run before the structs get the
/// constructors that list those fields.
pub(crate) fn run(file: &mut File, marked: &Marked) -> Result<(), Error> {
    for item in &mut file.items {
        match item {
            Item::Mod(module) if module.ident == "types" => {
                lenient::decode_other_shapes_as_absent(module, marked)?;
                secret::redact_in_debug(module, marked)?;
                open_enum::open_string_enums(module)?;
                document_variants(module);
                non_exhaustive::mark_and_add_constructors(module);
            }
            Item::Impl(block) if block.trait_.is_none() => {
                operation::remove_default_constructor(block);
                operation::split_operations(block)?;
            }
            _ => {}
        }
    }
    // `bird_api::RequestContext` implements the hooks.
    file.items.retain(|item| !is_empty_hooks(item));
    Ok(())
}

fn is_empty_hooks(item: &Item) -> bool {
    let Item::Impl(ItemImpl { trait_: Some((path, _)), .. }) = item else { return false };
    path.segments.last().is_some_and(|segment| segment.ident == "ClientHooks")
}

fn items(module: &mut ItemMod) -> &mut Vec<Item> {
    &mut module.content.get_or_insert_with(Default::default).1
}

fn structs(module: &mut ItemMod) -> impl Iterator<Item = &mut ItemStruct> {
    items(module).iter_mut().filter_map(|item| match item {
        Item::Struct(item) if matches!(item.fields, Fields::Named(_)) => Some(item),
        _ => None,
    })
}

/// Returns the value of `key = "..."` in the `#[serde(...)]` attributes.
fn serde_value(attrs: &[Attribute], key: &str) -> syn::Result<Option<String>> {
    let mut found = None;
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
        attr.parse_nested_meta(|meta| {
            if let Ok(value) = meta.value() {
                let value = value.parse::<LitStr>()?.value();
                if meta.path.is_ident(key) {
                    found = Some(value);
                }
            }
            Ok(())
        })?;
    }
    Ok(found)
}

/// Returns the name of a field in JSON.
fn wire_name(field: &Field) -> syn::Result<String> {
    let own = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
    Ok(serde_value(&field.attrs, "rename")?.unwrap_or(own))
}

/// Calls `pass` with each marked field of the generated code.
///
/// # Errors
///
/// Fails when a marked field does not exist, because a mark without an effect would go unnoticed.
fn each_marked_field(
    module: &mut ItemMod,
    marked: &BTreeSet<(String, String)>,
    mut pass: impl FnMut(&mut Field),
) -> Result<(), Error> {
    for (schema, property) in marked {
        let mut found = false;
        for item in structs(module).filter(|item| item.ident == schema) {
            for field in &mut item.fields {
                if wire_name(field)? == *property {
                    pass(field);
                    found = true;
                }
            }
        }
        if !found {
            return Err(Error::Unsupported(format!(
                "`{schema}.{property}` is marked in the contract but is not a field of the generated code"
            )));
        }
    }
    Ok(())
}

/// Documents the variants of `oneOf` enums, which typify leaves without a doc comment.
fn document_variants(module: &mut ItemMod) {
    for item in items(module) {
        let Item::Enum(item) = item else { continue };
        for variant in &mut item.variants {
            if !variant.attrs.iter().any(|attr| attr.path().is_ident("doc")) {
                let doc = format!(" Variant `{}`.", variant.ident);
                variant.attrs.push(parse_quote!(#[doc = #doc]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_on_a_field_that_does_not_exist_is_refused() {
        let mut types = syn::parse_str("mod types { struct S { a: Option<T> } }").unwrap();
        let marked = [("S".to_owned(), "gone".to_owned())].into();
        let error = each_marked_field(&mut types, &marked, |_| {}).unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
    }
}
