//! `cargo xtask diff`: what changed in the contract, and whether it breaks those who use bird-sms.
//!
//! The rules take the client's side. A field of an answer becomes a field of a public Rust struct, so that
//! one which vanishes, or is always there where it could be missing, changes Rust types. New values of
//! enums, new fields and new errors break nobody: enums are open, structs are not exhaustive, and errors
//! are decoded leniently.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use semver::Version;
use serde::Serialize;
use serde_json::Value;

use crate::schema::{Additional, Field, Operation, Shape, operations, parse};

/// What a change does to those who use bird-sms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Class {
    Compatible,
    /// No rule knows; counts as breaking.
    Unknown,
    Breaking,
}

/// One change of the contract.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    pub(crate) class: Class,
    /// Where in the contract, as a JSON pointer.
    pub(crate) at: String,
    pub(crate) what: String,
    pub(crate) because: &'static str,
    /// The requests and answers that it shows in.
    pub(crate) seen_in: BTreeSet<String>,
}

/// Which way a value goes.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Request,
    Answer,
}

/// All changes from one contract to another, the worst first.
pub(crate) fn compare(old: &Value, new: &Value) -> anyhow::Result<Vec<Change>> {
    let mut comparison = Comparison::default();
    comparison.operations(&operations(old)?, &operations(new)?);
    comparison.schemas(old, new);
    for keyword in ["openapi", "servers", "security"] {
        if old[keyword] != new[keyword] {
            let what = format!("`{keyword}` changed");
            comparison.note(&format!("/{keyword}"), &what, Class::Unknown, "no rule knows it");
        }
    }
    let schemes = "/components/securitySchemes";
    if old.pointer(schemes) != new.pointer(schemes) {
        let what = "the security schemes changed";
        comparison.note(schemes, what, Class::Unknown, "no rule knows it");
    }
    let mut changes: Vec<_> = comparison
        .changes
        .into_iter()
        .map(|((at, what), (class, because, seen_in))| Change { class, at, what, because, seen_in })
        .collect();
    if changes.is_empty() && old != new {
        changes.push(Change {
            class: Class::Compatible,
            at: "/".to_owned(),
            what: "only prose and examples changed".to_owned(),
            because: "they become documentation",
            seen_in: BTreeSet::new(),
        });
    }
    changes.sort_by(|a, b| b.class.cmp(&a.class).then_with(|| a.at.cmp(&b.at)));
    Ok(changes)
}

/// Changes by where and what, with their class, the reason, and where they are seen.
#[derive(Default)]
struct Comparison {
    changes: BTreeMap<(String, String), (Class, &'static str, BTreeSet<String>)>,
    seen_in: String,
}

impl Comparison {
    fn note(&mut self, at: &str, what: &str, class: Class, because: &'static str) {
        let key = (format!("#{at}"), what.to_owned());
        let entry = self.changes.entry(key).or_insert((class, because, BTreeSet::new()));
        if class > entry.0 {
            (entry.0, entry.1) = (class, because);
        }
        if !self.seen_in.is_empty() {
            entry.2.insert(self.seen_in.clone());
        }
    }

    /// Each schema is a type of the raw client, by its name.
    fn schemas(&mut self, old: &Value, new: &Value) {
        let names = |contract: &Value| -> BTreeSet<String> {
            let schemas = contract["components"]["schemas"].as_object();
            schemas.into_iter().flatten().map(|(name, _)| name.clone()).collect()
        };
        let (old, new) = (names(old), names(new));
        let at = |name: &str| format!("/components/schemas/{name}");
        for name in old.difference(&new) {
            let what = format!("the schema {name} is gone");
            self.note(&at(name), &what, Class::Breaking, "its Rust type is gone");
        }
        for name in new.difference(&old) {
            let what = format!("the schema {name} is new");
            self.note(&at(name), &what, Class::Compatible, "it becomes a new type");
        }
    }

    fn operations(&mut self, old: &BTreeMap<String, Operation>, new: &BTreeMap<String, Operation>) {
        for (id, both) in pairs(old, new) {
            let at = "/paths";
            match both {
                (Some(_), None) => {
                    let what = format!("the operation {id} is gone");
                    self.note(at, &what, Class::Breaking, "its function of the raw client is gone");
                }
                (None, Some(_)) => {
                    let what = format!("the operation {id} is new");
                    self.note(at, &what, Class::Compatible, "it becomes a new function");
                }
                (Some(old), Some(new)) => self.operation(id, old, new),
                (None, None) => {}
            }
        }
    }

