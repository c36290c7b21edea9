//! The contract as shapes: schemas with their references resolved, for those who compare them with
//! something.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use serde_json::{Map, Value};

/// The contract as JSON.
pub(crate) fn parse(yaml: &str) -> anyhow::Result<Value> {
    yaml_serde::from_str(yaml).context("the contract is not YAML")
}

/// A schema, with what its references and its `allOf` say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Shape {
    /// Where in the contract it is written, as a JSON pointer.
    pub(crate) at: String,
    /// The `type`.
    pub(crate) kind: Option<String>,
    pub(crate) format: Option<String>,
    pub(crate) nullable: bool,
    /// The `enum`.
    pub(crate) values: Option<Vec<Value>>,
    /// `minLength` and the like.
    pub(crate) limits: BTreeMap<String, Value>,
    pub(crate) fields: BTreeMap<String, Field>,
    pub(crate) additional: Additional,
    pub(crate) items: Option<Box<Shape>>,
    /// The `oneOf` or `anyOf`, by title or name.
    pub(crate) alternatives: BTreeMap<String, Shape>,
    /// Keywords that nothing here understands.
    pub(crate) rest: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) required: bool,
    pub(crate) shape: Shape,
}

/// The `additionalProperties`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Additional {
    /// Nothing is said of them.
    #[default]
    Unsaid,
    Refused,
    Free,
    Of(Box<Shape>),
}

/// Keywords that say nothing about which values there are.
const PROSE: [&str; 7] = [
    "description",
    "example",
    "examples",
    "title",
    "externalDocs",
    "x-source",
    "x-connector-template",
];
const LIMITS: [&str; 11] = [
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "pattern",
];

impl Shape {
    /// The shape of the schema at a JSON pointer of the contract.
    pub(crate) fn at(contract: &Value, pointer: &str) -> anyhow::Result<Self> {
        Self::resolve(contract, pointer, &mut Vec::new())
    }

    /// `above` are the references that led here.
    fn resolve(contract: &Value, pointer: &str, above: &mut Vec<String>) -> anyhow::Result<Self> {
        let schema = look_up(contract, pointer)?;
        if let Some(target) = schema["$ref"].as_str() {
            let target = target.trim_start_matches('#').to_owned();
            if above.contains(&target) {
                let rest = BTreeMap::from([("$ref".to_owned(), Value::from(target.clone()))]);
                return Ok(Self { at: target, rest, ..Self::default() });
            }
            above.push(target.clone());
            let shape = Self::resolve(contract, &target, above);
            above.pop();
            return shape;
        }
        let Some(keywords) = schema.as_object() else { bail!("{pointer} is not a schema") };
        let mut shape = Self { at: pointer.to_owned(), ..Self::default() };
        let list = |name: &str| schema[name].as_array().map_or(0, Vec::len);
        for (keyword, value) in keywords {
            let below = format!("{pointer}/{keyword}");
            match keyword.as_str() {
                "type" => shape.kind = value.as_str().map(str::to_owned),
                "format" => shape.format = value.as_str().map(str::to_owned),
                "nullable" => shape.nullable = value == true,
                "enum" => shape.values = value.as_array().cloned(),
                "items" => {
                    shape.items = Some(Box::new(Self::resolve(contract, &below, above)?));
                }
                "properties" => {
                    for name in value.as_object().into_iter().flat_map(Map::keys) {
                        let place = format!("{below}/{}", escaped(name));
                        let required = requires(keywords, name);
                        let shape_of = Self::resolve(contract, &place, above)?;
                        shape.fields.insert(name.clone(), Field { required, shape: shape_of });
                    }
                }
                "additionalProperties" => {
                    shape.additional = match value {
                        Value::Bool(false) => Additional::Refused,
                        Value::Bool(true) => Additional::Free,
                        _ => Additional::Of(Box::new(Self::resolve(contract, &below, above)?)),
                    };
                }
                "allOf" => {
                    for nth in 0..list(keyword) {
                        let part = Self::resolve(contract, &format!("{below}/{nth}"), above)?;
                        shape.join(part, keywords.contains_key("nullable"));
                    }
                }
                "oneOf" | "anyOf" => {
                    for nth in 0..list(keyword) {
                        let place = format!("{below}/{nth}");
                        let written = look_up(contract, &place)?;
                        let name = written["title"]
                            .as_str()
                            .or(written["$ref"]
                                .as_str()
                                .and_then(|target| target.rsplit('/').next()))
                            .map_or_else(|| nth.to_string(), str::to_owned);
                        shape.alternatives.insert(name, Self::resolve(contract, &place, above)?);
                    }
                }
                "required" => {}
                limit if LIMITS.contains(&limit) => {
                    shape.limits.insert(keyword.clone(), value.clone());
                }
                prose if PROSE.contains(&prose) => {}
                _ => {
                    shape.rest.insert(keyword.clone(), value.clone());
                }
            }
        }
        Ok(shape)
    }

