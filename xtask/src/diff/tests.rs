use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::panic::catch_unwind;
use std::thread;

use serde_json::Value;

use super::Compatibility::Compatible;
use super::compare::{Generated, Rule, SAME, compare};
use super::{Base, Change, git, next};
use crate::compile::{self, Client};
use crate::openapi::{escape, parse};

const BASE: &str = include_str!("../../testdata/diff/base.yaml");

/// A case of `changes.yaml`, which documents the fields.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    change: String,
    edit: BTreeMap<String, Value>,
    class: String,
    because: String,
    despite: Option<String>,
}

/// Returns the worst class, the changes in that class as text, and the client if it differs.
fn judge(base: &Generated, new: &Value, all: &mut Vec<Change>) -> (String, String, Option<String>) {
    match compare("openapi.yaml", (BASE, base), &new.to_string()) {
        Err(error) => ("refused".to_owned(), error.to_string(), None),
        Ok((changes, client)) => {
            let worst = changes.first().map_or(Compatible, |it| it.compatibility);
            let of_class: Vec<_> = changes.iter().filter(|it| it.compatibility == worst).collect();
            let verdict = (format!("{worst:?}").to_lowercase(), format!("{of_class:#?}"), client);
            all.extend(changes);
            verdict
        }
    }
}

#[test]
fn each_change_gets_the_expected_verdict() {
    judge_all();
}

#[test]
#[ignore = "slow, because it starts cargo; `.ci/run compiled_contracts` runs it"]
fn the_client_compiles_after_each_change() {
    compile(judge_all());
}

/// The results of cases.
#[derive(Default)]
struct Judged {
    problems: Vec<String>,
    /// The clients that differ from the base, with their contracts.
    clients: BTreeMap<String, String>,
    /// The rules that applied to a change.
    used: BTreeSet<String>,
}

/// Judges each case. Returns the clients that differ from the base, with their contracts.
fn judge_all() -> BTreeMap<String, String> {
    let file = crate::root().unwrap().join("xtask/testdata/diff/changes.yaml");
    let cases: Vec<Case> = yaml_serde::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    // Each case generates a client or two, which takes nearly all of the time.
    let threads = thread::available_parallelism().map_or(1, Into::into);
    let mut all = Judged::default();
    thread::scope(|scope| {
        let chunks = cases.chunks(cases.len().div_ceil(threads));
        let threads: Vec<_> = chunks.map(|cases| scope.spawn(|| judge_cases(cases))).collect();
        for thread in threads {
            let Judged { problems, clients, used } = thread.join().unwrap();
            all.problems.extend(problems);
            all.clients.extend(clients);
            all.used.extend(used);
        }
    });
    assert!(all.problems.is_empty(), "{}", all.problems.join("\n"));
    let rules = Rule::all().unwrap().into_iter().map(|it| it.because);
    let unused: Vec<_> = rules.filter(|because| !all.used.contains(because)).collect();
    assert!(unused.is_empty(), "rules without a case: {unused:#?}");
    all.clients
}

fn judge_cases(cases: &[Case]) -> Judged {
    let base = parse(BASE).unwrap();
    let base_client = bird_codegen::generate("openapi.yaml", BASE);
    let mut judged = Judged::default();
    for Case { change, edit, class, because, despite } in cases {
        let mut changes = Vec::new();
        let mut new = base.clone();
        for (pointer, value) in edit {
            set(&mut new, pointer, value);
        }
        let (worst, text, client) = judge(&base_client, &new, &mut changes);
        let is_same = worst == "compatible" && client.is_none();
        if is_same && changes.iter().any(|it| it.because != SAME) {
            judged.problems.push(format!("{change}: same client, but another `because`: {text}"));
        }
        let compared = catch_unwind(|| ::drift::compare(&base, &new).unwrap());
        let objections = compared.map_or(vec!["drift panics".to_owned()], |changes| {
            let changes = changes.iter().flat_map(|change| &change.changes);
            let objections = changes.filter(|it| it.class != ::drift::ChangeClass::Trivial);
            objections.map(|it| format!("{:?}: {}", it.class, it.message)).collect()
        });
        let differs = worst == "compatible" && !is_same && !objections.is_empty();
        if differs != despite.is_some() {
            judged.problems.push(format!(
                "{change}: drift has the objections {objections:?}, but `despite` is {despite:?}"
            ));
        }
        judged.clients.extend(client.map(|client| (client, new.to_string())));
        // A second change, which alters the client, must not alter the verdict on the first.
        set(&mut new, "Arguments/description", &"New.".into());
        let both = is_same.then(|| judge(&base_client, &new, &mut changes));
        let (both, more, _) = both.unwrap_or((worst.clone(), String::new(), None));
        if [&worst, &both] != [class; 2] || !format!("{text}{more}").contains(because) {
            judged
                .problems
                .push(format!("{change}: {worst}: {text}\nwith another change: {both}: {more}"));
        }
        judged.used.extend(changes.into_iter().map(|it| it.because));
    }
    judged
}