    fn operation(&mut self, id: &str, old: &Operation, new: &Operation) {
        let at = "/paths";
        if (&old.method, &old.path) != (&new.method, &new.path) {
            let what = format!(
                "{id} moved from {} {} to {} {}",
                old.method, old.path, new.method, new.path
            );
            self.note(at, &what, Class::Unknown, "only Bird knows whether both are served");
        }
        self.seen_in = format!("{id} request");
        for (name, both) in pairs(&old.parameters, &new.parameters) {
            match both {
                (Some(old), Some(new)) => self.field(old, new, Way::Request, name),
                (Some(_), None) => {
                    let what = format!("the parameter {name} of {id} is gone");
                    self.note(at, &what, Class::Breaking, SIGNATURE);
                }
                (None, Some(_)) => {
                    let what = format!("the parameter {name} of {id} is new");
                    self.note(at, &what, Class::Breaking, SIGNATURE);
                }
                (None, None) => {}
            }
        }
        match (&old.request, &new.request) {
            (Some(old), Some(new)) => self.field(old, new, Way::Request, "body"),
            (None, None) => {}
            _ => {
                let what = format!("the body of {id} is new or gone");
                self.note(at, &what, Class::Breaking, SIGNATURE);
            }
        }
        for (status, both) in pairs(&old.answers, &new.answers) {
            self.seen_in = format!("{id} {status}");
            let success = status.starts_with('2');
            match both {
                (Some(Some(old)), Some(Some(new))) => self.value(old, new, Way::Answer),
                (Some(_), Some(_)) if old.answers[status] != new.answers[status] => {
                    let what = format!("the body of the answer {status} of {id} is new or gone");
                    self.note(at, &what, Class::Unknown, "no rule knows it");
                }
                (Some(_), None) if success => {
                    let what = format!("the answer {status} of {id} is gone");
                    self.note(at, &what, Class::Breaking, "it is what the raw client decodes");
                }
                (None, Some(_)) if success => {
                    let what = format!("the answer {status} of {id} is new");
                    self.note(at, &what, Class::Unknown, "the raw client decodes one success");
                }
                (Some(_), None) => {
                    let what = format!("the error {status} of {id} is gone");
                    self.note(at, &what, Class::Compatible, ERRORS);
                }
                (None, Some(_)) => {
                    let what = format!("the error {status} of {id} is new");
                    self.note(at, &what, Class::Compatible, ERRORS);
                }
                _ => {}
            }
        }
        self.seen_in.clear();
    }

    /// A parameter, a body or a field, on both sides.
    fn field(&mut self, old: &Field, new: &Field, way: Way, name: &str) {
        self.shape(&old.shape, &new.shape, way);
        let at = &new.shape.at;
        match (old.required, new.required, way) {
            (false, true, Way::Request) => {
                let what = format!("`{name}` is required now");
                self.note(at, &what, Class::Breaking, "who leaves it out is refused");
            }
            (true, false, Way::Request) => {
                let what = format!("`{name}` is not required any more");
                self.note(at, &what, Class::Breaking, CONSTRUCTOR);
            }
            (false, true, Way::Answer) => {
                let what = format!("`{name}` is always there now");
                let class = if new.shape.nullable { Class::Compatible } else { Class::Breaking };
                self.note(
                    at,
                    &what,
                    class,
                    "its type is no Option any more, and an answer without it fails",
                );
            }
            (true, false, Way::Answer) => {
                let what = format!("`{name}` may be missing now");
                let class = if old.shape.nullable { Class::Compatible } else { Class::Breaking };
                self.note(at, &what, class, "its type becomes an Option");
            }
            _ => {}
        }
        // Of an optional field null and nothing are one in Rust; of one that is always there they are not.
        match (old.shape.nullable, new.shape.nullable, way) {
            (false, true, _) => {
                let what = format!("`{name}` may be null now");
                let class = if new.required { Class::Breaking } else { Class::Compatible };
                self.note(
                    at,
                    &what,
                    class,
                    "a required field becomes an Option, an optional one is one",
                );
            }
            (true, false, Way::Answer) => {
                let what = format!("`{name}` is never null now");
                let class = if new.required { Class::Breaking } else { Class::Compatible };
                self.note(at, &what, class, "a required field is no Option any more");
            }
            (true, false, Way::Request) => {
                let what = format!("`{name}` must not be null any more");
                self.note(at, &what, Class::Breaking, "who sends null is refused");
            }
            _ => {}
        }
    }

