//! Compares the contract with the vendor's documentation, which `contract/vendor_docs.json` holds as data.
//!
//! The contract says what the documentation says, or names another source in an `x-source`. After the
//! vendor changes the documentation, edit that file: these tests show where the contract differs.

use std::fs;

use serde_json::{Map, Value};

fn contract() -> Value {
    let yaml = fs::read_to_string(crate::root().unwrap().join("openapi.yaml")).unwrap();
    yaml_serde::from_str(&yaml).unwrap()
}

fn vendor_docs() -> Value {
    let json =
        fs::read_to_string(crate::root().unwrap().join("contract/vendor_docs.json")).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

/// Returns the name of the schema that a reference leads to.
fn referred(schema: &Value) -> Option<&str> {
    let reference = schema["allOf"][0]["$ref"].as_str().or(schema["$ref"].as_str())?;
    reference.rsplit('/').next()
}

/// Returns a field of the contract in the notation of `vendor_docs.json`.
fn notation(schema: &Value, required: bool) -> String {
    let mut text = match (referred(schema), schema["type"].as_str(), schema["format"].as_str()) {
        (Some(name), _, _) => name.to_owned(),
        (None, Some("array"), _) => format!("{}[]", notation(&schema["items"], false)),
        (None, Some(kind), Some(format)) => format!("{kind} ({format})"),
        (None, Some(kind), None) => kind.to_owned(),
        other => panic!("{other:?}"),
    };
    if schema["nullable"] == true {
        text.insert_str(0, "nullable ");
    }
    if required {
        text.push_str(" *");
    }
    text
}

fn is_required(schema: &Value, field: &str) -> bool {
    schema["required"].as_array().is_some_and(|names| names.iter().any(|name| name == field))
}

#[test]
fn every_documented_field_and_value_is_in_the_contract_as_documented() {
    let (docs, contract) = (vendor_docs(), contract());
    for (name, fields) in object(&docs["schemas"]) {
        let schema = &contract["components"]["schemas"][name];
        for (field, documented) in object(fields) {
            let property = &schema["properties"][field];
            assert!(property.is_object(), "{name}.{field} is not in the contract");
            let ours = notation(property, is_required(schema, field));
            let documented = documented.as_str().unwrap();
            // The contract may allow null where the documentation does not, with a source.
            let sourced =
                ours == format!("nullable {documented}") && property["x-source"].is_string();
            assert!(
                ours == documented || sourced,
                "{name}.{field}: {ours}, documented as {documented}"
            );
        }
    }
    for (name, values) in object(&docs["enums"]) {
        let ours = contract["components"]["schemas"][name]["enum"].as_array();
        for value in values.as_array().unwrap() {
            assert!(ours.is_some_and(|ours| ours.contains(value)), "{name} has no {value}");
        }
    }
}

#[test]
fn what_the_vendor_does_not_document_has_a_source() {
    let (docs, contract) = (vendor_docs(), contract());
    for (name, schema) in object(&contract["components"]["schemas"]) {
        let documented = &docs["schemas"][name];
        if documented.is_null() && schema["x-source"].is_string() {
            continue;
        }
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let shown = documented[field].is_string();
            assert!(shown || property["x-source"].is_string(), "{name}.{field} has no x-source");
        }
        let values = schema["enum"].as_array().into_iter().flatten();
        let documented = docs["enums"][name].as_array();
        for value in values {
            let shown = documented.is_some_and(|values| values.contains(value));
            assert!(shown || schema["x-source"].is_string(), "{name} {value} has no x-source");
        }
    }
}
