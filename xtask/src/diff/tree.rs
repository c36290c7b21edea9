//! A contract as a flat map, in which parts with the same meaning have the same path.
//!
//! Paths are JSON pointers with a few differences:
//!
//! - References are followed, and the schemas in `allOf` are merged.
//! - A name starts with a colon, which distinguishes a property `required` from the keyword.
//! - Items of unordered lists are named, not numbered.
//! - `success` holds the content of every 2xx response, because the client decodes them alike.
//! - `closed` stands for `additionalProperties: false`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::rust::id;
use crate::openapi::{escape, parse, resolve};

/// Keywords that are only documentation. That includes `info`, because the client sends no version, and `links`,
/// because it follows none.
pub(super) const PROSE: &str = "info tags summary description example examples externalDocs links \
                                x-source x-connector-template";
/// Keywords whose value maps names to parts.
const MAPS: &str = "paths properties responses content headers schemas securitySchemes";
/// Keywords that default to false.
const FLAGS: &str = "required nullable deprecated uniqueItems x-lenient x-secret";

/// The parts of a contract, by path.
#[derive(Default)]
pub(crate) struct Tree(BTreeMap<String, Part>);

pub(super) struct Part {
    pub(super) pointer: String,
    /// The value of a scalar; empty for an object or a list.
    pub(super) value: Value,
    /// The requests and responses that contain the part.
    pub(super) users: BTreeSet<String>,
}

