//! `cargo xtask diff`: what changed in the contracts, and whether it breaks users of bird-sms.

mod compare;
mod rust;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::command::cargo;
use crate::compile::{self, Client};
use crate::openapi::{self, CONTRACTS};
pub(crate) use tree::Tree;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Git revision or file to compare with [default: the last release]
    ///
    /// Before the first release, the default is the commit before the last contract change.
    #[arg(long, value_name = "REV|FILE")]
    base: Option<String>,
    /// Do not compile the generated client
    #[arg(long)]
    no_compile: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// How a change affects users of bird-sms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Compatibility {
    Compatible,
    /// No rule applies. Counts as breaking.
    Unknown,
    Breaking,
}

/// A change in a contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    compatibility: Compatibility,
    /// A JSON pointer into the contract.
    at: String,
    what: String,
    because: String,
    /// The requests and responses that the change affects.
    seen_in: BTreeSet<String>,
    /// The changes in the generated Rust.
    rust: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    base: String,
    breaking: bool,
    changes: Vec<Change>,
    version: Version,
    next_version: Version,
    rust_api: String,
}

/// Prints the changes since the base, and returns whether they are compatible.
pub(crate) fn run(root: &Path, args: &Args) -> anyhow::Result<bool> {
    let base = Base::read(root, args.base.as_deref())?;
    let mut changes = Vec::new();
    let mut clients = Vec::new();
    for (contract, path) in CONTRACTS {
        // The base may be older than this contract.
        let Some(old) = base.contract(root, contract)? else { continue };
        let new = std::fs::read_to_string(root.join(contract))?;
        let old_client = openapi::generate(contract, &old);
        let (of_contract, client) = compare::compare(contract, (&old, &old_client), &new)?;
        changes.extend(of_contract);
        clients.extend(client.map(|code| Client {
            path: path.to_owned(),
            code,
            contract: (contract.to_owned(), new),
        }));
    }
    if !args.no_compile {
        compile::check(&clients)?;
    }
    let worst = changes.iter().map(|change| change.compatibility).max();
    let version = base.version()?;
    let (rust_api, rust_breaks) = rust_api(root, base.revision.as_deref())?;
    let breaking = worst > Some(Compatibility::Compatible) || rust_breaks;
    let next_version = next(&version, worst.is_some(), breaking);
    let report = Report { base: base.name, breaking, changes, version, next_version, rust_api };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(!breaking)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = if self.changes.is_empty() { "No changes" } else { "Changes" };
        writeln!(f, "{changes} in the contracts since {}", self.base)?;
        for change in &self.changes {
            let compatibility = match change.compatibility {
                Compatibility::Breaking => "breaking",
                Compatibility::Unknown => "unknown, counts as breaking",
                Compatibility::Compatible => "compatible",
            };
            writeln!(f, "\n{compatibility}: {}\n  at {}", change.what, change.at)?;
            if !change.seen_in.is_empty() {
                writeln!(f, "  in {}", Vec::from_iter(change.seen_in.clone()).join(", "))?;
            }
            writeln!(f, "  because {}", change.because)?;
            change.rust.iter().try_for_each(|text| writeln!(f, "  Rust: {text}"))?;
        }
        writeln!(f, "\nThe public Rust API: {}", self.rust_api)?;
        writeln!(f, "Version {}, next {}", self.version, self.next_version)
    }
}

const NO_RELEASE: &str = ", the commit before the last contract change, because there is no release yet (--base selects another)";

/// The version that the contracts are compared with.
struct Base {
    name: String,
    /// `None` if the base is a file.
    revision: Option<String>,
    manifest: String,
}

impl Base {
    /// Reads the given base. By default, the base is the last release or, if there is none, the commit before the last
    /// contract change.
    fn read(root: &Path, given: Option<&str>) -> anyhow::Result<Self> {
        if let Some(file) = given.filter(|given| Path::new(given).is_file()) {
            let manifest = std::fs::read_to_string(root.join("Cargo.toml"))?;
            return Ok(Self { name: file.to_owned(), revision: None, manifest });
        }
        let tag = git(root, &["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"]);
        let release = tag.ok().map(|tag| tag.trim().to_owned());
        let (revision, why) = match given.map(ToOwned::to_owned).or(release) {
            Some(revision) => (revision, ""),
            None => (before_last_change(root)?, NO_RELEASE),
        };
        let name = format!("{revision}{why}");
        let manifest = git(root, &["show", &format!("{revision}:Cargo.toml")])
            .with_context(|| format!("{name} is neither a file nor a revision"))?;
        Ok(Self { name, revision: Some(revision), manifest })
    }

    /// Returns the text of a contract, or `None` if the base lacks it. A base that is a file contains only the first
    /// contract.
    fn contract(&self, root: &Path, contract: &str) -> anyhow::Result<Option<String>> {
        let is_first = contract == CONTRACTS[0].0;
        match &self.revision {
            None if is_first => Ok(Some(std::fs::read_to_string(&self.name)?)),
            None => Ok(None),
            Some(revision) => match git(root, &["show", &format!("{revision}:{contract}")]) {
                Err(error) if is_first => Err(error.context(format!("the base has no {contract}"))),
                text => Ok(text.ok()),
            },
        }
    }

    /// Returns the version of the workspace.
    fn version(&self) -> anyhow::Result<Version> {
        let package = self.manifest.split_once("[workspace.package]");
        let version = package
            .and_then(|(_, rest)| rest.lines().find_map(|line| line.strip_prefix("version = ")))
            .context("Cargo.toml has no version")?;
        Ok(version.trim_matches('"').parse()?)
    }
}

/// Returns the commit before the last contract change, which is HEAD if the change is not committed yet.
fn before_last_change(root: &Path) -> anyhow::Result<String> {
    let paths = CONTRACTS.map(|(contract, _)| contract);
    if !git(root, &[&["status", "--porcelain", "--"][..], &paths].concat())?.is_empty() {
        return Ok("HEAD".to_owned());
    }
    let commit = git(root, &[&["log", "-1", "--format=%h", "--"][..], &paths].concat())?;
    Ok(format!("{}^", commit.trim()))
}

fn git(root: &Path, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").current_dir(root).args(args).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {}: {}", args.join(" "), error.trim());
    Ok(String::from_utf8(output.stdout)?)
}

/// Returns the next version under Cargo's rules: in 0.x.y, x counts as the major version.
///
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

/// Runs cargo-semver-checks on the published libraries. Returns its result, and whether it found a break.
fn rust_api(root: &Path, base: Option<&str>) -> anyhow::Result<(String, bool)> {
    let Some(base) = base else {
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
        .args(["semver-checks", "--color", "never", "--baseline-rev", base])
        .args(["-p", "bird-api", "-p", "bird-sms", "-p", "bird-sms-postgres", "-p", "bird-sandbox"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    Ok(match output.status.code() {
        Some(0) => ("cargo-semver-checks found no break".to_owned(), false),
        Some(_) => (format!("cargo-semver-checks found a break or failed:\n{text}"), true),
        None => bail!("cargo-semver-checks was interrupted"),
    })
}
