//! Compares the public items of two generated clients.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Field, FnArg, ImplItem, ImplItemFn, Item, ItemImpl, Path, Token, Variant, Visibility,
};

/// Public items and their types. A key is a list of the parts of a name, such as `types::Connector` and `.region`.
type Items = BTreeMap<Vec<String>, String>;

/// A change in the generated Rust.
pub(super) struct Change {
    pub(super) breaks: bool,
    pub(super) text: String,
    /// The names of the item and its containers, normalized by [`id`].
    pub(super) ids: Vec<String>,
    /// Whether a change in the contract explains it.
    pub(super) is_explained: bool,
}

/// Returns the public items that differ between two clients.
pub(super) fn compare(old: &str, new: &str) -> anyhow::Result<Vec<Change>> {
    let old = items(old)?;
    let new = items(new)?;
    let mut changes = Vec::new();
    for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let name = key.concat();
        let container = &key[..key.len() - 1];
        let (breaks, text) = match (old.get(key), new.get(key)) {
            // A new or removed container is reported once, without its members.
            _ if old.contains_key(container) != new.contains_key(container) => continue,
            (Some(old), Some(new)) if old == new => continue,
            (Some(old), Some(new)) => (true, format!("`{name}` was `{old}` and is `{new}`")),
            (Some(_), None) => (true, format!("`{name}` is gone")),
            (None, _) if name.ends_with(')') => (true, format!("`{name}` is a new argument")),
            (None, _) => (false, format!("`{name}` is new")),
        };
        let ids = (1..=key.len()).rev().map(|parts| id(&key[..parts].concat())).collect();
        changes.push(Change { breaks, text, ids, is_explained: false });
    }
    Ok(changes)
}

/// Normalizes a name by dropping scopes, case and punctuation, because they differ between Rust and JSON.
pub(super) fn id(name: &str) -> String {
    let noise = ["types::", "Client::", "::new(", "_request"];
    let name = noise.iter().fold(name.to_owned(), |name, noise| name.replace(noise, ""));
    name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

fn items(client: &str) -> anyhow::Result<Items> {
    let mut items = Items::new();
    add_items(&syn::parse_file(client)?.items, "", &mut items);
    Ok(items)
}

fn add_items(list: &[Item], scope: &str, items: &mut Items) {
    for item in list {
        match item {
            Item::Mod(item) => item.content.iter().for_each(|(_, list)| {
                add_items(list, &format!("{scope}{}::", item.ident), items);
            }),
            Item::Struct(item) => {
                let fields = item.fields.iter();
                let fields = fields.filter(|field| matches!(field.vis, Visibility::Public(_)));
                let field = |field: &Field| (format!(".{}", short(&field.ident)), short(&field.ty));
                let name = format!("{scope}{}", item.ident);
                add_type(&name, "struct", &item.attrs, fields.map(field), items);
            }
            Item::Enum(item) => {
                let variant = |it: &Variant| (format!("::{}", it.ident), short(&it.fields));
                let name = format!("{scope}{}", item.ident);
                add_type(&name, "enum", &item.attrs, item.variants.iter().map(variant), items);
            }
            // `impl From<Label> for ::std::string::String` changes only if `Label` does.
            Item::Impl(block) if !block.self_ty.to_token_stream().to_string().contains("::") => {
                add_impl(&format!("{scope}{}", short(&block.self_ty)), block, items);
            }
            _ => {}
        }
    }
}

fn add_type(
    name: &str,
    kind: &str,
    attrs: &[Attribute],
    members: impl Iterator<Item = (String, String)>,
    items: &mut Items,
) {
    let derives = attrs.iter().filter(|attr| attr.path().is_ident("derive"));
    let traits = derives.flat_map(|attr| {
        attr.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).unwrap_or_default()
    });
    let members = members.chain(traits.map(|path| (trait_name(&path), String::new())));
    items.extend(members.map(|(member, ty)| (vec![name.to_owned(), member], ty)));
    items.insert(vec![name.to_owned()], kind.to_owned());
}

fn add_impl(name: &str, block: &ItemImpl, items: &mut Items) {
    if let Some((path, _)) = &block.trait_ {
        items.insert(vec![name.to_owned(), trait_name(path)], String::new());
    }
    // A secret that `Debug` no longer redacts counts as a removed item.
    for nth in 1..=short(block).matches("[redacted]").count() {
        let member = format!(": Debug with {nth} or more secrets redacted");
        items.insert(vec![name.to_owned(), member], String::new());
    }
    for item in &block.items {
        let ImplItem::Fn(ImplItemFn { vis: Visibility::Public(_), sig, .. }) = item else {
            continue;
        };
        let key = vec![name.to_owned(), format!("::{}", sig.ident)];
        let part = |part| key.iter().cloned().chain([part]).collect();
        for arg in &sig.inputs {
            if let FnArg::Typed(arg) = arg {
                items.insert(part(format!("({})", short(&arg.pat))), short(&arg.ty));
            }
        }
        items.insert(part(" response".to_owned()), short(&sig.output).replace("->", ""));
        items.insert(key, "fn".to_owned());
    }
}

/// Returns the name of a trait, which is the same for a derived and a hand-written implementation.
fn trait_name(path: &Path) -> String {
    format!(": {}", short(path.segments.last())).replace("<'de>", "")
}

/// Formats Rust code without unnecessary spaces and `::std` paths.
fn short(tokens: impl ToTokens) -> String {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut text = String::new();
    for word in tokens.to_token_stream().to_string().split(' ') {
        let both = is_word(text.chars().last()) && is_word(word.chars().next());
        text += if both { " " } else { "" };
        text += word;
    }
    ["option", "string", "vec", "collections", "num"]
        .iter()
        .fold(text.replace(",>", ">"), |text, std| text.replace(&format!("::std::{std}::"), ""))
}
