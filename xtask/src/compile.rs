//! Compiles generated clients in a copy of bird-api, inside the target folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::command::cargo;
use crate::diff::Tree;

/// A generated client.
pub(crate) struct Client {
    /// The path, relative to the root of the workspace.
    pub(crate) path: String,
    pub(crate) code: String,
    /// The name and the text of the contract.
    pub(crate) contract: (String, String),
}

/// Checks that bird-api compiles with these clients.
///
/// # Errors
///
/// Fails with the compiler's first error or warning, and a pointer to the operation or schema that causes it.
pub(crate) fn check(clients: &[Client]) -> anyhow::Result<()> {
    if clients.is_empty() {
        return Ok(());
    }
    let (copy, _lock) = copy()?;
    for client in clients {
        fs::write(copy.join(&client.path), &client.code)?;
    }
    let mut check = cargo();
    check.current_dir(&copy).args(["check", "--quiet", "--offline", "-p", "bird-api"]);
    check.args(["--no-default-features", "--message-format", "json"]);
    // In a shared target folder, cargo would mistake the copy for the original crate.
    let output = check.args(["--target-dir", "target"]).output().context("cannot run cargo")?;
    let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let messages = messages.filter_map(Result::ok).map(|line| line["message"].clone());
    let mut messages: Vec<_> =
        messages.filter(|it| it["spans"].as_array().is_some_and(|it| !it.is_empty())).collect();
    messages.sort_by_key(|message| message["level"] != "error");
    let Some(message) = messages.first() else {
        if output.status.success() {
            return Ok(());
        }
        bail!("bird-api does not compile: {}", String::from_utf8_lossy(&output.stderr).trim());
    };
    let text = message["message"].as_str().unwrap_or_default();
    let spans = message["spans"].as_array().into_iter().flatten();
    let files: Vec<_> = spans
        .map(|span| (span["file_name"].as_str().unwrap_or_default(), span["line_start"].as_u64()))
        .collect();
    let in_client = |client: &Client| {
        let name = Path::new(&client.path).file_name()?.to_str()?;
        let (_, line) = files.iter().find(|(file, _)| file.ends_with(name))?;
        (*line)?.try_into().ok()
    };
    let found = clients.iter().find_map(|client| Some((client, in_client(client)?)));
    let Some((client, line)) = found else {
        bail!("{} does not compile with the generated client: {text}", files[0].0);
    };
    let (contract, yaml) = &client.contract;
    let place = place(yaml, &client.code, line)?;
    bail!("{contract}: the generated client does not compile: {text} (at #{place})")
}

/// Returns a JSON pointer to the part of the contract from which a line of the client was generated.
fn place(yaml: &str, client: &str, line: usize) -> anyhow::Result<String> {
    let tree = Tree::new(yaml)?;
    let lines: Vec<_> = client.lines().take(line).map(str::trim_start).collect();
    let code = lines.into_iter().rev().filter(|line| !line.starts_with(['/', '#', '*']));
    let mut names = code.flat_map(|line| {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect::<Vec<_>>();
        let pairs = words.windows(2).filter(|pair| {
            ["fn", "struct", "enum", "impl", "for"].contains(&pair[0]) && !pair[1].is_empty()
        });
        pairs.map(|pair| pair[1].to_owned()).collect::<Vec<_>>()
    });
    Ok(names.find_map(|name| Some(tree.place(&name)?.to_owned())).unwrap_or_default())
}

fn target() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    Ok(target.context("this binary is not in a target folder")?.to_owned())
}

/// Creates a workspace whose only member is a copy of bird-api. It is locked against other processes until the returned
/// file is dropped.
fn copy() -> anyhow::Result<(PathBuf, File)> {
    let from = crate::root()?;
    let to = target()?.join("contract");
    fs::create_dir_all(&to)?;
    let lock = File::create(to.join("lock"))?;
    lock.lock()?;
    let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
    let members = |line: &str| line.starts_with("members = ") || line.starts_with("exclude = ");
    let others = manifest.lines().filter(|line| !members(line)).collect::<Vec<_>>().join("\n");
    let manifest =
        others.replacen("[workspace]", "[workspace]\nmembers = [\"crates/bird-api\"]", 1);
    fs::write(to.join("Cargo.toml"), manifest)?;
    fs::copy(from.join("Cargo.lock"), to.join("Cargo.lock"))?;
    for krate in ["crates/bird-api", "crates/bird-codegen"] {
        let _ = fs::remove_dir_all(to.join(krate));
        for folder in ["", "src", "generated"] {
            let folder = Path::new(krate).join(folder);
            let Ok(files) = fs::read_dir(from.join(&folder)) else { continue };
            fs::create_dir_all(to.join(&folder))?;
            for file in files {
                let file = file?;
                if file.path().is_file() {
                    fs::copy(file.path(), to.join(&folder).join(file.file_name()))?;
                }
            }
        }
        // Hide the dev-dependencies from cargo, because they are not copied.
        let manifest = fs::read_to_string(from.join(krate).join("Cargo.toml"))?
            .replace("[dev-dependencies]", "[package.metadata.dev-dependencies]");
        fs::write(to.join(krate).join("Cargo.toml"), manifest)?;
    }
    Ok((to, lock))
}
