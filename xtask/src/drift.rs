//! `cargo xtask drift`: compares real responses with the contracts.

mod check;
mod redact;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::command::{cargo, output};
use crate::openapi::{CONTRACTS, parse, success};
use check::ResponseSchema;

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["response", "live"]))]
pub(crate) struct Args {
    /// Recorded response, or folder with recorded responses (*.json)
    #[arg(long, value_name = "FILE|FOLDER")]
    response: Option<PathBuf>,
    /// ID of a connector to read from the API
    ///
    /// Phone numbers, requirements and use cases are read as well, with one GET for each endpoint. The access key and
    /// the workspace come from `BIRD_ACCESS_KEY` and `BIRD_WORKSPACE_ID`.
    #[arg(long, value_name = "CONNECTOR_ID")]
    live: Option<String>,
    /// Operation ID of the responses
    ///
    /// An operation ID at the start of a file name, such as getConnector-1.json, takes precedence.
    #[arg(long, value_name = "ID", default_value = "getConnector")]
    operation: String,
    /// Folder to save the responses in
    ///
    /// The tests decode all responses in contract/responses.
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
    /// Whether to redact saved responses
    ///
    /// Redaction replaces all values that may identify a customer.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    redact: bool,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// Prints where responses differ from the contracts. Returns `true` if none of them differs.
pub(crate) fn run(root: &Path, args: &Args) -> anyhow::Result<bool> {
    let contracts = CONTRACTS
        .map(|(file, _)| file)
        .into_iter()
        .map(|file| parse(&std::fs::read_to_string(root.join(file))?));
    let contracts = contracts.collect::<anyhow::Result<Vec<_>>>()?;
    let contract_of = |operation: &str| contracts.iter().find(|it| success(it, operation).is_ok());
    let responses = match &args.live {
        Some(connector) => live(root, connector)?,
        None => recorded(args.response.as_deref().unwrap_or(root))?,
    };
    let mut all = BTreeMap::new();
    for (name, response) in responses {
        let file = Path::new(&name).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let named = file.split('-').next().filter(|operation| contract_of(operation).is_some());
        let operation = named.unwrap_or(&args.operation);
        let contract = contract_of(operation).unwrap_or(&contracts[0]);
        let response: Value =
            serde_json::from_slice(&response).with_context(|| format!("{name} is not JSON"))?;
        all.insert(name.clone(), ResponseSchema::new(contract, operation)?.findings(&response));
        if let Some(folder) = &args.record {
            let response = if args.redact { redact::redact(&response) } else { response };
            let path = save(folder, operation, &response)?;
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

/// Reads the endpoints of both contracts. Skips endpoints that cannot be read, such as those the key may not view.
fn live(root: &Path, connector: &str) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut all = BTreeMap::new();
    let mut read = |operation: &str, path: &str| {
        let mut get = cargo();
        get.current_dir(root).args(["run", "--quiet", "--locked", "-p", "bird-sms"]);
        match output(get.args(["--example", "raw_response", "--", path])) {
            Ok(body) => {
                let response = serde_json::from_slice(&body).unwrap_or_default();
                all.insert(operation.to_owned(), body);
                response
            }
            Err(error) => {
                eprintln!("skipped {operation}: {error:#}");
                Value::Null
            }
        }
    };
    read("getConnector", &format!("connectors/{connector}"));
    let numbers = read("listLongCodes", "numbers-long-code?limit=99");
    let numbers = numbers["results"].as_array().cloned().unwrap_or_default();
    // Prefer a phone number in use, because it has the most fields.
    let is_used = |number: &&Value| number["endpoint"]["dependencies"][0].is_object();
    let number = numbers.iter().find(is_used).or(numbers.first());
    if let Some(id) = number.and_then(|number| number["id"].as_str()) {
        read("getLongCode", &format!("numbers-long-code/{id}"));
        read("listRequirements", &format!("endpoints/{id}/compliance-requirements"));
    }
    read("listShortCodes", "numbers-short-code?limit=99");
    read("listAlphaSenders", "numbers-alpha?limit=99");
    read("listUseCases", "use-cases?limit=99");
    ensure!(!all.is_empty(), "no endpoint of the API could be read");
    Ok(all)
}

/// Reads a response, or all responses in a folder, by file name.
fn recorded(path: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let files = if path.is_dir() {
        let entries = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
        let mut files = entries.collect::<anyhow::Result<BTreeSet<_>>>()?;
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        files
    } else {
        BTreeSet::from([path.to_owned()])
    };
    ensure!(!files.is_empty(), "no responses (*.json) in {}", path.display());
    let read = |file: PathBuf| {
        let name = file.display().to_string();
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {name}"))?;
        Ok((name, bytes))
    };
    files.into_iter().map(read).collect()
}

/// Saves a response under the first free name, unless a file already has this content.
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
    use super::*;

    const RESPONSE: &str = include_str!("../testdata/response.json");

    #[derive(serde::Deserialize)]
    struct Case {
        edits: BTreeMap<String, Value>,
        findings: Vec<(String, String, String, Value)>,
    }

    fn args(response: PathBuf, record: Option<PathBuf>) -> Args {
        let operation = "getConnector".to_owned();
        Args { response: Some(response), live: None, operation, record, redact: true, json: false }
    }

    #[test]
    fn each_difference_is_reported_without_personal_data() {
        let contract = parse(include_str!("../testdata/contract.yaml")).unwrap();
        let schema = ResponseSchema::new(&contract, "getConnector").unwrap();
        let cases: Vec<Case> =
            yaml_serde::from_str(include_str!("../testdata/responses.yaml")).unwrap();
        for case in cases {
            let mut response: Value = serde_json::from_str(RESPONSE).unwrap();
            for (pointer, value) in case.edits {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                let fields = response.pointer_mut(parent).unwrap().as_object_mut().unwrap();
                fields.insert(name.replace("~1", "/"), value.clone());
                fields.retain(|_, value| value != "absent");
            }
            let findings = schema.findings(&response);
            let text = format!("{findings:?}");
            assert!(!text.contains("31612345678") && !text.contains("secret"), "{text}");
            let findings = findings.into_iter().map(|finding| {
                let at = finding.at.replace("#/components/schemas/", "");
                let suggestion = yaml_serde::from_str(&finding.suggestion).unwrap();
                (finding.pointer, finding.kind.to_owned(), at, suggestion)
            });
            assert_eq!(findings.collect::<Vec<_>>(), case.findings);
        }
    }

    #[test]
    fn the_examples_in_the_contract_match_its_schemas() {
        let yaml = std::fs::read_to_string(crate::root().unwrap().join("openapi.yaml")).unwrap();
        let contract = parse(&yaml).unwrap();
        let schema = ResponseSchema::new(&contract, "getConnector").unwrap();
        for (name, example) in contract["components"]["examples"].as_object().unwrap() {
            assert_eq!(schema.findings(&example["value"]), [], "{name}");
        }
    }

    #[test]
    fn the_recorded_responses_match_the_contracts() {
        let root = crate::root().unwrap();
        assert!(run(&root, &args(root.join("contract/responses"), None)).unwrap());
    }

    #[test]
    fn the_file_name_selects_the_operation() {
        let root = crate::root().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("listUseCases-7.json");
        std::fs::write(
            &page,
            r#"{"results": [{"name": "Acme +31612345678", "status": "created"}]}"#,
        )
        .unwrap();
        let recorded = folder.path().join("recorded");
        assert!(run(&root, &args(page.clone(), Some(recorded.clone()))).unwrap());
        let text = std::fs::read_to_string(recorded.join("listUseCases-1.json")).unwrap();
        assert!(text.contains("created") && !text.contains("Acme"), "{text}");
        std::fs::write(&page, r#"{"connectors": []}"#).unwrap();
        assert!(!run(&root, &args(page, None)).unwrap());
    }

    #[test]
    fn a_response_is_recorded_once_and_redacted() {
        let root = crate::root().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("response.json");
        let recorded = folder.path().join("recorded");
        let text = RESPONSE.replace("\"number\"", "\"description\": \"+31612345678\", \"number\"");
        let text = text.replace("attachments", "profileAttachments");
        std::fs::write(&file, text).unwrap();
        for _ in 0..2 {
            assert!(run(&root, &args(file.clone(), Some(recorded.clone()))).unwrap());
        }
        assert_eq!(std::fs::read_dir(&recorded).unwrap().count(), 1);
        let text = std::fs::read_to_string(recorded.join("getConnector-1.json")).unwrap();
        assert!(!text.contains("1f0e5a3c") && !text.contains("31612345678"), "{text}");
        assert!(run(&root, &args(recorded, None)).unwrap());
    }
}
