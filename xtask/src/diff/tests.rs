use std::collections::{BTreeMap, BTreeSet};
use std::panic::catch_unwind;

use serde_json::Value;

use super::compare::{Rule, compare};
use super::{Compatibility, next};
use crate::openapi::{escape, parse};

const BASE: &str = include_str!("../../testdata/diff/base.yaml");

/// A case of `changes.yaml`, which documents the fields.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    change: String,
    edit: BTreeMap<String, Value>,
    class: Compatibility,
    because: String,
    despite: Option<String>,
}

#[test]
fn each_change_has_a_verdict_that_a_second_judge_shares_or_the_reason_why_not() {
    let cases = include_str!("../../testdata/diff/changes.yaml");
    let cases: Vec<Case> = yaml_serde::from_str(cases).unwrap();
    let mut problems = Vec::new();
    let mut unused: BTreeSet<_> = Rule::all().unwrap().into_iter().map(|it| it.because).collect();
    for Case { change, edit, class, because, despite } in &cases {
        let base = parse(BASE).unwrap();
        let mut new = base.clone();
        for (pointer, value) in edit {
            set(&mut new, pointer, value);
        }
        let changes = compare(BASE, &new.to_string()).unwrap();
        let worst = changes.first().map_or(Compatibility::Compatible, |it| it.compatibility);
        let is_reason = |it: &super::Change| format!("{it:?}").contains(because);
        let mut of_class = changes.iter().filter(|it| it.compatibility == worst);
        if worst != *class || !(changes.is_empty() || of_class.any(is_reason)) {
            problems.push(format!("{change}: {changes:#?}"));
        }
        unused.retain(|because| changes.iter().all(|it| it.because != *because));
        let judged = catch_unwind(|| ::drift::compare(&base, &new).unwrap());
        let objections = judged.map_or(vec!["it panics".to_owned()], |changes| {
            let changes = changes.iter().flat_map(|change| &change.changes);
            let objections = changes.filter(|it| it.class != ::drift::ChangeClass::Trivial);
            objections.map(|it| format!("{:?}: {}", it.class, it.message)).collect()
        });
        let differs = worst == Compatibility::Compatible && !objections.is_empty();
        if differs != despite.is_some() {
            problems.push(format!("{change}: drift says {objections:?}, despite: {despite:?}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(unused.is_empty(), "rules without a case: {unused:#?}");
    assert!(cases.len() >= 60);
}

/// Sets or removes the value at a pointer.
fn set(contract: &mut Value, pointer: &str, value: &Value) {
    let schemas = if pointer.starts_with('/') { "" } else { "/components/schemas/" };
    let pointer = format!("{schemas}{pointer}");
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match (contract.pointer_mut(parent), key.parse()) {
        (Some(Value::Array(list)), Ok(index)) => {
            let end = if list.len() > index { index + 1 } else { index };
            list.splice(index..end, Some(value.clone()).filter(|value| !value.is_null()));
        }
        (Some(Value::Object(map)), _) if value.is_null() => {
            map.retain(|name, _| escape(name) != key);
        }
        (Some(Value::Object(map)), _) => {
            map.insert(key.replace("~1", "/"), value.clone());
        }
        _ => panic!("the contract has no {parent}"),
    }
}

#[test]
fn the_next_version_follows_the_rules_of_cargo() {
    for (version, changed, breaking, expected) in [
        ("0.1.4", true, true, "0.2.0"),
        ("0.1.4", true, false, "0.1.5"),
        ("0.1.4", false, false, "0.1.4"),
        ("1.2.3", true, true, "2.0.0"),
        ("1.2.3", true, false, "1.3.0"),
    ] {
        let version = version.parse().unwrap();
        assert_eq!(next(&version, changed, breaking).to_string(), expected);
    }
}

#[test]
fn another_way_to_write_the_same_yaml_changes_nothing() {
    let label = "label: {$ref: '#/components/schemas/Label'}";
    let (first, second) = BASE.split_once(label).unwrap();
    let anchored = label.replace('{', "&label {");
    let anchors = format!("{first}{anchored}{}", second.replace(label, "label: *label"));
    assert_eq!(anchors.matches("*label").count(), 1);
    assert_eq!(compare(BASE, &anchors).unwrap(), []);
}
