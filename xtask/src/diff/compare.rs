//! Compares two contracts as lists of leaves: JSON pointers and scalar values.
//!
//! The rules take the side of the client. A field of a response becomes a field of a public Rust struct: a
//! field that disappears, or becomes required, changes Rust types. New enum values, fields and errors break
//! nothing, because enums are open, structs are `non_exhaustive`, and errors are decoded leniently.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Compatibility::{Breaking, Compatible, Unknown};
use super::{Change, Compatibility};
use crate::openapi::escape;

/// Keywords that do not change the generated client.
const IGNORED: &str = "info tags summary description title example examples externalDocs headers x-source \
                       x-connector-template";
/// Keywords whose object has names as keys.
const MAPS: [&str; 5] = ["paths", "properties", "responses", "schemas", "securitySchemes"];

const SIGNATURE: &str = "a Rust type or the arguments of a function change";
const OPTION: &str = "the type of a required field becomes an Option or stops being one";
const ADDITION: &str = "it becomes an addition to the raw client";
const GONE: &str = "its counterpart in Rust is gone";
const LIMIT: &str = "a limit of requests changes";

type Verdict = (Compatibility, &'static str);

/// The requests and responses that contain a part of the contract, by its JSON pointer.
type Users = BTreeMap<String, BTreeSet<String>>;

/// Returns all changes from one contract to another, the worst first.
pub(super) fn compare(old: &Value, new: &Value) -> Vec<Change> {
    let mut users = Users::new();
    add_users(old, &mut users);
    add_users(new, &mut users);
    let (old_tree, new_tree) = (Tree::new(old), Tree::new(new));
    let mut differing = BTreeSet::new();
    for pointer in old_tree.leaves.keys().chain(new_tree.leaves.keys()) {
        if old_tree.leaves.get(pointer) != new_tree.leaves.get(pointer) {
            // When a part is new or gone, so is everything below it.
            let one_sided = |above: &&str| old_tree.has(above) != new_tree.has(above);
            differing.insert(ancestors(pointer).find(one_sided).unwrap_or(pointer));
        }
    }
    let mut changes = Vec::new();
    for pointer in differing {
        let users = ancestors(pointer).filter_map(|above| users.get(above));
        let seen_in = users.flatten().cloned().collect();
        let (compatibility, because) = verdict(pointer, &old_tree, &new_tree, &seen_in);
        let what = describe(pointer, &old_tree, &new_tree);
        changes.push(Change { compatibility, at: format!("#{pointer}"), what, because, seen_in });
    }
    if changes.is_empty() && old != new {
        changes.push(Change {
            compatibility: Compatible,
            at: "#".to_owned(),
            what: "no change affects the client".to_owned(),
            because: "descriptions and examples become documentation",
            seen_in: BTreeSet::new(),
        });
    }
    changes.sort_by_key(|change| std::cmp::Reverse(change.compatibility));
    changes
}

/// A contract as leaves.
struct Tree {
    leaves: BTreeMap<String, Value>,
    /// The pointers of the leaves and of everything above them.
    pointers: BTreeSet<String>,
}

impl Tree {
    fn new(contract: &Value) -> Self {
        let mut tree = Self { leaves: BTreeMap::new(), pointers: BTreeSet::new() };
        tree.add(contract, "", false);
        let pointers = tree.leaves.keys().flat_map(|pointer| ancestors(pointer));
        tree.pointers = pointers.map(str::to_owned).collect();
        tree
    }

    fn add(&mut self, value: &Value, pointer: &str, is_map: bool) {
        let is_alternative = matches!(pointer.rsplit('/').nth(1), Some("oneOf" | "anyOf"));
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    let below = format!("{pointer}/{}", escape(name));
                    match (name.as_str(), value) {
                        _ if is_map => {
                            // A part with nothing but ignored keywords can be new or gone, too.
                            self.leaves.insert(below.clone(), Value::Null);
                            self.add(value, &below, false);
                        }
                        ("required" | "nullable", Value::Bool(false)) => {}
                        ("required", Value::Array(names)) => {
                            for name in names.iter().filter_map(Value::as_str) {
                                let field =
                                    format!("{pointer}/properties/{}/required", escape(name));
                                self.leaves.insert(field, true.into());
                            }
                        }
                        ("enum", Value::Array(values)) => {
                            for value in values {
                                let value = escape(&value.to_string());
                                self.leaves.insert(format!("{below}/{value}"), true.into());
                            }
                        }
                        // The title of an alternative is the name of its variant.
                        ("title", _) if is_alternative => self.add(value, &below, false),
                        (name, _) if IGNORED.split(' ').any(|ignored| ignored == name) => {}
                        (name, _) => self.add(value, &below, MAPS.contains(&name)),
                    }
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    self.add(item, &format!("{pointer}/{index}"), false);
                }
            }
            _ => {
                self.leaves.insert(pointer.to_owned(), value.clone());
            }
        }
    }

    fn has(&self, pointer: &str) -> bool {
        self.pointers.contains(pointer)
    }

    /// Whether the schema at `pointer` has a keyword with the value true.
    fn is(&self, pointer: &str, keyword: &str) -> bool {
        self.leaves.get(&format!("{pointer}/{keyword}")).is_some_and(|value| value == true)
    }
}

