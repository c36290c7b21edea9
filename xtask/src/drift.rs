//! `cargo xtask drift`: compares responses of the API with the contract.

mod check;
mod redact;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::command::{cargo, output};
use crate::openapi::parse;
use check::ResponseSchema;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A recorded response, or a folder of them (*.json)
    #[arg(long, value_name = "FILE|FOLDER", required_unless_present = "live")]
    response: Option<PathBuf>,
    /// Read this connector from the API: one GET, with `BIRD_ACCESS_KEY` and `BIRD_WORKSPACE_ID`
    #[arg(long, value_name = "CONNECTOR_ID", conflicts_with = "response")]
    live: Option<String>,
    /// The operation that the responses belong to
    #[arg(long, value_name = "ID", default_value = "getConnector")]
    operation: String,
    /// Save the responses here, for the tests to decode (contract/responses)
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
    /// Whether saved responses keep only what cannot identify a customer
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    redact: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the differences between responses and the contract, and returns whether there are none.
pub(crate) fn run(root: &Path, args: &Args) -> anyhow::Result<bool> {
    let contract = parse(&std::fs::read_to_string(root.join("openapi.yaml"))?)?;
    let schema = ResponseSchema::new(&contract, &args.operation)?;
    let mut all = BTreeMap::new();
    for (name, response) in responses(root, args)? {
        let response: Value =
            serde_json::from_slice(&response).with_context(|| format!("{name} is not JSON"))?;
        all.insert(name, schema.findings(&response));
        if let Some(folder) = &args.record {
            let response = if args.redact { redact::redact(&response) } else { response };
            let path = save(folder, &args.operation, &response)?;
            eprintln!("recorded {}", path.display());
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        for (name, findings) in &all {
            let plural = if findings.len() == 1 { "" } else { "s" };
            println!("{name}: {} finding{plural}", findings.len());
            for finding in findings {
                print!("\n{finding}");
            }
        }
    }
    Ok(all.values().all(Vec::is_empty))
}

/// Returns the bytes of the responses, by a name for the report.
fn responses(root: &Path, args: &Args) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let Some(path) = &args.response else {
        let mut get = cargo();
        get.current_dir(root).args(["run", "--quiet", "--locked", "-p", "bird-sms"]);
        get.args(["--example", "raw_answer", "--"]).args(&args.live);
        return Ok(BTreeMap::from([("the response".to_owned(), output(&mut get)?)]));
    };
    let files = if path.is_dir() {
        let entries = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
        let mut files = entries.collect::<anyhow::Result<BTreeSet<_>>>()?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        files
    } else {
        BTreeSet::from([path.clone()])
    };
    ensure!(!files.is_empty(), "{} has no responses (*.json)", path.display());
    let read = |file: PathBuf| {
        let name = file.display().to_string();
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {name}"))?;
        Ok((name, bytes))
    };
    files.into_iter().map(read).collect()
}

