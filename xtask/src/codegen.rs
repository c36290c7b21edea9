//! `cargo xtask codegen`: rewrites the files that are derived from others, or reports stale files.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;
use similar::TextDiff;

use crate::derived::{Derived, derive};

/// Rewrites every stale file.
pub(crate) fn write(root: &Path) -> anyhow::Result<()> {
    for (derived, _) in stale(root)? {
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

/// Prints what is stale, and returns whether nothing is.
pub(crate) fn check(root: &Path) -> anyhow::Result<bool> {
    let report = report(root)?;
    print!("{report}");
    Ok(report.is_empty())
}

/// Returns a unified diff of every stale file, with the command that updates it.
fn report(root: &Path) -> anyhow::Result<String> {
    let mut report = String::new();
    for (Derived { path, content }, old) in stale(root)? {
        let diff = TextDiff::from_lines(&old, &content);
        let (from, to) = (format!("a/{path}"), format!("b/{path}"));
        report.push_str(&diff.unified_diff().header(&from, &to).to_string());
        writeln!(report, "{path} is stale; run `cargo xtask codegen`")?;
    }
    Ok(report)
}

/// Returns the stale files with their old content.
fn stale(root: &Path) -> anyhow::Result<Vec<(Derived, String)>> {
    let derived = derive(root)?.into_iter().map(|derived| {
        // A missing file is like an empty one.
        let old = fs::read_to_string(root.join(&derived.path)).unwrap_or_default();
        (derived, old)
    });
    Ok(derived.filter(|(derived, old)| *old != derived.content).collect())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::Value;

    use super::*;
    use crate::command::{cargo, output};
    use crate::openapi::parse;

    fn root() -> std::path::PathBuf {
        crate::root().unwrap()
    }

    /// A folder with the files that others are derived from, and documents with an empty section.
    fn only_sources() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "openapi.yaml",
            "crates/bird-api/tests/generator/contract.yaml",
            "crates/bird-sms/tests/testing.rs",
        ] {
            let copy = folder.path().join(file);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(root().join(file), copy).unwrap();
        }
        let document =
            "a\n<!-- derived: crates/bird-sms/tests/testing.rs clock -->\n<!-- /derived -->\nb\n";
        fs::create_dir(folder.path().join("docs")).unwrap();
        for path in ["README.md", "docs/testing.md"] {
            fs::write(folder.path().join(path), document).unwrap();
        }
        folder
    }

    #[test]
    fn derived_files_are_up_to_date() {
        assert_eq!(report(&root()).unwrap(), "");
    }

    #[test]
    fn a_missing_or_old_file_is_stale_until_it_is_written() {
        let folder = only_sources();
        let stale = report(folder.path()).unwrap();
        for Derived { path, .. } in derive(&root()).unwrap() {
            let line = format!("\n{path} is stale; run `cargo xtask codegen`\n");
            assert!(stale.contains(&line), "{path}");
            let exists = folder.path().join(&path).exists();
            let has_text = ["README.md", "docs/testing.md"].contains(&&*path);
            assert_eq!(exists, has_text, "a check writes nothing");
        }
        write(folder.path()).unwrap();
        assert_eq!(report(folder.path()).unwrap(), "");
        let readme = fs::read_to_string(folder.path().join("README.md")).unwrap();
        assert!(readme.starts_with("a\n") && readme.contains("#[tokio::test"), "{readme}");
    }

    #[test]
    fn a_new_field_of_the_contract_shows_as_a_diff_of_rust() {
        let folder = only_sources();
        let path = folder.path().join("openapi.yaml");
        let contract = include_str!("../testdata/contract.yaml");
        fs::write(&path, contract).unwrap();
        write(folder.path()).unwrap();
        let region = "        region:\n          type: string\n";
        let color = "        color:\n          type: string\n          description: New.\n";
        fs::write(&path, contract.replacen(region, &format!("{color}{region}"), 1)).unwrap();
        let report = report(folder.path()).unwrap();
        assert!(report.contains("--- a/crates/bird-api/generated/client.rs"), "{report}");
        let field = "+        pub color: ::std::option::Option<::std::string::String>,";
        assert!(report.contains(field), "{report}");
    }

    #[test]
    fn a_build_in_the_workspace_needs_its_contract_and_a_package_has_its_own() {
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
        let run = || {
            let mut script = Command::new(script["filenames"][0].as_str().unwrap());
            script.env("CARGO_MANIFEST_DIR", &package).env("OUT_DIR", folder.path());
            String::from_utf8(output(&mut script).unwrap()).unwrap()
        };
        assert!(run().contains("cargo::error=cannot read "), "{}", run());
        assert!(!folder.path().join("client.rs").exists());
        fs::write(package.join("Cargo.toml.orig"), "").unwrap();
        assert!(!run().contains("cargo::error"), "{}", run());
        // The workspace builds with every feature, and the client of openapi.yaml is the same without them.
        let client = fs::read_to_string(folder.path().join("client.rs")).unwrap();
        let copy = fs::read_to_string(root().join("crates/bird-api/generated/client.rs"));
        assert!(client == copy.unwrap());
    }

    #[test]
    fn a_problem_of_the_contract_is_reported_once_and_nothing_is_written() {
        let folder = only_sources();
        fs::write(folder.path().join("openapi.yaml"), "openapi: 3.0.3\npths: {}\n").unwrap();
        let error = format!("{:#}", write(folder.path()).unwrap_err());
        let problem = "the generator supports no keyword `pths` in this contract";
        assert_eq!(error, format!("openapi.yaml:2: {problem} (at #/pths)"));
        assert!(!folder.path().join("crates/bird-api/generated").exists());
        assert_eq!(format!("{:#}", report(folder.path()).unwrap_err()), error);
    }
}
