//! Maintainers' tasks: `cargo xtask --help`.

mod codegen;
mod command;
mod contract;
mod crash;
mod derived;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod page;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Maintainers' tasks of bird-sms
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Rewrite what is derived from openapi.yaml
    Codegen {
        /// Change nothing: show what is stale, and fail when something is
        #[arg(long)]
        check: bool,
    },
    /// Kill batches of 1,000 rows at 100 random moments each, and look at what is left
    Crash,
    /// Lint openapi.yaml, and test the sandbox against it; needs npm and python3
    Contract,
}

fn main() -> anyhow::Result<ExitCode> {
    let Args { task } = Args::parse();
    match task {
        Task::Codegen { check: true } => {
            let report = codegen::check(&root())?;
            print!("{report}");
            Ok(if report.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Task::Codegen { check: false } => {
            for path in codegen::write(&root())? {
                println!("wrote {path}");
            }
            Ok(ExitCode::SUCCESS)
        }
        Task::Crash => {
            crash::run(&root())?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Contract => {
            contract::run(&root())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn root() -> PathBuf {
    // `parent` has nothing to say only for the root of a file system.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}
