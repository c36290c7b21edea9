//! Compares two contracts. The generated Rust is compared first; rules judge the changes that it does not show.
//!
//! A change that matches no rule and breaks no Rust is unknown, and counts as breaking.

use serde::Deserialize;

use super::Compatibility::{Breaking, Compatible, Unknown};
use super::tree::{PROSE, Tree, has};
use super::{Change, Compatibility, rust};
use crate::openapi::{self, parse};

pub(super) const SAME: &str = "the generated client is the same, byte for byte";
const RUST: &str = "code written for the old client breaks";
const PROSE_ONLY: &str = "documentation does not change what a program does";
const NO_RULE: &str = "no rule covers it, and the Rust does not show what breaks";
const ADDITION: &str = "it only adds to the generated client";

/// A rule of `rules.yaml`, which documents the fields.
#[derive(Deserialize)]
pub(super) struct Rule {
    at: String,
    is: Option<String>,
    r#in: Option<String>,
    class: Compatibility,
    pub(super) because: String,
}

impl Rule {
    pub(super) fn all() -> anyhow::Result<Vec<Self>> {
        Ok(yaml_serde::from_str(include_str!("rules.yaml"))?)
    }

    fn applies(&self, path: &str, kind: &str, side: &str) -> bool {
        let is = |words: &Option<String>, word| words.as_ref().is_none_or(|words| has(words, word));
        let names = path.split('/').map(|part| if part.starts_with(':') { ":" } else { part });
        let path = names.collect::<Vec<_>>().join("/") + "/";
        let is_at = |at: &str| match at.strip_suffix("/**") {
            Some(above) => path.contains(&format!("/{above}/")),
            None => path.ends_with(&format!("/{at}/")),
        };
        is(&self.is, kind) && is(&self.r#in, side) && self.at.split(' ').any(is_at)
    }
}

/// The client of a contract, or the error if it cannot be generated.
pub(super) type Generated = Result<String, bird_codegen::Error>;

/// Returns the changes between two contracts, worst first, and the new client if it differs from the old one.
///
/// # Errors
///
/// Fails if no client can be generated from the new contract.
pub(super) fn compare(
    contract: &str,
    (old_text, old_client): (&str, &Generated),
    new_text: &str,
) -> anyhow::Result<(Vec<Change>, Option<String>)> {
    let client = openapi::generate(contract, new_text)?;
    let is_same = old_client.as_ref().is_ok_and(|old| *old == client);
    let old = Tree::new(old_text)?;
    let new = Tree::new(new_text)?;
    let rules = Rule::all()?;
    let parts = |path: &str| old.get(path).into_iter().chain(new.get(path));
    let change = |compatibility, path: &str, what, because: &str, rust| Change {
        compatibility,
        at: format!("#{}", parts(path).last().map_or("", |part| &part.pointer)),
        what,
        because: because.to_owned(),
        seen_in: parts(path).flat_map(|part| part.users.clone()).collect(),
        rust,
    };
    let mut changes = Vec::new();
    let mut rust = match old_client {
        Ok(old) => rust::compare(old, &client)?,
        Err(error) => {
            let what = format!("no client can be generated from the old contract: {error}");
            changes.push(change(Unknown, "", what, "what breaks in Rust is unknown", Vec::new()));
            Vec::new()
        }
    };
    for path in old.differing(&new) {
        let (kind, what) = kind(path, &old, &new);
        let users: Vec<_> = parts(path).flat_map(|part| &part.users).collect();
        let sides = ["request", "response"]
            .into_iter()
            .filter(|side| users.is_empty() || users.iter().any(|user| user.ends_with(side)));
        let verdicts = sides.map(|side| {
            let rule = rules.iter().find(|rule| rule.applies(path, kind, side));
            rule.map_or((Unknown, NO_RULE), |rule| (rule.class, rule.because.as_str()))
        });
        let worst = verdicts.max_by_key(|(class, _)| *class).filter(|_| kind != "prose");
        let (mut class, mut because) = worst.unwrap_or((Compatible, PROSE_ONLY));
        if is_same {
            (class, because) = (Compatible, SAME);
        }
        let names = [old.item(path), new.item(path)];
        let mut texts = Vec::new();
        let is_named = |item: &&mut rust::Change| names.contains(&item.ids[0]);
        for item in rust.iter_mut().filter(is_named).filter(|_| kind != "prose") {
            item.is_explained = true;
            texts.push(item.text.clone());
            if item.breaks && class < Breaking {
                (class, because) = (Breaking, RUST);
            }
        }
        changes.push(change(class, path, what, because, texts));
    }
    for item in rust.into_iter().filter(|item| !item.is_explained) {
        let path = item.ids.iter().find_map(|id| new.path(id).or(old.path(id)));
        let (class, because) = if item.breaks { (Breaking, RUST) } else { (Compatible, ADDITION) };
        changes.push(change(class, path.unwrap_or_default(), item.text, because, Vec::new()));
    }
    if changes.is_empty() && parse(old_text)? != parse(new_text)? {
        let what = "parts are in another order or place".to_owned();
        let because =
            if is_same { SAME } else { "nothing that an operation uses changes its meaning" };
        changes.push(change(Compatible, "", what, because, Vec::new()));
    }
    changes
        .sort_by(|a, b| (b.compatibility, &a.at, &a.what).cmp(&(a.compatibility, &b.at, &b.what)));
    // Report a part once, even if several operations share it.
    changes.dedup_by(|next, change| {
        let is_same = (&next.at, &next.what) == (&change.at, &change.what);
        if is_same {
            change.seen_in.append(&mut next.seen_in);
            change.rust.append(&mut next.rust);
        }
        is_same
    });
    Ok((changes, Some(client).filter(|_| !is_same)))
}

/// Returns the kind of a change, as in `rules.yaml`, and its description.
fn kind(path: &str, old: &Tree, new: &Tree) -> (&'static str, String) {
    let (above, last) = path.rsplit_once('/').unwrap_or_default();
    let (_, parent) = above.rsplit_once('/').unwrap_or_default();
    let name = match last.trim_start_matches(':') {
        name if name != last && parent == "properties" => name.to_owned(),
        name => format!("{}/{name}", parent.trim_start_matches(':')),
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    let value = |tree: &Tree| tree.get(path).map(|part| part.value.clone());
    match (value(old), value(new)) {
        _ if has(PROSE, last) => ("prose", format!("`{name}` changes")),
        (Some(old), Some(new)) => {
            let kind = match (old.as_f64(), new.as_f64()) {
                (Some(old), Some(new)) if old < new => "raised",
                (Some(_), Some(_)) => "lowered",
                _ => "changed",
            };
            (kind, format!("`{name}` was {old} and is {new}"))
        }
        (None, _) => {
            let schema = above.strip_suffix("/properties").unwrap_or_default();
            let is_closed = old.get(&format!("{schema}/closed")).is_some();
            (if is_closed { "new-in-closed" } else { "new" }, format!("`{name}` is new"))
        }
        _ => ("gone", format!("`{name}` is gone")),
    }
}
