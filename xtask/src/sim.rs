//! The simulation of the install workflow, with or without bugs that are planted in the library.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context;

use crate::command;

/// Simulates, and returns whether every invariant held.
///
/// The bugs are planted in the crates of the workspace alone: cargo calls this program in place of rustc for them.
pub(crate) fn run(root: &Path, args: &[String]) -> anyhow::Result<bool> {
    let mut run = command::cargo();
    let profile = ["run", "--quiet", "--locked", "--profile", "dependent", "-p", "bird-sim", "--"];
    run.current_dir(root).args(profile).args(args);
    if args.iter().any(|arg| arg == "--planted" || arg.starts_with("--bug")) {
        let wrapper = std::env::current_exe().context("this program has no path")?;
        run.env("RUSTC_WORKSPACE_WRAPPER", wrapper);
    }
    Ok(run.status().context("cannot run cargo")?.success())
}

/// Runs rustc with `--cfg planted_bug`, if cargo calls this program in its place.
pub(crate) fn compile() -> Option<ExitCode> {
    std::env::var_os("RUSTC_WORKSPACE_WRAPPER")?;
    let mut args = std::env::args_os().skip(1);
    let rustc =
        args.next().filter(|rustc| Path::new(rustc).file_stem() == Some("rustc".as_ref()))?;
    let status = Command::new(rustc).args(args).args(["--cfg", "planted_bug"]).status();
    Some(ExitCode::from(u8::from(!status.is_ok_and(|status| status.success()))))
}