/// Returns a pointer and everything above it, the shortest first.
fn ancestors(pointer: &str) -> impl Iterator<Item = &str> {
    let ends = pointer.match_indices('/').map(|(index, _)| index).chain([pointer.len()]);
    ends.map(|end| &pointer[..end])
}

fn add_users(contract: &Value, users: &mut Users) {
    let paths = contract["paths"].as_object().into_iter().flatten();
    for (path, item) in paths {
        let at = format!("/paths/{}", escape(path));
        for (method, operation) in item.as_object().into_iter().flatten() {
            let Some(id) = operation["operationId"].as_str() else { continue };
            let request = format!("{id} request");
            add_user(contract, &format!("{at}/parameters"), &request, users);
            add_user(contract, &format!("{at}/{method}/parameters"), &request, users);
            add_user(contract, &format!("{at}/{method}/requestBody"), &request, users);
            for (status, _) in operation["responses"].as_object().into_iter().flatten() {
                let response = format!("{at}/{method}/responses/{status}");
                add_user(contract, &response, &format!("{id} {status}"), users);
            }
        }
    }
}

/// Adds a user of a part, and of everything that the part refers to.
fn add_user(contract: &Value, pointer: &str, user: &str, users: &mut Users) {
    let Some(part) = contract.pointer(pointer) else { return };
    if users.entry(pointer.to_owned()).or_default().insert(user.to_owned()) {
        for target in references(part) {
            add_user(contract, target.trim_start_matches('#'), user, users);
        }
    }
}

fn references(value: &Value) -> Vec<&str> {
    let fields = value.as_object().into_iter().flat_map(|fields| fields.values());
    let below = fields.chain(value.as_array().into_iter().flatten()).flat_map(references);
    value["$ref"].as_str().into_iter().chain(below).collect()
}

fn describe(pointer: &str, old: &Tree, new: &Tree) -> String {
    let (parent, mut name) = pointer.rsplit_once('/').unwrap_or_default();
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        let list = parent.rfind('/').map_or(0, |slash| slash + 1);
        name = &pointer[list..];
    }
    let name = name.replace("~1", "/").replace("~0", "~");
    match (old.leaves.get(pointer), new.leaves.get(pointer)) {
        (Some(old), Some(new)) => format!("`{name}` was {old} and is {new}"),
        _ if new.has(pointer) => format!("`{name}` is new"),
        _ => format!("`{name}` is gone"),
    }
}

fn verdict(pointer: &str, old: &Tree, new: &Tree, seen_in: &BTreeSet<String>) -> Verdict {
    let segments: Vec<_> = pointer.split('/').collect();
    let (parent, _) = pointer.rsplit_once('/').unwrap_or_default();
    let is_new = new.has(pointer);
    let is_request = seen_in.iter().any(|user| user.ends_with(" request"));
    let unless_gone = |because| if is_new { (Compatible, because) } else { (Breaking, GONE) };
    let breaks_if = |condition, because| (if condition { Breaking } else { Compatible }, because);
    let is_success = |user: &String| user.ends_with(" request") || user.contains(" 2");
    if !pointer.starts_with("/components/schemas/")
        && !seen_in.is_empty()
        && !seen_in.iter().any(is_success)
    {
        return (Compatible, "errors of any status are handled, and none has a type of its own");
    }
    match segments[..] {
        [.., "properties", _] if is_new && new.is(pointer, "required") => {
            (Breaking, "requests and responses without it fail")
        }
        [.., "properties", _] => unless_gone(ADDITION),
        [.., "parameters" | "enum" | "items" | "requestBody"] | [.., "parameters", _] => {
            (Breaking, SIGNATURE)
        }
        [.., "schemas" | "paths", _] | ["", "paths", _, _] => unless_gone(ADDITION),
        [.., "oneOf" | "anyOf" | "enum", _] => unless_gone("enums are open"),
        [.., "responses", _] if is_new => (Unknown, "the raw client decodes one success"),
        [.., "responses", _] => (Breaking, GONE),
        [.., "required"] if is_request => {
            (Breaking, "requests without it are refused, or its constructor changes")
        }
        // An optional field is an Option in any case, and a required field if it is nullable.
        [.., "required"] => {
            let required = if is_new { new } else { old };
            breaks_if(!required.is(parent, "nullable"), OPTION)
        }
        [.., "nullable"] if is_request && !is_new => (Breaking, "requests with null are refused"),
        [.., "properties", _, "nullable"] => breaks_if(new.is(parent, "required"), OPTION),
        [.., "nullable" | "type" | "format" | "$ref" | "operationId" | "title"] => {
            (Breaking, SIGNATURE)
        }
        [.., limit] if is_limit(limit) => {
            let number = |tree: &Tree| tree.leaves.get(pointer).and_then(Value::as_f64);
            match (number(old), number(new)) {
                _ if !is_request => (Compatible, "the client does not check limits"),
                _ if !is_new => (Compatible, LIMIT),
                _ if !old.has(pointer) => (Breaking, LIMIT),
                (Some(old), Some(new)) => {
                    breaks_if((new > old) == limit.to_lowercase().contains("min"), LIMIT)
                }
                _ => (Unknown, "no rule says which limit is stricter"),
            }
        }
        _ => (Unknown, "no rule applies"),
    }
}

fn is_limit(keyword: &str) -> bool {
    ["min", "max", "exclusive", "pattern"].iter().any(|prefix| keyword.starts_with(prefix))
}