    /// A value that is no field: an item, an alternative, an answer.
    fn value(&mut self, old: &Shape, new: &Shape, way: Way) {
        if old.nullable != new.nullable {
            let what = if new.nullable { "it may be null now" } else { "it is never null now" };
            self.note(&new.at, what, Class::Breaking, TYPE);
        }
        self.shape(old, new, way);
    }

    fn shape(&mut self, old: &Shape, new: &Shape, way: Way) {
        let at = new.at.clone();
        if let (old, new) = (old.schema(), new.schema())
            && old != new
        {
            let said = |name: Option<&str>| name.unwrap_or("written in place").to_owned();
            let what = format!("the schema was {} and is {}", said(old), said(new));
            self.note(&at, &what, Class::Breaking, "its Rust type has another name");
        }
        if old.kind != new.kind || old.format != new.format {
            let what = format!("the type was {} and is {}", old.name(), new.name());
            self.note(&at, &what, Class::Breaking, "its Rust type changes");
        }
        for (name, both) in pairs(&old.fields, &new.fields) {
            match both {
                (Some(old), Some(new)) => self.field(old, new, way, name),
                (Some(_), None) => {
                    let what = format!("`{name}` is gone");
                    self.note(&at, &what, Class::Breaking, "its field of the Rust struct is gone");
                }
                (None, Some(field)) if way == Way::Request && field.required => {
                    let what = format!("`{name}` is new, and required");
                    self.note(&at, &what, Class::Breaking, "who leaves it out is refused");
                }
                (None, Some(field)) if field.required => {
                    let what = format!("`{name}` is new, and always there");
                    self.note(&at, &what, Class::Breaking, "an answer without it fails");
                }
                (None, Some(_)) => {
                    let what = format!("`{name}` is new");
                    self.note(
                        &at,
                        &what,
                        Class::Compatible,
                        "it becomes a field that may be missing",
                    );
                }
                (None, None) => {}
            }
        }
        for (name, both) in pairs(&old.alternatives, &new.alternatives) {
            match both {
                (Some(old), Some(new)) => self.value(old, new, way),
                (Some(_), None) => {
                    let what = format!("the alternative {name} is gone");
                    self.note(&at, &what, Class::Breaking, "its variant of the Rust enum is gone");
                }
                (None, Some(_)) => {
                    let what = format!("the alternative {name} is new");
                    self.note(
                        &at,
                        &what,
                        Class::Compatible,
                        "it becomes a variant; enums are open",
                    );
                }
                (None, None) => {}
            }
        }
        match (&old.items, &new.items) {
            (Some(old), Some(new)) => self.value(old, new, way),
            (None, None) => {}
            _ => self.note(&at, "the type of the items is new or gone", Class::Breaking, TYPE),
        }
        match (&old.additional, &new.additional) {
            (Additional::Of(old), Additional::Of(new)) => self.value(old, new, way),
            (old, new) if old == new => {}
            _ => {
                let what = "what is said of additional properties changed";
                self.note(&at, what, Class::Unknown, "no rule knows it");
            }
        }
        self.values(old, new, &at);
        self.limits(old, new, way, &at);
        for (keyword, both) in pairs(&old.rest, &new.rest) {
            if both.0 != both.1 {
                let what = format!("`{keyword}` changed");
                self.note(&at, &what, Class::Unknown, "no rule knows the keyword");
            }
        }
    }

    fn values(&mut self, old: &Shape, new: &Shape, at: &str) {
        let (Some(before), Some(after)) = (&old.values, &new.values) else {
            if old.values != new.values {
                self.note(at, "the list of values is new or gone", Class::Breaking, TYPE);
            }
            return;
        };
        for value in after.iter().filter(|value| !before.contains(value)) {
            let what = format!("the value {value} is new");
            self.note(at, &what, Class::Compatible, "enums are open");
        }
        for value in before.iter().filter(|value| !after.contains(value)) {
            let what = format!("the value {value} is gone");
            self.note(at, &what, Class::Breaking, "its variant of the Rust enum is gone");
        }
    }

