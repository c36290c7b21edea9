//! `x-lenient`: fields whose value may have a shape that the contract does not describe.

use syn::{ItemMod, parse_quote};

use super::{each_marked_field, items};
use crate::Error;
use crate::contract::Marked;

/// Makes the fields that are marked `x-lenient` decode a value of another shape as absent.
pub(super) fn decode_other_shapes_as_absent(
    module: &mut ItemMod,
    marked: &Marked,
) -> Result<(), Error> {
    if marked.lenient.is_empty() {
        return Ok(());
    }
    each_marked_field(module, &marked.lenient, |field| {
        field.attrs.push(parse_quote!(#[serde(default, deserialize_with = "lenient")]));
    })?;
    items(module).push(parse_quote! {
        /// Decodes a value of another shape as absent.
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
    Ok(())
}
