//! Compares two contracts part by part.
//!
//! The rules take the side of the client. A field of a response becomes a field of a public Rust struct: a
//! field that disappears, or becomes required, changes Rust types. New enum values, fields and errors break
//! nothing, because enums are open, structs are `non_exhaustive`, and errors are decoded leniently.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Compatibility::{Breaking, Compatible, Unknown};
use super::{Change, Compatibility};
use crate::openapi::{Node, operations};

/// Keywords that do not constrain values.
const PROSE: &str = "description example examples title externalDocs x-source x-connector-template";
const LIMITS: &str = "minLength maxLength minimum maximum exclusiveMinimum exclusiveMaximum \
                      minItems maxItems minProperties maxProperties pattern";

/// A part of a contract that has a counterpart in the raw client.
struct Part {
    kind: Kind,
    /// The position in the contract, as a JSON pointer.
    at: String,
    parent: Option<String>,
    /// The requests and responses that contain the part.
    seen_in: BTreeSet<String>,
    /// What is compared when both contracts have the part.
    facts: BTreeMap<String, Value>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Contract,
    Operation,
    Parameter,
    Body,
    Success,
    Error,
    Schema,
    Field,
    Alternative,
    EnumValue,
    /// The schema of items, of additional properties or of a part of an `allOf`, or the list of an `enum`.
    Inner,
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Request,
    Response,
}

