//! Maintainers' tasks: `cargo xtask --help`.

mod codegen;
mod command;
mod compile;
mod derived;
mod diff;
#[cfg(test)]
mod documents;
mod drift;
mod openapi;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

/// Maintainers' tasks of bird-sms
///
/// Exit code 1: the task has found something. Exit code 2: the task has failed.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Rewrite the files that are derived from openapi.yaml, and the code that documents quote
    Codegen {
        /// Write nothing: print a diff of each stale file, and exit with 1 if there is one
        #[arg(long)]
        check: bool,
        /// Do not compile the client
        #[arg(long)]
        no_check: bool,
    },
    /// Kill and fail a batch at each system call, kill another at random moments, and check that nothing is lost
    Crash,
    /// Print the changes of openapi.yaml, and exit with 1 if they break users of bird-sms
    Diff(diff::Args),
    /// Print the differences between responses of the API and openapi.yaml, and exit with 1 if there are any
    Drift(drift::Args),
    /// Simulate the install workflow with faults and crashes; `cargo xtask sim --help` has the options
    #[command(disable_help_flag = true)]
    Sim {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Args::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs a task, and returns whether it has found nothing.
fn run(task: Task) -> anyhow::Result<bool> {
    let root = root()?;
    match task {
        Task::Codegen { check: true, no_check } => codegen::check(&root, !no_check),
        Task::Codegen { check: false, no_check } => codegen::write(&root, !no_check).map(|()| true),
        Task::Diff(args) => diff::run(&root, &args),
        Task::Drift(args) => drift::run(&root, &args),
        Task::Crash => {
            // The whole workspace, as all tests do: another choice of packages would be another build.
            let test =
                "test --workspace --locked --test command -- --include-ignored --nocapture crash";
            command::succeed(command::cargo().current_dir(root).args(test.split(' ')))
                .map(|()| true)
        }
        Task::Sim { args } => {
            let run = "run --quiet --locked --profile dependent -p bird-sim --";
            let mut sim = command::cargo();
            let status = sim.current_dir(root).args(run.split(' ')).args(args).status();
            Ok(status.context("cannot run cargo")?.success())
        }
    }
}

/// Returns the folder of the workspace.
///
/// The folder is found at run time: checkouts that share a target folder share this program.
fn root() -> anyhow::Result<PathBuf> {
    let start = match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(package) => PathBuf::from(package),
        None => std::env::current_dir()?,
    };
    let root = start.ancestors().find(|folder| folder.join("xtask/Cargo.toml").is_file());
    Ok(root.context("this is not a checkout of bird-sms")?.to_owned())
}
