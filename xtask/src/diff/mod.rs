//! `cargo xtask diff`: what changed in the contract, and whether the change breaks users of bird-sms.

mod compare;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use semver::Version;
use serde::Serialize;

use crate::command::cargo;
use crate::openapi::parse;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A git revision or a file to compare with [default: the last release tag, else HEAD]
    #[arg(long, value_name = "REV|FILE")]
    base: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a change does to users of bird-sms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Compatibility {
    Compatible,
    /// No rule applies; counts as breaking.
    Unknown,
    Breaking,
}

/// A change of the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    compatibility: Compatibility,
    /// The position in the contract, as a JSON pointer.
    at: String,
    what: String,
    because: &'static str,
    /// The requests and responses that the change affects.
    seen_in: BTreeSet<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    base: String,
    breaking: bool,
    changes: Vec<Change>,
    version: String,
    next_version: String,
    rust_api: String,
}

/// Prints the changes since the base, and returns whether they are compatible.
pub(crate) fn run(root: &Path, args: &Args) -> anyhow::Result<bool> {
    let (base, old) = Base::find(root, args.base.as_deref())?;
    let new = std::fs::read_to_string(root.join("openapi.yaml"))?;
    let changes = compare::compare(&parse(&old)?, &parse(&new)?)?;
    let worst = changes.iter().map(|change| change.compatibility).max();
    let version = base.version(root)?;
    let (rust_api, rust_breaks) = rust_api(root, &base)?;
    let breaking = worst > Some(Compatibility::Compatible) || rust_breaks;
    let report = Report {
        base: base.to_string(),
        breaking,
        next_version: next(&version, worst.is_some(), breaking).to_string(),
        version: version.to_string(),
        changes,
        rust_api,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(!breaking)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            writeln!(f, "The contract has not changed since {}.", self.base)?;
        } else {
            writeln!(f, "Changes of the contract since {}:\n", self.base)?;
        }
        for change in &self.changes {
            let compatibility = match change.compatibility {
                Compatibility::Breaking => "breaking",
                Compatibility::Unknown => "unknown, counts as breaking",
                Compatibility::Compatible => "compatible",
            };
            writeln!(f, "{compatibility}: {}\n  at {}", change.what, change.at)?;
            if !change.seen_in.is_empty() {
                let seen: Vec<_> = change.seen_in.iter().map(String::as_str).collect();
                writeln!(f, "  in {}", seen.join(", "))?;
            }
            writeln!(f, "  because {}", change.because)?;
        }
        writeln!(f, "\nThe public Rust API: {}", self.rust_api)?;
        writeln!(f, "Version {}, next {}", self.version, self.next_version)
    }
}

/// What the contract is compared with.
enum Base {
    Revision(String),
    File(PathBuf),
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revision(revision) => f.write_str(revision),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Base {
    /// Returns the given base, the last release or the last commit, and its contract.
    fn find(root: &Path, given: Option<&str>) -> anyhow::Result<(Self, String)> {
        if let Some(path) = given.map(Path::new).filter(|path| path.is_file()) {
            return Ok((Self::File(path.to_owned()), std::fs::read_to_string(path)?));
        }
        let revision = match given {
            Some(revision) => revision.to_owned(),
            None => git(root, &["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"])
                .map_or_else(|_| "HEAD".to_owned(), |tag| tag.trim().to_owned()),
        };
        let contract =
            git(root, &["show", &format!("{revision}:openapi.yaml")]).with_context(|| {
                format!("{revision} is neither a file nor a revision with a contract")
            })?;
        Ok((Self::Revision(revision), contract))
    }

    /// Returns the version of the workspace at the base.
    fn version(&self, root: &Path) -> anyhow::Result<Version> {
        let manifest = match self {
            Self::Revision(revision) => git(root, &["show", &format!("{revision}:Cargo.toml")])?,
            Self::File(_) => std::fs::read_to_string(root.join("Cargo.toml"))?,
        };
        let version = manifest
            .split_once("[workspace.package]")
            .and_then(|(_, rest)| rest.lines().find_map(|line| line.strip_prefix("version = ")))
            .context("Cargo.toml has no version")?;
        Ok(version.trim_matches('"').parse()?)
    }
}

fn git(root: &Path, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").current_dir(root).args(args).output()?;
    if !output.status.success() {
        bail!("git {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Returns the next version by the rules of Cargo, which treat 0.x as if x were the major version.
/// <https://doc.rust-lang.org/cargo/reference/semver.html>
fn next(version: &Version, changed: bool, breaking: bool) -> Version {
    let Version { major, minor, patch, .. } = *version;
    match (changed || breaking, breaking, major) {
        (false, ..) => version.clone(),
        (_, true, 0) => Version::new(0, minor + 1, 0),
        (_, true, _) => Version::new(major + 1, 0, 0),
        (_, false, 0) => Version::new(0, minor, patch + 1),
        (_, false, _) => Version::new(major, minor + 1, 0),
    }
}

/// Runs cargo-semver-checks on the published libraries; returns its result and whether it found a break.
fn rust_api(root: &Path, base: &Base) -> anyhow::Result<(String, bool)> {
    let Base::Revision(revision) = base else {
        return Ok(("not compared, because the base is a file".to_owned(), false));
    };
    let installed = cargo().args(["semver-checks", "--version"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        let hint = "not compared, because cargo-semver-checks is not installed \
                    (cargo install --locked cargo-semver-checks)";
        return Ok((hint.to_owned(), false));
    }
    let output = cargo()
        .current_dir(root)
        .args(["semver-checks", "--color", "never", "--baseline-rev", revision])
        .args(["-p", "bird-api", "-p", "bird-sms", "-p", "bird-sandbox"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    Ok(match output.status.code() {
        Some(0) => ("cargo-semver-checks found no break".to_owned(), false),
        Some(_) => (format!("cargo-semver-checks found a break or failed:\n{text}"), true),
        None => bail!("cargo-semver-checks was interrupted"),
    })
}
