//! `cargo xtask diff`: what changed in the contract, and whether the change breaks users of bird-sms.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
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
    because: String,
    /// The requests and responses that the change affects.
    seen_in: BTreeSet<String>,
    /// The changes of the generated Rust.
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
    let new = std::fs::read_to_string(root.join("openapi.yaml"))?;
    let changes = compare::compare(&base.contract, &new)?;
    let worst = changes.iter().map(|change| change.compatibility).max();
    let version = base.version()?;
    let (rust_api, rust_breaks) = rust_api(root, &base)?;
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
        writeln!(f, "{changes} of the contract since {}", self.base)?;
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

/// What the contract is compared with.
struct Base {
    /// The revision or the path.
    name: String,
    is_revision: bool,
    contract: String,
    manifest: String,
}

impl Base {
    /// Reads the given base, the last release or the last commit.
    fn read(root: &Path, given: Option<&str>) -> anyhow::Result<Self> {
        if let Some(name) = given.filter(|given| Path::new(given).is_file()) {
            let contract = std::fs::read_to_string(name)?;
            let manifest = std::fs::read_to_string(root.join("Cargo.toml"))?;
            return Ok(Self { name: name.to_owned(), is_revision: false, contract, manifest });
        }
        let name = match given {
            Some(revision) => revision.to_owned(),
            None => git(root, &["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"])
                .map_or_else(|_| "HEAD".to_owned(), |tag| tag.trim().to_owned()),
        };
        let show = |file| git(root, &["show", &format!("{name}:{file}")]);
        let contract = show("openapi.yaml")
            .with_context(|| format!("{name} is neither a file nor a revision with a contract"))?;
        let manifest = show("Cargo.toml")?;
        Ok(Self { name, is_revision: true, contract, manifest })
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

fn git(root: &Path, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").current_dir(root).args(args).output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {}: {}", args.join(" "), error.trim());
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
    if !base.is_revision {
        return Ok(("not compared, because the base is a file".to_owned(), false));
    }
    let installed = cargo().args(["semver-checks", "--version"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        let hint = "not compared, because cargo-semver-checks is not installed \
                    (cargo install --locked cargo-semver-checks)";
        return Ok((hint.to_owned(), false));
    }
    let output = cargo()
        .current_dir(root)
        .args(["semver-checks", "--color", "never", "--baseline-rev", &base.name])
        .args(["-p", "bird-api", "-p", "bird-sms", "-p", "bird-sandbox"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    Ok(match output.status.code() {
        Some(0) => ("cargo-semver-checks found no break".to_owned(), false),
        Some(_) => (format!("cargo-semver-checks found a break or failed:\n{text}"), true),
        None => bail!("cargo-semver-checks was interrupted"),
    })
}
