use super::compare::compare;
use super::{Change, next};
use crate::openapi::parse;

const CONTRACT: &str = include_str!("../../testdata/contract.yaml");

/// Returns the changes when `from` is written as `to` in the contract.
fn changes(from: &str, to: &str) -> Vec<Change> {
    assert!(CONTRACT.contains(from), "the contract does not have {from:?}");
    let new = CONTRACT.replacen(from, to, 1);
    compare(&parse(CONTRACT).unwrap(), &parse(&new).unwrap())
}

#[test]
fn each_change_has_a_verdict() {
    let cases = include_str!("../../testdata/changes.yaml");
    let cases: Vec<(String, String, Vec<String>)> = yaml_serde::from_str(cases).unwrap();
    for (from, to, expected) in cases {
        let changes = changes(&from, &to);
        let verdict = |change: &Change| {
            let text = format!("{:?} {} {}", change.compatibility, change.at, change.what);
            text.replace("#/components/schemas/", "").replace("#/", "/")
        };
        let found: Vec<_> = changes.iter().map(verdict).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_change_names_the_requests_and_responses_that_refer_to_it() {
    let seen_in = |from: &str, to: &str| Vec::from_iter(changes(from, to)[0].seen_in.clone());
    let both = ["createConnector 201", "getConnector 200"];
    assert_eq!(seen_in("enum: [mobile, local]", "enum: [mobile]"), both);
    assert_eq!(seen_in("minLength: 1", "minLength: 3"), ["createConnector request"]);
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
