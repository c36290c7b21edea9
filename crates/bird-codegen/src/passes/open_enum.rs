//! Makes enums open: a value that the contract does not list decodes as `Unknown`, which holds the value.

use quote::{format_ident, quote};
use syn::{Fields, File, Item, ItemEnum, ItemImpl, ItemMod};

use super::{items, serde_value};
use crate::Error;
use crate::text::text;

/// Replaces every string enum with an open one.
pub(super) fn open_string_enums(module: &mut ItemMod) -> Result<(), Error> {
    let items = items(module);
    let closed: Vec<ItemEnum> = items
        .iter()
        .filter_map(|item| match item {
            Item::Enum(item) if item.variants.iter().all(|v| matches!(v.fields, Fields::Unit)) => {
                Some(item.clone())
            }
            _ => None,
        })
        .collect();
    for item in closed {
        items.retain(|other| match other {
            Item::Enum(other) => other.ident != item.ident,
            Item::Impl(ItemImpl { self_ty, .. }) => {
                !matches!(&**self_ty, syn::Type::Path(path) if path.path.is_ident(&item.ident))
            }
            _ => true,
        });
        items.extend(open_enum(&item)?);
    }
    Ok(())
}

fn open_enum(item: &ItemEnum) -> Result<Vec<Item>, Error> {
    let name = &item.ident;
    let docs = item.attrs.iter().filter(|attr| attr.path().is_ident("doc"));
    let mut idents = Vec::new();
    let mut wires = Vec::new();
    let mut variant_docs = Vec::new();
    for variant in &item.variants {
        if variant.ident == "Unknown" {
            let problem = format!(
                "the enum `{name}` has a value with the Rust name `Unknown`, which is reserved for unknown values"
            );
            return Err(Error::at("", problem));
        }
        let wire = serde_value(&variant.attrs, "rename")?.unwrap_or(variant.ident.to_string());
        variant_docs.push(format!(" {}", text(&format!("`{wire}`"))));
        wires.push(wire);
        // typify names the values `+1` and `-1` `plus1` and `minus1`, but a variant must start with a capital letter.
        let name = variant.ident.to_string();
        let (first, rest) = name.split_at(name.chars().next().map_or(0, char::len_utf8));
        idents.push(format_ident!("{}{rest}", first.to_uppercase()));
    }
    // For a schema that is only a reference, typify generates a newtype that calls `from_str` of the enum.
    let file: File = syn::parse2(quote! {
        #(#docs)*
        ///
        /// Open: an unknown value decodes as `Unknown`, which keeps the value.
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum #name {
            #(#[doc = #variant_docs] #idents,)*
            /// A value that this version does not define.
            Unknown(::std::string::String),
        }
        impl #name {
            /// Returns the value as it is written in JSON.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    #(Self::#idents => #wires,)*
                    Self::Unknown(value) => value,
                }
            }
        }
        impl ::std::convert::From<&str> for #name {
            fn from(value: &str) -> Self {
                match value {
                    #(#wires => Self::#idents,)*
                    other => Self::Unknown(other.to_owned()),
                }
            }
        }
        /// Never fails.
        impl ::std::str::FromStr for #name {
            type Err = ::std::convert::Infallible;
            fn from_str(value: &str) -> ::std::result::Result<Self, Self::Err> {
                ::std::result::Result::Ok(Self::from(value))
            }
        }
        impl ::std::fmt::Display for #name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl ::serde::Serialize for #name {
            fn serialize<S: ::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl<'de> ::serde::Deserialize<'de> for #name {
            fn deserialize<D: ::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                let value = <::std::borrow::Cow<'de, str> as ::serde::Deserialize>::deserialize(
                    deserializer,
                )?;
                ::std::result::Result::Ok(Self::from(&*value))
            }
        }
    })?;
    Ok(file.items)
}
