//! `cargo xtask codegen`: rewrites derived files, or reports which are stale.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;
use similar::TextDiff;

use crate::compile::{self, Client};
use crate::derived::{Derived, derive};
use crate::openapi::CONTRACTS;

/// Rewrites every stale file.
pub(crate) fn write(root: &Path, compiles: bool) -> anyhow::Result<()> {
    for (derived, _) in stale(root, compiles)? {
        let path = root.join(&derived.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, &derived.content)
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", derived.path);
    }
    Ok(())
}

/// Prints a report of the stale files. Returns `true` if there are none.
pub(crate) fn check(root: &Path, compiles: bool) -> anyhow::Result<bool> {
    let report = report(root, compiles)?;
    print!("{report}");
    Ok(report.is_empty())
}

/// Returns a unified diff of every stale file, with the command that updates the files.
fn report(root: &Path, compiles: bool) -> anyhow::Result<String> {
    let mut report = String::new();
    for (Derived { path, content }, old) in stale(root, compiles)? {
        let diff = TextDiff::from_lines(&old, &content);
        let from = format!("a/{path}");
        let to = format!("b/{path}");
        report.push_str(&diff.unified_diff().header(&from, &to).to_string());
        writeln!(report, "{path} is stale; run `cargo xtask codegen`")?;
    }
    Ok(report)
}

