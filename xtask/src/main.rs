//! Tasks for maintainers. `cargo xtask --help` lists them.

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

/// Tasks for the maintainers of bird-sms
///
/// Exits with 1 if a check finds a problem, and with 2 if the task itself fails.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Regenerate all derived files, such as the generated client
    Codegen {
        /// Print a diff of the stale files instead of writing them
        ///
        /// Exits with 1 if a file is stale.
        #[arg(long)]
        check: bool,
        /// Do not compile the generated client
        #[arg(long)]
        no_compile: bool,
    },
    /// Kill a batch at each system call, then fail each call in turn, and check that nothing is lost
    Crash,
    /// Print the changes in the contracts, and whether they break users of bird-sms
    ///
    /// Exits with 1 if a change is breaking.
    Diff(diff::Args),
    /// Compare real responses with the contracts
    ///
    /// Exits with 1 if they differ.
    Drift(drift::Args),
    /// Simulate the install workflow with faults and crashes
    ///
    /// Run `cargo xtask sim --help` for the options.
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

/// Runs a task. Returns `false` if it found a problem.
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
            // Use `--workspace` like every other test run. For another selection of packages, cargo would rebuild.
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
/// The path is determined at run time, because checkouts that share a target folder also share this binary.
fn root() -> anyhow::Result<PathBuf> {
    let start = match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(package) => PathBuf::from(package),
        None => std::env::current_dir()?,
    };
    let root = start.ancestors().find(|folder| folder.join("xtask/Cargo.toml").is_file());
    Ok(root.context("the current folder is not in a checkout of bird-sms")?.to_owned())
}
