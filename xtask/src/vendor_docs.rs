//! Compares the contract with the vendor's documentation, which `contract/vendor_docs.json` holds as data.
//!
//! The contract says what the documentation says, or names another source in an `x-source`. After the
//! vendor changes the documentation, edit that file: these tests show where the contract differs.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::openapi::parse;

#[derive(Deserialize)]
struct VendorDocs {
    /// The types of fields, by schema and field.
    schemas: BTreeMap<String, BTreeMap<String, String>>,
    enums: BTreeMap<String, Vec<Value>>,
}

fn read() -> (VendorDocs, Value) {
    let read = |file| std::fs::read_to_string(crate::root().unwrap().join(file)).unwrap();
    let docs = serde_json::from_str(&read("contract/vendor_docs.json")).unwrap();
    let contract = parse(&read("openapi.yaml")).unwrap();
    (docs, contract["components"]["schemas"].clone())
}

/// Returns the type of a field in the notation of `vendor_docs.json`.
fn notation(schema: &Value) -> String {
    let reference = schema["allOf"][0]["$ref"].as_str().or(schema["$ref"].as_str());
    let name = reference.and_then(|reference| reference.rsplit('/').next());
    let text = match (name, schema["type"].as_str(), schema["format"].as_str()) {
        (Some(name), _, _) => name.to_owned(),
        (None, Some("array"), _) => format!("{}[]", notation(&schema["items"])),
        (None, Some(kind), Some(format)) => format!("{kind} ({format})"),
        (None, Some(kind), None) => kind.to_owned(),
        other => panic!("{other:?}"),
    };
    if schema["nullable"] == true { format!("nullable {text}") } else { text }
}

#[test]
fn every_documented_field_and_value_is_in_the_contract_as_documented() {
    let (docs, contract) = read();
    for (name, fields) in docs.schemas {
        for (field, documented) in fields {
            let property = &contract[&name]["properties"][&field];
            assert!(property.is_object(), "{name}.{field} is not in the contract");
            let required = contract[&name]["required"].as_array();
            let is_required = required.is_some_and(|names| names.iter().any(|name| *name == field));
            let ours = notation(property) + if is_required { " *" } else { "" };
            // The contract may allow null where the documentation does not, with a source.
            let sourced =
                ours == format!("nullable {documented}") && property["x-source"].is_string();
            assert!(
                ours == documented || sourced,
                "{name}.{field}: {ours}, documented: {documented}"
            );
        }
    }
    for (name, values) in docs.enums {
        let ours = contract[&name]["enum"].as_array().unwrap();
        assert!(
            values.iter().all(|value| ours.contains(value)),
            "{name}: {ours:?}, not {values:?}"
        );
    }
}

#[test]
fn what_the_vendor_does_not_document_has_a_source() {
    let (docs, contract) = read();
    for (name, schema) in contract.as_object().unwrap() {
        let fields = docs.schemas.get(name);
        if fields.is_none() && schema["x-source"].is_string() {
            continue;
        }
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let documented = fields.is_some_and(|fields| fields.contains_key(field));
            let sourced = property["x-source"].is_string();
            assert!(
                documented || sourced,
                "{name}.{field} is not in contract/vendor_docs.json and has no x-source in openapi.yaml"
            );
        }
        for value in schema["enum"].as_array().into_iter().flatten() {
            let documented = docs.enums.get(name).is_some_and(|values| values.contains(value));
            assert!(
                documented,
                "{name} {value} is not in contract/vendor_docs.json, and {name} has no x-source"
            );
        }
    }
}

#[test]
fn each_status_limit_header_and_error_code_has_a_source() {
    let root = crate::root().unwrap();
    let contract = parse(&std::fs::read_to_string(root.join("openapi.yaml")).unwrap()).unwrap();
    let mut unsourced = Vec::new();
    collect_unsourced(&contract["paths"], "paths", &mut unsourced);
    collect_unsourced(&contract["components"], "components", &mut unsourced);
    assert!(unsourced.is_empty(), "without x-source in openapi.yaml: {unsourced:#?}");
}

/// Collects the names of the parts that no documentation of the vendor shows and that have no `x-source`.
fn collect_unsourced(value: &Value, path: &str, unsourced: &mut Vec<String>) {
    const LIMITS: &str =
        "minLength maxLength pattern minimum maximum minItems maxItems uniqueItems multipleOf";
    for (name, part) in value.as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        let parent = path.rsplit('/').nth(1).unwrap_or_default();
        let is_fact = match parent {
            "responses" | "headers" => part["$ref"].is_null(),
            "examples" => !part["value"]["code"].is_null(),
            _ => LIMITS.split(' ').any(|limit| !part[limit].is_null()),
        };
        if is_fact && !part["x-source"].is_string() {
            unsourced.push(path.clone());
        }
        collect_unsourced(part, &path, unsourced);
    }
}

#[test]
fn the_contract_has_the_two_endpoints_of_an_install_and_no_others() {
    let yaml = std::fs::read_to_string(crate::root().unwrap().join("openapi.yaml")).unwrap();
    let contract = parse(&yaml).unwrap();
    let paths = contract["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
    });
    let mut operations: Vec<_> = operations.collect();
    operations.sort();
    let connectors = "/workspaces/{workspaceId}/connectors";
    let expected = [format!("get {connectors}/{{connectorId}}"), format!("post {connectors}")];
    assert_eq!(operations, expected);
}
