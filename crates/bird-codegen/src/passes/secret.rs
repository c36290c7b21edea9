//! Fields marked `x-secret`, whose values `Debug` must not print.

use quote::quote;
use syn::{Attribute, Ident, Item, ItemStruct, parse_quote};

use super::is_optional;

/// Removes the derived `Debug` of a struct, and returns an implementation that prints secret values as `[redacted]`.
pub(super) fn redact_in_debug(item: &mut ItemStruct, secret: &[Ident]) -> syn::Result<Item> {
    without_derive(&mut item.attrs, "Debug")?;
    let name = &item.ident;
    let text = name.to_string();
    let fields = item.fields.iter().filter_map(|field| {
        let ident = field.ident.as_ref()?;
        let label = ident.to_string();
        Some(match (secret.contains(ident), is_optional(field)) {
            (true, true) => quote!(.field(#label, &self.#ident.as_ref().map(|_| "[redacted]"))),
            (true, false) => quote!(.field(#label, &"[redacted]")),
            (false, _) => quote!(.field(#label, &self.#ident)),
        })
    });
    Ok(parse_quote! {
        /// Redacts the secret fields.
        impl ::std::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(#text)#(#fields)*.finish()
            }
        }
    })
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