/// Returns the stale files with their old content.
///
/// # Errors
///
/// Fails if a contract is invalid or, with `compiles`, if a changed client does not compile.
fn stale(root: &Path, compiles: bool) -> anyhow::Result<Vec<(Derived, String)>> {
    let derived = derive(root)?.into_iter().map(|derived| {
        // A missing file counts as empty.
        let old = fs::read_to_string(root.join(&derived.path)).unwrap_or_default();
        (derived, old)
    });
    let stale: Vec<_> = derived.filter(|(derived, old)| *old != derived.content).collect();
    let mut clients = Vec::new();
    for (contract, path) in CONTRACTS.into_iter().filter(|_| compiles) {
        if let Some((Derived { path, content }, _)) = stale.iter().find(|(it, _)| it.path == path) {
            clients.push(Client {
                path: path.clone(),
                code: content.clone(),
                contract: (contract.to_owned(), fs::read_to_string(root.join(contract))?),
            });
        }
    }
    compile::check(&clients)?;
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::{Value, json};

    use super::*;
    use crate::command::{cargo, output};
    use crate::openapi::parse;

    fn root() -> std::path::PathBuf {
        crate::root().unwrap()
    }

    /// Creates a folder with the contracts, and with a README whose derived section is empty.
    fn only_sources() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "openapi.yaml",
            "contract/numbers.yaml",
            "crates/bird-api/tests/generator/contract.yaml",
        ] {
            let copy = folder.path().join(file);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(root().join(file), copy).unwrap();
        }
        let code = "fn f() {\n    // [part]\n    g();\n    // [/part]\n}\n";
        fs::write(folder.path().join("f.rs"), code).unwrap();
        let readme = "a\n<!-- derived: f.rs part -->\n<!-- /derived -->\nb\n";
        fs::write(folder.path().join("README.md"), readme).unwrap();
        folder
    }

    #[test]
    fn derived_files_are_up_to_date() {
        assert_eq!(report(&root(), false).unwrap(), "");
    }

    #[test]
    fn a_missing_or_old_file_is_stale_until_it_is_written() {
        let folder = only_sources();
        let stale = report(folder.path(), false).unwrap();
        for Derived { path, .. } in derive(&root()).unwrap() {
            let line = format!("\n{path} is stale; run `cargo xtask codegen`\n");
            assert!(stale.contains(&line), "{path}");
            let exists = folder.path().join(&path).exists();
            assert_eq!(exists, path == "README.md", "a check must not write {path}");
        }
        write(folder.path(), false).unwrap();
        assert_eq!(report(folder.path(), false).unwrap(), "");
        let readme = fs::read_to_string(folder.path().join("README.md")).unwrap();
        let section = "a\n<!-- derived: f.rs part -->\n```rust\ng();\n```\n<!-- /derived -->\nb\n";
        assert_eq!(readme, section);
    }

    #[test]
    fn a_new_field_in_the_contract_shows_up_in_the_rust_diff() {
        let folder = only_sources();
        let path = folder.path().join("openapi.yaml");
        let contract = include_str!("../testdata/contract.yaml");
        fs::write(&path, contract).unwrap();
        write(folder.path(), false).unwrap();
        let region = "        region:\n          type: string\n";
        let color = "        color:\n          type: string\n          description: New.\n";
        fs::write(&path, contract.replacen(region, &format!("{color}{region}"), 1)).unwrap();
        let report = report(folder.path(), false).unwrap();
        assert!(report.contains("--- a/crates/bird-api/generated/client.rs"), "{report}");
        let field = "+        pub color: ::std::option::Option<::std::string::String>,";
        assert!(report.contains(field), "{report}");
    }

    #[test]
    #[ignore = "slow, because it starts cargo; `.ci/run compiled_contracts` runs it"]
    fn only_a_published_package_builds_from_its_own_contract() {
        let mut build = cargo();
        build.current_dir(root()).args(["build", "--quiet", "--locked", "--workspace"]);
        let messages = output(build.args(["--example", "manual", "--message-format", "json"]));
        let messages = String::from_utf8(messages.unwrap()).unwrap();
        let mut messages = messages.lines().map(|line| parse(line).unwrap());
        let of_script = |it: &Value| {
            let source = it["target"]["src_path"].as_str().unwrap_or_default();
            source.ends_with("crates/bird-api/build.rs") && it["filenames"].is_array()
        };
        let script = messages.find(of_script).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("crates/bird-api");
        fs::create_dir_all(&package).unwrap();
        fs::copy(root().join("openapi.yaml"), package.join("openapi.yaml")).unwrap();
        fs::copy(root().join("contract/numbers.yaml"), package.join("numbers.yaml")).unwrap();
        let run = || {
            let mut script = Command::new(script["filenames"][0].as_str().unwrap());
            script.env("CARGO_MANIFEST_DIR", &package).env("OUT_DIR", folder.path());
            String::from_utf8(output(&mut script).unwrap()).unwrap()
        };
        assert!(run().contains("cargo::error=cannot read "), "{}", run());
        assert!(!folder.path().join("client.rs").exists());
        fs::write(package.join("Cargo.toml.orig"), "").unwrap();
        assert!(!run().contains("cargo::error"), "{}", run());
        for file in ["client.rs", "numbers.rs"] {
            let client = fs::read_to_string(folder.path().join(file)).unwrap();
            let copy = root().join("crates/bird-api/generated").join(file);
            assert!(client == fs::read_to_string(copy).unwrap(), "{file}");
        }
    }

    #[test]
    #[ignore = "slow, because it starts cargo; `.ci/run compiled_contracts` runs it"]
    fn a_client_that_does_not_compile_is_never_written() {
        let folder = only_sources();
        let path = folder.path().join("openapi.yaml");
        let contract = fs::read_to_string(&path).unwrap();
        // bird-api already has a function named `exchange`.
        fs::write(&path, contract.replace("operationId: getConnector", "operationId: exchange"))
            .unwrap();
        let error = format!("{:#}", write(folder.path(), true).unwrap_err());
        let problem = "openapi.yaml: the generated client does not compile: duplicate definitions with name `exchange`";
        let place = "/paths/~1workspaces~1{workspaceId}~1connectors~1{connectorId}/get";
        assert_eq!(error, format!("{problem} (at #{place})"));
        assert!(!folder.path().join("crates/bird-api/generated").exists());
        write(folder.path(), false).unwrap();
        assert!(folder.path().join("crates/bird-api/generated/client.rs").exists());
    }

    /// Copies the operations and schemas of a contract until there are 40 operations and 120 schemas.
    fn large(one: &Value) -> Value {
        let mut large = one.clone();
        large["paths"] = json!({});
        large["components"]["schemas"] = json!({});
        for nth in 0..20 {
            let mut text = one.to_string();
            let schemas = nth % 8;
            for name in one["components"]["schemas"].as_object().unwrap().keys() {
                text = text
                    .replace(&format!("schemas/{name}\""), &format!("schemas/{name}{schemas}\""));
            }
            let copy: Value = serde_json::from_str(&text).unwrap();
            large["components"]["responses"] = copy["components"]["responses"].clone();
            for (name, schema) in copy["components"]["schemas"].as_object().unwrap() {
                large["components"]["schemas"][format!("{name}{schemas}")] = schema.clone();
            }
            for (path, item) in copy["paths"].as_object().unwrap() {
                let mut item = item.clone();
                for operation in item.as_object_mut().unwrap().values_mut() {
                    let id = format!("{}{nth}", operation["operationId"].as_str().unwrap());
                    operation["operationId"] = id.into();
                }
                large["paths"][format!("/{nth}{path}")] = item;
            }
        }
        assert_eq!(large["paths"].as_object().unwrap().len(), 40);
        assert_eq!(large["components"]["schemas"].as_object().unwrap().len(), 120);
        large
    }

    #[test]
    #[ignore = "slow, because it starts cargo; `.ci/run compiled_contracts` runs it"]
    fn a_contract_with_40_operations_and_120_schemas_compiles() {
        let folder = only_sources();
        let file = folder.path().join("openapi.yaml");
        let yaml = large(&parse(&fs::read_to_string(&file).unwrap()).unwrap()).to_string();
        fs::write(file, &yaml).unwrap();
        write(folder.path(), false).unwrap();
        let path = CONTRACTS[0].1.to_owned();
        let code = fs::read_to_string(folder.path().join(&path)).unwrap();
        compile::check(&[Client { path, code, contract: (String::new(), yaml) }]).unwrap();
    }

    #[test]
    fn an_invalid_contract_is_reported_once_and_nothing_is_written() {
        let folder = only_sources();
        fs::write(folder.path().join("openapi.yaml"), "openapi: 3.0.3\npths: {}\n").unwrap();
        let error = format!("{:#}", write(folder.path(), false).unwrap_err());
        let problem = "unsupported keyword `pths` in this contract";
        assert_eq!(error, format!("openapi.yaml:2: {problem} (at #/pths)"));
        assert!(!folder.path().join("crates/bird-api/generated").exists());
        assert_eq!(format!("{:#}", report(folder.path(), false).unwrap_err()), error);
    }
}
