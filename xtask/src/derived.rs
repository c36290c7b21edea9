//! The files that are derived from others.

use std::path::Path;

use anyhow::Context;

use crate::openapi::parse;

/// A file that is derived from others.
#[derive(Debug)]
pub(crate) struct Derived {
    /// The path from the root of the workspace.
    pub(crate) path: String,
    pub(crate) content: String,
}

/// Derives all files below `root`.
///
/// # Errors
///
/// Fails if a contract has a problem.
pub(crate) fn derive(root: &Path) -> anyhow::Result<Vec<Derived>> {
    let contract = read(root, "openapi.yaml")?;
    let client = bird_codegen::generate("openapi.yaml", &contract)?;
    let numbers = read(root, "contract/numbers.yaml")?;
    let numbers_module = bird_codegen::extend("contract/numbers.yaml", &numbers)?;
    let parts_file = "crates/bird-api/tests/generator/contract.yaml";
    let parts = read(root, parts_file)?;
    let json = format!("{}\n", serde_json::to_string_pretty(&parse(&contract)?)?);
    let files = [
        // Reviewers see a change of a contract as a change of Rust code; also the client of builds
        // without the feature `codegen`.
        ("crates/bird-api/generated/client.rs", client),
        ("crates/bird-api/generated/numbers.rs", numbers_module),
        // Shows what the generator does with parts of OpenAPI that the contract does not use.
        ("crates/bird-api/tests/generator/client.rs", bird_codegen::generate(parts_file, &parts)?),
        // The sandbox reads the contract at run time, and has no parser for YAML.
        ("crates/bird-sandbox/openapi.json", json),
        // A package contains no files from outside its own folder.
        ("crates/bird-api/openapi.yaml", contract),
        ("crates/bird-api/numbers.yaml", numbers),
        // They quote code that is compiled.
        ("README.md", quoting(root, "README.md")?),
        ("docs/testing.md", quoting(root, "docs/testing.md")?),
    ];
    Ok(files.map(|(path, content)| Derived { path: path.into(), content }).into())
}

/// Returns a document in which each section between marks has the part of a Rust file that the mark names.
fn quoting(root: &Path, document: &str) -> anyhow::Result<String> {
    const START: &str = "<!-- derived: ";
    const END: &str = "<!-- /derived -->";
    let text = read(root, document)?;
    let mut parts = text.split(START);
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(" -->\n").context("a mark of a section has no end")?;
        let (_, rest) =
            rest.split_once(END).with_context(|| format!("the section {name} has no end"))?;
        let (file, part) = name.split_once(' ').context("a section has no part")?;
        filled.extend([START, name, " -->\n", &quote(root, file, part)?, END, rest]);
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
