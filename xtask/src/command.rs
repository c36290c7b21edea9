//! Commands of others.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Runs a command to its end, and fails when it does.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let name = name(command);
    let status = command.status().with_context(|| format!("cannot run {name}"))?;
    if !status.success() {
        bail!("{name} failed: {status}");
    }
    Ok(())
}

/// Runs a command to its end, and returns what it prints. Its errors are shown as they come.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let name = name(command);
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

/// The name of the program, without where it is.
fn name(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}
