//! Runs other programs.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

/// Runs a command to its end, and fails when it does.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let name = name(command);
    let status = command.status().with_context(|| format!("cannot run {name}"))?;
    ensure!(status.success(), "{name} failed: {status}");
    Ok(())
}

/// Runs a command to its end, and returns what it prints. Its errors are shown as they come.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let name = name(command);
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {name}"))?;
    ensure!(output.status.success(), "{name} failed: {}", output.status);
    Ok(output.stdout)
}

/// Returns the cargo that runs this program.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Builds a program of the workspace with these arguments, and returns where cargo has put it.
pub(crate) fn build(root: &Path, program: &str, args: &[&str]) -> anyhow::Result<PathBuf> {
    let mut build = cargo();
    build.current_dir(root).args(["build", "--quiet", "--locked"]);
    build.args(["--message-format", "json-render-diagnostics"]).args(args);
    let messages = output(&mut build)?;
    serde_json::Deserializer::from_slice(&messages)
        .into_iter::<Value>()
        .filter_map(Result::ok)
        .filter(|message| message["target"]["name"] == program)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo does not say where {program} is"))
}

/// A server in another process, which is killed when this is dropped.
pub(crate) struct Server {
    process: Child,
    /// The first lines that the server has printed.
    pub(crate) lines: Vec<String>,
}

impl Server {
    /// Starts a server, and waits until it has printed a number of lines.
    pub(crate) fn start(command: &mut Command, lines: usize) -> anyhow::Result<Self> {
        let process = command.stdout(Stdio::piped()).spawn();
        let process = process.with_context(|| format!("cannot run {}", name(command)))?;
        let mut server = Self { process, lines: Vec::new() };
        let stdout = server.process.stdout.as_mut().context("the server has no stdout")?;
        server.lines = BufReader::new(stdout).lines().take(lines).collect::<Result<_, _>>()?;
        ensure!(server.lines.len() == lines, "{} has ended", name(command));
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the name of the program, without its folder.
fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}
