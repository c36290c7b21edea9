//! The contracts, their clients, and how to read a contract as JSON.

use anyhow::{Context, bail};
use serde_json::Value;

/// Each contract, with the path of the client that is generated from it.
pub(crate) const CONTRACTS: [(&str, &str); 2] = [
    ("openapi.yaml", "crates/bird-api/generated/client.rs"),
    ("contract/numbers.yaml", "crates/bird-api/generated/numbers.rs"),
];

/// Generates the client of a contract. The first contract defines the type `Client`; the others extend it.
pub(crate) fn generate(contract: &str, yaml: &str) -> Result<String, bird_codegen::Error> {
    if contract == CONTRACTS[0].0 {
        bird_codegen::generate(contract, yaml)
    } else {
        bird_codegen::extend(contract, yaml)
    }
}

/// Parses a contract.
pub(crate) fn parse(yaml: &str) -> anyhow::Result<Value> {
    yaml_serde::from_str(yaml).context("the contract is not valid YAML")
}

/// Escapes a name for use in a JSON pointer (RFC 6901).
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Follows any `$ref` at a JSON pointer, and returns a pointer to its target.
pub(crate) fn resolve(contract: &Value, pointer: &str) -> String {
    match contract.pointer(pointer).and_then(|value| value["$ref"].as_str()) {
        Some(target) => resolve(contract, target.trim_start_matches('#')),
        None => pointer.to_owned(),
    }
}

/// Returns a schema and all schemas in its `allOf`, `anyOf` and `oneOf`, with their JSON pointers.
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

/// Returns the JSON pointer of the schema of an operation's 2xx response.
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
                bail!("{id} has no 2xx response with a body");
            }
        }
    }
    bail!("unknown operation {operation_id}; the contract has {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_in_a_contract_names_its_source() {
        for (file, _) in CONTRACTS {
            let yaml = std::fs::read_to_string(crate::root().unwrap().join(file)).unwrap();
            let mut unsourced = Vec::new();
            collect_unsourced(&parse(&yaml).unwrap(), "", false, &mut unsourced);
            assert!(unsourced.is_empty(), "these facts in {file} have no x-source: {unsourced:#?}");
        }
    }

    /// Collects the paths of facts without an `x-source`. A field inherits the source of its schema.
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
