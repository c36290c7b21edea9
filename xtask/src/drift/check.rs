//! Checks a response against the contract with `jsonschema`, and forbids fields that the contract does not
//! define.

use std::fmt;

use anyhow::Context;
use jiff::Timestamp;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::openapi::{Node, escape, operations};

/// A difference between a response and the contract.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    /// The position in the response, as a JSON pointer.
    pub(crate) pointer: String,
    pub(crate) kind: Kind,
    pub(crate) what: String,
    /// The position in the contract that the suggestion is for, as a JSON pointer.
    pub(crate) at: String,
    /// YAML with which the contract allows the response; empty when only a person can say.
    pub(crate) suggestion: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    UnknownField,
    OtherType,
    Missing,
    NewValue,
    Null,
    /// Another keyword of the schema, such as a limit.
    Other,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "/" } else { &self.pointer };
        writeln!(f, "{pointer}: {}\n  in the contract, at {}:", self.what, self.at)?;
        for line in self.suggestion.lines() {
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}

/// The schema of the successful response of an operation.
pub(crate) struct ResponseSchema<'a> {
    contract: &'a Value,
    /// The position of the schema, as a JSON pointer.
    at: String,
    validator: Validator,
}

impl<'a> ResponseSchema<'a> {
    pub(crate) fn new(contract: &'a Value, operation: &str) -> anyhow::Result<Self> {
        let operations = operations(contract)?;
        let found = operations.get(operation).with_context(|| {
            let known: Vec<_> = operations.keys().map(String::as_str).collect();
            format!("there is no operation {operation}; there are {}", known.join(", "))
        })?;
        let success = found.responses.iter().filter(|(status, _)| status.starts_with('2'));
        let schema = success
            .map(|(_, response)| response.json_body())
            .find(|schema| schema.value.is_object())
            .context("the operation has no successful response with a body")?;
        let schemas = Node::new(contract, "/components/schemas").fields();
        let schemas: Map<_, _> = schemas
            .into_iter()
            .map(|(name, schema)| (name, to_json_schema(schema.value)))
            .collect();
        let mut root = closed(schema.value);
        root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        root["components"] = json!({ "schemas": schemas });
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&root)
            .map_err(ValidationError::to_owned)
            .context("the contract has a schema that is not a JSON schema")?;
        Ok(Self { contract, at: schema.at, validator })
    }

    /// Returns the differences between a response and the contract.
    pub(crate) fn findings(&self, response: &Value) -> Vec<Finding> {
        let errors = self.validator.iter_errors(response);
        let mut findings: Vec<_> = errors.flat_map(|error| self.convert(&error)).collect();
        findings.sort();
        findings.dedup();
        findings
    }

    fn convert(&self, error: &ValidationError<'_>) -> Vec<Finding> {
        let value = error.instance();
        let schema = self.schema_of(error);
        let finding = |pointer: String, kind, what: String, at: &str, suggestion: &Value| {
            let suggestion = match suggestion {
                Value::Null => String::new(),
                suggestion => yaml_serde::to_string(suggestion).unwrap_or_default(),
            };
            Finding { pointer, kind, what, at: format!("#{at}"), suggestion }
        };
        let pointer = error.instance_path().as_str().to_owned();
        let below = |name: &str| format!("{pointer}/{}", escape(name));
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let parts = schema.parts();
                let unknown = unexpected.iter().filter(|name| !defines(&parts, name));
                let owner = parts.iter().find(|part| part.value["properties"].is_object());
                let at = owner.unwrap_or(&parts[0]).get("properties").at;
                let found = unknown.map(|name| {
                    let mut field = guess(&value[name.as_str()]);
                    field["x-source"] = "a response of the API".into();
                    let what = "a field that the contract does not define".to_owned();
                    finding(below(name), Kind::UnknownField, what, &at, &json!({ name: field }))
                });
                found.collect()
            }
            ValidationErrorKind::Required { property } => {
                let missing = property.as_str().unwrap_or_default();
                let mut required = schema.value["required"].clone();
                required
                    .as_array_mut()
                    .into_iter()
                    .for_each(|names| names.retain(|name| name != missing));
                let what = "missing, but the contract requires it".to_owned();
                let suggestion = json!({ "required": required });
                vec![finding(below(missing), Kind::Missing, what, &schema.at, &suggestion)]
            }
            kind => {
                let (kind, what, suggestion) = if value.is_null() {
                    let what = "null, which the contract does not allow".to_owned();
                    (Kind::Null, what, json!({ "nullable": true }))
                } else if let ValidationErrorKind::Enum { options } = kind {
                    let mut values = Value::clone(options);
                    values
                        .as_array_mut()
                        .into_iter()
                        .for_each(|values| values.push(value.clone().into_owned()));
                    let what = format!("the value {value} is not in the list of the contract");
                    (Kind::NewValue, what, json!({ "enum": values }))
                } else {
                    // The value may be personal data, which a log must not show.
                    let what = error.masked_with("the value").to_string();
                    match kind {
                        ValidationErrorKind::Type { .. }
                        | ValidationErrorKind::Format { .. }
                        | ValidationErrorKind::AnyOf { .. }
                        | ValidationErrorKind::OneOfNotValid { .. } => {
                            (Kind::OtherType, what, guess(value))
                        }
                        _ => (Kind::Other, what, Value::Null),
                    }
                };
                vec![finding(pointer, kind, what, &schema.at, &suggestion)]
            }
        }
    }

    /// Returns the schema in the contract that an error is about.
    fn schema_of(&self, error: &ValidationError<'_>) -> Node<'a> {
        let path = error.schema_path().as_str().replace("/else", "");
        let path = path.rsplit_once('/').map_or("", |(schema, _)| schema);
        if path.starts_with("/components/") {
            Node::new(self.contract, path)
        } else {
            Node::new(self.contract, &format!("{}{path}", self.at))
        }
    }
}

