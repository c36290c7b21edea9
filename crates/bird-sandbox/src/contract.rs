//! Validation of requests against the schemas of `openapi.yaml`.

use std::collections::BTreeMap;

use hyper::StatusCode;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Value, json};

/// The contract that requests are validated against: `openapi.yaml` as JSON.
pub const CONTRACT: &str = include_str!("../openapi.json");

/// The problems of each field, by path, such as `.arguments.phoneNumberId`.
pub(crate) type Details = BTreeMap<String, Vec<String>>;

#[derive(Debug)]
pub(crate) struct Contract {
    create: Validator,
    /// The validator of the arguments, by `connectorTemplateRef`.
    templates: BTreeMap<String, Validator>,
    /// The first documented example of each error, by status.
    errors: BTreeMap<u16, Value>,
}

impl Contract {
    /// Compiles the schemas of the contract.
    ///
    /// # Panics
    ///
    /// Panics if the embedded contract is invalid, which the tests rule out.
    pub(crate) fn new() -> Self {
        let contract: Value = serde_json::from_str(CONTRACT).expect("openapi.json is JSON");
        let templates = contract["components"]["schemas"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, schema)| {
                let template = schema["x-connector-template"].as_str()?;
                Some((template.to_owned(), of_schema(&contract, name)))
            })
            .collect();
        let create = of_schema(&contract, "CreateConnectorReq");
        Self { create, templates, errors: errors(&contract) }
    }

    /// Returns the body of an error response: the contract's example, or only a message if there is no example.
    pub(crate) fn error(&self, status: StatusCode) -> Value {
        self.errors.get(&status.as_u16()).cloned().unwrap_or_else(|| {
            let message = status.canonical_reason().unwrap_or("Error");
            json!({ "message": message })
        })
    }

    /// Returns the problems in the body of a POST, or an empty map if the body is valid.
    pub(crate) fn validate(&self, body: &Value) -> Details {
        let mut details = Details::new();
        collect_problems(&self.create, body, "", &mut details);
        // `collect_problems` has already reported a template that is not a string.
        let Some(template) = body["connectorTemplateRef"].as_str() else { return details };
        if let Some(validator) = self.templates.get(template) {
            let none = json!({});
            let arguments = body.get("arguments").filter(|given| !given.is_null()).unwrap_or(&none);
            if arguments.is_object() {
                collect_problems(validator, arguments, ".arguments", &mut details);
            }
        } else {
            let problem = "the sandbox does not have this template".to_owned();
            details.insert(".connectorTemplateRef".to_owned(), vec![problem]);
        }
        details
    }
}

/// Returns the first example of each error that the contract documents for a POST. A GET has no other errors.
fn errors(contract: &Value) -> BTreeMap<u16, Value> {
    let post = &contract["paths"]["/workspaces/{workspaceId}/connectors"]["post"];
    let responses = post["responses"].as_object().into_iter().flatten();
    let errors = responses.filter_map(|(status, response)| {
        let status = status.parse().ok().filter(|status| *status >= 400)?;
        let to = response["$ref"].as_str().map(|to| to.trim_start_matches('#'));
        let response = to.map_or(Some(response), |to| contract.pointer(to))?;
        let examples = response.pointer("/content/application~1json/examples")?;
        Some((status, examples.as_object()?.values().next()?["value"].clone()))
    });
    errors.collect()
}

/// Adds the problems in a value to `details`. `at` is the path of the value.
fn collect_problems(validator: &Validator, value: &Value, at: &str, details: &mut Details) {
    for error in validator.iter_errors(value) {
        for (path, problem) in problems(&error) {
            details.entry(format!("{at}{path}")).or_default().push(problem);
        }
    }
}

/// Returns the problems of a validation error, worded as Bird does.
fn problems(error: &ValidationError<'_>) -> Vec<(String, String)> {
    let path = dotted(error.instance_path().as_str());
    let of = |name: &str, problem: &str| {
        (format!("{path}.{name}"), format!("property \"{name}\" is {problem}"))
    };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unexpected.iter().map(|name| of(name, "unsupported")).collect()
        }
        ValidationErrorKind::Required { property } => {
            vec![of(property.as_str().unwrap_or_default(), "missing")]
        }
        // The message omits the value, because a request may contain secrets.
        _ => vec![(path, error.masked().to_string())],
    }
}

/// Converts a JSON pointer such as `/contacts/0/listId` to `.contacts[0].listId`.
fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            path.extend(["[", part, "]"]);
        } else {
            path.push('.');
            path.push_str(&part.replace("~1", "/").replace("~0", "~"));
        }
    }
    path
}

/// Compiles the schema with this name in a contract.
pub(crate) fn of_schema(contract: &Value, name: &str) -> Validator {
    let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
    validator(contract, &schema).expect("the schemas of the contract are valid")
}

/// Compiles an `OpenAPI` 3.0 schema, which may refer to components of its contract. Public for `cargo xtask drift`.
///
/// # Errors
///
/// Fails if a reference cannot be resolved or a schema is invalid.
#[doc(hidden)]
pub fn validator(contract: &Value, schema: &Value) -> Result<Validator, ValidationError<'static>> {
    let mut root = to_json_schema(schema);
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    root["components"] = to_json_schema(&contract["components"]);
    jsonschema::options().should_validate_formats(true).build(&root)
}

/// Converts schemas of `OpenAPI` 3.0 to JSON Schema. Of the keywords in the contract, only `nullable` differs.
///
/// `nullable` becomes a condition rather than a second type, because an `allOf` in the same schema would refuse null.
fn to_json_schema(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let converted: Value =
                fields.iter().map(|(name, value)| (name.clone(), to_json_schema(value))).collect();
            if fields.get("nullable") == Some(&Value::Bool(true)) {
                json!({ "if": { "type": "null" }, "else": converted })
            } else {
                converted
            }
        }
        Value::Array(items) => items.iter().map(to_json_schema).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_bird_writes_them() {
        assert_eq!(dotted(""), "");
        assert_eq!(dotted("/receiver/contacts/0/listId"), ".receiver.contacts[0].listId");
        assert_eq!(dotted("/a~1b/c~0d"), ".a/b.c~d");
    }

    #[test]
    fn only_nullable_fields_may_be_null() {
        let contract = serde_json::from_str(CONTRACT).unwrap();
        let connector = of_schema(&contract, "Connector");
        let id = "123e4567-e89b-12d3-a456-426614174000";
        let with = |field: &str| {
            let mut value = json!({"id": id, "name": "n", "createdAt": "2025-01-21T01:43:10.940Z"});
            value[field] = Value::Null;
            value
        };
        for field in ["routingKey", "arguments", "number", "dataCapture", "channel"] {
            assert!(connector.is_valid(&with(field)), "{field}");
        }
        for field in ["id", "name", "createdAt", "region"] {
            assert!(!connector.is_valid(&with(field)), "{field}");
        }
    }
}