    /// Takes over a part of an `allOf`. What the schema says itself goes before what its parts say.
    fn join(&mut self, part: Self, nullable_is_said: bool) {
        // What is added to it is added where most of it is written.
        self.at = part.at;
        self.kind = self.kind.take().or(part.kind);
        self.format = self.format.take().or(part.format);
        self.values = self.values.take().or(part.values);
        self.items = self.items.take().or(part.items);
        if !nullable_is_said {
            self.nullable |= part.nullable;
        }
        if self.additional == Additional::Unsaid {
            self.additional = part.additional;
        }
        self.limits.extend(part.limits);
        self.fields.extend(part.fields);
        self.alternatives.extend(part.alternatives);
        self.rest.extend(part.rest);
    }

    /// The name of the schema that it is, when it is not written in place.
    pub(crate) fn schema(&self) -> Option<&str> {
        self.at.strip_prefix("/components/schemas/").filter(|name| !name.contains('/'))
    }

    /// Its type in a word or two.
    pub(crate) fn name(&self) -> String {
        match (&self.kind, &self.format) {
            (Some(kind), Some(format)) => format!("{kind} ({format})"),
            (Some(kind), None) => kind.clone(),
            (None, _) if !self.alternatives.is_empty() => {
                let names: Vec<_> = self.alternatives.values().map(Self::name).collect();
                names.join(" or ")
            }
            (None, _) => "anything".to_owned(),
        }
    }
}

/// What an operation asks for and answers.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) path: String,
    /// By place and name, such as `path workspaceId`.
    pub(crate) parameters: BTreeMap<String, Field>,
    pub(crate) request: Option<Field>,
    /// By status; none where the answer has no body of JSON.
    pub(crate) answers: BTreeMap<String, Option<Shape>>,
}

/// The operations of a contract, by their `operationId`.
pub(crate) fn operations(contract: &Value) -> anyhow::Result<BTreeMap<String, Operation>> {
    const METHODS: [&str; 8] =
        ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    let mut operations = BTreeMap::new();
    for (path, item) in contract["paths"].as_object().into_iter().flatten() {
        for method in METHODS.into_iter().filter(|method| item[*method].is_object()) {
            let place = format!("/paths/{}/{method}", escaped(path));
            let id = item[method]["operationId"]
                .as_str()
                .with_context(|| format!("{method} {path} has no operationId"))?;
            let above = format!("/paths/{}", escaped(path));
            let mut operation = Operation {
                method: method.to_owned(),
                path: path.clone(),
                parameters: parameters(contract, &above)?,
                request: None,
                answers: BTreeMap::new(),
            };
            operation.parameters.extend(parameters(contract, &place)?);
            let body = referred(contract, format!("{place}/requestBody"));
            if let Some(shape) = json_body(contract, &body)? {
                let required = look_up(contract, &body)?["required"] == true;
                operation.request = Some(Field { required, shape });
            }
            let answers = item[method]["responses"].as_object();
            for status in answers.into_iter().flat_map(Map::keys) {
                let answer = referred(contract, format!("{place}/responses/{status}"));
                operation.answers.insert(status.clone(), json_body(contract, &answer)?);
            }
            operations.insert(id.to_owned(), operation);
        }
    }
    Ok(operations)
}

fn parameters(contract: &Value, above: &str) -> anyhow::Result<BTreeMap<String, Field>> {
    let count = look_up(contract, above)?["parameters"].as_array().map_or(0, Vec::len);
    let mut parameters = BTreeMap::new();
    for nth in 0..count {
        let place = referred(contract, format!("{above}/parameters/{nth}"));
        let written = look_up(contract, &place)?;
        let text = |name: &str| written[name].as_str().unwrap_or_default().to_owned();
        let shape = Shape::at(contract, &format!("{place}/schema"))?;
        let field = Field { required: written["required"] == true, shape };
        parameters.insert(format!("{} {}", text("in"), text("name")), field);
    }
    Ok(parameters)
}

fn json_body(contract: &Value, place: &str) -> anyhow::Result<Option<Shape>> {
    let schema = format!("{place}/content/application~1json/schema");
    contract.pointer(&schema).map(|_| Shape::at(contract, &schema)).transpose()
}

/// The pointer, or where the reference there leads.
fn referred(contract: &Value, pointer: String) -> String {
    match contract.pointer(&pointer).and_then(|value| value["$ref"].as_str()) {
        Some(target) => target.trim_start_matches('#').to_owned(),
        None => pointer,
    }
}

fn look_up<'a>(contract: &'a Value, pointer: &str) -> anyhow::Result<&'a Value> {
    contract.pointer(pointer).with_context(|| format!("the contract has nothing at #{pointer}"))
}

fn requires(keywords: &Map<String, Value>, field: &str) -> bool {
    let required = keywords.get("required").and_then(Value::as_array);
    required.is_some_and(|names| names.iter().any(|name| name == field))
}

/// A name as a part of a JSON pointer.
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
