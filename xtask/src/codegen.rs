//! `cargo xtask codegen`: rewrites the files that are derived from others, or reports stale files.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use similar::TextDiff;

use crate::derived::{Derived, derive};

/// Rewrites every stale file. A file that cannot be derived does not keep the others from being written.
pub(crate) fn write(root: &Path) -> anyhow::Result<()> {
    let problems = each_stale(root, |derived, _| {
        let path = root.join(&derived.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, &derived.content)
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", derived.path);
        Ok(())
    })?;
    ensure!(problems.is_empty(), "{}", problems.join("\nerror: "));
    Ok(())
}

/// Prints what is stale, and returns whether nothing is.
pub(crate) fn check(root: &Path) -> anyhow::Result<bool> {
    let report = stale(root)?;
    print!("{report}");
    Ok(report.is_empty())
}

/// Returns a unified diff of every stale file with the command that updates it, and why other files cannot
/// be derived.
fn stale(root: &Path) -> anyhow::Result<String> {
    let mut report = String::new();
    let problems = each_stale(root, |Derived { path, content }, old| {
        let diff = TextDiff::from_lines(old, content);
        let (from, to) = (format!("a/{path}"), format!("b/{path}"));
        report.push_str(&diff.unified_diff().header(&from, &to).to_string());
        Ok(writeln!(report, "{path} is stale; run `cargo xtask codegen`")?)
    })?;
    report.extend(problems.iter().map(|problem| format!("error: {problem}\n")));
    Ok(report)
}

/// Visits the stale files with their old content, and returns why other files cannot be derived.
fn each_stale(
    root: &Path,
    mut visit: impl FnMut(&Derived, &str) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for derived in derive(root)? {
        match derived {
            Ok(derived) => {
                // A missing file is like an empty one.
                let old = fs::read_to_string(root.join(&derived.path)).unwrap_or_default();
                if old != derived.content {
                    visit(&derived, &old)?;
                }
            }
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> std::path::PathBuf {
        crate::root().unwrap()
    }

    /// A folder with the files that others are derived from, and a README with an empty section.
    fn only_sources() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("contract")).unwrap();
        for contract in ["openapi.yaml", "contract/list-connectors.yaml"] {
            fs::copy(root().join(contract), folder.path().join(contract)).unwrap();
        }
        let readme = "a\n<!-- derived: exit-codes -->\n<!-- /derived -->\nb\n";
        fs::write(folder.path().join("README.md"), readme).unwrap();
        folder
    }

    #[test]
    fn derived_files_are_up_to_date() {
        assert_eq!(stale(&root()).unwrap(), "");
    }

    #[test]
    fn no_file_of_a_derived_folder_is_left_over() {
        let derived: Vec<_> =
            derive(&root()).unwrap().map(|derived| derived.unwrap().path).collect();
        for folder in ["crates/bird-sms-cli/man", "crates/bird-sms-cli/completions"] {
            for file in fs::read_dir(root().join(folder)).unwrap() {
                let path = format!("{folder}/{}", file.unwrap().file_name().to_string_lossy());
                assert!(derived.contains(&path), "{path}");
            }
        }
    }

    #[test]
    fn a_missing_or_old_file_is_stale_until_it_is_written() {
        let folder = only_sources();
        let report = stale(folder.path()).unwrap();
        for derived in derive(&root()).unwrap() {
            let path = derived.unwrap().path;
            let line = format!("\n{path} is stale; run `cargo xtask codegen`\n");
            assert!(report.contains(&line), "{path}");
            let exists = folder.path().join(&path).exists();
            assert_eq!(exists, path == "README.md", "a check writes nothing");
        }
        write(folder.path()).unwrap();
        assert_eq!(stale(folder.path()).unwrap(), "");
        let readme = fs::read_to_string(folder.path().join("README.md")).unwrap();
        assert!(readme.starts_with("a\n") && readme.contains("| exit code |"), "{readme}");
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
        let report = stale(folder.path()).unwrap();
        assert!(report.contains("--- a/crates/bird-api/generated/client.rs"), "{report}");
        let field = "+        pub color: ::std::option::Option<::std::string::String>,";
        assert!(report.contains(field), "{report}");
    }

    #[test]
    fn a_file_that_cannot_be_derived_is_reported_and_the_others_are_written() {
        let folder = only_sources();
        fs::write(folder.path().join("openapi.yaml"), "paths: [").unwrap();
        let error = write(folder.path()).unwrap_err().to_string();
        for path in ["crates/bird-api/generated/client.rs", "crates/bird-sandbox/openapi.json"] {
            assert!(error.contains(&format!("cannot derive {path}: ")), "{error}");
            assert!(!folder.path().join(path).exists());
        }
        assert!(folder.path().join("docs/cli.md").exists());
        assert!(stale(folder.path()).unwrap().contains(error.lines().next().unwrap()));
    }
}