/// Writes a response to the first free name, unless a file with this content exists.
fn save(folder: &Path, operation: &str, response: &Value) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let text = format!("{}\n", serde_json::to_string_pretty(response)?);
    let mut number = 1;
    loop {
        let path = folder.join(format!("{operation}-{number}.json"));
        match std::fs::read_to_string(&path) {
            Ok(recorded) if recorded == text => return Ok(path),
            Ok(_) => number += 1,
            Err(_) => {
                std::fs::write(&path, text)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                return Ok(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::check::{Finding, Kind};
    use super::*;

    fn findings(response: &Value) -> Vec<Finding> {
        let contract = parse(include_str!("../testdata/contract.yaml")).unwrap();
        ResponseSchema::new(&contract, "getConnector").unwrap().findings(response)
    }

    fn response() -> Value {
        json!({
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

    fn args(response: PathBuf, record: Option<PathBuf>) -> Args {
        let operation = "getConnector".to_owned();
        Args { response: Some(response), live: None, operation, record, redact: true, json: false }
    }

    #[test]
    fn a_response_that_matches_the_contract_has_no_findings() {
        assert_eq!(findings(&response()), []);
    }

    #[test]
    fn the_examples_of_the_contract_have_no_findings() {
        let yaml = std::fs::read_to_string(crate::root().unwrap().join("openapi.yaml")).unwrap();
        let contract = parse(&yaml).unwrap();
        let schema = ResponseSchema::new(&contract, "getConnector").unwrap();
        let examples = contract.pointer("/components/examples").unwrap().as_object().unwrap();
        for (name, example) in examples {
            assert_eq!(schema.findings(&example["value"]), [], "{name}");
        }
        assert!(!examples.is_empty());
    }

    #[test]
    fn the_recorded_responses_have_no_findings() {
        let root = crate::root().unwrap();
        assert!(run(&root, &args(root.join("contract/responses"), None)).unwrap());
    }

    #[test]
    fn each_difference_is_a_finding_with_a_position_and_a_suggestion() {
        let mut response = response();
        response["number"]["variables"] = json!({"sender": "x", "since": "2026-01-01T00:00:00Z"});
        response["number"]["numberType"] = "satellite".into();
        response["number"]["attachments"][0]["name/x"] = 1.5.into();
        response["region"] = 7.into();
        response.as_object_mut().unwrap().remove("createdAt");
        let found: Vec<_> = findings(&response)
            .into_iter()
            .map(|finding| (finding.pointer, finding.kind, finding.at, finding.suggestion))
            .collect();
        let variables = "variables:\n  properties:\n    sender:\n      type: string\n    since:\n      \
            format: date-time\n      type: string\n  type: object\n  x-source: a response of the API\n";
        let expected = [
            ("/createdAt", Kind::Missing, "Connector", "required:\n- id\n- name\n"),
            (
                "/number/attachments/0/name~1x",
                Kind::UnknownField,
                "Attachment/properties",
                "name/x:\n  type: number\n  x-source: a response of the API\n",
            ),
            (
                "/number/numberType",
                Kind::NewValue,
                "NumberType",
                "enum:\n- mobile\n- local\n- satellite\n",
            ),
            ("/number/variables", Kind::UnknownField, "NumberConfig/properties", variables),
            ("/region", Kind::OtherType, "Connector/properties/region", "type: integer\n"),
        ];
        let expected = expected.map(|(pointer, kind, at, suggestion)| {
            let at = format!("#/components/schemas/{at}");
            (pointer.to_owned(), kind, at, suggestion.to_owned())
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn null_is_a_finding_only_where_the_contract_does_not_allow_it() {
        let mut response = response();
        response["number"] = Value::Null;
        response["channel"] = Value::Null;
        assert_eq!(findings(&response), []);
        response["region"] = Value::Null;
        let found = findings(&response);
        let [finding] = &found[..] else { panic!("{found:?}") };
        assert_eq!((finding.pointer.as_str(), finding.kind), ("/region", Kind::Null));
        assert_eq!(finding.suggestion, "nullable: true\n");
    }

    #[test]
    fn alternatives_items_and_formats_are_checked_and_no_value_is_shown() {
        let mut response = response();
        response["number"]["capabilities"] = json!(["sms-inbound"]);
        assert_eq!(findings(&response), []);
        response["number"]["capabilities"] = 7.into();
        response["number"]["attachments"][0]["profileId"] = 31_612_345_678_u64.into();
        response["id"] = "secret".into();
        let found = findings(&response);
        let pointers: Vec<_> = found.iter().map(|finding| finding.pointer.as_str()).collect();
        assert_eq!(pointers, ["/id", "/number/attachments/0/profileId", "/number/capabilities"]);
        assert!(found.iter().all(|finding| finding.kind == Kind::OtherType), "{found:?}");
        let text = format!("{found:?}");
        assert!(!text.contains("31612345678") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn a_response_is_recorded_once_and_redacted() {
        let root = crate::root().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (file, recorded) =
            (folder.path().join("response.json"), folder.path().join("recorded"));
        let mut response = response();
        response["number"] = json!({"phoneNumber": "+31612345678"});
        std::fs::write(&file, response.to_string()).unwrap();
        for _ in 0..2 {
            assert!(run(&root, &args(file.clone(), Some(recorded.clone()))).unwrap());
        }
        assert_eq!(std::fs::read_dir(&recorded).unwrap().count(), 1);
        let text = std::fs::read_to_string(recorded.join("getConnector-1.json")).unwrap();
        assert!(!text.contains("1f0e5a3c") && !text.contains("31612345678"), "{text}");
        assert!(run(&root, &args(recorded, None)).unwrap());
    }
}
