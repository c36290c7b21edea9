//! `x-secret`: fields whose value `Debug` must not print.

use std::collections::BTreeSet;

use quote::quote;
use syn::{Attribute, Item, ItemMod, parse_quote};

use super::{each_marked_field, items, structs};
use crate::Error;
use crate::contract::Marked;

/// Replaces the derived `Debug` of each struct with a field that is marked `x-secret` by one that prints
/// `[redacted]` for that field.
pub(super) fn redact_in_debug(module: &mut ItemMod, marked: &Marked) -> Result<(), Error> {
    let mut secret = Vec::new();
    each_marked_field(module, &marked.secret, |field| secret.extend(field.ident.clone()))?;
    let names: BTreeSet<&String> = marked.secret.iter().map(|(schema, _)| schema).collect();
    let mut impls: Vec<Item> = Vec::new();
    for item in structs(module).filter(|item| names.contains(&item.ident.to_string())) {
        without_derive(&mut item.attrs, "Debug")?;
        let name = &item.ident;
        let text = name.to_string();
        let fields = item.fields.iter().filter_map(|field| field.ident.as_ref()).map(|ident| {
            let label = ident.to_string();
            if secret.contains(ident) {
                quote!(.field(#label, &self.#ident.as_ref().map(|_| "[redacted]")))
            } else {
                quote!(.field(#label, &self.#ident))
            }
        });
        impls.push(parse_quote! {
            /// Redacts the secret fields.
            impl ::std::fmt::Debug for #name {
                fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                    f.debug_struct(#text)#(#fields)*.finish()
                }
            }
        });
    }
    items(module).extend(impls);
    Ok(())
}

fn without_derive(attrs: &mut [Attribute], derive: &str) -> syn::Result<()> {
    for attr in attrs.iter_mut().filter(|attr| attr.path().is_ident("derive")) {
        let mut kept: Vec<syn::Path> = Vec::new();
        attr.parse_nested_meta(|meta| {
            if !meta.path.is_ident(derive) {
                kept.push(meta.path);
            }
            Ok(())
        })?;
        *attr = parse_quote!(#[derive(#(#kept),*)]);
    }
    Ok(())
}
