//! The files that are derived from others: one list, so that none is forgotten.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::command::{cargo, output};
use crate::schema::parse;

/// A file that is derived from others.
pub(crate) struct Derived {
    /// Where it is, from the root of the workspace.
    pub(crate) path: &'static str,
    from: From,
}

/// What a file is derived from.
#[derive(Clone, Copy)]
enum From {
    /// `openapi.yaml`, by the generator.
    Generator,
    /// `openapi.yaml`, as it is.
    Copy,
    /// `openapi.yaml`, as JSON.
    Json,
    /// The arguments of the command, as `crates/bird-sms-cli/examples/manual.rs` prints it.
    Command,
    /// Itself, with the sections between its marks taken from elsewhere.
    Sections,
}

const fn derived(path: &'static str, from: From) -> Derived {
    Derived { path, from }
}

/// All of them. What needs the command to build comes last, so that a contract with which it does not
/// build yet is generated from all the same.
pub(crate) const DERIVED: [Derived; 15] = [
    // Reviewed as a change of Rust code, and built without the feature `codegen`.
    derived("crates/bird-api/generated/client.rs", From::Generator),
    // A package has nothing from above its own folder.
    derived("crates/bird-api/openapi.yaml", From::Copy),
    // Read at run time, where a parser of YAML would be one more part.
    derived("crates/bird-sandbox/openapi.json", From::Json),
    derived("docs/cli.md", From::Command),
    derived("crates/bird-sms-cli/completions/_bird-sms", From::Command),
    derived("crates/bird-sms-cli/completions/bird-sms.bash", From::Command),
    derived("crates/bird-sms-cli/completions/bird-sms.fish", From::Command),
    derived("crates/bird-sms-cli/man/bird-sms.1", From::Command),
    derived("crates/bird-sms-cli/man/bird-sms-batch.1", From::Command),
    derived("crates/bird-sms-cli/man/bird-sms-completions.1", From::Command),
    derived("crates/bird-sms-cli/man/bird-sms-connector.1", From::Command),
    derived("crates/bird-sms-cli/man/bird-sms-install.1", From::Command),
    derived("crates/bird-sms-cli/man/bird-sms-sandbox.1", From::Command),
    derived("crates/bird-sms-cli/man/bird-sms-wait.1", From::Command),
    derived("README.md", From::Sections),
];

/// What files are derived from.
pub(crate) struct Sources {
    root: PathBuf,
    contract: String,
    command: OnceCell<Result<BTreeMap<String, String>, String>>,
}

impl Sources {
    pub(crate) fn of(root: &Path) -> anyhow::Result<Self> {
        let path = root.join("openapi.yaml");
        let contract = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { root: root.to_owned(), contract, command: OnceCell::new() })
    }

    /// What the command says of itself, by path.
    pub(crate) fn command(&self) -> anyhow::Result<&BTreeMap<String, String>> {
        let files = self.command.get_or_init(|| manual().map_err(|error| format!("{error:#}")));
        files.as_ref().map_err(|error| {
            anyhow::anyhow!("the command, which says what is in it, does not build: {error}")
        })
    }

    /// What a section between marks has to hold: a part of a Rust file, as Markdown, or what the command
    /// says.
    fn section(&self, name: &str) -> anyhow::Result<String> {
        let Some((file, part)) = name.split_once(' ') else {
            let text = self.command()?.get(&format!("README.md#{name}"));
            return Ok(text.with_context(|| format!("there is no section {name}"))?.clone());
        };
        let code = std::fs::read_to_string(self.root.join(file))
            .with_context(|| format!("cannot read {file}"))?;
        let (start, end) = (format!("// [{part}]\n"), format!("// [/{part}]"));
        let part = code
            .split_once(&start)
            .and_then(|(_, rest)| rest.split_once(&end))
            .map(|(part, _)| part)
            .with_context(|| format!("{file} has no part {part}"))?;
        let depth = part.len() - part.trim_start_matches(' ').len();
        let lines = part.lines().map(|line| line.get(depth..).unwrap_or_default());
        Ok(format!("```rust\n{}\n```\n", lines.collect::<Vec<_>>().join("\n").trim_end()))
    }
}

impl Derived {
    /// What the file has to hold.
    pub(crate) fn content(&self, sources: &Sources) -> anyhow::Result<String> {
        let content = match self.from {
            From::Generator => bird_codegen::generate(&sources.contract).map_err(Into::into),
            From::Copy => Ok(sources.contract.clone()),
            From::Json => parse(&sources.contract)
                .and_then(|contract| Ok(format!("{}\n", serde_json::to_string_pretty(&contract)?))),
            From::Command => sources.command().and_then(|files| {
                files.get(self.path).cloned().context("the command does not say what is in it")
            }),
            From::Sections => std::fs::read_to_string(sources.root.join(self.path))
                .map_err(Into::into)
                .and_then(|text| sections(&text, sources)),
        };
        content.with_context(|| format!("cannot derive {}", self.path))
    }
}

/// The text with each section between its marks as it has to be.
fn sections(text: &str, sources: &Sources) -> anyhow::Result<String> {
    const START: &str = "<!-- derived: ";
    const END: &str = "<!-- /derived -->";
    let mut parts = text.split(START);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(" -->\n").context("a mark has no end")?;
        let (_, rest) = rest.split_once(END).with_context(|| format!("{name} has no end"))?;
        for piece in [START, name, " -->\n", &sources.section(name)?, END, rest] {
            whole.push_str(piece);
        }
    }
    Ok(whole)
}

/// Builds and runs the example that tells what is derived from the command.
fn manual() -> anyhow::Result<BTreeMap<String, String>> {
    // With the features of the whole workspace, as the tests are built.
    let args =
        ["build", "--workspace", "--locked", "--example", "manual", "--message-format", "json"];
    let messages = output(cargo().current_dir(crate::root()).arg("--quiet").args(args))?;
    let executable = serde_json::Deserializer::from_slice(&messages)
        .into_iter::<serde_json::Value>()
        .filter_map(Result::ok)
        .find_map(|message| Some(message["executable"].as_str()?.to_owned()))
        .context("cargo does not say where the example is")?;
    let json = output(&mut std::process::Command::new(executable))?;
    Ok(serde_json::from_slice(&json)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_that_the_command_tells_of_is_in_the_list() {
        let sources = Sources::of(&crate::root()).unwrap();
        let told: BTreeSet<_> = sources.command().unwrap().keys().map(String::as_str).collect();
        let told: BTreeSet<_> = told.into_iter().filter(|path| !path.contains('#')).collect();
        let listed = DERIVED.iter().filter(|derived| matches!(derived.from, From::Command));
        assert_eq!(told, listed.map(|derived| derived.path).collect());
    }

    #[test]
    fn no_file_of_a_derived_folder_is_left_over() {
        for folder in ["crates/bird-sms-cli/man", "crates/bird-sms-cli/completions"] {
            for file in std::fs::read_dir(crate::root().join(folder)).unwrap() {
                let path = format!("{folder}/{}", file.unwrap().file_name().to_string_lossy());
                assert!(DERIVED.iter().any(|derived| derived.path == path), "{path}");
            }
        }
    }
}
