//! `cargo xtask codegen`: rewrites what is derived from other files, or tells what is stale.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;
use similar::TextDiff;

use crate::derived::{DERIVED, Sources};

/// The command that mends what [`check`] finds.
const MEND: &str = "cargo xtask codegen";

/// Rewrites every derived file that is stale, and returns which.
pub(crate) fn write(root: &Path) -> anyhow::Result<Vec<&'static str>> {
    let sources = Sources::of(root)?;
    let mut written = Vec::new();
    for derived in &DERIVED {
        let (path, content) = (root.join(derived.path), derived.content(&sources)?);
        if fs::read_to_string(&path).is_ok_and(|old| old == content) {
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        written.push(derived.path);
    }
    Ok(written)
}

/// A unified diff of every derived file that is stale, with the command that mends it; empty when none
/// is. Changes nothing.
pub(crate) fn check(root: &Path) -> anyhow::Result<String> {
    let sources = Sources::of(root)?;
    let mut report = String::new();
    for derived in &DERIVED {
        let content = derived.content(&sources)?;
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
        assert_eq!(write(folder.path()).unwrap().len(), DERIVED.len());
        assert_eq!(check(folder.path()).unwrap(), "");
        assert!(write(folder.path()).unwrap().is_empty(), "nothing is written twice");
    }

    #[test]
    fn a_new_field_of_the_contract_shows_as_a_diff_of_rust() {
        let folder = only_sources();
        write(folder.path()).unwrap();
        let path = folder.path().join("openapi.yaml");
        let contract = fs::read_to_string(&path).unwrap();
        let region = "        region:\n          type: string\n";
        assert!(contract.contains(region));
        let color = "        color:\n          type: string\n          description: New.\n";
        fs::write(&path, contract.replacen(region, &format!("{color}{region}"), 1)).unwrap();
        let report = check(folder.path()).unwrap();
        assert!(report.contains("--- a/crates/bird-api/generated/client.rs"), "{report}");
        assert!(
            report.contains("+        pub color: ::std::option::Option<::std::string::String>,"),
            "{report}"
        );
    }
}