    fn limits(&mut self, old: &Shape, new: &Shape, way: Way, at: &str) {
        for (limit, both) in pairs(&old.limits, &new.limits) {
            let stricter = match (both.0, both.1) {
                (old, new) if old == new => continue,
                (None, Some(_)) => Some(true),
                (Some(_), None) => Some(false),
                (Some(old), Some(new)) => match (old.as_f64(), new.as_f64()) {
                    (Some(old), Some(new)) => Some((new > old) == limit.starts_with("min")),
                    _ => None,
                },
                (None, None) => continue,
            };
            let said = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            let what = format!("`{limit}` was {} and is {}", said(both.0), said(both.1));
            let (class, because) = match (stricter, way) {
                (None, _) => (Class::Unknown, "no rule knows which of the two is stricter"),
                (Some(true), Way::Request) => (Class::Breaking, "what was accepted is refused"),
                (Some(false), Way::Request) => (Class::Compatible, "what was accepted still is"),
                (Some(_), Way::Answer) => (Class::Compatible, "answers are not held to limits"),
            };
            self.note(at, &what, class, because);
        }
    }
}

const SIGNATURE: &str = "the arguments of its function of the raw client change";
const CONSTRUCTOR: &str = "the arguments of the constructor of the raw client's type change";
const TYPE: &str = "its Rust type changes";
const ERRORS: &str = "errors of any status are handled, and none has a type of its own";

/// The values of both maps by their keys.
fn pairs<'a, V>(
    old: &'a BTreeMap<String, V>,
    new: &'a BTreeMap<String, V>,
) -> BTreeMap<&'a str, (Option<&'a V>, Option<&'a V>)> {
    let keys = old.keys().chain(new.keys());
    keys.map(|key| (key.as_str(), (old.get(key), new.get(key)))).collect()
}

/// What the changes mean, as it is told.
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

