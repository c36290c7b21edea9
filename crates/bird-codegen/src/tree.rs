//! What is changed in the Rust code that progenitor generated.

use quote::{ToTokens, format_ident, quote};
use syn::{
    Attribute, Expr, Field, Fields, File, ImplItem, ImplItemFn, Item, ItemEnum, ItemImpl, ItemMod,
    ItemStruct, LitStr, Local, Stmt, parse_quote,
};

use crate::Error;
use crate::spec::Marked;

/// Runs every pass of this module.
pub(crate) fn finish(file: &mut File, marked: &Marked) -> Result<(), Error> {
    for item in &mut file.items {
        match item {
            Item::Mod(module) if module.ident == "types" => {
                lenient_fields(module, marked)?;
                secret_fields(module, marked)?;
                open_enums(module)?;
                variant_docs(module);
                non_exhaustive(module);
            }
            Item::Impl(block) if block.trait_.is_none() => {
                no_default_http_client(block);
                request_functions(block)?;
            }
            _ => {}
        }
    }
    // `Context` decides what happens around a call; see `bird_api::Context`.
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

/// The value of `key = "..."` in the `#[serde(...)]` attributes.
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

fn wire_name(field: &Field) -> syn::Result<String> {
    let own = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
    Ok(serde_value(&field.attrs, "rename")?.unwrap_or(own))
}

/// Finds each marked field in the generated code, and fails on one that is not there: a mark that
/// silently does nothing would be worse than none.
fn each_marked_field(
    module: &mut ItemMod,
    marked: &std::collections::BTreeSet<(String, String)>,
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
                "`{schema}.{property}` is marked in the contract but is no field of the generated code"
            )));
        }
    }
    Ok(())
}

