//! Fields marked `x-lenient`, whose values may have another type than in the contract.

use syn::{Field, ItemMod, parse_quote};

use super::items;

/// Makes a field decode as absent if its value does not match its type.
pub(super) fn decode_other_shapes_as_absent(field: &mut Field) {
    field.attrs.push(parse_quote!(#[serde(default, deserialize_with = "lenient")]));
}

/// Adds the function `lenient`, which decodes these fields.
pub(super) fn add_function(module: &mut ItemMod) {
    items(module).push(parse_quote! {
        /// Decodes a value of another type as absent.
        fn lenient<'de, D, T>(
            deserializer: D,
        ) -> ::std::result::Result<::std::option::Option<T>, D::Error>
        where
            D: ::serde::Deserializer<'de>,
            T: ::serde::Deserialize<'de>,
        {
            #[derive(::serde::Deserialize)]
            #[serde(untagged)]
            enum Lenient<T> {
                Fits(::std::option::Option<T>),
                Differs(::serde::de::IgnoredAny),
            }
            ::std::result::Result::Ok(
                match <Lenient<T> as ::serde::Deserialize>::deserialize(deserializer)? {
                    Lenient::Fits(value) => value,
                    Lenient::Differs(_) => ::std::option::Option::None,
                },
            )
        }
    });
}