/// Tells what changed, and whether it breaks.
pub(crate) fn run(root: &Path, base: Option<&str>, json: bool) -> anyhow::Result<bool> {
    let (base, old) = Base::find(root, base)?;
    let new = std::fs::read_to_string(root.join("openapi.yaml"))?;
    let changes = compare(&parse(&old)?, &parse(&new)?)?;
    let class = changes.iter().map(|change| change.class).max();
    let version = base.version(root)?;
    let (rust_api, rust_breaks) = rust_api(root, &base)?;
    let breaking = class > Some(Class::Compatible) || rust_breaks;
    let report = Report {
        base: base.to_string(),
        breaking,
        next_version: next(&version, class.is_some(), breaking).to_string(),
        version: version.to_string(),
        changes,
        rust_api,
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(breaking)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            writeln!(f, "The contract is as it was at {}.", self.base)?;
        } else {
            writeln!(f, "The contract since {}:\n", self.base)?;
        }
        for change in &self.changes {
            let class = match change.class {
                Class::Breaking => "breaking",
                Class::Unknown => "unknown, counts as breaking",
                Class::Compatible => "compatible",
            };
            writeln!(f, "{class}: {}\n  at {}", change.what, change.at)?;
            if !change.seen_in.is_empty() {
                let seen: Vec<_> = change.seen_in.iter().map(String::as_str).collect();
                writeln!(f, "  seen in {}", seen.join(", "))?;
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
    /// The base that is asked for, or the last release, or the last commit; and the contract there.
    fn find(root: &Path, asked: Option<&str>) -> anyhow::Result<(Self, String)> {
        if let Some(path) = asked.map(Path::new).filter(|path| path.is_file()) {
            return Ok((Self::File(path.to_owned()), std::fs::read_to_string(path)?));
        }
        let revision = match asked {
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

    /// The version of the workspace there.
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

/// The next version by the rules of Cargo, which treat 0.x as if x were the major version.
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

/// What cargo-semver-checks says of the crates that users see, and whether that is a break.
fn rust_api(root: &Path, base: &Base) -> anyhow::Result<(String, bool)> {
    let Base::Revision(revision) = base else {
        return Ok(("not compared: that needs a revision, and this base is a file".into(), false));
    };
    let installed = Command::new("cargo").args(["semver-checks", "--version"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        let hint = "not compared: cargo-semver-checks is not installed \
                    (cargo install --locked cargo-semver-checks)";
        return Ok((hint.to_owned(), false));
    }
    let output = Command::new("cargo")
        .current_dir(root)
        .args(["semver-checks", "--color", "never", "--baseline-rev", revision])
        .args(["-p", "bird-api", "-p", "bird-sms", "-p", "bird-sandbox"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    Ok(match output.status.code() {
        Some(0) => ("no break, says cargo-semver-checks".to_owned(), false),
        Some(_) => (format!("broken or not to be told, says cargo-semver-checks:\n{text}"), true),
        None => bail!("cargo-semver-checks was interrupted"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = include_str!("../testdata/contract.yaml");

    /// The changes when `from` is written as `to` in the contract.
    fn changes(from: &str, to: &str) -> Vec<Change> {
        let old = CONTRACT;
        assert!(old.contains(from), "the contract does not have {from:?}");
        compare(&parse(old).unwrap(), &parse(&old.replacen(from, to, 1)).unwrap()).unwrap()
    }

    fn one(from: &str, to: &str) -> (Class, String, String) {
        let changes = changes(from, to);
        let [change] = &changes[..] else { panic!("{changes:#?}") };
        (change.class, change.at.clone(), change.what.clone())
    }

    fn assert_one(from: &str, to: &str, class: Class, at: &str, what: &str) {
        assert_eq!(one(from, to), (class, at.to_owned(), what.to_owned()));
    }

    const NUMBER: &str = "#/components/schemas/NumberConfig";

    #[test]
    fn nothing_changed_is_nothing_and_prose_is_compatible() {
        assert_eq!(changes("openapi: 3.0.3", "openapi: 3.0.3"), []);
        let prose = changes("The name of the connector.", "What it is called.");
        assert_eq!(prose[0].class, Class::Compatible);
        assert!(prose[0].what.contains("only prose"));
    }

    #[test]
    fn a_field_of_an_answer_that_is_new_is_compatible_and_one_that_is_gone_breaks() {
        let country = "        country:\n          type: string\n";
        let variables = "        variables:\n          type: object\n";
        assert_one(
            country,
            &format!("{country}{variables}"),
            Class::Compatible,
            NUMBER,
            "`variables` is new",
        );
        assert_one(country, "", Class::Breaking, NUMBER, "`country` is gone");
        // The answers of both operations show it.
        let seen = &changes(country, "")[0].seen_in;
        assert_eq!(seen.iter().collect::<Vec<_>>(), ["createConnector 201", "getConnector 200"]);
    }

    #[test]
    fn a_field_that_is_renamed_is_gone_and_new() {
        let changes = changes("        channelId:\n", "        id:\n");
        let told: Vec<_> = changes.iter().map(|c| (c.class, c.what.as_str())).collect();
        assert_eq!(
            told,
            [(Class::Breaking, "`channelId` is gone"), (Class::Compatible, "`id` is new")]
        );
    }

    #[test]
    fn what_is_required_or_null_breaks_where_it_changes_a_rust_type_or_refuses_a_caller() {
        let required = "required: [id, name, createdAt]";
        let region = "#/components/schemas/Connector/properties/region";
        assert_one(
            required,
            "required: [id, name, createdAt, region]",
            Class::Breaking,
            region,
            "`region` is always there now",
        );
        let name = "#/components/schemas/Connector/properties/name";
        assert_one(
            required,
            "required: [id, createdAt]",
            Class::Breaking,
            name,
            "`name` may be missing now",
        );
        assert_one(
            "        region:\n          type: string\n",
            "        region:\n          type: string\n          nullable: true\n",
            Class::Compatible,
            region,
            "`region` may be null now",
        );
        assert_one(
            "required: [phoneNumberId]",
            "required: [phoneNumberId, useCaseId]",
            Class::Breaking,
            "#/components/schemas/SmsArguments/properties/useCaseId",
            "`useCaseId` is required now",
        );
    }

    #[test]
    fn types_break_and_values_are_open() {
        let region = "#/components/schemas/Connector/properties/region";
        assert_one(
            "        region:\n          type: string\n",
            "        region:\n          type: integer\n",
            Class::Breaking,
            region,
            "the type was string and is integer",
        );
        let values = "enum: [mobile, local]";
        let at = "#/components/schemas/NumberType";
        assert_one(
            values,
            "enum: [mobile, local, satellite]",
            Class::Compatible,
            at,
            "the value \"satellite\" is new",
        );
        assert_one(values, "enum: [mobile]", Class::Breaking, at, "the value \"local\" is gone");
    }

    #[test]
    fn errors_come_and_go_and_a_success_does_not() {
        let conflict = "        '409':\n          description: A connector exists already.\n";
        let gone = "the error 409 of createConnector is gone";
        assert_one(conflict, "", Class::Compatible, "#/paths", gone);
        let told = changes("        '201':\n", "        '200':\n");
        assert_eq!(told[0].class, Class::Breaking);
        assert_eq!(told[0].what, "the answer 201 of createConnector is gone");
    }

    #[test]
    fn limits_break_callers_when_they_are_stricter() {
        let at = "#/components/schemas/CreateConnectorReq/properties/name";
        assert_one(
            "minLength: 1",
            "minLength: 3",
            Class::Breaking,
            at,
            "`minLength` was 1 and is 3",
        );
        assert_one(
            "minLength: 1",
            "minLength: 0",
            Class::Compatible,
            at,
            "`minLength` was 1 and is 0",
        );
        let (class, ..) = one("minLength: 1", "minLength: 1\n          maxLength: 9");
        assert_eq!(class, Class::Breaking);
    }

    #[test]
    fn the_names_of_schemas_are_those_of_rust_types() {
        let old = parse(CONTRACT).unwrap();
        let new = parse(&CONTRACT.replace("ChannelConfig", "ChannelCfg")).unwrap();
        let told = compare(&old, &new).unwrap();
        let told: Vec<_> = told.iter().map(|c| (c.class, c.what.as_str())).collect();
        assert_eq!(
            told,
            [
                (Class::Breaking, "the schema was ChannelConfig and is ChannelCfg"),
                (Class::Breaking, "the schema ChannelConfig is gone"),
                (Class::Compatible, "the schema ChannelCfg is new"),
            ]
        );
    }

    #[test]
    fn null_as_an_item_or_an_additional_value_changes_a_type() {
        let item = "          items:\n            type: string\n";
        let (class, _, what) = one(item, &format!("{item}            nullable: true\n"));
        assert_eq!((class, &*what), (Class::Breaking, "it may be null now"));
        let with_map = |values: &str| {
            let map = format!(
                "        map:\n          type: object\n          additionalProperties: {values}\n        region:\n"
            );
            parse(&CONTRACT.replacen("        region:\n", &map, 1)).unwrap()
        };
        let (old, new) = (with_map("{type: string}"), with_map("{type: string, nullable: true}"));
        assert_eq!(compare(&old, &new).unwrap()[0].class, Class::Breaking);
        assert_eq!(compare(&new, &old).unwrap()[0].what, "it is never null now");
    }

    #[test]
    fn operations_and_parameters_are_functions_and_arguments() {
        let told = changes("operationId: getConnector", "operationId: readConnector");
        let told: Vec<_> = told.iter().map(|c| (c.class, c.what.as_str())).collect();
        assert_eq!(
            told,
            [
                (Class::Breaking, "the operation getConnector is gone"),
                (Class::Compatible, "the operation readConnector is new")
            ]
        );
        let (class, _, what) = one(
            "      requestBody:\n",
            "        - {name: dry, in: query, schema: {type: boolean}}\n      requestBody:\n",
        );
        assert_eq!(
            (class, &*what),
            (Class::Breaking, "the parameter query dry of createConnector is new")
        );
    }

    #[test]
    fn what_no_rule_knows_counts_as_breaking() {
        for (from, to) in [
            ("https://api.example.com", "https://api.eu.example.com"),
            ("scheme: AccessKey", "scheme: Bearer"),
            ("          x-lenient: true\n", ""),
            ("        region:\n", "        region:\n          x-secret: true\n"),
            ("        region:\n", "        region:\n          multipleOf: 3\n"),
            ("additionalProperties: false", "additionalProperties: true"),
        ] {
            let changes = changes(from, to);
            assert!(
                changes.iter().any(|change| change.class == Class::Unknown),
                "{from}: {changes:?}"
            );
        }
    }

    #[test]
    fn the_schema_of_an_alternative_and_of_items_is_compared_too() {
        let told = changes("          title: List\n", "          title: Many\n");
        let told: Vec<_> = told.iter().map(|c| (c.class, c.what.as_str())).collect();
        assert_eq!(
            told,
            [
                (Class::Breaking, "the alternative List is gone"),
                (Class::Compatible, "the alternative Many is new")
            ]
        );
        let attachment = "        profileId:\n          type: string\n";
        let changed = "        profileId:\n          type: integer\n";
        assert_eq!(one(attachment, changed).0, Class::Breaking);
    }

    #[test]
    fn the_next_version_is_that_of_cargo() {
        for (version, changed, breaking, expected) in [
            ("0.1.4", true, true, "0.2.0"),
            ("0.1.4", true, false, "0.1.5"),
            ("0.1.4", false, false, "0.1.4"),
            ("1.2.3", true, true, "2.0.0"),
            ("1.2.3", true, false, "1.3.0"),
        ] {
            let version = version.parse().unwrap();
            assert_eq!(next(&version, changed, breaking).to_string(), expected);
        }
    }
}
