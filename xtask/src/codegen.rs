//! `cargo xtask codegen`: rewrites what is derived from other files, or tells what is stale.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;
use similar::TextDiff;

use crate::derived::{DERIVED, Sources};

/// The command that mends what [`check`] finds.
const MEND: &str = "cargo xtask codegen";

/// What became of the derived files.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) paths: Vec<&'static str>,
    /// Why others could not be derived.
    pub(crate) problems: Vec<String>,
}

/// Rewrites every derived file that is stale. One that cannot be derived does not keep the others from
/// being written.
pub(crate) fn write(root: &Path) -> anyhow::Result<Written> {
    let sources = Sources::of(root)?;
    let mut written = Written::default();
    for derived in &DERIVED {
        let path = root.join(derived.path);
        let content = match derived.content(&sources) {
            Ok(content) => content,
            Err(error) => {
                written.problems.push(format!("{error:#}"));
                continue;
            }
        };
        if fs::read_to_string(&path).is_ok_and(|old| old == content) {
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        written.paths.push(derived.path);
    }
    Ok(written)
}

/// A unified diff of every derived file that is stale, with the command that mends it, and why others
/// cannot be derived; empty when all is well. Changes nothing.
pub(crate) fn check(root: &Path) -> anyhow::Result<String> {
    let sources = Sources::of(root)?;
    let mut report = String::new();
    for derived in &DERIVED {
        let content = match derived.content(&sources) {
            Ok(content) => content,
            Err(error) => {
                writeln!(report, "{error:#}")?;
                continue;
            }
        };
        // A file that is missing differs like an empty one.
        let old = fs::read_to_string(root.join(derived.path)).unwrap_or_default();
        if old == content {
            continue;
        }
        let (from, to) = (format!("a/{}", derived.path), format!("b/{}", derived.path));
        let diff = TextDiff::from_lines(&old, &content);
        report.push_str(&diff.unified_diff().header(&from, &to).to_string());
        writeln!(report, "{} is stale; run `{MEND}`", derived.path)?;
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with what other files are derived from, and the README with nothing in its sections.
    fn only_sources() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let examples = "crates/bird-sms/examples";
        fs::create_dir_all(folder.path().join(examples)).unwrap();
        for file in ["openapi.yaml", &format!("{examples}/readme.rs")] {
            fs::copy(crate::root().join(file), folder.path().join(file)).unwrap();
        }
        let readme = "a\n<!-- derived: exit-codes -->\n<!-- /derived -->\nb\n";
        fs::write(folder.path().join("README.md"), readme).unwrap();
        folder
    }

    #[test]
    fn what_is_derived_is_up_to_date() {
        let report = check(&crate::root()).unwrap();
        assert!(report.is_empty(), "{report}");
    }

    #[test]
    fn a_file_that_is_missing_or_old_is_stale_and_writing_mends_it() {
        let folder = only_sources();
        let report = check(folder.path()).unwrap();
        for derived in &DERIVED {
            let line = format!("{} is stale; run `cargo xtask codegen`", derived.path);
            assert!(report.contains(&line), "{line}");
            let exists = folder.path().join(derived.path).exists();
            assert_eq!(exists, derived.path == "README.md", "a check writes nothing");
        }
        let written = write(folder.path()).unwrap();
        assert_eq!((written.paths.len(), written.problems.len()), (DERIVED.len(), 0));
        assert_eq!(check(folder.path()).unwrap(), "");
        assert!(write(folder.path()).unwrap().paths.is_empty(), "nothing is written twice");
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
        let report = check(folder.path()).unwrap();
        assert!(report.contains("--- a/crates/bird-api/generated/client.rs"), "{report}");
        assert!(
            report.contains("+        pub color: ::std::option::Option<::std::string::String>,"),
            "{report}"
        );
    }

    #[test]
    fn what_cannot_be_derived_is_told_and_the_rest_is_written() {
        let folder = only_sources();
        fs::write(folder.path().join("openapi.yaml"), "paths: [").unwrap();
        let written = write(folder.path()).unwrap();
        let [client, json] = &written.problems[..] else { panic!("{written:?}") };
        assert!(client.contains("cannot derive crates/bird-api/generated/client.rs"), "{client}");
        assert!(json.contains("cannot derive crates/bird-sandbox/openapi.json"), "{json}");
        assert_eq!(written.paths.len(), DERIVED.len() - 2);
        assert!(check(folder.path()).unwrap().contains(client.as_str()));
    }
}
