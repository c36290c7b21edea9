//! The files that are derived from others.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::command::{build, output};
use crate::openapi::parse;

/// A file that is derived from others.
#[derive(Debug)]
pub(crate) struct Derived {
    /// The path from the root of the workspace.
    pub(crate) path: String,
    pub(crate) content: String,
}

/// Derives all files below `root`, each when the iterator reaches it.
///
/// What needs the command to build comes last: the command may build only after the files that are derived
/// from the contract have been written.
///
/// # Errors
///
/// Fails if the contract has a problem.
pub(crate) fn derive(
    root: &Path,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Derived>> + '_> {
    let contract = read(root, "openapi.yaml")?;
    let client = bird_codegen::generate("openapi.yaml", &contract)?;
    let parts_file = "crates/bird-api/tests/generator/contract.yaml";
    let parts = read(root, parts_file)?;
    let json = format!("{}\n", serde_json::to_string_pretty(&parse(&contract)?)?);
    let from_contract = [
        // Reviewers see a change of the contract as a change of Rust code; also the client of builds
        // without the feature `codegen`.
        ("crates/bird-api/generated/client.rs", client),
        // Shows what the generator does with parts of OpenAPI that the contract does not use.
        ("crates/bird-api/tests/generator/client.rs", bird_codegen::generate(parts_file, &parts)?),
        // The sandbox reads the contract at run time, and has no parser for YAML.
        ("crates/bird-sandbox/openapi.json", json),
        // A package contains no files from outside its own folder.
        ("crates/bird-api/openapi.yaml", contract),
    ];
    let from_contract = from_contract.map(|(path, content)| Derived { path: path.into(), content });
    // The chapter on testing quotes tests.
    let chapter = std::iter::once_with(|| {
        let path = "docs/testing.md";
        let content = fill_sections(&read(root, path)?, |name| {
            let (file, part) = name.split_once(' ').context("a section has no part")?;
            quote(root, file, part)
        })?;
        Ok(Derived { path: path.into(), content })
    });
    let from_command = std::iter::once_with(|| match from_command(root) {
        Ok(files) => files.into_iter().map(Ok).collect(),
        Err(error) => {
            vec![Err(error.context("the command does not build, from which the README, the manual and the completions are derived"))]
        }
    });
    Ok(from_contract.into_iter().map(Ok).chain(chapter).chain(from_command.flatten()))
}

/// Derives the files that the command prints, and the README, which quotes the command and the examples.
fn from_command(root: &Path) -> anyhow::Result<Vec<Derived>> {
    // With the features of the whole workspace, as the tests are built.
    let manual = build(&crate::root()?, "manual", &["--workspace", "--example", "manual"])?;
    let mut files: BTreeMap<String, String> =
        serde_json::from_slice(&output(&mut Command::new(manual))?)?;
    let readme = fill_sections(&read(root, "README.md")?, |name| match name.split_once(' ') {
        Some((file, part)) => quote(root, file, part),
        None => files
            .get(&format!("README.md#{name}"))
            .cloned()
            .with_context(|| format!("the command has no section {name}")),
    })?;
    files.retain(|path, _| !path.contains('#'));
    files.insert("README.md".to_owned(), readme);
    Ok(files.into_iter().map(|(path, content)| Derived { path, content }).collect())
}

/// Replaces the content of each section between marks.
fn fill_sections(
    text: &str,
    section: impl Fn(&str) -> anyhow::Result<String>,
) -> anyhow::Result<String> {
    const START: &str = "<!-- derived: ";
    const END: &str = "<!-- /derived -->";
    let mut parts = text.split(START);
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(" -->\n").context("a mark of a section has no end")?;
        let (_, rest) =
            rest.split_once(END).with_context(|| format!("the section {name} has no end"))?;
        filled.extend([START, name, " -->\n", &section(name)?, END, rest]);
    }
    Ok(filled)
}

/// Returns a part of a Rust file as Markdown.
fn quote(root: &Path, file: &str, part: &str) -> anyhow::Result<String> {
    let code = read(root, file)?;
    let (start, end) = (format!("// [{part}]\n"), format!("// [/{part}]"));
    let part = code
        .split_once(&start)
        .and_then(|(_, rest)| rest.split_once(&end))
        .map(|(part, _)| part)
        .with_context(|| format!("{file} has no part {part}"))?;
    let indent = part.len() - part.trim_start_matches(' ').len();
    let lines = part.lines().map(|line| line.get(indent..).unwrap_or_default());
    Ok(format!("```rust\n{}\n```\n", lines.collect::<Vec<_>>().join("\n").trim_end()))
}

fn read(root: &Path, file: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"))
}
