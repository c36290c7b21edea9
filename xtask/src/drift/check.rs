//! Validates a response with `jsonschema`, and reports fields that the contract does not define.

use std::fmt;

use anyhow::Context;
use jiff::Timestamp;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::openapi::{escape, parts, success};

/// A difference between a response and the contract.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    /// A JSON pointer into the response.
    pub(crate) pointer: String,
    /// `unknown-field`, `missing`, `null`, `new-value`, `other-type` or, for a limit, `other`.
    pub(crate) kind: &'static str,
    pub(crate) what: String,
    /// A JSON pointer to the part of the contract that the suggestion changes.
    pub(crate) at: String,
    /// YAML that makes the contract allow the response. Each `?` must be filled in by hand.
    pub(crate) suggestion: String,
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
    /// A JSON pointer to the schema.
    pub(crate) at: String,
    validator: Validator,
}

impl<'a> ResponseSchema<'a> {
    pub(crate) fn new(contract: &'a Value, operation: &str) -> anyhow::Result<Self> {
        let at = success(contract, operation)?;
        let mut closed = contract.clone();
        close(&mut closed);
        let mut schema = closed.pointer(&at).cloned().unwrap_or_default();
        schema["unevaluatedProperties"] = false.into();
        let validator = bird_sandbox::validator(&closed, &schema)
            .context("the contract has an invalid schema")?;
        Ok(Self { contract, at, validator })
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
        let value = error.instance().as_ref();
        let pointer = error.instance_path().as_str();
        let below = |name: &str| format!("{pointer}/{}", escape(name));
        let parts = parts(self.contract, &self.position_of(error));
        let (at, schema) = &parts[0];
        let finding = |pointer, kind, what: &str, at: &str, suggestion| Finding {
            pointer,
            kind,
            what: what.to_owned(),
            at: format!("#{at}"),
            suggestion: yaml_serde::to_string(&suggestion).unwrap_or_default(),
        };
        let here = |kind, what: &str, suggestion| {
            vec![finding(pointer.to_owned(), kind, what, at, suggestion)]
        };
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let owner = parts.iter().find(|(_, schema)| schema["properties"].is_object());
                let at = format!("{}/properties", owner.map_or(at, |(at, _)| at));
                // `jsonschema` also reports defined fields if their schema has another error.
                let is_unknown = |name: &&String| {
                    parts.iter().all(|(_, schema)| {
                        schema["properties"].get(*name).is_none()
                            && matches!(
                                schema["additionalProperties"],
                                Value::Null | Value::Bool(false)
                            )
                    })
                };
                let unknown = unexpected.iter().filter(is_unknown).map(|name| {
                    let mut field = guess(&value[name.as_str()]);
                    field["x-source"] = "a response of the API".into();
                    let what = "a field that the contract does not define";
                    finding(below(name), "unknown-field", what, &at, json!({ name: field }))
                });
                unknown.collect()
            }
            ValidationErrorKind::Required { property } => {
                let required = schema["required"].as_array().into_iter().flatten();
                let required: Vec<_> = required.filter(|name| *name != property).collect();
                let pointer = below(property.as_str().unwrap_or_default());
                let what = "missing, but the contract requires it";
                vec![finding(pointer, "missing", what, at, json!({ "required": required }))]
            }
            _ if value.is_null() => {
                here("null", "null, which the contract does not allow", json!({ "nullable": true }))
            }
            ValidationErrorKind::Enum { options } => {
                let values = options.as_array().into_iter().flatten().chain([value]);
                let what = format!("the contract's enum lacks the value {value}");
                here("new-value", &what, json!({ "enum": values.collect::<Vec<_>>() }))
            }
            kind => {
                // The value may be personal data, which must not reach a log.
                let what = error.masked_with("the value").to_string();
                match kind.keyword() {
                    "type" | "format" | "anyOf" | "oneOf" => {
                        here("other-type", &what, guess(value))
                    }
                    keyword => here("other", &what, json!({ keyword: "?" })),
                }
            }
        }
    }

    /// Returns a JSON pointer to the schema that an error comes from.
    fn position_of(&self, error: &ValidationError<'_>) -> String {
        let path = error.schema_path().as_str().replace("/else", "");
        let path = path.rsplit_once('/').map_or("", |(schema, _)| schema);
        if path.starts_with("/components/") {
            path.to_owned()
        } else {
            format!("{}{path}", self.at)
        }
    }
}

/// Forbids fields that neither a schema nor its `allOf`, `anyOf` and `oneOf` define.
fn close(contract: &mut Value) {
    match contract {
        Value::Object(fields) => {
            for (keyword, part) in fields {
                close(part);
                let values: Vec<_> = match (keyword.as_str(), part) {
                    ("properties", Value::Object(fields)) => fields.values_mut().collect(),
                    ("items" | "additionalProperties", part @ Value::Object(_)) => vec![part],
                    _ => continue,
                };
                for schema in values {
                    schema["unevaluatedProperties"] = false.into();
                }
            }
        }
        Value::Array(parts) => parts.iter_mut().for_each(close),
        _ => {}
    }
}

/// Returns a schema that this value matches.
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
