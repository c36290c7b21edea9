//! Commands of others.

use std::process::Command;

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

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    Command::new(env!("CARGO"))
}
