//! Passes over the Rust code that progenitor generated.

mod lenient;
mod non_exhaustive;
mod open_enum;
mod operation;
mod secret;

use std::collections::BTreeSet;

use serde_json::Value;
use syn::{
    Attribute, Expr, ExprLit, Field, File, ImplItem, Item, ItemImpl, ItemMod, Lit, LitStr, Meta,
    parse_quote,
};

use crate::Error;
use crate::contract::MARK;

/// Runs every pass.
pub(crate) fn run(
    file: &mut File,
    contract: &Value,
    marks: &BTreeSet<String>,
) -> Result<(), Error> {
    for item in &mut file.items {
        match item {
            Item::Mod(module) if module.ident == "types" => {
                obey_marks(module, marks)?;
                open_enum::open_string_enums(module)?;
                document_variants(module);
                non_exhaustive::mark_and_add_constructors(module);
            }
            Item::Impl(block) if block.trait_.is_none() => {
                operation::replace_default_constructor(block, contract);
                operation::split_operations(block)?;
            }
            _ => {}
        }
    }
    // bird-api implements `ClientHooks` itself.
    file.items.retain(|item| !is_empty_hooks(item));
    Ok(())
}

/// Removes the client and its constructors, and makes the operations methods of `crate::Client`.
pub(crate) fn use_client_of_crate(file: &mut File) {
    file.items.retain(|item| match item {
        Item::Struct(item) => item.ident != "Client",
        Item::Impl(block) => block.trait_.is_none() && !is_constructor(block),
        Item::Mod(module) => module.ident == "types",
        Item::Use(item) => !matches!(item.vis, syn::Visibility::Public(_)),
        _ => true,
    });
    file.items.insert(
        0,
        parse_quote!(
            use crate::{Client, Error, ResponseValue};
        ),
    );
}

/// Returns whether a block contains the constructors of the client.
fn is_constructor(block: &ItemImpl) -> bool {
    let is_constructor =
        |item: &ImplItem| matches!(item, ImplItem::Fn(item) if item.sig.ident == "new_with_client");
    block.items.iter().any(is_constructor)
}

/// Applies the marks in the doc comments of fields.
///
/// # Errors
///
/// Fails if a mark is not on a field of a struct, if a required field is marked as lenient, or if two types or fields
/// have the same Rust name.
fn obey_marks(module: &mut ItemMod, marks: &BTreeSet<String>) -> Result<(), Error> {
    let mut found = BTreeSet::new();
    let mut debugs = Vec::new();
    let mut names = BTreeSet::new();
    let mut use_name = |name: String| {
        let problem = format!("two types or fields have the Rust name `{name}`");
        if names.insert(name) { Ok(()) } else { Err(Error::at("", problem)) }
    };
    for item in items(module) {
        match item {
            Item::Struct(item) => {
                take_marks(&mut item.attrs);
                use_name(item.ident.to_string())?;
                let mut secret = Vec::new();
                for field in &mut item.fields {
                    if let Some(field) = &field.ident {
                        use_name(format!("{}.{field}", item.ident))?;
                    }
                    for mark in take_marks(&mut field.attrs) {
                        match mark.split_once(' ') {
                            Some(("x-secret", _)) => secret.extend(field.ident.clone()),
                            Some((_, _)) if is_optional(field) => {
                                lenient::decode_other_shapes_as_absent(field);
                            }
                            other => {
                                let pointer = other.unwrap_or_default().1;
                                let problem = "a required field cannot be lenient, because it cannot be absent";
                                return Err(Error::at(pointer, problem.to_owned()));
                            }
                        }
                        found.insert(mark);
                    }
                }
                if !secret.is_empty() {
                    debugs.push(secret::redact_in_debug(item, &secret)?);
                }
            }
            Item::Enum(item) => {
                take_marks(&mut item.attrs);
                use_name(item.ident.to_string())?;
            }
            _ => {}
        }
    }
    if let Some((name, pointer)) = marks.difference(&found).find_map(|mark| mark.split_once(' ')) {
        let problem = format!("`{name}` has no effect, because no struct has this field");
        return Err(Error::at(pointer, problem));
    }
    if found.iter().any(|mark| mark.starts_with("x-lenient")) {
        lenient::add_function(module);
    }
    items(module).extend(debugs);
    Ok(())
}

/// Removes the marks from doc comments, and returns them.
fn take_marks(attrs: &mut Vec<Attribute>) -> Vec<String> {
    let mut marks = Vec::new();
    attrs.retain_mut(|attr| {
        let Meta::NameValue(doc) = &mut attr.meta else { return true };
        let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &mut doc.value else { return true };
        let mut rest = text.value();
        let is_marked = rest.contains(MARK.0);
        while let Some((before, (mark, after))) = rest
            .split_once(MARK.0)
            .and_then(|(before, rest)| Some((before, rest.split_once(MARK.1)?)))
        {
            marks.push(mark.to_owned());
            rest = format!("{before}{after}");
        }
        *text = LitStr::new(&rest, text.span());
        !is_marked || !rest.is_empty()
    });
    marks
}

/// Returns whether the type of a field is an `Option`.
fn is_optional(field: &Field) -> bool {
    let syn::Type::Path(path) = &field.ty else { return false };
    path.path.segments.last().is_some_and(|segment| segment.ident == "Option")
}

fn is_empty_hooks(item: &Item) -> bool {
    let Item::Impl(ItemImpl { trait_: Some((path, _)), .. }) = item else { return false };
    path.segments.last().is_some_and(|segment| segment.ident == "ClientHooks")
}

fn items(module: &mut ItemMod) -> &mut Vec<Item> {
    &mut module.content.get_or_insert_with(Default::default).1
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

/// Documents the variants of `oneOf` enums, which typify leaves undocumented.
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
