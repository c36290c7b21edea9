//! `cargo xtask drift`: the contract against what the API really answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::command::{cargo, output};
use crate::redact::redacted;
use crate::schema::{Additional, Shape, escaped, operations, parse};

/// Where an answer comes from.
pub(crate) enum Source {
    /// A file with one, or a folder of files.
    Recorded(PathBuf),
    /// A GET, of this connector.
    Live(String),
}

/// Something in an answer that the contract does not say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    /// Where in the answer, as a JSON pointer.
    pub(crate) pointer: String,
    pub(crate) kind: Kind,
    pub(crate) what: String,
    /// Where in the contract, as a JSON pointer, something should be said.
    pub(crate) at: String,
    /// What to say there, as YAML.
    pub(crate) suggestion: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    UnknownField,
    OtherType,
    Missing,
    NewValue,
    Null,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.pointer, self.what)?;
        writeln!(f, "  in the contract, at {}:", self.at)?;
        for line in self.suggestion.lines() {
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}

/// Compares answers with the contract, and returns whether anything was found.
pub(crate) fn run(
    root: &Path,
    operation: &str,
    source: &Source,
    record: Option<&Path>,
    redact: bool,
    json: bool,
) -> anyhow::Result<bool> {
    let contract = parse(&std::fs::read_to_string(root.join("openapi.yaml"))?)?;
    let shape = success(&contract, operation)?;
    let mut found = BTreeMap::new();
    for (name, answer) in answers(root, source)? {
        let answer: Value =
            serde_json::from_slice(&answer).with_context(|| format!("{name} is not JSON"))?;
        found.insert(name, findings(&shape, &answer));
        if let Some(folder) = record {
            let answer = if redact { redacted(&answer, &shape) } else { answer };
            let path = write(folder, operation, &answer)?;
            eprintln!("recorded {}", path.display());
        }
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        for (name, findings) in &found {
            let plural = if findings.len() == 1 { "" } else { "s" };
            println!("{name}: {} finding{plural}", findings.len());
            for finding in findings {
                print!("\n{finding}");
            }
        }
    }
    Ok(found.values().any(|findings| !findings.is_empty()))
}

/// The shape of the success of an operation.
fn success(contract: &Value, operation: &str) -> anyhow::Result<Shape> {
    let mut operations = operations(contract)?;
    let known = operations.keys().cloned().collect::<Vec<_>>().join(", ");
    let operation = operations
        .remove(operation)
        .with_context(|| format!("there is no operation {operation}; there are {known}"))?;
    let mut answers = operation.answers.into_iter();
    let success = answers.find_map(|(status, shape)| shape.filter(|_| status.starts_with('2')));
    success.context("the operation has no success with a body")
}

/// The answers by name.
fn answers(root: &Path, source: &Source) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let path = match source {
        Source::Live(id) => {
            let mut get = cargo();
            get.current_dir(root).args(["run", "--quiet", "--locked", "-p", "bird-sms"]);
            get.args(["--example", "raw_answer", "--", id]);
            return Ok(BTreeMap::from([("the answer".to_owned(), output(&mut get)?)]));
        }
        Source::Recorded(path) => path,
    };
    let mut answers = BTreeMap::new();
    let files = if path.is_dir() {
        let entries = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
        entries.collect::<anyhow::Result<BTreeSet<_>>>()?
    } else {
        BTreeSet::from([path.clone()])
    };
    for file in files.iter().filter(|file| *file == path || has_extension(file, "json")) {
        let bytes =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        answers.insert(file.display().to_string(), bytes);
    }
    if answers.is_empty() {
        bail!("{} has no answers (*.json)", path.display());
    }
    Ok(answers)
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

fn write(folder: &Path, operation: &str, answer: &Value) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let mut text = serde_json::to_string_pretty(answer)?;
    text.push('\n');
    let paths = (1..).map(|nth| folder.join(format!("{operation}-{nth}.json")));
    for path in paths {
        match std::fs::read_to_string(&path) {
            Ok(recorded) if recorded == text => return Ok(path),
            Ok(_) => {}
            Err(_) => {
                std::fs::write(&path, text)?;
                return Ok(path);
            }
        }
    }
    unreachable!("some number is free")
}

/// What the answer has that the shape does not say.
pub(crate) fn findings(shape: &Shape, answer: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    look(shape, answer, "", &mut findings);
    findings.sort();
    findings
}

