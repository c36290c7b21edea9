//! The contracts: their clients, and their text as JSON.

use anyhow::{Context, bail};
use serde_json::Value;

/// The contracts, each with the client that it generates.
pub(crate) const CONTRACTS: [(&str, &str); 2] = [
    ("openapi.yaml", "crates/bird-api/generated/client.rs"),
    ("contract/numbers.yaml", "crates/bird-api/generated/numbers.rs"),
];

/// Generates the client of a contract. The first one has the client, and the others extend it.
pub(crate) fn generate(contract: &str, yaml: &str) -> Result<String, bird_codegen::Error> {
    if contract == CONTRACTS[0].0 {
        bird_codegen::generate(contract, yaml)
    } else {
        bird_codegen::extend(contract, yaml)
    }
}

/// Parses the text of the contract.
pub(crate) fn parse(yaml: &str) -> anyhow::Result<Value> {
    yaml_serde::from_str(yaml).context("the contract is not YAML")
}

/// Returns a name as a segment of a JSON pointer.
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Follows the reference at a JSON pointer, and returns where it leads.
pub(crate) fn resolve(contract: &Value, pointer: &str) -> String {
    match contract.pointer(pointer).and_then(|value| value["$ref"].as_str()) {
        Some(target) => resolve(contract, target.trim_start_matches('#')),
        None => pointer.to_owned(),
    }
}

/// Returns a schema and the schemas that it is combined from, with their JSON pointers.
pub(crate) fn parts<'a>(contract: &'a Value, pointer: &str) -> Vec<(String, &'a Value)> {
    let pointer = resolve(contract, pointer);
    let schema = contract.pointer(&pointer).unwrap_or(&Value::Null);
    let mut all = vec![(pointer.clone(), schema)];
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let count = schema[keyword].as_array().map_or(0, Vec::len);
        all.extend(
            (0..count).flat_map(|nth| parts(contract, &format!("{pointer}/{keyword}/{nth}"))),
        );
    }
    all
}

/// Returns the JSON pointer of the schema of the successful response of an operation.
pub(crate) fn success(contract: &Value, operation_id: &str) -> anyhow::Result<String> {
    let mut known = Vec::new();
    for (path, item) in contract["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let Some(id) = operation["operationId"].as_str() else { continue };
            known.push(id);
            if id == operation_id {
                for (status, _) in operation["responses"].as_object().into_iter().flatten() {
                    let at = format!("/paths/{}/{method}/responses/{status}", escape(path));
                    let response = resolve(contract, &at);
                    let schema = format!("{response}/content/application~1json/schema");
                    if status.starts_with('2') && contract.pointer(&schema).is_some() {
                        return Ok(schema);
                    }
                }
                bail!("{id} has no successful response with a body");
            }
        }
    }
    bail!("there is no operation {operation_id}; there are {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_enum_limit_status_header_and_error_code_has_a_source() {
        for (file, _) in CONTRACTS {
            let yaml = std::fs::read_to_string(crate::root().unwrap().join(file)).unwrap();
            let mut unsourced = Vec::new();
            collect_unsourced(&parse(&yaml).unwrap(), "", false, &mut unsourced);
            assert!(unsourced.is_empty(), "without x-source in {file}: {unsourced:#?}");
        }
    }

    /// Collects the paths of the facts that have no `x-source`. A field may have that of its schema.
    fn collect_unsourced(value: &Value, path: &str, inherited: bool, unsourced: &mut Vec<String>) {
        const LIMITS: &str = "enum minLength maxLength pattern minimum maximum minItems maxItems \
                              uniqueItems multipleOf";
        for (name, part) in value.as_object().into_iter().flatten() {
            let sourced = part["x-source"].is_string();
            let is_unsourced = match path.rsplit('/').next() {
                Some("properties") => !sourced && !inherited,
                Some("responses" | "headers") => !sourced && part["$ref"].is_null(),
                Some("examples") => !sourced && !part["value"]["code"].is_null(),
                _ => false,
            };
            let is_limited = LIMITS.split(' ').any(|limit| !part[limit].is_null());
            let path = format!("{path}/{name}");
            if is_unsourced || is_limited && !sourced {
                unsourced.push(path.clone());
            }
            collect_unsourced(part, &path, inherited || sourced, unsourced);
        }
    }
}
