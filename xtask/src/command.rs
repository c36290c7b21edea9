//! Runs other programs.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// Runs a command, and fails unless its exit code is 0.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let name = name(command);
    let status = command.status().with_context(|| format!("cannot run {name}"))?;
    ensure!(status.success(), "{name} failed: {status}");
    Ok(())
}

/// Runs a command, and returns its stdout. Its stderr is inherited.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let name = name(command);
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {name}"))?;
    ensure!(output.status.success(), "{name} failed: {}", output.status);
    Ok(output.stdout)
}

/// Returns a command for the cargo that started this process, or for `cargo` in `PATH`.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Returns the name of the program, without its folder.
fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}
