//! Marks types as `#[non_exhaustive]`, so new fields and variants do not break users of `bird-api`. The attribute
//! forbids struct literals, so structs get constructors.

use quote::quote;
use syn::{Field, Fields, Item, ItemMod, ItemStruct, parse_quote};

use super::{is_optional, items};

/// Marks every struct and enum as `#[non_exhaustive]`, and adds a `new` to each struct with required fields.
pub(super) fn mark_and_add_constructors(module: &mut ItemMod) {
    let mut constructors: Vec<Item> = Vec::new();
    for item in items(module) {
        match item {
            Item::Struct(item) if matches!(item.fields, Fields::Named(_)) => {
                item.attrs.push(parse_quote!(#[non_exhaustive]));
                constructors.extend(constructor(item));
            }
            Item::Enum(item) => item.attrs.push(parse_quote!(#[non_exhaustive])),
            _ => {}
        }
    }
    items(module).extend(constructors);
}

/// Returns the constructor of a struct, or `None` if `Default` suffices.
fn constructor(item: &ItemStruct) -> Option<Item> {
    let optional = |field: &&Field| is_optional(field);
    let required: Vec<&Field> = item.fields.iter().filter(|field| !optional(field)).collect();
    if required.is_empty() {
        return None;
    }
    let name = &item.ident;
    let params = required.iter().map(|field| {
        let ident = &field.ident;
        let ty = &field.ty;
        quote!(#ident: #ty)
    });
    let values = required.iter().map(|field| &field.ident);
    let absent = item.fields.iter().filter(optional).map(|field| &field.ident);
    Some(parse_quote! {
        impl #name {
            /// Creates a value from its required fields. The optional fields are `None`.
            #[must_use]
            pub fn new(#(#params),*) -> Self {
                Self { #(#values,)* #(#absent: ::std::option::Option::None,)* }
            }
        }
    })
}