/// Compiles the clients as modules of one crate that replaces bird-api.
fn compile(clients: BTreeMap<String, String>) {
    let mut lib =
        "//! Clients.\n/// As in bird-api.\n#[derive(Clone, Debug)]\npub struct RequestContext;\n"
            .to_owned();
    let client = |(nth, (code, contract))| {
        let hooks = "impl progenitor_client::ClientHooks<crate::RequestContext> for Client {}";
        let allow = "#[allow(clippy::all, missing_docs, reason = \"only compiled\")]";
        let include = format!("include!(\"../generated/case{nth}.rs\");");
        writeln!(lib, "{allow}\npub mod case{nth} {{ {include} {hooks} }}").unwrap();
        let path = format!("crates/bird-api/generated/case{nth}.rs");
        Client { path, code, contract: (format!("case {nth}"), contract) }
    };
    let mut clients: Vec<_> = clients.into_iter().enumerate().map(client).collect();
    let path = "crates/bird-api/src/lib.rs".to_owned();
    clients.push(Client { path, code: lib, contract: (String::new(), BASE.to_owned()) });
    compile::check(&clients).unwrap();
}

#[test]
fn the_base_is_the_last_release_or_the_commit_before_the_last_change() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let commit = |contract: &str| {
        std::fs::write(root.join("openapi.yaml"), contract).unwrap();
        git(root, &["add", "."]).unwrap();
        let name = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
        git(root, &[&name[..], &["commit", "--quiet", "--allow-empty", "-m", contract]].concat())
            .unwrap();
    };
    let base = || {
        let base = Base::read(root, None).unwrap();
        (base.contract(root, "openapi.yaml").unwrap().unwrap(), base.name)
    };
    git(root, &["init", "--quiet"]).unwrap();
    std::fs::write(root.join("Cargo.toml"), "[workspace.package]\nversion = \"0.1.0\"\n").unwrap();
    ["first", "second", "second"].into_iter().for_each(commit);
    let (contract, name) = base();
    assert_eq!(contract, "first");
    assert!(name.contains("there is no release yet (--base selects another)"), "{name}");
    std::fs::write(root.join("openapi.yaml"), "third").unwrap();
    assert_eq!(base().0, "second");
    git(root, &["tag", "v0.1.0"]).unwrap();
    commit("third");
    assert_eq!(base(), ("second".to_owned(), "v0.1.0".to_owned()));
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
fn the_next_version_follows_cargos_semver_rules() {
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
fn an_equivalent_yaml_anchor_is_not_a_change() {
    let label = "label: {$ref: '#/components/schemas/Label'}";
    let (first, second) = BASE.split_once(label).unwrap();
    let anchored = label.replace('{', "&label {");
    let anchors = format!("{first}{anchored}{}", second.replace(label, "label: *label"));
    assert_eq!(anchors.matches("*label").count(), 1);
    assert_eq!(
        compare("openapi.yaml", (BASE, &bird_codegen::generate("openapi.yaml", BASE)), &anchors)
            .unwrap(),
        (Vec::new(), None)
    );
}