type Verdict = (Compatibility, &'static str);

/// Returns all changes from one contract to another, the worst first.
pub(super) fn compare(old: &Value, new: &Value) -> anyhow::Result<Vec<Change>> {
    let (old_parts, new_parts) = (parts(old)?, parts(new)?);
    let mut changes = Vec::new();
    let mut note = |part: &Part, what: String, verdict: &dyn Fn(Direction) -> Verdict| {
        let directions = [Direction::Request, Direction::Response].into_iter();
        let worst = directions.filter(|direction| part.is_in(*direction)).map(verdict).max();
        let (compatibility, because) = worst.unwrap_or((Unknown, NO_RULE));
        let (at, seen_in) = (format!("#{}", part.at), part.seen_in.clone());
        changes.push(Change { compatibility, at, what, because, seen_in });
    };
    let is_in = |parts: &BTreeMap<String, Part>, parent: &Option<String>| {
        parent.as_ref().is_none_or(|parent| parts.contains_key(parent))
    };
    for key in keys(&old_parts, &new_parts) {
        match (old_parts.get(key), new_parts.get(key)) {
            (Some(old), Some(new)) => {
                for fact in keys(&old.facts, &new.facts) {
                    let (before, after) = (old.fact(fact), new.fact(fact));
                    if before != after {
                        let text = |value: &Value| match value {
                            Value::Null => "absent".to_owned(),
                            Value::String(text) => text.clone(),
                            value => value.to_string(),
                        };
                        let (was, is) = (text(before), text(after));
                        let what = format!("`{fact}` of {key} was {was} and is {is}");
                        note(new, what, &|direction| changed(fact, old, new, direction));
                    }
                }
            }
            (Some(old), None) if is_in(&new_parts, &old.parent) => {
                note(old, format!("{key} is gone"), &|_| removed(old.kind));
            }
            (None, Some(new)) if is_in(&old_parts, &new.parent) => {
                note(new, format!("{key} is new"), &|_| added(new));
            }
            _ => {}
        }
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
    changes.sort_by(|a, b| {
        b.compatibility.cmp(&a.compatibility).then_with(|| (&a.at, &a.what).cmp(&(&b.at, &b.what)))
    });
    Ok(changes)
}

fn removed(kind: Kind) -> Verdict {
    match kind {
        Kind::Error => (Compatible, ERRORS),
        _ => (Breaking, "its counterpart in Rust is gone"),
    }
}

fn added(part: &Part) -> Verdict {
    match part.kind {
        Kind::Error => (Compatible, ERRORS),
        Kind::Field if part.fact("required") == true => {
            (Breaking, "requests and responses without it fail")
        }
        Kind::Contract | Kind::Operation | Kind::Schema | Kind::Field => {
            (Compatible, "it becomes an addition to the raw client")
        }
        Kind::Alternative | Kind::EnumValue => (Compatible, "enums are open"),
        Kind::Success => (Unknown, "the raw client decodes one success"),
        Kind::Parameter | Kind::Body | Kind::Inner => (Breaking, SIGNATURE),
    }
}

fn changed(fact: &str, old: &Part, new: &Part, direction: Direction) -> Verdict {
    let breaks_if = |condition, because| (if condition { Breaking } else { Compatible }, because);
    let (before, after) = (old.fact(fact), new.fact(fact));
    match (fact, direction) {
        ("type", _) => (Breaking, SIGNATURE),
        ("method" | "path", _) => (Unknown, "only Bird knows whether both are served"),
        ("required", Direction::Request) => {
            (Breaking, "requests without it are refused, or its constructor changes")
        }
        // An optional field is an Option in any case, and a required field if it is nullable.
        ("required", Direction::Response) => {
            let required = if after == true { new } else { old };
            breaks_if(required.fact("nullable") != true, OPTION)
        }
        ("nullable", Direction::Request) if after == false => {
            (Breaking, "requests with null are refused")
        }
        ("nullable", _) => breaks_if(new.fact("required") != false, OPTION),
        _ if !is_word_of(LIMITS, fact) => (Unknown, NO_RULE),
        (_, Direction::Response) => (Compatible, "the client does not check limits"),
        _ if after.is_null() => (Compatible, "every accepted request still is"),
        _ => match (before.as_f64(), after.as_f64()) {
            (Some(before), Some(after)) => {
                let stricter = (after > before) == fact.to_lowercase().contains("min");
                breaks_if(stricter, "a limit of requests changes")
            }
            _ if before.is_null() => (Breaking, "a limit of requests changes"),
            _ => (Unknown, "no rule says which limit is stricter"),
        },
    }
}

const NO_RULE: &str = "no rule applies";
const ERRORS: &str = "errors of any status are handled, and none has a type of its own";
const SIGNATURE: &str = "a Rust type or the arguments of a function change";
const OPTION: &str = "the type of a required field becomes an Option or stops being one";

/// Returns the parts of a contract, by a name for the report.
fn parts(contract: &Value) -> anyhow::Result<BTreeMap<String, Part>> {
    let mut parts = Parts { all: BTreeMap::new(), seen_in: BTreeSet::new() };
    let mut references = BTreeMap::new();
    let root = Node::new(contract, "");
    for (id, operation) in operations(contract)? {
        let facts = [("method", operation.method.into()), ("path", operation.path.into())];
        parts.seen_in.clear();
        parts.add(id.clone(), Kind::Operation, &operation.node, None, facts);
        let request = format!("{id} request");
        parts.seen_in = BTreeSet::from([request.clone()]);
        for (name, parameter) in &operation.parameters {
            collect(contract, parameter.value, &request, &mut references);
            let required = Some(parameter.value["required"] == true);
            let schema = parameter.get("schema");
            parts.schema(&format!("{id} {name}"), Kind::Parameter, &schema, Some(&id), required);
        }
        let body = operation.request.json_body();
        if body.value.is_object() {
            collect(contract, body.value, &request, &mut references);
            let required = Some(operation.request.value["required"] == true);
            parts.schema(&format!("{id} body"), Kind::Body, &body, Some(&id), required);
        }
        for (status, response) in &operation.responses {
            let name = format!("{id} {status}");
            collect(contract, response.value, &name, &mut references);
            parts.seen_in = BTreeSet::from([name.clone()]);
            let kind = if status.starts_with('2') { Kind::Success } else { Kind::Error };
            parts.schema(&name, kind, &response.json_body(), Some(&id), None);
        }
    }
    for (name, schema) in Node::new(contract, "/components/schemas").fields() {
        parts.seen_in = references.remove(&schema.at).unwrap_or_default();
        parts.schema(&name, Kind::Schema, &schema, None, None);
    }
    parts.seen_in.clear();
    let schemes = root.get("components").get("securitySchemes");
    let facts = [("securitySchemes", schemes.value.clone())]
        .into_iter()
        .chain(["openapi", "servers", "security"].map(|name| (name, root.get(name).value.clone())));
    parts.add("the contract".to_owned(), Kind::Contract, &root, None, facts);
    Ok(parts.all)
}

/// Collects what a request or a response refers to, by JSON pointer.
fn collect(
    contract: &Value,
    value: &Value,
    user: &str,
    references: &mut BTreeMap<String, BTreeSet<String>>,
) {
    if let Some(target) = value["$ref"].as_str() {
        let target = target.trim_start_matches('#');
        if references.entry(target.to_owned()).or_default().insert(user.to_owned())
            && let Some(target) = contract.pointer(target)
        {
            collect(contract, target, user, references);
        }
    }
    let fields = value.as_object().into_iter().flat_map(|fields| fields.values());
    for value in fields.chain(value.as_array().into_iter().flatten()) {
        collect(contract, value, user, references);
    }
}

impl Part {
    /// Whether the part is sent in this direction. A part that nothing refers to counts in both.
    fn is_in(&self, direction: Direction) -> bool {
        let is_request = |user: &String| user.ends_with(" request");
        self.seen_in.is_empty()
            || self.seen_in.iter().any(|user| is_request(user) == (direction == Direction::Request))
    }

    fn fact(&self, name: &str) -> &Value {
        self.facts.get(name).unwrap_or(&Value::Null)
    }
}

struct Parts {
    all: BTreeMap<String, Part>,
    /// The requests and responses that contain what is added now.
    seen_in: BTreeSet<String>,
}

impl Parts {
    fn add<'a>(
        &mut self,
        key: String,
        kind: Kind,
        node: &Node<'_>,
        parent: Option<&str>,
        facts: impl IntoIterator<Item = (&'a str, Value)>,
    ) {
        let (at, parent, seen_in) =
            (node.at.clone(), parent.map(str::to_owned), self.seen_in.clone());
        let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.all.insert(key, Part { kind, at, parent, seen_in, facts });
    }

    /// Adds a schema and what it contains, up to references.
    fn schema(
        &mut self,
        key: &str,
        kind: Kind,
        node: &Node<'_>,
        parent: Option<&str>,
        required: Option<bool>,
    ) {
        let required_fields = node.value["required"].as_array().into_iter().flatten();
        let required_fields: BTreeSet<_> = required_fields.filter_map(Value::as_str).collect();
        let (keywords, parent_key) = (node.fields(), Some(key));
        let mut facts = vec![("type", type_name(node).into())];
        // The fields that refer to a named schema have the last word on null.
        if kind != Kind::Schema {
            facts.push(("nullable", is_nullable(node).into()));
        }
        facts.extend(required.map(|required| ("required", required.into())));
        for (keyword, value) in &keywords {
            let inner = format!("{keyword} of {key}");
            match keyword.as_str() {
                "type" | "format" | "nullable" | "$ref" => {}
                "properties" => {
                    for (name, field) in value.fields() {
                        let required = Some(required_fields.contains(name.as_str()));
                        let field_key = format!("{key}.{name}");
                        self.schema(&field_key, Kind::Field, &field, parent_key, required);
                    }
                }
                "required" => {
                    let defined = &node.value["properties"];
                    let other = required_fields.iter().filter(|name| defined.get(**name).is_none());
                    let other = Value::from_iter(other.copied());
                    if other != Value::Array(Vec::new()) {
                        facts.push(("required fields", other));
                    }
                }
                "oneOf" | "anyOf" | "allOf" => {
                    let kind = if keyword == "allOf" { Kind::Inner } else { Kind::Alternative };
                    for (index, item) in value.items().enumerate() {
                        let title = item.text("title").or(item.text("$ref"));
                        let name = title.filter(|_| kind == Kind::Alternative).map_or_else(
                            || index.to_string(),
                            |title| title.rsplit('/').next().unwrap_or_default().to_owned(),
                        );
                        self.schema(&format!("{name} in {inner}"), kind, &item, parent_key, None);
                    }
                }
                "enum" => {
                    self.add(inner.clone(), Kind::Inner, value, parent_key, []);
                    for item in value.items() {
                        let item_key = format!("{} in {inner}", item.value);
                        self.add(item_key, Kind::EnumValue, value, Some(&inner), []);
                    }
                }
                "items" | "additionalProperties" if value.value.is_object() => {
                    self.schema(&inner, Kind::Inner, value, parent_key, None);
                }
                keyword if is_word_of(PROSE, keyword) => {}
                keyword => facts.push((keyword, value.value.clone())),
            }
        }
        self.add(key.to_owned(), kind, node, parent, facts);
    }
}

fn keys<'a, V>(old: &'a BTreeMap<String, V>, new: &'a BTreeMap<String, V>) -> BTreeSet<&'a str> {
    old.keys().chain(new.keys()).map(String::as_str).collect()
}

fn is_word_of(words: &str, word: &str) -> bool {
    words.split_whitespace().any(|other| other == word)
}

/// Whether null is allowed: what a schema itself says goes before what its parts say.
fn is_nullable(schema: &Node<'_>) -> bool {
    schema.clone().parts().iter().find_map(|part| part.value["nullable"].as_bool()) == Some(true)
}

fn type_name(schema: &Node<'_>) -> String {
    let reference = schema.text("$ref").and_then(|target| target.rsplit('/').next());
    let kind = reference.or(schema.text("type")).unwrap_or("anything");
    schema.text("format").map_or_else(|| kind.to_owned(), |format| format!("{kind} ({format})"))
}