/// `x-lenient`: a value of another shape decodes as absent.
fn lenient_fields(module: &mut ItemMod, marked: &Marked) -> Result<(), Error> {
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

/// `x-secret`: never shown by `Debug`.
fn secret_fields(module: &mut ItemMod, marked: &Marked) -> Result<(), Error> {
    let mut secret = Vec::new();
    each_marked_field(module, &marked.secret, |field| secret.extend(field.ident.clone()))?;
    let names: std::collections::BTreeSet<&String> =
        marked.secret.iter().map(|(schema, _)| schema).collect();
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
            /// Shows every field but the secret ones.
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

/// Replaces every closed string enum by one that keeps unknown values.
fn open_enums(module: &mut ItemMod) -> Result<(), Error> {
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
            return Err(Error::Unsupported(format!(
                "the enum `{name}` has a value that is called `Unknown` in Rust, where unknown values go"
            )));
        }
        let wire = serde_value(&variant.attrs, "rename")?.unwrap_or(variant.ident.to_string());
        variant_docs.push(format!(" `{wire}`"));
        wires.push(wire);
        idents.push(&variant.ident);
    }
    let file: File = syn::parse2(quote! {
        #(#docs)*
        ///
        /// Open: a value that this version does not know decodes as `Unknown`, which keeps its text.
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum #name {
            #(#[doc = #variant_docs] #idents,)*
            /// A value that this version does not know.
            Unknown(::std::string::String),
        }
        impl #name {
            /// The value as it goes over the wire.
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

/// typify leaves the variants of `oneOf` undocumented.
fn variant_docs(module: &mut ItemMod) {
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

/// New fields and variants must not be a breaking change of the crate. A struct that cannot be had
/// from `Default` gets a `new` with its required fields instead of its literal.
fn non_exhaustive(module: &mut ItemMod) {
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

fn constructor(item: &ItemStruct) -> Option<Item> {
    let optional = |field: &&Field| {
        let syn::Type::Path(path) = &field.ty else { return false };
        path.path.segments.last().is_some_and(|segment| segment.ident == "Option")
    };
    let required: Vec<&Field> = item.fields.iter().filter(|field| !optional(field)).collect();
    if required.is_empty() {
        return None;
    }
    let name = &item.ident;
    let params = required.iter().map(|field| {
        let (ident, ty) = (&field.ident, &field.ty);
        quote!(#ident: #ty)
    });
    let values = required.iter().map(|field| &field.ident);
    let absent = item.fields.iter().filter(optional).map(|field| &field.ident);
    Some(parse_quote! {
        impl #name {
            /// With the required fields; the optional ones are absent.
            #[must_use]
            pub fn new(#(#params),*) -> Self {
                Self { #(#values,)* #(#absent: ::std::option::Option::None,)* }
            }
        }
    })
}

/// Drops `Client::new`: its HTTP client follows redirects with the access key, reads bodies without
/// a limit, and panics where TLS cannot be set up. `new_with_client` takes one that does not.
fn no_default_http_client(block: &mut ItemImpl) {
    block.items.retain(|item| !matches!(item, ImplItem::Fn(item) if item.sig.ident == "new"));
}

/// Splits each operation `op` in two: `op_request` makes the request, `op` sends it and decodes the
/// answer. Who needs more of an answer than its decoded body (its status, its headers, its bytes when
/// they do not decode) sends the request himself.
///
/// On the way the `api-version` header goes: progenitor sends `info.version` in it on every call, and
/// Bird's API does not know it.
fn request_functions(block: &mut ItemImpl) -> Result<(), Error> {
    let mut split = Vec::new();
    for item in std::mem::take(&mut block.items) {
        match item {
            ImplItem::Fn(operation) if operation.sig.asyncness.is_some() => {
                let (request, operation) = split_operation(operation)?;
                split.push(ImplItem::Fn(request));
                split.push(ImplItem::Fn(operation));
            }
            other => split.push(other),
        }
    }
    block.items = split;
    Ok(())
}

fn split_operation(mut operation: ImplItemFn) -> Result<(ImplItemFn, ImplItemFn), Error> {
    let name = operation.sig.ident.clone();
    let unsupported =
        |what: &str| Error::Unsupported(format!("the generated operation `{name}` {what}"));

    let mut before = std::mem::take(&mut operation.block.stmts);
    let at = before
        .iter()
        .position(|stmt| local_name(stmt).is_some_and(|ident| ident == "request"))
        .ok_or_else(|| unsupported("builds no `request`"))?;
    let after = before.split_off(at + 1);
    let Some(Stmt::Local(Local { init: Some(init), .. })) = before.pop() else {
        return Err(unsupported("builds no `request`"));
    };
    let Expr::Try(build) = *init.expr else {
        return Err(unsupported("does not end its request with `build()?`"));
    };

    let headers = before.iter().filter(|stmt| mentions(stmt, "header_map")).count();
    if headers != 2 {
        return Err(unsupported("has header parameters, which are not supported"));
    }
    before.retain(|stmt| !mentions(stmt, "header_map"));
    let build = without_call(*build.expr, "headers");

    let request_name = format_ident!("{name}_request");
    let mut request = operation.clone();
    request.sig.asyncness = None;
    request.sig.ident = request_name.clone();
    request.sig.output = parse_quote!(-> ::reqwest::Result<::reqwest::Request>);
    let doc = format!(
        " The request of [`Client::{name}`], not sent yet and without what [`crate::Context`] adds."
    );
    let errors = " When the base URL is not a URL or a body cannot be serialized.";
    request.attrs = parse_quote! {
        #[doc = #doc]
        ///
        /// # Errors
        ///
        #[doc = #errors]
    };
    request.block.stmts = before;
    request.block.stmts.push(Stmt::Expr(build, None));

    let args = operation.sig.inputs.iter().filter_map(|arg| match arg {
        syn::FnArg::Typed(arg) => Some(&arg.pat),
        syn::FnArg::Receiver(_) => None,
    });
    operation.block.stmts = vec![parse_quote! {
        let mut request = self.#request_name(#(#args),*)?;
    }];
    operation.block.stmts.extend(after);
    let errors: [Attribute; 4] = [
        parse_quote!(#[doc = ""]),
        parse_quote!(#[doc = " # Errors"]),
        parse_quote!(#[doc = ""]),
        parse_quote!(#[doc = " See [`Error`]; an answer other than 2xx is [`Error::UnexpectedResponse`]."]),
    ];
    operation.attrs.extend(errors);
    Ok((request, operation))
}

fn local_name(stmt: &Stmt) -> Option<&syn::Ident> {
    match stmt {
        Stmt::Local(Local { pat: syn::Pat::Ident(pat), .. }) => Some(&pat.ident),
        _ => None,
    }
}

fn mentions(stmt: &Stmt, name: &str) -> bool {
    fn any(tokens: impl IntoIterator<Item = proc_macro2::TokenTree>, name: &str) -> bool {
        tokens.into_iter().any(|token| match token {
            proc_macro2::TokenTree::Ident(ident) => ident == name,
            proc_macro2::TokenTree::Group(group) => any(group.stream(), name),
            _ => false,
        })
    }
    any(stmt.to_token_stream(), name)
}

/// A chain of method calls without the call of `method`.
fn without_call(expr: Expr, method: &str) -> Expr {
    match expr {
        Expr::MethodCall(call) if call.method == method => *call.receiver,
        Expr::MethodCall(mut call) => {
            call.receiver = Box::new(without_call(*call.receiver, method));
            Expr::MethodCall(call)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The small contract as generated, without white space so that formatting does not matter.
    fn generated() -> String {
        squeeze(&crate::generate(include_str!("../tests/small.yaml")).unwrap())
    }

    fn squeeze(code: &str) -> String {
        code.split_whitespace().collect()
    }

    fn module(code: &str) -> ItemMod {
        syn::parse_str(&format!("mod types {{ {code} }}")).unwrap()
    }

    fn printed(module: &ItemMod) -> String {
        squeeze(&module.to_token_stream().to_string())
    }

    fn marked(field: &str) -> std::collections::BTreeSet<(String, String)> {
        [("S".to_owned(), field.to_owned())].into()
    }

    #[test]
    fn a_closed_enum_becomes_open_and_loses_its_old_impls() {
        let mut types = module(
            "pub enum E { #[serde(rename = \"dark-blue\")] DarkBlue, Red } impl Copy for E {}",
        );
        open_enums(&mut types).unwrap();
        let code = printed(&types);
        assert!(code.contains("Unknown(::std::string::String)"), "{code}");
        assert!(code.contains("Self::DarkBlue=>\"dark-blue\""), "{code}");
        assert!(code.contains("Self::Red=>\"Red\""), "{code}");
        assert!(!code.contains("implCopy"), "{code}");
    }

    #[test]
    fn an_enum_with_data_stays_as_it_is() {
        let mut types = module("pub enum E { A(String), B(u8) }");
        let before = printed(&types);
        open_enums(&mut types).unwrap();
        assert_eq!(printed(&types), before);
    }

    #[test]
    fn an_enum_value_called_unknown_is_refused() {
        let error = open_enums(&mut module("pub enum E { Unknown }")).unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
    }

    #[test]
    fn a_lenient_field_decodes_through_the_helper() {
        let mut types =
            module("struct S { #[serde(rename = \"aB\")] a_b: Option<T>, c: Option<T> }");
        let marks = Marked { lenient: marked("aB"), ..Marked::default() };
        lenient_fields(&mut types, &marks).unwrap();
        let code = printed(&types);
        assert!(
            code.contains(
                "#[serde(default,deserialize_with=\"lenient\")]a_b:Option<T>,c:Option<T>"
            ),
            "{code}"
        );
        assert_eq!(code.matches("fnlenient").count(), 1);
    }

    #[test]
    fn a_secret_field_is_left_out_of_debug() {
        let mut types = module("#[derive(Clone, Debug)] struct S { a: Option<T>, b: u8 }");
        let marks = Marked { secret: marked("a"), ..Marked::default() };
        secret_fields(&mut types, &marks).unwrap();
        let code = printed(&types);
        assert!(code.contains("#[derive(Clone)]"), "{code}");
        assert!(code.contains(".field(\"a\",&self.a.as_ref().map(|_|\"[redacted]\"))"), "{code}");
        assert!(code.contains(".field(\"b\",&self.b)"), "{code}");
    }

    #[test]
    fn a_mark_on_a_field_that_does_not_exist_is_refused() {
        let marks = Marked { secret: marked("gone"), ..Marked::default() };
        assert!(secret_fields(&mut module("struct S { a: Option<T> }"), &marks).is_err());
    }

    #[test]
    fn structs_are_non_exhaustive_and_those_with_required_fields_get_a_constructor() {
        let mut types =
            module("pub struct S { a: u8, b: Option<u8> } pub struct T { c: Option<u8> }");
        non_exhaustive(&mut types);
        let code = printed(&types);
        assert_eq!(code.matches("#[non_exhaustive]").count(), 2);
        assert!(code.contains("implS{") && !code.contains("implT{"), "{code}");
        assert!(
            code.contains("pubfnnew(a:u8)->Self{Self{a,b:::std::option::Option::None,}}"),
            "{code}"
        );
    }

    #[test]
    fn each_operation_is_split_into_its_request_and_its_call() {
        let code = generated();
        assert!(code.contains("pubfnget_thing_request<'a>("), "{code}");
        assert!(code.contains("letmutrequest=self.get_thing_request(id)?;"), "{code}");
        assert!(code.contains("letmutrequest=self.create_thing_request(body)?;"), "{code}");
    }

    #[test]
    fn no_api_version_header_is_sent() {
        assert!(!generated().contains("\"api-version\""));
    }

    #[test]
    fn there_is_no_client_with_a_default_http_client() {
        let code = generated();
        assert!(code.contains("pubfnnew_with_client("));
        assert!(!code.contains("pubfnnew(baseurl"), "{code}");
    }

    #[test]
    fn variants_of_one_of_are_documented() {
        let mut types = module("pub enum E { A(u8), #[doc = \"b\"] B(u8) }");
        variant_docs(&mut types);
        assert!(printed(&types).contains("Variant`A`."));
        assert!(!printed(&types).contains("Variant`B`."));
    }
}
