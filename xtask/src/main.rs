//! Maintainers' tasks. `cargo xtask --help` lists them.

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
/// Exits with 1 if a check found something, and with 2 if the task itself failed.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Regenerate the files derived from the contracts, and the code quoted in documents
    Codegen {
        /// Print a diff of each stale file instead of writing it; exit with 1 if there is one
        #[arg(long)]
        check: bool,
        /// Skip compiling the generated client
        #[arg(long)]
        no_compile: bool,
    },
    /// Kill a batch and fail its system calls, one at a time, and check that nothing is lost
    Crash,
    /// Print what changed in the contracts; exit with 1 if a change breaks users of bird-sms
    Diff(diff::Args),
    /// Compare real responses with the contracts; exit with 1 if they differ
    Drift(drift::Args),
    /// Simulate the install workflow with faults and crashes; `cargo xtask sim --help` lists the options
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

/// Runs a task, and returns whether it found nothing to report.
fn run(task: Task) -> anyhow::Result<bool> {
    let root = root()?;
    match task {
        Task::Codegen { check: true, no_compile } => codegen::check(&root, !no_compile),
        Task::Codegen { check: false, no_compile } => {
            codegen::write(&root, !no_compile).map(|()| true)
        }
        Task::Diff(args) => diff::run(&root, &args),
        Task::Drift(args) => drift::run(&root, &args),
        Task::Crash => {
            // `--workspace`, as in every other test run: cargo would rebuild for another selection of packages.
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

/// Returns the root of the workspace.
///
/// It is found at run time, because checkouts that share a target folder share this binary.
fn root() -> anyhow::Result<PathBuf> {
    let start = match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(package) => PathBuf::from(package),
        None => std::env::current_dir()?,
    };
    let root = start.ancestors().find(|folder| folder.join("xtask/Cargo.toml").is_file());
    Ok(root.context("this is not a checkout of bird-sms")?.to_owned())
}