fn look(shape: &Shape, value: &Value, pointer: &str, findings: &mut Vec<Finding>) {
    let mut find = |kind, what, suggestion: &Value| {
        let pointer = if pointer.is_empty() { "/" } else { pointer };
        findings.push(Finding {
            pointer: pointer.to_owned(),
            kind,
            what,
            at: format!("#{}", shape.at),
            suggestion: yaml(suggestion),
        });
    };
    if value.is_null() {
        if !shape.nullable {
            find(
                Kind::Null,
                "null, where the contract allows none".to_owned(),
                &json_object("nullable", true),
            );
        }
        return;
    }
    if !shape.alternatives.is_empty() {
        // An alternative that fits is taken; of several that fit the one with the fewest findings.
        let fitting = shape.alternatives.values().filter(|shape| fits(shape, value));
        let best = fitting.map(|shape| {
            let mut findings = Vec::new();
            look(shape, value, pointer, &mut findings);
            findings
        });
        match best.min_by_key(Vec::len) {
            Some(best) => findings.extend(best),
            None => find(Kind::OtherType, other_type(shape, value), &guess(value)),
        }
        return;
    }
    if !fits(shape, value) {
        find(Kind::OtherType, other_type(shape, value), &guess(value));
        return;
    }
    if let Some(values) = &shape.values
        && !values.contains(value)
    {
        let all: Vec<_> = values.iter().chain([value]).cloned().collect();
        let what = format!("the value {value}, which the contract does not list");
        find(Kind::NewValue, what, &json_object("enum", all));
    }
    match value {
        Value::Object(object) => fields(shape, object, pointer, findings),
        Value::Array(items) => {
            for (nth, item) in items.iter().enumerate() {
                if let Some(shape) = &shape.items {
                    look(shape, item, &format!("{pointer}/{nth}"), findings);
                }
            }
        }
        _ => {}
    }
}

fn fields(shape: &Shape, object: &Map<String, Value>, pointer: &str, findings: &mut Vec<Finding>) {
    for (name, value) in object {
        let below = format!("{pointer}/{}", escaped(name));
        match (shape.fields.get(name), &shape.additional) {
            (Some(field), _) => look(&field.shape, value, &below, findings),
            (None, Additional::Free) => {}
            (None, Additional::Of(shape)) => look(shape, value, &below, findings),
            (None, Additional::Unsaid | Additional::Refused) => {
                let mut field = guess(value);
                field["x-source"] = "an answer of the API".into();
                findings.push(Finding {
                    pointer: below,
                    kind: Kind::UnknownField,
                    what: "a field that the contract does not know".to_owned(),
                    at: format!("#{}/properties", shape.at),
                    suggestion: yaml(&json_object(name, field)),
                });
            }
        }
    }
    let required: Vec<_> =
        shape.fields.iter().filter(|(_, field)| field.required).map(|(name, _)| name).collect();
    for missing in required.iter().filter(|name| !object.contains_key(**name)) {
        let rest: Vec<_> = required.iter().filter(|name| name != &missing).collect();
        findings.push(Finding {
            pointer: format!("{pointer}/{}", escaped(missing)),
            kind: Kind::Missing,
            what: "missing, and the contract requires it".to_owned(),
            at: format!("#{}", shape.at),
            suggestion: yaml(&json_object("required", serde_json::json!(rest))),
        });
    }
}

fn fits(shape: &Shape, value: &Value) -> bool {
    let kind = match shape.kind.as_deref() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        _ => true,
    };
    let format = match (shape.format.as_deref(), value.as_str()) {
        (Some("uuid"), Some(text)) => text.parse::<Uuid>().is_ok(),
        (Some("date-time"), Some(text)) => text.parse::<Timestamp>().is_ok(),
        _ => true,
    };
    kind && format
}

fn other_type(shape: &Shape, value: &Value) -> String {
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) if shape.kind.as_deref() == Some("string") => "a string of another format",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    format!("{is}, where the contract says {}", shape.name())
}

/// The schema of a value, as far as one value tells.
fn guess(value: &Value) -> Value {
    let kind = |name: &str| json_object("type", name);
    match value {
        Value::Null => json_object("nullable", true),
        Value::Bool(_) => kind("boolean"),
        Value::Number(number) if number.is_f64() => kind("number"),
        Value::Number(_) => kind("integer"),
        Value::String(text) => {
            let mut schema = kind("string");
            if text.parse::<Uuid>().is_ok() {
                schema["format"] = "uuid".into();
            } else if text.parse::<Timestamp>().is_ok() {
                schema["format"] = "date-time".into();
            }
            schema
        }
        Value::Array(items) => {
            let mut schema = kind("array");
            schema["items"] = items.first().map_or_else(|| serde_json::json!({}), guess);
            schema
        }
        Value::Object(fields) => {
            let mut schema = kind("object");
            let properties: Map<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), guess(value))).collect();
            schema["properties"] = properties.into();
            schema
        }
    }
}

fn json_object(name: &str, value: impl Into<Value>) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value.into())]))
}

