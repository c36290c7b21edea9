//! `cargo xtask consumers`: builds the programs of `tests/consumers/`, and runs them against a sandbox.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;

use crate::command::{Server, build, cargo, succeed};

/// The packages in `consumers`.
const CONSUMERS: [&str; 2] = ["no-default-features", "own-reqwest"];

/// Runs each program. A program installs a channel, and fails if another reqwest client cannot be made beside it, or if
/// what `own_reqwest.rs` says of HTTP/2 does not hold.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let command = build(root, "bird-sms", &["-p", "bird-sms-cli"])?;
    let folder = root.join("tests/consumers");
    // The versions of the workspace.
    std::fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let target = root.join("target");
    for name in CONSUMERS {
        // A sandbox refuses a second connector for the same phone number.
        let mut sandbox = Command::new(&command);
        let sandbox = Server::start(sandbox.args(["sandbox", "--provisioning-delay", "0s"]), 3)?;
        let mut program = cargo();
        program
            .current_dir(folder.join(name))
            .args(["run", "--quiet", "--target-dir"])
            .arg(&target);
        for export in &sandbox.lines {
            let variable = export.strip_prefix("export ").and_then(|line| line.split_once('='));
            ensure!(variable.is_some(), "not an export: {export}");
            program.envs(variable);
        }
        println!("{name}:");
        succeed(&mut program)?;
    }
    Ok(())
}