impl Tree {
    pub(crate) fn new(contract: &str) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        tree.add(&parse(contract)?, "", "", "");
        Ok(tree)
    }

    /// Adds the part at a pointer, and everything below it and its references.
    fn add(&mut self, root: &Value, pointer: &str, path: &str, user: &str) {
        let Some(part) = root.pointer(pointer) else { return };
        let reference = part["$ref"].as_str().map(|target| target.trim_start_matches('#'));
        if let Some(target) = reference.filter(|target| !target.starts_with("/components/schemas/"))
        {
            return self.add(root, target, path, user);
        }
        let scalar = match part {
            Value::Object(_) => &Value::Null,
            Value::Array(_) => &Value::Array(Vec::new()),
            Value::Null => &"null".into(),
            scalar => scalar,
        };
        self.set(path, pointer, scalar, user);
        for index in 0..part.as_array().map_or(0, Vec::len) {
            self.add(root, &format!("{pointer}/{index}"), &format!("{path}/{index}"), user);
        }
        let (above, last) = path.rsplit_once('/').unwrap_or_default();
        let success = above.strip_suffix("/responses").filter(|_| last.starts_with(":2"));
        let operation = part["operationId"].as_str();
        for (keyword, value) in part.as_object().into_iter().flatten() {
            let name = escape(keyword);
            let keyword = keyword.as_str();
            let pointer = format!("{pointer}/{name}");
            let below = format!("{path}/{name}");
            let items = value.as_array().into_iter().flatten().enumerate();
            let items = items.map(|(index, item)| (format!("{pointer}/{index}"), item));
            let user = &match (operation, keyword) {
                (Some(id), "parameters" | "requestBody") => format!("{id} request"),
                (Some(id), "responses") => format!("{id} response"),
                _ => user.to_owned(),
            };
            match (keyword, value) {
                _ if has(MAPS, last) => self.add(root, &pointer, &format!("{path}/:{name}"), user),
                (prose, _) if has(PROSE, prose) && self.get(&below).is_some() => {}
                (prose, _) if has(PROSE, prose) => {
                    self.set(&below, &pointer, &value.to_string().into(), user);
                }
                (flag, Value::Bool(false)) if has(FLAGS, flag) => {}
                ("additionalProperties", _) if *value == true || *value == json!({}) => {}
                ("additionalProperties", Value::Bool(false)) => {
                    self.set(&format!("{path}/closed"), &pointer, &Value::Null, user);
                }
                // Other components are added where they are referenced.
                (kind, _) if path == "/components" && !has("schemas securitySchemes", kind) => {}
                ("$ref", _) => {
                    let target = reference.unwrap_or_default();
                    let name = escape(value.as_str().unwrap_or_default());
                    self.set(&format!("{below}/:{name}"), &pointer, &Value::Null, user);
                    let schema = target.replace("schemas/", "schemas/:");
                    // Stop at a schema that is already known, because a schema may contain itself.
                    let is_known = self.get(&schema).is_some_and(|part| part.users.contains(user));
                    if !user.is_empty() && !is_known {
                        self.add(root, target, &schema, user);
                    }
                }
                ("allOf", _) => items.for_each(|(item, _)| self.add(root, &item, path, user)),
                ("parameters", _) => items.for_each(|(item, _)| {
                    let parameter = root.pointer(&resolve(root, &item)).unwrap_or(&Value::Null);
                    let text = |key: &str| parameter[key].as_str().unwrap_or_default();
                    let name = format!("parameters/:{} {}", text("in"), escape(text("name")));
                    if above != "/paths" {
                        return self.add(root, &item, &format!("{path}/{name}"), user);
                    }
                    // Parameters of a path apply to each of its operations.
                    for (method, operation) in part.as_object().into_iter().flatten() {
                        if let Some(id) = operation["operationId"].as_str() {
                            let user = format!("{id} request");
                            self.add(root, &item, &format!("{path}/{method}/{name}"), &user);
                        }
                    }
                }),
                ("required" | "enum", Value::Array(_)) => {
                    if keyword == "enum" {
                        self.set(&below, &pointer, &Value::Null, user);
                    }
                    for (at, item) in items {
                        let name = item.as_str().map_or_else(|| item.to_string(), escape);
                        self.set(&format!("{below}/:{name}"), &at, &Value::Null, user);
                    }
                }
                _ => match success.filter(|_| keyword == "content") {
                    Some(operation) => {
                        self.add(root, &pointer, &format!("{operation}/success/content"), user);
                    }
                    None => self.add(root, &pointer, &below, user),
                },
            }
        }
    }

    /// Adds a part. If the path already has another value, the part gets the path with a `+`, which no rule matches.
    fn set(&mut self, path: &str, pointer: &str, value: &Value, user: &str) {
        let part = self.0.entry(path.to_owned()).or_insert_with(|| Part {
            pointer: pointer.to_owned(),
            value: value.clone(),
            users: BTreeSet::new(),
        });
        if part.value == *value {
            part.users.extend(Some(user.to_owned()).filter(|user| !user.is_empty()));
        } else {
            self.set(&format!("{path}+"), pointer, value, user);
        }
    }

    pub(super) fn get(&self, path: &str) -> Option<&Part> {
        self.0.get(path)
    }

    /// Returns the paths where two contracts differ, except paths inside a new or removed part.
    pub(super) fn differing<'a>(&'a self, other: &'a Self) -> BTreeSet<&'a str> {
        let paths = self.0.keys().chain(other.0.keys());
        let value = |tree: &'a Self, path| tree.get(path).map(|part| &part.value);
        let differing = paths.filter(|path| value(self, path) != value(other, path));
        let top = |path: &'a String| {
            let ends = path.match_indices('/').map(|(index, _)| index).chain([path.len()]);
            let mut above = ends.map(|end| &path[..end]);
            let is_one_sided = |at: &&str| self.get(at).is_some() != other.get(at).is_some();
            above.find(is_one_sided).unwrap_or(path)
        };
        differing.map(top).collect()
    }

    /// Returns the first path whose part becomes this Rust item.
    pub(super) fn path(&self, item: &str) -> Option<&str> {
        self.0.keys().map(String::as_str).find(|path| self.item(path) == item)
    }

    /// Returns the JSON pointer of the part that becomes this Rust item.
    pub(crate) fn place(&self, item: &str) -> Option<&str> {
        Some(&self.get(self.path(&id(item))?)?.pointer)
    }

    /// Returns the name of the Rust item that a part becomes, normalized by [`id`].
    pub(super) fn item(&self, path: &str) -> String {
        let operation = path.match_indices('/').nth(3).map_or(path, |(end, _)| &path[..end]);
        let operation = self.get(&format!("{operation}/operationId"));
        let operation = operation.and_then(|part| part.value.as_str());
        let names = path.split('/').filter_map(|part| match part {
            "requestBody" => Some("body"),
            "success" => Some("response"),
            // Paths, media types and references do not name items.
            _ if part.contains('~') => None,
            _ => part.strip_prefix(':')?.rsplit(' ').next(),
        });
        id(&operation.into_iter().chain(names).collect::<String>())
    }
}

pub(super) fn has(words: &str, word: &str) -> bool {
    words.split(' ').any(|other| other == word)
}