/// Converts a schema of `OpenAPI` 3.0 to JSON Schema.
///
/// `nullable` becomes a condition and not another type, because an `allOf` beside it would refuse null.
fn to_json_schema(schema: &Value) -> Value {
    let convert = |keyword: &str, value: &Value| match (keyword, value) {
        ("properties", Value::Object(fields)) => {
            fields.iter().map(|(name, field)| (name.clone(), closed(field))).collect()
        }
        ("items" | "additionalProperties", Value::Object(_)) => closed(value),
        ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
            parts.iter().map(to_json_schema).collect()
        }
        _ => value.clone(),
    };
    let keywords = schema.as_object().into_iter().flatten();
    let converted: Value =
        keywords.map(|(keyword, value)| (keyword.clone(), convert(keyword, value))).collect();
    if schema["nullable"] == true {
        json!({ "if": { "type": "null" }, "else": converted })
    } else {
        converted
    }
}

/// Converts the schema of a whole value, and forbids fields that neither the schema nor its parts define.
fn closed(schema: &Value) -> Value {
    let mut schema = to_json_schema(schema);
    schema["unevaluatedProperties"] = false.into();
    schema
}

/// Whether a schema defines a field. `jsonschema` reports the fields of a part with another error, too.
fn defines(parts: &[Node<'_>], field: &str) -> bool {
    parts.iter().any(|part| {
        let additional = &part.value["additionalProperties"];
        part.value["properties"].get(field).is_some()
            || additional == true
            || additional.is_object()
    })
}

/// Returns a schema for one value.
fn guess(value: &Value) -> Value {
    match value {
        Value::Null => json!({ "nullable": true }),
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Number(number) if number.is_f64() => json!({ "type": "number" }),
        Value::Number(_) => json!({ "type": "integer" }),
        Value::String(text) if text.parse::<Uuid>().is_ok() => {
            json!({ "type": "string", "format": "uuid" })
        }
        Value::String(text) if text.parse::<Timestamp>().is_ok() => {
            json!({ "type": "string", "format": "date-time" })
        }
        Value::String(_) => json!({ "type": "string" }),
        Value::Array(items) => {
            json!({ "type": "array", "items": items.first().map_or_else(|| json!({}), guess) })
        }
        Value::Object(fields) => {
            let fields: Value =
                fields.iter().map(|(name, value)| (name.clone(), guess(value))).collect();
            json!({ "type": "object", "properties": fields })
        }
    }
}