fn yaml(value: &Value) -> String {
    yaml_serde::to_string(value).unwrap_or_else(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector() -> Shape {
        let contract = parse(include_str!("../testdata/contract.yaml")).unwrap();
        success(&contract, "getConnector").unwrap()
    }

    fn answer() -> Value {
        serde_json::json!({
            "id": "1f0e5a3c-0b5a-4f0e-9a52-3d2c1b0a9f8e",
            "name": "My SMS channel",
            "region": "eu",
            "arguments": {"anything": 7},
            "channel": {"channelId": "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"},
            "number": {
                "capabilities": "sms-inbound,sms-outbound",
                "numberType": "mobile",
                "country": "NL",
                "attachments": [{"profileId": "p"}],
            },
            "createdAt": "2025-01-21T01:43:10.940Z",
        })
    }

    #[test]
    fn an_answer_as_the_contract_has_it_has_no_findings() {
        assert_eq!(findings(&connector(), &answer()), []);
    }

    #[test]
    fn the_examples_of_the_contract_have_no_findings() {
        let contract = parse(&std::fs::read_to_string(crate::root().join("openapi.yaml")).unwrap());
        let contract = contract.unwrap();
        let shape = success(&contract, "getConnector").unwrap();
        let examples = contract.pointer("/components/examples").unwrap().as_object().unwrap();
        for (name, example) in examples {
            assert_eq!(findings(&shape, &example["value"]), [], "{name}");
        }
        assert!(!examples.is_empty());
    }

    #[test]
    fn the_recorded_answers_have_no_findings() {
        let recorded = Source::Recorded(crate::root().join("contract/responses"));
        assert!(!run(&crate::root(), "getConnector", &recorded, None, true, false).unwrap());
    }

    #[test]
    fn four_differences_are_four_findings_with_pointers_and_suggestions() {
        let mut answer = answer();
        answer["number"]["variables"] =
            serde_json::json!({"sender": "x", "since": "2026-01-01T00:00:00Z"});
        answer["number"]["numberType"] = "satellite".into();
        answer["region"] = 7.into();
        answer.as_object_mut().unwrap().remove("createdAt");
        let told: Vec<_> = findings(&connector(), &answer)
            .into_iter()
            .map(|finding| (finding.pointer, finding.kind, finding.at, finding.suggestion))
            .collect();
        let expected = [
            (
                "/createdAt",
                Kind::Missing,
                "#/components/schemas/Connector",
                "required:\n- id\n- name\n",
            ),
            (
                "/number/numberType",
                Kind::NewValue,
                "#/components/schemas/NumberType",
                "enum:\n- mobile\n- local\n- satellite\n",
            ),
            (
                "/number/variables",
                Kind::UnknownField,
                "#/components/schemas/NumberConfig/properties",
                "variables:\n  properties:\n    sender:\n      type: string\n    since:\n      \
                 format: date-time\n      type: string\n  type: object\n  x-source: an answer of the API\n",
            ),
            (
                "/region",
                Kind::OtherType,
                "#/components/schemas/Connector/properties/region",
                "type: integer\n",
            ),
        ];
        let expected = expected.map(|(pointer, kind, at, suggestion)| {
            (pointer.to_owned(), kind, at.to_owned(), suggestion.to_owned())
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn null_is_found_where_none_is_allowed_and_nowhere_else() {
        let mut answer = answer();
        answer["number"] = Value::Null;
        answer["channel"] = Value::Null;
        assert_eq!(findings(&connector(), &answer), []);
        answer["region"] = Value::Null;
        let found = findings(&connector(), &answer);
        let [finding] = &found[..] else { panic!("{found:?}") };
        assert_eq!((finding.pointer.as_str(), finding.kind), ("/region", Kind::Null));
        assert_eq!(finding.suggestion, "nullable: true\n");
    }

    #[test]
    fn alternatives_items_and_formats_are_looked_into() {
        let mut answer = answer();
        answer["number"]["capabilities"] = serde_json::json!(["sms-inbound"]);
        assert_eq!(findings(&connector(), &answer), []);
        answer["number"]["capabilities"] = 7.into();
        answer["number"]["attachments"][0]["profileId"] = 7.into();
        answer["id"] = "x".into();
        let found = findings(&connector(), &answer);
        let pointers: Vec<_> = found.iter().map(|finding| finding.pointer.as_str()).collect();
        assert_eq!(pointers, ["/id", "/number/attachments/0/profileId", "/number/capabilities"]);
        assert!(found.iter().all(|finding| finding.kind == Kind::OtherType), "{found:?}");
        assert!(found[2].what.contains("string or array"), "{}", found[2].what);
    }

    #[test]
    fn what_is_recorded_is_redacted_and_one_answer_is_recorded_once() {
        let root = crate::root();
        let folder = tempfile::tempdir().unwrap();
        let answer = folder.path().join("answer.json");
        let number = serde_json::json!({"phoneNumber": "+31612345678"});
        let text = r#"{"id":"1f0e5a3c-0b5a-4f0e-9a52-3d2c1b0a9f8e","name":"n","createdAt":"2026-01-01T00:00:00Z","number":N}"#;
        std::fs::write(&answer, text.replace('N', &number.to_string())).unwrap();
        let fixtures = folder.path().join("fixtures");
        for _ in 0..2 {
            let source = Source::Recorded(answer.clone());
            assert!(!run(&root, "getConnector", &source, Some(&fixtures), true, false).unwrap());
        }
        let files: Vec<_> = std::fs::read_dir(&fixtures).unwrap().collect();
        assert_eq!(files.len(), 1);
        let recorded = std::fs::read_to_string(fixtures.join("getConnector-1.json")).unwrap();
        assert!(!recorded.contains("1f0e5a3c") && !recorded.contains("31612345678"), "{recorded}");
        assert!(
            !run(&root, "getConnector", &Source::Recorded(fixtures), None, true, true).unwrap()
        );
    }
}
