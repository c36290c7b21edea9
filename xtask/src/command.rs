//! Commands of others.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Runs a command to its end, and fails when it does.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot run {name}"))?;
    if !status.success() {
        bail!("{name} failed: {status}");
    }
    Ok(())
}

/// Runs a command to its end, and returns what it prints. Its errors are shown as they come.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", output.status);
    }
    Ok(output.stdout)
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    Command::new(env!("CARGO"))
}
