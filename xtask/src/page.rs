//! The vendor's page, as data in `contract/page.json`, and the contract: each says what the other does,
//! or where else a fact comes from. A change of the page is a change of that file, and the drift shows
//! here.

use std::fs;

use serde_json::{Map, Value};

fn contract() -> Value {
    let yaml = fs::read_to_string(crate::root().join("openapi.yaml")).unwrap();
    yaml_serde::from_str(&yaml).unwrap()
}

fn page() -> Value {
    let json = fs::read_to_string(crate::root().join("contract/page.json")).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("not an object: {value}"))
}

/// The name at the end of a reference.
fn referred(schema: &Value) -> Option<&str> {
    let reference = schema["allOf"][0]["$ref"].as_str().or(schema["$ref"].as_str())?;
    reference.rsplit('/').next()
}

/// A field of the contract in the notation of the page.
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
fn every_field_and_value_of_the_page_is_in_the_contract_as_the_page_has_it() {
    let (page, contract) = (page(), contract());
    for (name, fields) in object(&page["schemas"]) {
        let schema = &contract["components"]["schemas"][name];
        for (field, on_page) in object(fields) {
            let property = &schema["properties"][field];
            assert!(property.is_object(), "{name}.{field} is not in the contract");
            let ours = notation(property, is_required(schema, field));
            let on_page = on_page.as_str().unwrap();
            // What the page does not say is there with its source.
            let sourced = ours == format!("nullable {on_page}") && property["x-source"].is_string();
            assert!(ours == on_page || sourced, "{name}.{field}: {ours}, on the page {on_page}");
        }
    }
    for (name, values) in object(&page["enums"]) {
        let ours = contract["components"]["schemas"][name]["enum"].as_array();
        for value in values.as_array().unwrap() {
            assert!(ours.is_some_and(|ours| ours.contains(value)), "{name} has no {value}");
        }
    }
}

#[test]
fn what_the_page_does_not_show_says_where_it_comes_from() {
    let (page, contract) = (page(), contract());
    for (name, schema) in object(&contract["components"]["schemas"]) {
        let on_page = &page["schemas"][name];
        if on_page.is_null() && schema["x-source"].is_string() {
            continue;
        }
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let shown = on_page[field].is_string();
            assert!(shown || property["x-source"].is_string(), "{name}.{field} has no x-source");
        }
        let values = schema["enum"].as_array().into_iter().flatten();
        let on_page = page["enums"][name].as_array();
        for value in values {
            let shown = on_page.is_some_and(|values| values.contains(value));
            assert!(shown || schema["x-source"].is_string(), "{name} {value} has no x-source");
        }
    }
}
