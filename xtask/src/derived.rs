//! Derives files from the contracts and from tested code.

use std::path::Path;

use anyhow::Context;

use crate::openapi::{CONTRACTS, generate, parse};

/// A file whose content is derived from other files.
#[derive(Debug)]
pub(crate) struct Derived {
    /// The path, relative to the root of the workspace.
    pub(crate) path: String,
    pub(crate) content: String,
}

/// Derives all files of the workspace at `root`, without writing them.
///
/// # Errors
///
/// Fails if a contract is invalid.
pub(crate) fn derive(root: &Path) -> anyhow::Result<Vec<Derived>> {
    let [(contract, client), (numbers, numbers_client)] = CONTRACTS;
    let contract_yaml = read(root, contract)?;
    let numbers_yaml = read(root, numbers)?;
    let parts = "crates/bird-api/tests/generator/contract.yaml";
    let parts_client = bird_codegen::generate(parts, &read(root, parts)?)?;
    let json = format!("{}\n", serde_json::to_string_pretty(&parse(&contract_yaml)?)?);
    let files = [
        // The copies of the clients show reviewers how a contract change affects the Rust code.
        // Builds without the feature `codegen` compile them.
        (client, generate(contract, &contract_yaml)?),
        (numbers_client, generate(numbers, &numbers_yaml)?),
        // This client shows what the generator does with OpenAPI that the contract does not use.
        ("crates/bird-api/tests/generator/client.rs", parts_client),
        // The sandbox reads the contract at run time, but has no YAML parser.
        ("crates/bird-sandbox/openapi.json", json),
        // A package cannot contain files from outside its folder.
        ("crates/bird-api/openapi.yaml", contract_yaml),
        ("crates/bird-api/numbers.yaml", numbers_yaml),
        // The README quotes code that the tests compile.
        ("README.md", quoting(root, "README.md")?),
    ];
    Ok(files.map(|(path, content)| Derived { path: path.into(), content }).into())
}

/// Fills each section `<!-- derived: FILE PART -->` of a document with that part of the Rust file.
fn quoting(root: &Path, document: &str) -> anyhow::Result<String> {
    const START: &str = "<!-- derived: ";
    const END: &str = "<!-- /derived -->";
    let text = read(root, document)?;
    let mut parts = text.split(START);
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part
            .split_once(" -->\n")
            .with_context(|| format!("{document}: a `{START}` lacks its ` -->`"))?;
        let (_, rest) = rest
            .split_once(END)
            .with_context(|| format!("{document}: the section `{name}` lacks its `{END}`"))?;
        let (file, part) = name
            .split_once(' ')
            .with_context(|| format!("{document}: the section `{name}` names no part"))?;
        filled.extend([START, name, " -->\n", &quote(root, file, part)?, END, rest]);
    }
    Ok(filled)
}

/// Returns the lines between `// [PART]` and `// [/PART]` in a Rust file, as Markdown.
fn quote(root: &Path, file: &str, part: &str) -> anyhow::Result<String> {
    let code = read(root, file)?;
    let start = format!("// [{part}]\n");
    let end = format!("// [/{part}]");
    let part = code
        .split_once(&start)
        .and_then(|(_, rest)| rest.split_once(&end))
        .map(|(part, _)| part)
        .with_context(|| format!("{file} has no part `{part}`"))?;
    let indent = part.len() - part.trim_start_matches(' ').len();
    let lines = part.lines().map(|line| line.get(indent..).unwrap_or_default());
    Ok(format!("```rust\n{}\n```\n", lines.collect::<Vec<_>>().join("\n").trim_end()))
}

fn read(root: &Path, file: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"))
}
